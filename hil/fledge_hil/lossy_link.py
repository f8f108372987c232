"""A bad link between client and virtual drone: packets lost, late, in another order, twice, or none at all.

It counts device time and draws from a seed, so that the same flight meets the same losses.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass
class LinkFaults:
    """What a link does to packets, both ways; may be changed while it runs."""

    lose: float = 0.0
    """Probability that a packet is lost, 0..1."""
    duplicate: float = 0.0
    """Probability that it arrives twice, 0..1."""
    late_ms: tuple[int, int] = (0, 0)
    """It arrives later by a random time between these; packets overtake each other unless both are equal [ms]."""
    cut: bool = False
    """Nothing gets through."""

    @property
    def any(self) -> bool:
        """Whether packets are treated at all."""
        return self.cut or self.lose > 0 or self.duplicate > 0 or self.late_ms[1] > 0


class LossyLink:
    """One direction."""

    def __init__(self, faults: LinkFaults, seed: int) -> None:
        self.faults = faults
        self._random = random.Random(seed)
        self._under_way: list[tuple[int, int, bytes]] = []
        self._count = 0

    def put(self, datagram: bytes, now_ms: int) -> None:
        """A packet enters."""
        faults, draw = self.faults, self._random.random
        if faults.cut or draw() < faults.lose:
            return
        for _ in range(2 if draw() < faults.duplicate else 1):
            self._count += 1
            due = now_ms + self._random.randint(*faults.late_ms)
            heapq.heappush(self._under_way, (due, self._count, datagram))

    def take(self, now_ms: int) -> list[bytes]:
        """Those that arrive by now."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now_ms:
            arrived.append(heapq.heappop(self._under_way)[2])
        return arrived
