"""Servos on one wire: who answers what, in which order, when; and what can be wrong with a wire.

The bus takes bytes at a time and gives bytes with the time at which each is complete. Nothing here sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fledge_hil.arm.feetech import BITS_PER_BYTE, BROADCAST, Instruction, Packet, Parser
from fledge_hil.arm.registers import BAUD_RATES, DELAY_UNIT_US, Register
from fledge_hil.arm.virtual_servo import VirtualServo

SLOT_US = 100
"""How long the next servo of a synchronous read waits for one that stays silent. Not documented; chosen."""


@dataclass
class WireFaults:
    """What is wrong with the wire. Shares are per byte."""

    silent: set[int] = field(default_factory=set)
    """Servos that are unplugged: they hear nothing and say nothing."""
    deaf: bool = False
    """The master's line is cut."""
    flips: float = 0.0
    """Share of the bytes to the master with a wrong bit."""
    flips_out: float = 0.0
    """Share of the bytes from the master with a wrong bit."""
    losses: float = 0.0
    """Share of the bytes to the master that vanish."""
    noise: float = 0.0
    """Bytes per millisecond that nobody sent."""


@dataclass
class ServoBus:
    """See the module's docstring. Time is [us]."""

    servos: Sequence[VirtualServo]
    echo: bool = False
    """The master hears what it says, as with the simplest adapters."""
    seed: int = 0
    faults: WireFaults = field(default_factory=WireFaults)
    parser: Parser = field(default_factory=Parser)
    instructions: int = 0
    """Heard so far."""
    _line: deque[tuple[float, int]] = field(default_factory=deque)
    _free_us: float = 0.0
    _noise_us: float = 0.0

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)

    @property
    def byte_us(self) -> float:
        """Time of one byte."""
        return BITS_PER_BYTE * 1e6 / BAUD_RATES[0]

    def send(self, data: bytes, now_us: float) -> None:
        """The master's bytes, of which the first begins now or as soon as the wire is free."""
        start = max(now_us, self._free_us)
        end = start + len(data) * self.byte_us
        self._free_us = end
        if self.echo:
            self._put(data, start)
        if self.faults.deaf:
            return
        for packet in self.parser.feed(self._damaged(data, self.faults.flips_out)):
            self.instructions += 1
            end = self._obey(packet, end)

    def receive(self, now_us: float) -> bytes:
        """Bytes that have arrived at the master by now."""
        self._make_noise(now_us)
        taken = bytearray()
        while self._line and self._line[0][0] <= now_us:
            taken.append(self._line.popleft()[1])
        return bytes(taken)

    def next_us(self) -> float | None:
        """When the next byte arrives; None: nothing is on its way."""
        return self._line[0][0] if self._line else None

    def _plugged(self) -> list[VirtualServo]:
        return [servo for servo in self.servos if servo.id not in self.faults.silent]

    def _obey(self, packet: Packet, end_us: float) -> float:
        """Let the servos hear a packet; when the wire is free again."""
        if packet.kind == Instruction.SYNC_WRITE:
            self._sync_write(packet)
            return end_us
        if packet.kind == Instruction.SYNC_READ:
            return self._sync_read(packet, end_us)
        free = end_us
        for servo in self._plugged():
            if (status := servo.answer(packet)) is not None:
                free = max(free, self._say(servo, status, end_us))
        return free

    def _sync_write(self, packet: Packet) -> None:
        if packet.id != BROADCAST or len(packet.data) < 3 or not packet.data[1]:
            return
        address, size, blocks = packet.data[0], packet.data[1], packet.data[2:]
        for at in range(0, len(blocks) - size, size + 1):
            for servo in self._plugged():
                if servo.get(Register.ID) == blocks[at]:
                    servo.write(address, blocks[at + 1 : at + 1 + size])

    def _sync_read(self, packet: Packet, end_us: float) -> float:
        """One after the other, in the order in which they are named."""
        if packet.id != BROADCAST or len(packet.data) < 3:
            return end_us
        address, count = packet.data[0], packet.data[1]
        for servo_id in packet.data[2:]:
            answered = end_us + SLOT_US
            for servo in self._plugged():
                if servo.get(Register.ID) == servo_id and (data := servo.read(address, count)) is not None:
                    answered = self._say(servo, servo.status(servo_id, data), end_us)
            end_us = answered
        return end_us

    def _say(self, servo: VirtualServo, status: bytes, after_us: float) -> float:
        """Put an answer on the wire; when it ends."""
        start = after_us + servo.get(Register.RETURN_DELAY) * DELAY_UNIT_US
        self._put(status, start)
        self._free_us = max(self._free_us, start + len(status) * self.byte_us)
        return self._free_us

    def _put(self, data: bytes, start_us: float) -> None:
        """Bytes towards the master; where two servos speak at once, only ones that both leave high survive."""
        damaged = self._damaged(data, self.faults.flips)
        arriving = {start_us + (i + 1) * self.byte_us: byte for i, byte in enumerate(damaged)}
        for time_us, byte in self._line:
            arriving[time_us] = arriving[time_us] & byte if time_us in arriving else byte
        lost = self.faults.losses
        self._line = deque(sorted((t, b) for t, b in arriving.items() if not lost or self._generator.random() >= lost))

    def _damaged(self, data: bytes, share: float) -> bytes:
        if not share:
            return data
        hit = self._generator.random(len(data)) < share
        bits = self._generator.integers(0, 8, len(data))
        return bytes(byte ^ (1 << int(bit) if flip else 0) for byte, bit, flip in zip(data, bits, hit, strict=True))

    def _make_noise(self, now_us: float) -> None:
        elapsed, self._noise_us = now_us - self._noise_us, now_us
        if not self.faults.noise or elapsed <= 0:
            return
        for _ in range(self._generator.poisson(self.faults.noise * elapsed / 1000)):
            time_us = now_us - elapsed * self._generator.random()
            self._line.append((time_us, int(self._generator.integers(0, 256))))
        self._line = deque(sorted(self._line))
