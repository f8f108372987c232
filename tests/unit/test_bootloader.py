"""The bootloaders' protocol, packet by packet: numbers from the public bootloaders' sources."""

from __future__ import annotations

import struct

from fledge_hil.bootloader import NRF51, STM32, Bootloader
from hypothesis import given, settings
from hypothesis import strategies as st

ADDRESS = 0xE7E7E7E701


def active(restarts: list[bool] | None = None) -> Bootloader:
    told = [] if restarts is None else restarts
    bootloader = Bootloader(told.append, ADDRESS)
    bootloader.active = True
    return bootloader


def ask(bootloader: Bootloader, target: int, command: int, arguments: bytes = b"") -> list[bytes]:
    return bootloader.handle(bytes((0xFF, target, command)) + arguments)


def load(bootloader: Bootloader, page: int, data: bytes) -> None:
    for at in range(0, len(data), 25):
        assert ask(bootloader, STM32, 0x14, struct.pack("<HH", page, at) + data[at : at + 25]) == []


def write(bootloader: Bootloader, *numbers: int) -> tuple[int, int]:
    answer = ask(bootloader, STM32, 0x18, struct.pack("<HHH", *numbers))[0]
    assert answer[:3] == b"\xff\xff\x18"
    return answer[3], answer[4]


def read(bootloader: Bootloader, page: int, at: int = 0) -> bytes:
    request = struct.pack("<HH", page, at)
    answer = ask(bootloader, STM32, 0x1C, request)[0]
    assert answer[:7] == b"\xff\xff\x1c" + request
    return answer[7:]


def test_both_processors_tell_the_shape_of_their_flash() -> None:
    """Page size, buffer pages, flash pages, first page of the firmware, 12 bytes of identity, protocol 0x10."""
    assert ask(active(), STM32, 0x10) == [
        b"\xff\xff\x10" + struct.pack("<4H", 1024, 10, 1024, 16) + bytes(12) + b"\x10"
    ]
    assert ask(active(), NRF51, 0x10) == [b"\xff\xfe\x10" + struct.pack("<4H", 1024, 1, 232, 108) + bytes(12) + b"\x10"]


def test_what_is_loaded_and_written_is_read_back() -> None:
    bootloader, data = active(), bytes(i * 7 % 251 for i in range(2048))
    load(bootloader, 0, data[:1024])
    load(bootloader, 1, data[1024:])
    assert write(bootloader, 0, 16, 2) == (1, 0)
    assert b"".join(read(bootloader, 16, at) for at in range(0, 2048, 25))[:2048] == data


def test_flash_keeps_cleared_bits_until_its_sector_is_erased() -> None:
    """Page 16 begins a sector of 16 pages, page 17 does not: 0xF0 & 0x3C = 0x30."""
    bootloader = active()
    load(bootloader, 0, b"\xf0" * 1024)
    assert write(bootloader, 0, 17, 1) == (1, 0)
    load(bootloader, 0, b"\x3c" * 1024)
    assert write(bootloader, 0, 17, 1) == (1, 0)
    assert read(bootloader, 17) == b"\x30" * 25
    assert write(bootloader, 0, 16, 1) == (1, 0)
    assert read(bootloader, 16) == b"\x3c" * 25
    assert read(bootloader, 17) == b"\xff" * 25


def test_writing_outside_the_firmwares_place_is_refused() -> None:
    for numbers in ((0, 15, 1), (0, 1024, 1), (0, 1023, 2), (0, 0, 16), (10, 16, 1), (9, 16, 2)):
        assert write(active(), *numbers) == (0, 1)


def test_while_the_firmware_runs_only_the_radios_processor_answers() -> None:
    bootloader = Bootloader(lambda _: None, ADDRESS)
    assert ask(bootloader, STM32, 0x10) == ask(bootloader, NRF51, 0x10) == ask(bootloader, STM32, 0xFF) == []
    assert ask(bootloader, NRF51, 0xFF) == [b"\xff\xfe\xff" + bytes.fromhex("01e7e7e7e700")]


def test_a_reset_says_where_to() -> None:
    restarts: list[bool] = []
    bootloader = active(restarts)
    ask(bootloader, NRF51, 0xF0, b"\0")
    ask(bootloader, NRF51, 0xF0, b"\1")
    ask(bootloader, STM32, 0xF0, b"\1")  # nobody there listens to that
    assert restarts == [False, True]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from((STM32, NRF51, 3)), st.integers(0, 255), st.binary(max_size=40), st.booleans())
def test_any_bytes_are_survived(target: int, command: int, arguments: bytes, running: bool) -> None:
    bootloader = active()
    bootloader.active = not running
    for answer in ask(bootloader, target, command, arguments):
        assert 3 < len(answer) <= 32
    bootloader.active = True
    assert ask(bootloader, STM32, 0x10)
