"""The CRTP services, packet by packet, without a socket."""

from __future__ import annotations

import errno
import math
import struct

import pytest
from fledge_hil.crtp import MAX_PAYLOAD, NULL_PACKET, Port, console, packet, split
from fledge_hil.log_blocks import LogService
from fledge_hil.parameters import ParameterService
from fledge_hil.toc import LogVariable, Parameter, Toc
from fledge_hil.virtual import VirtualCrazyflie
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def ask(drone: VirtualCrazyflie, port: Port, channel: int, payload: bytes) -> bytes:
    """The payload of the only answer; cflib sets the two link bits."""
    (answer,) = drone.handle_packet(bytes((packet(port, channel, b"")[0] | 0x0C,)) + payload)
    parts = split(answer)
    assert parts is not None
    assert parts[:2] == (port, channel)
    return parts[2]


@given(st.sampled_from(list(Port)), st.integers(0, 3), st.binary(max_size=MAX_PAYLOAD))
def test_split_undoes_packet(port: Port, channel: int, payload: bytes) -> None:
    datagram = packet(port, channel, payload)
    assert split(datagram) == (None if datagram[0] & 0xF3 == 0xF3 else (port, channel, payload))


def test_console_lines_are_cut_into_ascii_packets() -> None:
    packets = console("a" * 40 + "ü\n")
    assert [len(datagram) for datagram in packets] == [31, 13]
    assert b"".join(datagram[1:] for datagram in packets) == b"a" * 40 + b"?\n"


def test_a_scan_is_answered(drone: VirtualCrazyflie) -> None:
    assert drone.handle_packet(NULL_PACKET) == [NULL_PACKET]


def test_identity(drone: VirtualCrazyflie) -> None:
    assert ask(drone, Port.LINK, 1, b"\0").rstrip(b"\0") == b"Bitcraze Crazyflie"
    assert ask(drone, Port.LINK, 0, b"\0anything") == b"\0anything"
    assert ask(drone, Port.PLATFORM, 1, b"\0") == b"\0\x0c\0\0\0"
    assert ask(drone, Port.PLATFORM, 1, b"\2") == b"\2Crazyflie 2.1\0"


# ---- tables ----------------------------------------------------------------------------------------------------------


def names(*full_names: str) -> list[LogVariable]:
    return [LogVariable(name, "float", lambda: 0.0) for name in full_names]


def test_table_info_and_items() -> None:
    toc = Toc(Port.LOG, names("a.x", "a.y"), b"\x10\x80")
    (info,) = toc.answer(b"\3")
    assert struct.unpack("<BHIBB", info[1:]) == (3, 2, toc.crc, 16, 128)
    assert toc.answer(b"\2\1\0") == [packet(Port.LOG, 0, b"\2\1\0\7a\0y\0")]
    assert toc.answer(b"\2\2\0") == []


def test_checksum_follows_names_types_order_and_port() -> None:
    base = Toc(Port.LOG, names("a.x", "a.y")).crc
    other_type = [LogVariable("a.x", "uint8", lambda: 0), *names("a.y")]
    checksums = [
        Toc(Port.LOG, names("a.x", "a.z")).crc,
        Toc(Port.LOG, names("a.y", "a.x")).crc,
        Toc(Port.LOG, other_type).crc,
        Toc(Port.PARAM, names("a.x", "a.y")).crc,
    ]
    assert base not in checksums
    assert len(set(checksums)) == 4
    assert Toc(Port.LOG, names("a.x", "a.y")).crc == base


def test_names_longer_than_the_firmware_allows_are_refused() -> None:
    Toc(Port.LOG, names("123456789012.123456789012"))
    with pytest.raises(ValueError, match="too long"):
        Toc(Port.LOG, names("123456789012.1234567890123"))


# ---- log -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> LogService:
    values = {
        "a.float": ("float", 1.5),
        "a.byte": ("uint8", 300),
        "a.nan": ("float", math.nan),
        "a.big": ("float", 1e39),
    }
    variables = [LogVariable(name, kind, lambda value=value: value) for name, (kind, value) in values.items()]
    return LogService([*variables, *names(*(f"b.v{number}" for number in range(130)))])


def control(log: LogService, *payload: int, time_ms: int = 0) -> int:
    """Error code of a settings packet."""
    (answer,) = log.handle(1, bytes(payload), time_ms)
    return answer[-1]


def test_log_streams_at_its_period_with_device_time_stamps(log: LogService) -> None:
    assert control(log, 6, 9, 7, 0, 0) == 0
    assert control(log, 8, 9, 5, 0, time_ms=3) == 0  # 5 ms, version 2
    stamps = [int.from_bytes(datagram[2:5], "little") for ms in range(4, 24) for datagram in log.due(ms)]
    assert stamps == [5, 10, 15, 20]
    assert control(log, 4, 9) == 0
    assert log.due(25) == []
    assert not log.streaming


def test_log_start_version_one_counts_in_ten_milliseconds(log: LogService) -> None:
    control(log, 6, 1, 7, 0, 0)
    control(log, 3, 1, 2)
    assert [ms for ms in range(1, 61) if log.due(ms)] == [20, 40, 60]


def test_log_values_are_converted_and_never_raise(log: LogService) -> None:
    # float as fp16; 300 as a byte wraps to 44; NaN as integer is 0; too large saturates
    control(log, 6, 1, 8, 0, 0, 1, 1, 0, 5, 2, 0, 7, 3, 0)
    control(log, 3, 1, 1)
    (datagram,) = log.due(10)
    half, byte, whole, big = struct.unpack("<eBhf", datagram[5:])
    assert (half, byte, whole) == (1.5, 44, 0)
    assert big == pytest.approx(3.4028235e38)


def test_log_append_and_the_stray_byte_of_a_full_packet(log: LogService) -> None:
    entries = [byte for _ in range(6) for byte in (7, 0, 0)]
    assert control(log, 6, 1, *entries, 7) == 0
    assert control(log, 7, 1, 2, 0, 0) == 0
    assert control(log, 7, 1, 7, 0, 0) == errno.E2BIG  # 24 + 2 bytes are full
    control(log, 3, 1, 1)
    assert len(log.due(10)[0]) == 1 + 4 + 26


def test_log_errors(log: LogService) -> None:
    assert control(log, 6, 1, 7, 200, 0) == errno.ENOENT
    assert control(log, 6, 1, 7, 0, 0) == 0
    assert control(log, 6, 1, 7, 0, 0) == errno.EEXIST
    assert control(log, 3, 1, 0) == errno.ENOEXEC
    assert control(log, 3, 2, 1) == errno.ENOENT
    assert control(log, 99, 1) == errno.ENOEXEC
    assert control(log, 2, 1) == 0
    assert control(log, 2, 1) == errno.ENOENT


def test_log_limits_of_blocks_and_variables(log: LogService) -> None:
    byte_entries = [byte for _ in range(9) for byte in (1, 1, 0)]
    for block in range(14):
        assert control(log, 6, block, *byte_entries) == 0
    assert control(log, 6, 14, *byte_entries) == errno.ENOMEM  # 126 + 9 variables
    assert control(log, 6, 14, 1, 1, 0) == 0
    assert control(log, 6, 15, 1, 1, 0) == 0
    assert control(log, 6, 16, 1, 1, 0) == errno.ENOMEM  # 16 blocks
    assert control(log, 5) == 0
    assert control(log, 6, 16, 1, 1, 0) == 0


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> ParameterService:
    return ParameterService(
        [
            Parameter("g.byte", "uint8", 7),
            Parameter("g.real", "float", 1.5, persistent=True),
            Parameter("g.fixed", "int8", -1, read_only=True),
        ]
    )


def test_parameter_read_write_and_echo(table: ParameterService) -> None:
    assert table.handle(1, b"\0\0") == [packet(Port.PARAM, 1, b"\0\0\0\7")]
    assert table.handle(2, b"\0\0\x2a") == [packet(Port.PARAM, 2, b"\0\0\x2a")]
    assert table.handle(1, b"\0\0") == [packet(Port.PARAM, 1, b"\0\0\0\x2a")]
    assert table.handle(1, b"\x09\0") == [packet(Port.PARAM, 1, b"\x09\0\2")]


def test_read_only_parameters_stay(table: ParameterService) -> None:
    assert table.handle(2, b"\2\0\5") == []
    assert table["g.fixed"].value == -1
    assert table.handle(3, b"\0g\0fixed\0\0\5") == [packet(Port.PARAM, 3, b"\0g\0fixed\0" + bytes((errno.EACCES,)))]


def test_set_by_name(table: ParameterService) -> None:
    assert table.handle(3, b"\0g\0byte\0\x08\x09") == [packet(Port.PARAM, 3, b"\0g\0byte\0\0")]
    assert table["g.byte"].value == 9
    assert table.handle(3, b"\0g\0none\0\x08\x09")[0][-1] == errno.ENOENT
    assert table.handle(3, b"\0g\0byte\0\x06\x09\0\0\0")[0][-1] == errno.EINVAL


def test_persistence(table: ParameterService) -> None:
    default, now = struct.pack("<f", 1.5), struct.pack("<f", 2.5)
    assert table.handle(3, b"\7\1\0") == [packet(Port.PARAM, 3, b"\7\1\0\0\1")]
    assert table.handle(3, b"\7\0\0")[0][-1] == errno.ENOENT
    assert table.handle(3, b"\4\1\0") == [packet(Port.PARAM, 3, b"\4\1\0\0" + default)]
    table.handle(2, b"\1\0" + now)
    assert table.handle(3, b"\3\1\0") == [packet(Port.PARAM, 3, b"\3\1\0\0")]
    assert table.handle(3, b"\4\1\0") == [packet(Port.PARAM, 3, b"\4\1\0\1" + default + now)]
    assert table.handle(3, b"\5\1\0") == [packet(Port.PARAM, 3, b"\5\1\0\0")]
    assert table.handle(3, b"\4\1\0") == [packet(Port.PARAM, 3, b"\4\1\0\0" + default)]
    assert table.handle(3, b"\x08\1\0") == [packet(Port.PARAM, 3, b"\x08\1\0\0" + default)]


def test_a_parameter_never_becomes_nan(table: ParameterService) -> None:
    table.handle(2, b"\1\0" + struct.pack("<f", math.nan))
    assert table["g.real"].value == 1.5


def test_the_drone_tells_of_its_own_changes(table: ParameterService) -> None:
    table["g.byte"].value = 3
    assert table.changed("g.byte") == packet(Port.PARAM, 3, b"\1\0\0\3")


# ---- anything at all -------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 15), st.integers(0, 3))
def test_no_bytes_stop_the_drone(drone: VirtualCrazyflie, datagrams: list[bytes], port: int, channel: int) -> None:
    for datagram in datagrams:
        drone.handle_packet(datagram)
        drone.handle_packet(bytes((port << 4 | channel,)) + datagram)
    before = drone.time_ms
    for _ in range(3):
        for answer in drone.step_ms():
            assert len(answer) <= MAX_PAYLOAD + 1
    assert drone.time_ms == before + 3
    assert drone.handle_packet(b"\xff") == [b"\xff"]
