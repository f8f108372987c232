"""Memory service: what a client reads and writes at addresses, piece by piece.

Info: [1] -> [1, count]; [2, id] -> [2, id, type, size u32, address 8 bytes]. Read: [id, address u32, length] -> [id,
address, status, data]. Write: [id, address, data] -> [id, address, status].
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from fledge_hil.crtp import Port, packet

MAX_CHUNK = 24
"""Bytes of data in one packet."""
TRAJECTORY_SIZE = 4096
EEPROM_SIZE, ONE_WIRE_SIZE, LIGHTHOUSE_SIZE, TESTER_SIZE, LEDS_SIZE = 8192, 112, 0x2000, 0x1000, 24
RADIO_CHANNEL, RADIO_2M = 80, 2
_COUNT, _DETAILS = 1, 2
_INFO, _READ, _WRITE = 0, 1, 2
_DECK_MAKER = 0xBC
DECK_PRODUCTS = {
    "bcLedRing": 0x01,
    "bcDWM1000": 0x06,
    "bcZRanger": 0x09,
    "bcFlow": 0x0A,
    "bcMultiranger": 0x0C,
    "bcZRanger2": 0x0E,
    "bcFlow2": 0x0F,
    "bcLighthouse4": 0x10,
}
"""Product numbers in the one-wire memories of those decks."""


class Kind(IntEnum):
    """Type byte of a memory."""

    EEPROM = 0x00
    ONE_WIRE = 0x01
    LEDS = 0x10
    TRAJECTORY = 0x12
    LIGHTHOUSE = 0x14
    TESTER = 0x15


class Memory(Protocol):
    """One memory."""

    @property
    def kind(self) -> Kind:
        """What it is."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def address(self) -> bytes:
        """Serial number, 8 bytes; only one-wire memories have one."""

    def read(self, start: int, length: int) -> bytes:
        """Within its size."""

    def write(self, start: int, data: bytes) -> None:
        """Within its size."""


@dataclass
class Ram:
    """Bytes that stay what was written, until the drone is switched off."""

    kind: Kind
    content: bytearray
    address: bytes = bytes(8)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)

    def read(self, start: int, length: int) -> bytes:
        """See Memory."""
        return bytes(self.content[start : start + length])

    def write(self, start: int, data: bytes) -> None:
        """See Memory."""
        self.content[start : start + len(data)] = data


@dataclass
class Tester:
    """Reads as its own addresses; counts what is written otherwise."""

    kind: Kind = Kind.TESTER
    size: int = TESTER_SIZE
    address: bytes = bytes(8)
    errors: int = field(default=0)

    def read(self, start: int, length: int) -> bytes:
        """See Memory."""
        return bytes((start + k) & 0xFF for k in range(length))

    def write(self, start: int, data: bytes) -> None:
        """See Memory."""
        self.errors += sum(value != (start + k) & 0xFF for k, value in enumerate(data))


def eeprom(radio_address: int) -> Ram:
    """The configuration block: token, version 1, channel, speed, trims, address, sum of all bytes."""
    block = b"0xBC" + struct.pack(
        "<BBBffBI", 1, RADIO_CHANNEL, RADIO_2M, 0.0, 0.0, radio_address >> 32, radio_address & 0xFFFFFFFF
    )
    block += bytes((sum(block) & 0xFF,))
    return Ram(Kind.EEPROM, bytearray(block.ljust(EEPROM_SIZE, b"\xff")))


def one_wire(deck: str, number: int) -> Ram:
    """What a deck says about itself: start, pins, maker, product; then name and revision; each part with a check."""
    head = struct.pack("<BIBB", 0xEB, 0, _DECK_MAKER, DECK_PRODUCTS[deck])
    elements = b"".join(bytes((key, len(text))) + text for key, text in ((1, deck.encode()), (2, b"A")))
    tail = bytes((0, len(elements))) + elements
    content = b"".join(part + bytes((zlib.crc32(part) & 0xFF,)) for part in (head, tail))
    serial = bytes((0x0D, number)) + bytes(6)
    return Ram(Kind.ONE_WIRE, bytearray(content.ljust(ONE_WIRE_SIZE, b"\0")), serial)


class MemoryService:
    """Answers port 4."""

    def __init__(self, decks: Sequence[str], radio_address: int) -> None:
        self.trajectories = Ram(Kind.TRAJECTORY, bytearray(TRAJECTORY_SIZE))
        self.tester = Tester()
        self.memories: list[Memory] = [eeprom(radio_address), self.trajectories, self.tester]
        self.memories += [one_wire(deck, number) for number, deck in enumerate(decks) if deck in DECK_PRODUCTS]
        if "bcLedRing" in decks:
            self.memories.append(Ram(Kind.LEDS, bytearray(LEDS_SIZE)))
        if "bcLighthouse4" in decks:
            self.memories.append(Ram(Kind.LIGHTHOUSE, bytearray(LIGHTHOUSE_SIZE)))

    def handle(self, channel: int, payload: bytes) -> list[bytes]:
        """Replies to one packet on port 4; what is too short gets none."""
        handlers: dict[int, Callable[[bytes], bytes]] = {_INFO: self._info, _READ: self._read, _WRITE: self._write}
        if channel not in handlers or len(payload) < (1 if channel == _INFO else 5):
            return []
        reply = handlers[channel](payload)
        return [packet(Port.MEMORY, channel, reply)] if reply else []

    def _info(self, payload: bytes) -> bytes:
        if payload[0] == _COUNT:
            return bytes((_COUNT, len(self.memories)))
        if payload[0] != _DETAILS or len(payload) < 2:
            return b""
        if payload[1] >= len(self.memories):
            return payload[:2]
        memory = self.memories[payload[1]]
        return struct.pack("<BBBI", _DETAILS, payload[1], memory.kind, memory.size) + memory.address

    def _place(self, payload: bytes, length: int) -> tuple[Memory | None, int]:
        """The memory and where in it; None with an errno."""
        number, start = payload[0], int.from_bytes(payload[1:5], "little")
        if number >= len(self.memories):
            return None, errno.ENOENT
        memory = self.memories[number]
        if length > MAX_CHUNK or start + length > memory.size:
            return None, errno.EIO
        return memory, start

    def _read(self, payload: bytes) -> bytes:
        if len(payload) < 6:
            return b""
        memory, start = self._place(payload, payload[5])
        if memory is None:
            return payload[:5] + bytes((start,))
        return payload[:5] + b"\0" + memory.read(start, payload[5])

    def _write(self, payload: bytes) -> bytes:
        data = payload[5:]
        memory, start = self._place(payload, len(data))
        if memory is None:
            return payload[:5] + bytes((start,))
        memory.write(start, data)
        return payload[:5] + b"\0"
