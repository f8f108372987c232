"""A board of finger pads and its line, and what can be wrong with them; one call per millisecond, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fledge_hil.arm.pads import FRAME, PERIOD_MS, encode, to_units

BYTES_PER_MS = 100
"""Of the line."""
FULL_N = 3.125
"""On a cell when all of its 31.25 taxels are at their limit of 0.1 N."""


@dataclass
class PadFaults:
    """Shares are per byte."""

    silent: bool = False
    """The line is cut."""
    flips: float = 0.0
    """Share of the bytes with a wrong bit."""
    losses: float = 0.0
    """Share of the bytes that vanish."""
    repeats: bool = False
    """The board's program hangs, and its last frame is sent again and again."""
    stuck: set[int] = field(default_factory=set)
    """Pads whose numbers do not change any more."""
    full: set[int] = field(default_factory=set)
    """Pads of which all taxels are at the end of their range."""


class VirtualPads:
    """See the module's docstring."""

    def __init__(self, sense: Callable[[], NDArray[np.floating]], seed: int = 0) -> None:
        """Powered.

        Args:
            sense: what the pads feel now, (96,) [N]; is called once per frame.
            seed: of the line's faults.
        """
        self.faults = PadFaults()
        self._sense = sense
        self._generator = np.random.default_rng(seed)
        self._waiting = b""
        self._ms = 0
        self._frames = 0
        self._units: NDArray[np.int16] = np.zeros(0, np.int16)
        self._frame = bytes(FRAME)

    def tick(self) -> bytes:
        """One millisecond: the bytes that have arrived by its end."""
        if self._ms % PERIOD_MS == 0:
            if not self.faults.repeats:
                self._measure()
            self._waiting += b"" if self.faults.silent else self._frame
        self._ms += 1
        arrived, self._waiting = self._waiting[:BYTES_PER_MS], self._waiting[BYTES_PER_MS:]
        return self._damaged(arrived)

    def _measure(self) -> None:
        units, before = to_units(np.asarray(self._sense())), self._units
        of_pad = units.reshape(2, -1)
        for pad in self.faults.full:
            of_pad[pad] = to_units(np.full(of_pad.shape[1], FULL_N))
        for pad in self.faults.stuck if before.size else ():
            of_pad[pad] = before.reshape(2, -1)[pad]
        self._units, self._frame = units, encode(self._frames, units)
        self._frames += 1

    def _damaged(self, data: bytes) -> bytes:
        faults = self.faults
        if not data or not (faults.flips or faults.losses):
            return data
        draws = self._generator.random((2, len(data)))
        bits = self._generator.integers(0, 8, len(data))
        damaged = bytearray()
        for byte, bit, flip, loss in zip(data, bits, draws[0], draws[1], strict=True):
            if loss >= faults.losses:
                damaged.append(byte ^ (1 << int(bit) if flip < faults.flips else 0))
        return bytes(damaged)
