"""Tables of contents: what can be logged and set, and the numbers behind each name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fledge_hil.crtp import Port, packet

Number = float | int

NAME_BUDGET = 24
"""len(group) + len(name) at most, a limit of the firmware."""

LOG_TYPES: Mapping[str, tuple[int, str]] = {
    "uint8": (1, "B"),
    "uint16": (2, "H"),
    "uint32": (3, "I"),
    "int8": (4, "b"),
    "int16": (5, "h"),
    "int32": (6, "i"),
    "float": (7, "f"),
}
"""Type code and struct letter of log variables."""

PARAMETER_TYPES: Mapping[str, tuple[int, str]] = {
    "uint8": (0x08, "B"),
    "uint16": (0x09, "H"),
    "uint32": (0x0A, "I"),
    "int8": (0x00, "b"),
    "int16": (0x01, "h"),
    "int32": (0x02, "i"),
    "float": (0x06, "f"),
}
"""Type code and struct letter of parameters."""

EXTENDED, READ_ONLY = 0x10, 0x40
_COMMAND_ITEM, _COMMAND_INFO = 2, 3


class Entry(Protocol):
    """What a table lists."""

    @property
    def full_name(self) -> str:
        """group.name"""

    @property
    def type_byte(self) -> int:
        """As it goes over the link."""


@dataclass(frozen=True)
class LogVariable:
    """One value that the drone can stream."""

    full_name: str
    type_name: str
    read: Callable[[], Number]

    @property
    def type_byte(self) -> int:
        """As it goes over the link."""
        return LOG_TYPES[self.type_name][0]


@dataclass
class Parameter:
    """One value that a client may read and, unless read_only, write."""

    full_name: str
    type_name: str
    default: Number
    read_only: bool = False
    persistent: bool = False
    written: Callable[[Number], None] | None = None
    """Called after a client wrote."""
    value: Number = field(init=False)
    stored: Number | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.value = self.default

    @property
    def type_byte(self) -> int:
        """As it goes over the link."""
        flags = (READ_ONLY if self.read_only else 0) | (EXTENDED if self.persistent else 0)
        return PARAMETER_TYPES[self.type_name][0] | flags

    @property
    def layout(self) -> struct.Struct:
        """Bytes of the value."""
        return struct.Struct("<" + PARAMETER_TYPES[self.type_name][1])


class Toc:
    """An ordered table; the checksum depends on its content, because clients cache tables by checksum alone."""

    def __init__(self, port: Port, entries: Sequence[Entry], info_tail: bytes = b"") -> None:
        self.port = port
        self._info_tail = info_tail
        self._items: list[bytes] = []
        self.index: dict[str, int] = {}
        for number, entry in enumerate(entries):
            group, name = entry.full_name.split(".")
            if len(group) + len(name) > NAME_BUDGET or entry.full_name in self.index:
                raise ValueError(f"log or parameter name {entry.full_name} is too long or repeats")
            self.index[entry.full_name] = number
            self._items.append(bytes((entry.type_byte,)) + f"{group}\0{name}\0".encode())
        self.crc = zlib.crc32(b"".join(self._items), port)

    def answer(self, payload: bytes) -> list[bytes]:
        """Reply to a request on channel 0; version 2 of the protocol only."""
        if payload[:1] == bytes((_COMMAND_INFO,)):
            info = struct.pack("<BHI", _COMMAND_INFO, len(self._items), self.crc) + self._info_tail
            return [packet(self.port, 0, info)]
        if payload[:1] == bytes((_COMMAND_ITEM,)) and len(payload) >= 3:
            number = int.from_bytes(payload[1:3], "little")
            if number < len(self._items):
                return [packet(self.port, 0, payload[:3] + self._items[number])]
        return []
