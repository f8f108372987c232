"""What users of cflib call, on the virtual Crazyflie: every commander, localization, and the life of the port."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterator

import cflib.crtp
import pytest
from cflib.crazyflie import Crazyflie
from cflib.crazyflie.syncCrazyflie import SyncCrazyflie
from cflib.positioning.position_hl_commander import PositionHlCommander
from fledge_hil.crtp import Port, packet
from fledge_hil.server import BackgroundServer, Server, ServerSettings
from fledge_hil.supervisor import State
from fledge_hil.virtual import VirtualCrazyflie

HEIGHT = 0.4
WAIT = 5.0
"""[s], longest wait for something that ought to happen at once."""


@pytest.fixture
def served(drone: VirtualCrazyflie) -> Iterator[Crazyflie]:
    """Armed, by the wall clock."""
    cflib.crtp.init_drivers()
    with (
        BackgroundServer(drone, ServerSettings(port=0, mode="realtime")) as uri,
        SyncCrazyflie(uri, cf=Crazyflie(rw_cache=None)) as link,
    ):
        link.wait_for_params()
        link.cf.supervisor.send_arming_request(True)
        until(lambda: drone.supervisor.motors_allowed)
        yield link.cf


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.005)


def stream(send: Callable[[], None], seconds: float) -> None:
    """At 20 Hz by the wall clock."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        send()
        time.sleep(0.05)


def test_position_commander_flies_a_square_corner(served: Crazyflie, drone: VirtualCrazyflie) -> None:
    with PositionHlCommander(served, default_height=HEIGHT, default_velocity=0.6) as commander:
        commander.go_to(0.4, 0.0)
        commander.left(0.3)
        time.sleep(2.0)
        assert drone.plant.truth[:3] == pytest.approx([0.4, 0.3, HEIGHT], abs=0.12)
    until(lambda: drone.plant.truth[2] < 0.05)
    until(lambda: drone.supervisor.state is State.PRE_FLIGHT_PASSED)


def test_streamed_setpoints_of_every_kind_fly_until_they_stop(served: Crazyflie, drone: VirtualCrazyflie) -> None:
    commander = served.commander
    stream(lambda: commander.send_position_setpoint(0.0, 0.0, HEIGHT, 0.0), 2.5)
    assert drone.plant.truth[:3] == pytest.approx([0, 0, HEIGHT], abs=0.15)
    stream(lambda: commander.send_velocity_world_setpoint(0.4, 0.0, 0.0, 0.0), 1.0)
    assert drone.plant.truth[7] == pytest.approx(0.4, abs=0.2)
    stream(lambda: commander.send_hover_setpoint(-0.4, 0.0, 0.0, HEIGHT), 2.5)
    assert drone.plant.truth[7] == pytest.approx(-0.4, abs=0.2)
    place, yaw = [0.2, 0.1, HEIGHT], [0.0, 0.0, math.sin(math.pi / 8), math.cos(math.pi / 8)]
    zero = [0.0, 0.0, 0.0]
    stream(lambda: commander.send_full_state_setpoint(place, zero, zero, yaw, 0.0, 0.0, 0.0), 2.0)
    assert drone.plant.truth[:3] == pytest.approx(place, abs=0.12)
    assert math.degrees(drone.plant.estimate.yaw) == pytest.approx(45, abs=10)
    stream(lambda: commander.send_zdistance_setpoint(0.0, 5.0, 0.0, HEIGHT), 0.3)
    assert drone.plant.estimate.euler_deg[1] == pytest.approx(5, abs=3)  # as asked for, in the same convention
    until(lambda: drone.supervisor.state is State.WARNING_LEVEL_OUT)
    until(lambda: drone.supervisor.state is State.LOCKED)
    assert not any(drone.fractions)


def test_manual_thrust_turns_the_motors_and_stop_stops_them(served: Crazyflie, drone: VirtualCrazyflie) -> None:
    served.commander.send_setpoint(0, 0, 0, 0)
    stream(lambda: served.commander.send_setpoint(0.0, 0.0, 0, 20000), 0.2)
    assert all(drone.fractions)
    served.commander.send_stop_setpoint()
    until(lambda: not any(drone.fractions))


def test_localization_is_accepted_and_its_emergency_stop_works(served: Crazyflie, drone: VirtualCrazyflie) -> None:
    served.extpos.send_extpos(1.0, 2.0, 3.0)
    served.loc.send_extpose([0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    assert drone.supervisor.armed
    with pytest.warns(DeprecationWarning, match="emergency_stop"):  # old scripts call it
        served.loc.send_emergency_stop()
    until(lambda: drone.supervisor.state is State.LOCKED)


def test_leaving_the_link_stops_the_motors(drone: VirtualCrazyflie) -> None:
    """cflib says goodbye with a thrust of zero."""
    cflib.crtp.init_drivers()
    with BackgroundServer(drone, ServerSettings(port=0, mode="realtime")) as uri:
        with SyncCrazyflie(uri, cf=Crazyflie(rw_cache=None)) as link:
            link.cf.supervisor.send_arming_request(True)
            until(lambda: drone.supervisor.motors_allowed)
            link.cf.high_level_commander.takeoff(0.3, 1.0)
            until(lambda: any(drone.fractions))
        until(lambda: not any(drone.fractions))


def test_a_closed_server_gives_its_port_back(drone: VirtualCrazyflie) -> None:
    with BackgroundServer(drone) as uri:
        port = int(uri.rsplit(":", 1)[1])
    Server(drone, ServerSettings(port=port)).close()


def test_a_client_that_fell_silent_makes_room_and_is_told(
    drone: VirtualCrazyflie, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket lives: the next one waits for a while, and what it said meanwhile is answered then."""
    monkeypatch.setattr("fledge_hil.holder.SILENCE", 0.2)
    server = Server(drone, ServerSettings(port=0))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
    ):
        for client in (first, second):
            client.connect(("127.0.0.1", int(server.uri.rsplit(":", 1)[1])))
            client.settimeout(WAIT)
            client.send(packet(Port.LINK, 1, b"\0"))
            server.turn()
        second.send(packet(Port.LINK, 0, b"waiting"))
        second.settimeout(0.01)
        deadline = time.monotonic() + WAIT
        heard = b""
        while b"waiting" not in heard and time.monotonic() < deadline:
            server.turn()
            with contextlib.suppress(TimeoutError):
                heard += second.recv(64)
        assert b"Bitcraze Crazyflie" in heard
        told = b""
        while b"SYS: another client has taken the link\n" not in told:
            told += first.recv(64)[1:]
    server.close()
