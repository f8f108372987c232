"""The virtual Crazyflie over real UDP, seen by unmodified cflib."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import cflib.crtp
import pytest
from cflib.crazyflie import Crazyflie
from cflib.crazyflie.log import LogConfig
from cflib.crazyflie.syncCrazyflie import SyncCrazyflie
from cflib.crazyflie.syncLogger import SyncLogger
from cflib.crtp.crtpstack import CRTPPacket
from cflib.crtp.udpdriver import UdpDriver
from cflib.positioning.motion_commander import MotionCommander
from cflib.utils.reset_estimator import reset_estimator
from fledge_hil.client import LinkError
from fledge_hil.pace import Pace, acknowledge, acknowledged_ms
from fledge_hil.radio import CONNECT_TIMEOUT, connect
from fledge_hil.server import BackgroundServer, Server, ServerSettings
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim.errors import FledgeError

MakeDrone = Callable[..., VirtualCrazyflie]


def take(log: SyncLogger, count: int) -> list[tuple[int, dict[str, float]]]:
    """The next samples as (device ms, values)."""
    return [(stamp, values) for stamp, values, _ in (next(log) for _ in range(count))]


def block(period_ms: int, *names: str) -> LogConfig:
    config = LogConfig("test", period_ms)
    for name in names:
        config.add_variable(name)
    return config


@pytest.fixture
def realtime(drone: VirtualCrazyflie) -> Iterator[Crazyflie]:
    """cflib on a drone that goes by the wall clock."""
    cflib.crtp.init_drivers()
    with (
        BackgroundServer(drone, ServerSettings(port=0, mode="realtime")) as uri,
        SyncCrazyflie(uri, cf=Crazyflie(rw_cache=None)) as link,
    ):
        link.wait_for_params()
        yield link.cf


def test_cflib_connects_completely_and_fast(server: BackgroundServer) -> None:
    start = time.monotonic()
    with SyncCrazyflie(server.server.uri, cf=Crazyflie(rw_cache=None)) as link:
        link.wait_for_params()
        seconds = time.monotonic() - start
        assert seconds < 5  # a second is the aim, but this machine may be busy
        toc = link.cf.log.toc.toc
        assert {"x", "y", "z", "vx", "roll", "qw"} <= set(toc["stateEstimate"])
        assert {"contract", "guard", "mode", "inferUs", "misses", "a1", "rx"} <= set(toc["fledge"])
        assert link.cf.param.get_value("system.selftestPassed") == "1"
        assert link.cf.param.get_value("stabilizer.controller") == "6"
        assert link.cf.platform.get_protocol_version() == 12


def test_console_greets(server: BackgroundServer, drone: VirtualCrazyflie) -> None:
    lines: list[str] = []
    cf = Crazyflie(rw_cache=None)
    cf.console.receivedChar.add_callback(lines.append)
    with SyncCrazyflie(server.server.uri, cf=cf):
        deadline = time.monotonic() + 5
        while "passed" not in "".join(lines) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "Self test passed!" in "".join(lines)
    assert f"{drone.output.contract_hash:08x}" in "".join(lines)


def test_contract_hash_over_the_link(connected: Crazyflie, drone: VirtualCrazyflie) -> None:
    with SyncLogger(connected, block(10, "fledge.contract")) as log:
        assert take(log, 1)[0][1]["fledge.contract"] == drone.output.contract_hash != 0


@pytest.mark.parametrize("period_ms", [10, 100])
def test_log_rate_by_device_time(connected: Crazyflie, period_ms: int) -> None:
    with SyncLogger(connected, block(period_ms, "stateEstimate.z", "pm.vbat")) as log:
        stamps = [stamp for stamp, _ in take(log, 30)]
    assert {b - a for a, b in pairwise(stamps)} == {period_ms}


def test_one_kilohertz_log(connected: Crazyflie) -> None:
    config = block(10, "gyro.x")
    with SyncLogger(connected, config) as log:
        take(log, 3)
        request = struct.pack("<BBH", 8, config.id, 1)

        packet = CRTPPacket()
        packet.set_header(5, 1)
        packet.data = request
        connected.send_packet(packet)
        stamps = [stamp for stamp, _ in take(log, 60)][-20:]
    assert {b - a for a, b in pairwise(stamps)} == {1}


def test_parameters_are_set_and_echoed(connected: Crazyflie, drone: VirtualCrazyflie) -> None:
    echoed = threading.Event()
    connected.param.add_update_callback("fledge", "fePeriod", lambda _, value: value == "7.5" and echoed.set())
    connected.param.set_value("fledge.fePeriod", 7.5)
    assert echoed.wait(2)
    assert drone.parameters["fledge.fePeriod"].value == 7.5
    connected.param.set_value_raw("fledge.ref", 0x08, 1)
    deadline = time.monotonic() + 2
    while drone.parameters["fledge.ref"].value != 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drone.parameters["fledge.ref"].value == 1
    with pytest.raises(AttributeError, match="read-only"):
        connected.param.set_value("system.selftestPassed", 0)


def test_persistent_parameters(connected: Crazyflie) -> None:
    states: list[object] = []
    done = threading.Event()

    def note(_: str, state: object) -> None:
        states.append(state)
        done.set()

    for call in (
        connected.param.persistent_get_state,
        connected.param.persistent_store,
        connected.param.persistent_get_state,
    ):
        done.clear()
        call("supervisor.tmblChckEn", note)
        assert done.wait(2)
    assert states == [(False, 1, None), True, (True, 1, 1)]


def test_supervisor_arms_and_disarms(connected: Crazyflie) -> None:
    supervisor = connected.supervisor
    supervisor._cache_timeout = 0.0
    assert supervisor.can_be_armed
    assert not supervisor.is_armed
    supervisor.send_arming_request(True)
    assert supervisor.is_armed
    supervisor.send_arming_request(False)
    assert not supervisor.is_armed
    supervisor.send_emergency_stop()
    assert supervisor.is_locked


def test_high_level_commander_takes_off_and_lands_by_device_time(connected: Crazyflie) -> None:
    with SyncLogger(connected, block(20, "stateEstimate.z", "supervisor.info")) as log:
        connected.supervisor.send_arming_request(True)
        connected.high_level_commander.takeoff(0.5, 1.5)
        start = take(log, 1)[0][0]
        heights = {}
        landing = False
        for stamp, values, _ in log:
            seconds = (stamp - start) / 1000
            heights[seconds] = values["stateEstimate.z"]
            if seconds > 5 and not landing:
                connected.high_level_commander.land(0.0, 1.5)
                landing = True
            if seconds > 11:
                break
    aloft = [height for seconds, height in heights.items() if 4 < seconds < 5]
    landed = [height for seconds, height in heights.items() if seconds > 9.5]
    assert min(aloft) > 0.4
    assert max(aloft) < 0.6
    assert max(landed) < 0.03
    assert not int(values["supervisor.info"]) & 0b10  # disarmed again after landing


def test_estimator_helpers_of_cflib_work(realtime: Crazyflie) -> None:
    reset_estimator(realtime)


def test_motion_commander_flies_in_real_time(realtime: Crazyflie, drone: VirtualCrazyflie) -> None:
    realtime.supervisor.send_arming_request(True)
    time.sleep(0.1)
    with MotionCommander(realtime, default_height=0.3) as commander:
        commander.forward(0.3, velocity=0.5)
        place = list(drone.plant.truth[:3])
    time.sleep(0.5)  # it lets go above the floor
    assert place[0] > 0.15
    assert place[2] > 0.2
    assert drone.plant.truth[2] < 0.1


def test_app_channel_and_positions_are_accepted(connected: Crazyflie) -> None:
    connected.appchannel.send_packet(b"hello")
    connected.extpos.send_extpos(0.0, 0.0, 0.0)
    connected.extpos.send_extpose(0, 0, 0, 0, 0, 0, 1)
    connected.supervisor._cache_timeout = 0.0
    assert connected.supervisor.can_be_armed  # still answers


# ---- who has the link ------------------------------------------------------------------------------------------------


def test_a_second_client_is_refused_while_the_first_one_lives(
    connected: Crazyflie, server: BackgroundServer, drone: VirtualCrazyflie
) -> None:
    """With unmodified cflib on both sides: the first loses nothing, the second is told on its console."""
    notices: list[str] = []
    server.server.notice = notices.append
    told, refused = "", threading.Event()

    def hear(text: str) -> None:
        nonlocal told
        told += text
        if "first\n" in told:
            refused.set()

    second = Crazyflie(rw_cache=None)
    second.console.receivedChar.add_callback(hear)
    with SyncLogger(connected, block(10, "pm.vbat")) as log:
        before = take(log, 1)[0][0]
        second.open_link(server.server.uri)
        try:
            assert refused.wait(5)
            stamps = [stamp for stamp, _ in take(log, 50)]
        finally:
            second.close_link()
    assert stamps == list(range(before + 10, before + 510, 10))
    assert not second.is_connected()
    assert re.fullmatch(r"SYS: link in use by 127\.0\.0\.1:\d+; close that client first\n", told)
    assert len(notices) == 1
    assert re.fullmatch(r"127\.0\.0\.1:\d+ was refused: 127\.0\.0\.1:\d+ has the link", notices[0])


def test_the_pilot_says_that_another_client_has_the_link(connected: Crazyflie, server: BackgroundServer) -> None:
    start = time.monotonic()
    said = r"cannot connect to udp:.*: another client has the link; close that one first"
    with pytest.raises(LinkError, match=said), connect(server.server.uri):
        pass
    assert time.monotonic() - start < CONNECT_TIMEOUT / 2


def test_a_client_that_has_gone_makes_room_at_once(server: BackgroundServer, drone: VirtualCrazyflie) -> None:
    for _ in range(3):
        with SyncCrazyflie(server.server.uri, cf=Crazyflie(rw_cache=None)) as link:
            link.wait_for_params()
            with SyncLogger(link, block(10, "pm.vbat")) as log:
                take(log, 3)


def test_a_scan_finds_the_drone_and_does_not_take_the_link(
    connected: Crazyflie, server: BackgroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.server.uri.rsplit(":", 1)[1])
    monkeypatch.setattr("cflib.crtp.udpdriver._BASE_PORT", port)
    monkeypatch.setattr("cflib.crtp.udpdriver._NR_OF_PORTS_TO_SCAN", 1)
    assert UdpDriver().scan_interface() == [[f"udp://127.0.0.1:{port}", ""]]
    with SyncLogger(connected, block(10, "pm.vbat")) as log:
        take(log, 3)


def test_garbage_from_a_stranger_is_ignored(connected: Crazyflie, server: BackgroundServer) -> None:
    host, port = server.server.uri.removeprefix("udp://").split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in (b"", b"\0", bytes(1400), b"\x3c" + bytes(14), b"\x9c\1\1"):
            stranger.sendto(datagram, (host, int(port)))
    with SyncLogger(connected, block(10, "supervisor.info")) as log:
        assert not int(take(log, 3)[-1][1]["supervisor.info"]) & 0b10


def test_port_in_use_is_one_clear_sentence(drone: VirtualCrazyflie, server: BackgroundServer) -> None:
    port = int(server.server.uri.rsplit(":", 1)[1])
    with pytest.raises(FledgeError, match=rf"cannot serve on udp 127.0.0.1:{port} .*choose another"):
        Server(drone, ServerSettings(port=port))


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 19850), ("192.0.2.1", 19850), ("127.0.0.1", 70000)]
)
def test_unusable_addresses_are_clear_errors(drone: VirtualCrazyflie, host: str, port: int) -> None:
    with pytest.raises(FledgeError, match=host.replace(".", r"\.")):
        Server(drone, ServerSettings(host=host, port=port))


# ---- pace ------------------------------------------------------------------------------------------------------------


def test_acknowledgements_are_echoes_that_cflib_ignores() -> None:
    assert acknowledged_ms(acknowledge(123456)) == 123456
    assert acknowledged_ms(struct.pack("<Bd", 0, 123.0)) is None  # a ping of cflib
    assert acknowledged_ms(struct.pack("<Bd", 1, float("nan"))) is None
    assert acknowledged_ms(b"\1") is None


def test_lockstep_never_runs_further_ahead_than_the_window() -> None:
    pace = Pace("lockstep", 0.0)
    pace.acknowledge(1000)
    assert pace.due(1199, client=True, streaming=True) == 0
    assert pace.due(1200, client=True, streaming=True) > 0
    pace.acknowledge(1100)
    assert pace.due(1200, client=True, streaming=True) == 0


def test_device_time_stands_still_without_a_client() -> None:
    assert Pace("lockstep", 0.0).due(0, client=False, streaming=False) > 0
    assert Pace("realtime", 0.0).due(0, client=False, streaming=False) == 0


def test_nothing_is_lost_at_full_speed(server: BackgroundServer, drone: VirtualCrazyflie) -> None:
    """A client that acknowledges gets every packet, however slow it is."""
    with SyncCrazyflie(server.server.uri, cf=Crazyflie(rw_cache=None)) as link:
        link.wait_for_params()
        received: list[int] = []
        done = threading.Event()

        def sample(stamp: int, _: object, __: object) -> None:
            received.append(stamp)
            if len(received) % 5 == 0:
                packet = CRTPPacket()
                packet.set_header(15, 0)
                packet.data = acknowledge(stamp)
                link.cf.send_packet(packet)
                time.sleep(0.002)
            if len(received) == 1000:
                done.set()

        config = block(10, "stateEstimate.x", "stateEstimate.y", "stateEstimate.z")
        link.cf.log.add_config(config)
        config.data_received_cb.add_callback(sample)
        config.start()
        assert done.wait(20)
    assert {b - a for a, b in pairwise(received[:1000])} == {10}
