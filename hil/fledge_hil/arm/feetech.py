"""The FEETECH STS protocol: packets on a half-duplex serial bus, as bytes.

    instruction   FF FF id length instruction parameters... checksum
    status        FF FF id length error       data...       checksum

`length` counts what follows it; the checksum is the complement of the sum of all bytes behind the two FF. Words are
little-endian; signed ones are a magnitude with a sign bit, not two's complement. Master and servos share one wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from fledge_sim.errors import FledgeError

HEADER = b"\xff\xff"
BROADCAST = 0xFE
"""Every servo obeys and none answers, but for a synchronous read."""
ID_MAX = 0xFD
LENGTH_MIN, LENGTH_MAX = 2, 250
"""Of the field `length`."""
BITS_PER_BYTE = 10
"""Start, eight, stop."""


class FeetechError(FledgeError):
    """A packet that cannot be sent."""


class Instruction(IntEnum):
    """What the master asks."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    """Kept until ACTION."""
    ACTION = 0x05
    RESET = 0x06
    """Factory settings; the id stays."""
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83


class Error(IntFlag):
    """Of a status packet, and of the register `status`: what the servo complains about."""

    NONE = 0
    VOLTAGE = 1
    ANGLE = 2
    """Its encoder."""
    HEAT = 4
    CURRENT = 8
    OVERLOAD = 32


@dataclass(frozen=True)
class Packet:
    """Either kind: for a status packet `kind` is the error byte."""

    id: int
    kind: int
    data: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the wire. Raises FeetechError if they do not fit."""
        length = len(self.data) + 2
        if not 0 <= self.id <= BROADCAST or not 0 <= self.kind <= 0xFF or length > LENGTH_MAX:
            raise FeetechError(f"no packet for servo {self.id} with {len(self.data)} bytes; they end at 254 and 248")
        body = bytes((self.id, length, self.kind)) + self.data
        return HEADER + body + bytes((checksum(body),))


def checksum(body: bytes) -> int:
    """Complement of the sum of id, length, kind and data."""
    return ~sum(body) & 0xFF


@dataclass
class Parser:
    """Finds packets in a stream of bytes, whatever else is in it: after bytes that make none it looks on behind the
    first of them."""

    buffer: bytearray = field(default_factory=bytearray)
    wrong_checksums: int = 0
    skipped: int = 0
    """Bytes that belonged to no packet."""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Packets that are complete with these bytes."""
        self.buffer += data
        while (size := self._next()) is not None:
            if size:
                packet = bytes(self.buffer[:size])
                del self.buffer[:size]
                yield Packet(packet[2], packet[4], packet[5:-1])
            else:
                del self.buffer[0]
                self.skipped += 1

    def _next(self) -> int | None:
        """Size of the packet at the front; 0: there is none; None: more bytes are needed to tell."""
        front = self.buffer
        if any(byte != 0xFF for byte in front[:2]):
            return 0
        if len(front) < 4:
            return 0 if len(front) == 3 and front[2] == 0xFF else None
        if front[2] == 0xFF or not LENGTH_MIN <= front[3] <= LENGTH_MAX:
            return 0
        size = front[3] + 4
        if len(front) < size:
            return None
        if front[size - 1] == checksum(bytes(front[2 : size - 1])):
            return size
        self.wrong_checksums += 1
        return 0


def read(servo: int, address: int, count: int) -> bytes:
    """Instruction: `count` registers from `address`."""
    return Packet(servo, Instruction.READ, bytes((address, count))).encode()


def write(servo: int, address: int, data: bytes, *, later: bool = False) -> bytes:
    """Instruction: registers from `address`; later: with the next ACTION."""
    return Packet(servo, Instruction.REG_WRITE if later else Instruction.WRITE, bytes((address,)) + data).encode()


def sync_read(servos: Sequence[int], address: int, count: int) -> bytes:
    """Instruction: the same registers of several servos, which answer in this order."""
    return Packet(BROADCAST, Instruction.SYNC_READ, bytes((address, count, *servos))).encode()


def sync_write(address: int, data: Mapping[int, bytes]) -> bytes:
    """Instruction: equally many registers of several servos. Raises FeetechError if they are not equally many."""
    sizes = {len(each) for each in data.values()}
    if len(sizes) != 1:
        raise FeetechError("a synchronous write needs equally many bytes for every servo, and at least one servo")
    blocks = b"".join(bytes((servo,)) + each for servo, each in data.items())
    return Packet(BROADCAST, Instruction.SYNC_WRITE, bytes((address, *sizes)) + blocks).encode()


def to_word(value: int, sign_bit: int = 15) -> int:
    """Sign-magnitude. Raises FeetechError if the magnitude reaches the sign bit."""
    if abs(value) >= 1 << sign_bit:
        raise FeetechError(f"{value} does not fit below sign bit {sign_bit}")
    return abs(value) | (1 << sign_bit if value < 0 else 0)


def from_word(word: int, sign_bit: int = 15) -> int:
    """The inverse; bits above the sign are ignored, and so is the sign of zero."""
    magnitude = word & ((1 << sign_bit) - 1)
    return -magnitude if word >> sign_bit & 1 else magnitude
