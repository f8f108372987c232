"""Log service: blocks of variables that the drone streams at a period of its own clock."""

from __future__ import annotations

import errno
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fledge_hil.crtp import Port, packet
from fledge_hil.toc import LOG_TYPES, LogVariable, Number, Toc

MAX_BLOCKS, MAX_VARIABLES, MAX_BYTES = 16, 128, 26
_LETTERS = dict(LOG_TYPES.values()) | {8: "e"}
_LIMITS = {"f": 3.4028234663852886e38, "e": 65504.0}
_CREATE_V1, _APPEND_V1, _DELETE, _START, _STOP, _RESET, _CREATE, _APPEND, _START_MS = range(9)


@dataclass
class Block:
    """A set of variables under one id."""

    reads: list[Callable[[], Number]] = field(default_factory=list)
    letters: str = ""
    period_ms: int = 0
    """0: stopped."""
    due_ms: int = 0

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return struct.calcsize("<" + self.letters)


class LogService:
    """Answers port 5 and produces the data packets of each tick."""

    def __init__(self, variables: Sequence[LogVariable]) -> None:
        self.toc = Toc(Port.LOG, variables, bytes((MAX_BLOCKS, MAX_VARIABLES)))
        self._variables = variables
        self._blocks: dict[int, Block] = {}
        self._running: list[tuple[int, Block]] = []

    @property
    def streaming(self) -> bool:
        """Whether any block runs."""
        return bool(self._running)

    def reset(self) -> None:
        """Forget every block; what a new client or the reset command causes."""
        self._blocks.clear()
        self._running.clear()

    def handle(self, channel: int, payload: bytes, time_ms: int) -> list[bytes]:
        """Replies to one packet on port 5."""
        if channel == 0:
            return self.toc.answer(payload)
        if channel != 1 or not payload:
            return []
        command, block_id = payload[0], payload[1] if len(payload) > 1 else 0
        error = self._control(command, block_id, payload[2:], time_ms)
        self._running = [(number, block) for number, block in self._blocks.items() if block.period_ms]
        return [packet(Port.LOG, 1, bytes((command, block_id, error)))]

    def _control(self, command: int, block_id: int, rest: bytes, time_ms: int) -> int:
        if command == _RESET:
            self.reset()
            return 0
        if command == _CREATE:
            return self._create(block_id, rest)
        if command not in (_APPEND, _DELETE, _START, _STOP, _START_MS):
            return errno.ENOEXEC
        block = self._blocks.get(block_id)
        if block is None:
            return errno.ENOENT
        if command == _APPEND:
            return self._append(block, rest)
        if command == _DELETE:
            del self._blocks[block_id]
        elif command == _STOP:
            block.period_ms = 0
        else:
            return _start(block, command, rest, time_ms)
        return 0

    def _create(self, block_id: int, rest: bytes) -> int:
        if block_id in self._blocks:
            return errno.EEXIST
        if len(self._blocks) >= MAX_BLOCKS:
            return errno.ENOMEM
        block = Block()
        error = self._append(block, rest)
        if not error:
            self._blocks[block_id] = block
        return error

    def _append(self, block: Block, rest: bytes) -> int:
        """Entries of three bytes: type, variable. A stray byte at the end, which cflib sends when full, is ignored."""
        used = sum(len(other.reads) for other in self._blocks.values())
        reads, letters = list(block.reads), block.letters
        for start in range(0, len(rest) - 2, 3):
            number = int.from_bytes(rest[start + 1 : start + 3], "little")
            letter = _LETTERS.get(rest[start] & 0x0F)
            if number >= len(self._variables) or letter is None:
                return errno.ENOENT
            reads.append(self._variables[number].read)
            letters += letter
        if struct.calcsize("<" + letters) > MAX_BYTES:
            return errno.E2BIG
        if used + len(reads) - len(block.reads) > MAX_VARIABLES:
            return errno.ENOMEM
        block.reads, block.letters = reads, letters
        return 0

    def due(self, time_ms: int) -> list[bytes]:
        """Data packets of this tick."""
        packets: list[bytes] = []
        for number, block in self._running:
            if time_ms >= block.due_ms:
                block.due_ms += block.period_ms
                stamp = (number | (time_ms & 0xFFFFFF) << 8).to_bytes(4, "little")
                packets.append(packet(Port.LOG, 2, stamp + _pack(block)))
        return packets


def _start(block: Block, command: int, rest: bytes, time_ms: int) -> int:
    """Period in 10 ms (one byte, version 1) or in 1 ms (two bytes, version 2); periods are phase-locked to time 0."""
    wanted = int.from_bytes(rest[:2], "little") if command == _START_MS else 10 * int.from_bytes(rest[:1], "little")
    if wanted == 0:
        return errno.ENOEXEC
    block.period_ms = wanted
    block.due_ms = (time_ms // wanted + 1) * wanted
    return 0


def _pack(block: Block) -> bytes:
    values = [read() for read in block.reads]
    try:
        return struct.pack("<" + block.letters, *values)
    except (struct.error, OverflowError, ValueError, TypeError):
        return b"".join(
            struct.pack("<" + letter, _coerce(value, letter))
            for value, letter in zip(values, block.letters, strict=True)
        )


def _coerce(value: Number, letter: str) -> Number:
    """A value that fits the type: saturated floats, wrapped integers, 0 for a NaN read as an integer."""
    if letter in _LIMITS:
        limit = _LIMITS[letter]
        return value if math.isnan(value) else max(-limit, min(limit, value))
    bits = 8 * struct.calcsize("<" + letter)
    whole = (int(value) if math.isfinite(value) else 0) & ((1 << bits) - 1)
    return whole - (1 << bits) if letter.islower() and whole >> (bits - 1) else whole
