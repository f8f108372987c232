"""What goes over the link while cflib connects, logs and sets: packet by packet against the protocol's tables."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterator

import cflib.crtp
import pytest
from cflib.crazyflie import Crazyflie
from cflib.crazyflie.log import LogConfig
from cflib.crazyflie.syncCrazyflie import SyncCrazyflie
from cflib.crazyflie.syncLogger import SyncLogger
from fledge_hil.crtp import MAX_PAYLOAD
from fledge_hil.server import BackgroundServer, ServerSettings
from fledge_hil.virtual import VirtualCrazyflie

Exchange = tuple[tuple[int, int, bytes], list[tuple[int, int, bytes]]]


def parts(datagram: bytes) -> tuple[int, int, bytes]:
    return datagram[0] >> 4, datagram[0] & 3, datagram[1:]


class Tap:
    """Between server and drone."""

    def __init__(self, drone: VirtualCrazyflie) -> None:
        self.asked: list[Exchange] = []
        self.told: list[tuple[int, int, bytes]] = []
        handle, step = drone.handle_packet, drone.step_ms

        def tapped(datagram: bytes) -> list[bytes]:
            answers = handle(datagram)
            self.asked.append((parts(datagram), [parts(answer) for answer in answers]))
            return answers

        def stepped() -> list[bytes]:
            packets = step()
            self.told += [parts(datagram) for datagram in packets]
            return packets

        drone.handle_packet, drone.step_ms = tapped, stepped  # type: ignore[method-assign]

    def on(self, port: int, channel: int) -> list[Exchange]:
        return [exchange for exchange in self.asked if exchange[0][:2] == (port, channel)]


@pytest.fixture(scope="module")
def tap(make_drone: object) -> Iterator[Tap]:
    """A whole session: connect, log for 20 packets, set a parameter, echo, disconnect."""
    drone = make_drone()  # type: ignore[operator]
    listening = Tap(drone)
    cflib.crtp.init_drivers()
    with BackgroundServer(drone, ServerSettings(port=0, mode="realtime")) as uri:
        start = time.monotonic()
        with SyncCrazyflie(uri, cf=Crazyflie(rw_cache=None)) as link:
            link.wait_for_params()
            assert time.monotonic() - start < 5  # 0.2 s on an idle machine
            config = LogConfig("capture", 10)
            for name in ("stateEstimate.z", "pm.vbat", "supervisor.info"):
                config.add_variable(name)
            with SyncLogger(link, config) as logger:
                for _ in range(20):
                    next(logger)
            link.cf.param.set_value("ring.effect", 3)
            time.sleep(0.3)
    return listening


def test_every_packet_fits_and_every_answer_comes_from_where_it_was_asked(tap: Tap) -> None:
    for (port, channel, payload), answers in tap.asked:
        assert len(payload) <= MAX_PAYLOAD
        for answer in answers:
            assert answer[:2] == (port, channel)
            assert len(answer[2]) <= MAX_PAYLOAD


def test_identity_comes_first(tap: Tap) -> None:
    (source, reply), (version, protocol) = tap.asked[:2]
    assert source[:2] == (15, 1)
    assert reply[0][2] == b"Bitcraze Crazyflie".ljust(30, b"\0")
    assert version == (13, 1, b"\0")
    assert struct.unpack("<Bi", protocol[0][2]) == (0, 12)


@pytest.mark.parametrize(("port", "tail"), [(5, 2), (2, 0)])
def test_tables_are_read_whole_and_in_order(tap: Tap, port: int, tail: int) -> None:
    info, *items = tap.on(port, 0)
    command, count, crc = struct.unpack_from("<BHI", info[1][0][2])
    assert (info[0][2], command) == (b"\3", 3)
    assert crc != 0
    assert len(info[1][0][2]) == 7 + tail
    assert [struct.unpack("<BH", asked[2]) for asked, _ in items] == [(2, number) for number in range(count)]
    for asked, (answer,) in items:
        assert answer[2][:3] == asked[2]
        group, name, end = answer[2][4:].split(b"\0")
        assert len(group) + len(name) <= 24
        assert end == b""


def test_the_log_is_reset_before_its_table_and_blocks_are_made_and_started(tap: Tap) -> None:
    control = tap.on(5, 1)
    assert control[0] == ((5, 1, b"\5"), [(5, 1, b"\5\0\0")])
    create = next(exchange for exchange in control if exchange[0][2][0] == 6)
    entries = create[0][2][2:]
    assert [entries[k] & 0x0F for k in (0, 3, 6)] == [7, 7, 2]  # float, float, uint16
    assert create[1][0][2] == bytes((6, create[0][2][1], 0))
    start = next(exchange for exchange in control if exchange[0][2][0] in (3, 8))
    assert start[1][0][2] == bytes((start[0][2][0], create[0][2][1], 0))


def test_log_data_has_its_time_stamp_and_ten_bytes_of_values(tap: Tap) -> None:
    data = [payload for port, channel, payload in tap.told if (port, channel) == (5, 2)]
    assert len(data) >= 20
    stamps = [int.from_bytes(payload[1:4], "little") for payload in data[:20]]
    assert {later - earlier for earlier, later in itertools.pairwise(stamps)} == {10}
    height, voltage, _ = struct.unpack("<ffH", data[0][4:])
    assert abs(height) < 0.1
    assert 3.9 < voltage < 4.3


def test_memories_are_counted_described_and_one_wires_read(tap: Tap) -> None:
    count, *details = tap.on(4, 0)
    assert count[1][0][2] == bytes((1, 6))
    for number, (asked, (answer,)) in enumerate(details):
        assert asked[2] == bytes((2, number))
        assert struct.unpack_from("<BBBI", answer[2])[:2] == (2, number)
        assert len(answer[2]) == 15
    assert [answer[0][2][2] for _, answer in details] == [0x00, 0x12, 0x15, 0x01, 0x01, 0x14]
    for asked, (answer,) in tap.on(4, 1):
        assert answer[2][:6] == asked[2][:5] + b"\0"
        assert len(answer[2]) == 6 + asked[2][5]


def test_extended_parameters_are_asked_for_their_persistence(tap: Tap) -> None:
    asked = [exchange for exchange in tap.on(2, 3) if exchange[0][2][0] == 7]
    assert asked
    assert all(answer[2] in (request[2] + b"\0\1", request[2] + b"\2") for request, (answer,) in asked)


def test_all_values_are_read_and_a_write_is_echoed(tap: Tap) -> None:
    (info, *_) = tap.on(2, 0)
    count = struct.unpack_from("<BH", info[1][0][2])[1]
    reads = {int.from_bytes(asked[2][:2], "little") for asked, _ in tap.on(2, 1)}
    assert reads == set(range(count))
    assert all(answer[2][:3] == asked[2][:2] + b"\0" for asked, (answer,) in tap.on(2, 1))
    ((write, (echo,)),) = tap.on(2, 2)
    assert write[2][2:] == b"\3"
    assert echo[2] == write[2]


def test_pings_come_back_unchanged(tap: Tap) -> None:
    pings = tap.on(15, 0)
    assert pings
    assert all(answers == [asked] for asked, answers in pings)


def test_closing_the_link_sends_a_zero_setpoint(tap: Tap) -> None:
    last = tap.on(3, 0)[-1]
    assert last == ((3, 0, struct.pack("<fffH", 0, 0, 0, 0)), [])
