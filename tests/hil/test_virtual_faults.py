"""Faults in flight on the virtual Crazyflie: the guard takes the policy off, stock flies on, and the log tells."""

from __future__ import annotations

import errno
import math
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export.layout import pack
from fledge_hil.board import BoardInput, BoardOutput, EmulatedBoard, Guard, HostBoard, build_board
from fledge_hil.board_emulated import EmulatedBoardError
from fledge_hil.crtp import Port, packet
from fledge_hil.server import BackgroundServer, ServerSettings
from fledge_hil.supervisor import State
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import robot as robots
from fledge_sim.policy import Policy

MakeDrone = Callable[..., VirtualCrazyflie]
HEIGHT = 0.7
GUARD_BLOCK = 3


def send(drone: VirtualCrazyflie, port: Port, channel: int, payload: bytes) -> list[bytes]:
    return drone.handle_packet(packet(port, channel, payload))


def run(drone: VirtualCrazyflie, seconds: float) -> bytes:
    """Let time pass; what the console printed."""
    packets = [datagram for _ in range(round(seconds * 1000)) for datagram in drone.step_ms()]
    return b"".join(datagram[1:] for datagram in packets if datagram[0] >> 4 == Port.CONSOLE)


def assign(drone: VirtualCrazyflie, name: str, value: float) -> None:
    layout, number = drone.parameters[name].layout, drone.parameters.toc.index[name]
    assert send(drone, Port.PARAM, 2, struct.pack("<H", number) + layout.pack(value))


def take_off(drone: VirtualCrazyflie, policy: bool = True) -> None:
    """Armed, at HEIGHT after four seconds."""
    assert send(drone, Port.SUPERVISOR, 1, b"\1\1")[0][3]
    run(drone, 0.1)
    assign(drone, "fledge.enable", policy)
    send(drone, Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, HEIGHT, 0, True, 2.0))
    run(drone, 3.9)
    assert drone.plant.truth[2] == pytest.approx(HEIGHT, abs=0.05)


def hover_setpoint(drone: VirtualCrazyflie, forward: float, height: float) -> None:
    send(drone, Port.COMMANDER_GENERIC, 0, struct.pack("<B4f", 10, forward, 0, 0, height))


def watch_guard(drone: VirtualCrazyflie) -> None:
    """Stream fledge.guard and fledge.guardLatch at 10 ms."""
    index = drone.log.toc.index
    entries = b"".join(struct.pack("<BH", 1, index[name]) for name in ("fledge.guard", "fledge.guardLatch"))
    send(drone, Port.LOG, 1, bytes((6, GUARD_BLOCK)) + entries)
    send(drone, Port.LOG, 1, bytes((8, GUARD_BLOCK, 10, 0)))


def logged_guard(drone: VirtualCrazyflie) -> tuple[Guard, Guard]:
    """The next log packet's two values."""
    while True:
        for datagram in drone.step_ms():
            if datagram[:2] == bytes((Port.LOG << 4 | 2, GUARD_BLOCK)):
                return Guard(datagram[5]), Guard(datagram[6])


def tilt_deg(drone: VirtualCrazyflie) -> float:
    _, x, y, _ = drone.plant.truth[3:7]
    return math.degrees(math.acos(1 - 2 * (x * x + y * y)))


@pytest.fixture(params=["hover", "figure-eight"])
def flying(request: pytest.FixtureRequest, drone: VirtualCrazyflie) -> VirtualCrazyflie:
    """The policy has the motors, at rest or in the middle of a fast figure-eight; the guard is on the log."""
    take_off(drone)
    if request.param == "figure-eight":
        assign(drone, "fledge.ref", 1)
        run(drone, 4.3)
        assert math.hypot(*drone.plant.truth[7:10]) > 0.7
    watch_guard(drone)
    assert logged_guard(drone) == (Guard.OK, Guard.OK)
    return drone


def test_a_nan_in_the_estimate_hands_over_to_stock_which_stays_in_the_air(flying: VirtualCrazyflie) -> None:
    flying.faults.position_nan = True
    run(flying, 0.05)
    assert logged_guard(flying) == (Guard.NOT_FINITE, Guard.NOT_FINITE)
    flying.faults.position_nan = False
    run(flying, 3.0)
    assert logged_guard(flying) == (Guard.NOT_FINITE, Guard.NOT_FINITE)  # holds until somebody looks
    assert flying.output.mode == 0
    assert flying.plant.truth[:3] == pytest.approx([0, 0, HEIGHT], abs=0.15)
    assert flying.supervisor.state is State.FLYING
    assign(flying, "fledge.ref", 0)
    assign(flying, "fledge.enable", 0)
    run(flying, 0.01)
    assign(flying, "fledge.enable", 1)
    run(flying, 1.0)
    assert logged_guard(flying) == (Guard.OK, Guard.OK)
    assert flying.plant.truth[:3] == pytest.approx([0, 0, HEIGHT], abs=0.05)


def test_a_position_that_stays_nan_brings_the_drone_down_where_it_is(flying: VirtualCrazyflie) -> None:
    flying.faults.position_nan = True
    run(flying, 1.0)
    assert tilt_deg(flying) < 10
    assert math.hypot(*flying.plant.truth[7:9]) < 0.15  # braked: the velocity is still known
    place = flying.plant.truth[:2]
    run(flying, HEIGHT / 0.3 + 1.0)  # down at 0.3 m/s
    assert tilt_deg(flying) < 5
    assert flying.plant.truth[2] < 0.05
    assert math.dist(place, flying.plant.truth[:2]) < 0.2
    assert flying.supervisor.state is State.FLYING  # not crashed


def test_a_frozen_estimator_is_stale_after_fifty_milliseconds(flying: VirtualCrazyflie) -> None:
    flying.faults.state_frozen = True
    place = list(flying.plant.estimate.position_world)
    run(flying, 0.045)
    assert logged_guard(flying)[0] is Guard.OK
    run(flying, 0.05)
    assert logged_guard(flying) == (Guard.STALE_STATE, Guard.STALE_STATE)
    assert flying.plant.estimate.position_world == pytest.approx(place, abs=0.01)
    flying.faults.state_frozen = False
    run(flying, 3.0)
    assert logged_guard(flying) == (Guard.STALE_STATE, Guard.STALE_STATE)
    assert flying.plant.truth[:3] == pytest.approx([0, 0, HEIGHT], abs=0.15)
    assert flying.supervisor.state is State.FLYING


def test_commands_that_arrive_during_a_nan_do_not_keep_it(drone: VirtualCrazyflie) -> None:
    take_off(drone, policy=False)
    drone.faults.position_nan = True
    run(drone, 0.01)
    (answer,) = send(drone, Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 8, 0, 0.0, 0, True, 2.0))
    assert answer[4] == errno.EINVAL
    hover_setpoint(drone, 0.2, HEIGHT)
    run(drone, 0.02)
    drone.faults.position_nan = False
    for _ in range(15):
        hover_setpoint(drone, 0.2, HEIGHT)
        run(drone, 0.1)
    assert all(map(math.isfinite, drone.setpoint.position_world))
    assert drone.plant.truth[0] == pytest.approx(0.3, abs=0.1)
    assert drone.plant.truth[2] == pytest.approx(HEIGHT, abs=0.1)


def test_a_take_off_without_arming_is_ignored_and_told(drone: VirtualCrazyflie) -> None:
    run(drone, 0.1)
    send(drone, Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, HEIGHT, 0, True, 2.0))
    assert b"not armed" in run(drone, 0.1)
    assert send(drone, Port.SUPERVISOR, 1, b"\1\1")[0][3]
    run(drone, 1.0)
    assert not any(drone.fractions)  # an old command does not wait for the motors


def test_a_stop_setpoint_on_the_ground_leaves_the_motors_off(drone: VirtualCrazyflie) -> None:
    """As cflib's MotionCommander ends: down, stop, notify; then nothing more is sent."""
    take_off(drone, policy=False)
    for step in range(30):
        hover_setpoint(drone, 0.0, HEIGHT - step * HEIGHT / 25)
        run(drone, 0.1)
    assert drone.plant.truth[2] < 0.05
    send(drone, Port.COMMANDER_GENERIC, 0, b"\0")
    send(drone, Port.COMMANDER_GENERIC, 1, struct.pack("<BI", 0, 0))
    for _ in range(300):
        run(drone, 0.01)
        assert not any(drone.fractions)
    assert drone.supervisor.state is State.PRE_FLIGHT_PASSED  # landed, disarmed, not locked


def test_emulated_image_and_host_library_fly_the_same_flight(
    trained_policy: Policy, board_cache: Path, make_drone: MakeDrone
) -> None:
    files = build_board(trained_policy, board_cache)
    robot = robots.load("crazyflie")
    emulated = VirtualCrazyflie(robot, trained_policy.contract, EmulatedBoard(files.elf))
    recordings = []
    for drone in (emulated, make_drone()):
        take_off(drone)
        assign(drone, "fledge.ref", 1)
        run(drone, 1.0)
        drone.faults.position_nan = True
        run(drone, 0.5)
        recordings.append(drone.recorder.content)
    assert recordings[0] == recordings[1]
    assert set(np.unique(emulated.recorder.recording["guard"])) >= {Guard.OK, Guard.NOT_FINITE}


def test_a_flipped_bit_in_the_image_is_found_at_boot(trained_policy: Policy, board_cache: Path, tmp_path: Path) -> None:
    image = bytearray(build_board(trained_policy, board_cache).elf.read_bytes())
    weights = pack(trained_policy).values.astype("<f4").tobytes()
    assert image.count(weights) == 1
    image[image.index(weights) + 1] ^= 1
    broken = tmp_path / "board.elf"
    broken.write_bytes(image)
    drone = VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, EmulatedBoard(broken))
    assert b"self-test FAILED" in run(drone, 0.2)
    number = drone.parameters.toc.index["system.selftestPassed"]
    assert send(drone, Port.PARAM, 1, struct.pack("<H", number))[0][1:] == struct.pack("<HBb", number, 0, 0)
    assert send(drone, Port.SUPERVISOR, 1, b"\1\1")[0][1:] == b"\x81\0\0"
    assert b"arming refused: the policy's self-test failed" in run(drone, 0.1)


class FailingBoard(HostBoard):
    """Dies as an emulated processor does: with an error from `tick`."""

    def tick(self, board_input: BoardInput) -> BoardOutput:
        if board_input.flight.time_ms > 100:
            raise EmulatedBoardError("the emulated processor stopped at 0x08000000: test")
        return super().tick(board_input)


def serve_past(drone: VirtualCrazyflie, time_ms: int) -> None:
    with BackgroundServer(drone, ServerSettings(port=0, mode="realtime")):
        deadline = time.monotonic() + 5
        while drone.time_ms <= time_ms and time.monotonic() < deadline:
            time.sleep(0.01)


def test_the_death_of_the_processor_is_told_where_the_server_is_left(trained_policy: Policy, board_cache: Path) -> None:
    board = FailingBoard(build_board(trained_policy, board_cache).library)
    drone = VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, board)
    with pytest.raises(EmulatedBoardError, match="stopped at"):
        serve_past(drone, 100)
