"""The bootloaders of a Crazyflie's two processors, as a virtual drone has them: any tool that speaks CRTP can flash it.

Packets with header 0xFF; then the processor, a command, and its arguments, little endian. What the firmware's own nRF51
answers while it flies, the request to restart, is here too. Facts: the public bootloaders' sources and cflib 0.1.34.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

HEADER = 0xFF
STM32, NRF51 = 0xFF, 0xFE
"""The processor that flies, and the one that has the radio and the power button."""
INFO, MAPPING, LOAD_BUFFER, READ_BUFFER, WRITE_FLASH, READ_FLASH = 0x10, 0x12, 0x14, 0x15, 0x18, 0x1C
RESET, RESET_INIT = 0xF0, 0xFF
PROTOCOL = 0x10
CHUNK = 25
"""Bytes of flash per packet."""
LONGEST = 7 + CHUNK
"""Of a packet [bytes], one more than the firmware's own ports take."""
OUT_OF_RANGE = 1
"""Error of a write: outside the flash, or into the bootloader itself."""
ERASED = 0xFF
_MAPPING = bytes((4, 16, 1, 64, 7, 128))
"""The STM32's sectors: how many of how many kilobytes."""
_PLACE, _WRITE = struct.Struct("<HH"), struct.Struct("<HHH")


@dataclass(frozen=True)
class Geometry:
    """What a bootloader says about its flash, in pages."""

    page_size: int
    """[bytes]"""
    buffer_pages: int
    flash_pages: int
    start_page: int
    """Where the firmware begins; the bootloader in front of it cannot be overwritten."""

    @property
    def room(self) -> int:
        """For the firmware [bytes]."""
        return (self.flash_pages - self.start_page) * self.page_size


GEOMETRIES: Mapping[int, Geometry] = {STM32: Geometry(1024, 10, 1024, 16), NRF51: Geometry(1024, 1, 232, 108)}


def sector_starts() -> frozenset[int]:
    """Pages of the STM32 at which a sector begins: writing there erases it, writing elsewhere only clears bits."""
    starts, page = [], 0
    for count, pages in zip(_MAPPING[::2], _MAPPING[1::2], strict=True):
        for _ in range(count):
            starts.append(page)
            page += pages
    return frozenset(starts)


class Flash:
    """One processor's flash and the buffer in front of it."""

    def __init__(self, geometry: Geometry, sectors: Mapping[int, int]) -> None:
        """Empty. `sectors`: first page of each, and how many pages it has."""
        self.geometry, self._sectors = geometry, sectors
        self.content = bytearray([ERASED]) * (geometry.flash_pages * geometry.page_size)
        self.buffer = bytearray(geometry.buffer_pages * geometry.page_size)

    @property
    def firmware(self) -> bytes:
        """From the first page of the firmware to the end."""
        return bytes(self.content[self.geometry.start_page * self.geometry.page_size :])

    def put(self, image: bytes) -> None:
        """As in the factory."""
        start = self.geometry.start_page * self.geometry.page_size
        if len(image) > self.geometry.room:
            raise ValueError(f"{len(image)} bytes do not fit")
        self.content[start:] = image.ljust(self.geometry.room, bytes([ERASED]))

    def write(self, buffer_page: int, page: int, pages: int) -> int:
        """Pages of the buffer into the flash: 0, or an error."""
        shape = self.geometry
        if not shape.start_page <= page < shape.flash_pages or page + pages > shape.flash_pages:
            return OUT_OF_RANGE
        if buffer_page + pages > shape.buffer_pages:
            return OUT_OF_RANGE
        for each in range(page, page + pages):
            self._erase(each)
        size = shape.page_size
        for offset in range(pages * size):
            self.content[page * size + offset] &= self.buffer[buffer_page * size + offset]
        return 0

    def _erase(self, page: int) -> None:
        size, pages = self.geometry.page_size, self._sectors.get(page, 0)
        self.content[page * size : (page + pages) * size] = bytes([ERASED]) * (pages * size)


class Bootloader:
    """Answers what is sent to the bootloaders; `restart` is called when the drone is told to start again."""

    def __init__(self, restart: Callable[[bool], None], address: int) -> None:
        """`restart(to_firmware)`; `address` is the drone's on the radio."""
        self.active = False
        """The firmware does not run."""
        starts = sorted(sector_starts())
        ends = [*starts[1:], GEOMETRIES[STM32].flash_pages]
        sectors = {start: end - start for start, end in zip(starts, ends, strict=True)}
        pages = dict.fromkeys(range(GEOMETRIES[NRF51].flash_pages), 1)
        self.flash = {STM32: Flash(GEOMETRIES[STM32], sectors), NRF51: Flash(GEOMETRIES[NRF51], pages)}
        self._restart = restart
        self._address = struct.pack("<Q", address)[:6]

    def handle(self, datagram: bytes) -> list[bytes]:
        """Answers to one packet; nothing for what is malformed or for another processor."""
        if not 3 <= len(datagram) <= LONGEST or datagram[0] != HEADER or datagram[1] not in self.flash:
            return []
        target, command, rest = datagram[1], datagram[2], datagram[3:]
        if target == NRF51 and command in (RESET, RESET_INIT):
            return self._reset(command, rest)
        answer = self._answer(self.flash[target], target, command, rest) if self.active else None
        return [] if answer is None else [datagram[:3] + answer]

    def _reset(self, command: int, rest: bytes) -> list[bytes]:
        if command == RESET_INIT:
            return [bytes((HEADER, NRF51, RESET_INIT)) + self._address]
        self._restart(bool(rest) and rest[0] != 0)
        return []

    def _answer(self, flash: Flash, target: int, command: int, rest: bytes) -> bytes | None:
        shape = flash.geometry
        if command == INFO:
            sizes = (shape.page_size, shape.buffer_pages, shape.flash_pages, shape.start_page)
            return struct.pack("<4H12xB", *sizes, PROTOCOL)
        if command == MAPPING and target == STM32:
            return _MAPPING
        if command == WRITE_FLASH and len(rest) >= _WRITE.size:
            error = flash.write(*_WRITE.unpack_from(rest))
            return bytes((error == 0, error))
        if command not in (LOAD_BUFFER, READ_BUFFER, READ_FLASH) or len(rest) < _PLACE.size:
            return None
        page, address = _PLACE.unpack_from(rest)
        place, memory = page * shape.page_size + address, flash.content if command == READ_FLASH else flash.buffer
        if command != LOAD_BUFFER:
            return rest[: _PLACE.size] + bytes(memory[place : place + CHUNK])
        data = rest[_PLACE.size :]
        if place + len(data) <= len(memory):
            memory[place : place + len(data)] = data
        return None
