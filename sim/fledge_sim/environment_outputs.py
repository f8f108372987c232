"""Memory for what a step gives: handed out again only when nobody holds it any more.

Fresh memory of many megabytes costs more than the step itself, page by page. A tensor made by torch.from_numpy holds a
reference to its array for as long as any tensor shares its storage, so the array's reference count tells whether it is
still in use.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[Any], ...]
KEPT = 4
"""Sets that are kept: what the caller holds, what is being written, and some for a pipeline."""
LINE = 16
"""float32 numbers in a line of the cache; also the widest block of worlds."""
ENDED_KEPT_MAX = 64 * 2**20
"""[B]; larger memory for ended episodes is new in every step: only the pages of the few rows that are written exist."""


def _references(arrays: Arrays) -> int:
    """Most references that any of the arrays has, that of the question included."""
    most = 0
    for array in arrays:
        most = max(most, getrefcount(array))
    return most


IDLE = _references((np.empty(1),))
"""What `_references` says of arrays that only their set refers to; it differs between versions of Python."""


def aligned(count: int) -> NDArray[np.float32]:
    """(count,) float32 from the start of a cache line, as vector registers store it best; content undefined."""
    raw = np.empty(4 * (count + LINE), np.uint8)
    start = -raw.ctypes.data % (4 * LINE)
    return raw[start : start + 4 * count].view(np.float32)


class Outputs:
    """Sets of reward, terminated, truncated (n,), observation and ended observation (n, I), and likewise privileged.

    What ended is empty unless `keeps_ended`.
    """

    def __init__(self, n: int, observation_size: int, privileged_size: int) -> None:
        """Observation and privileged are stored column by column, `stride` numbers apart.

        The stride is an odd number of cache lines, so that columns do not compete for the same places of the cache, and
        leaves room for whole blocks of worlds.
        """
        self._n, self._sizes = n, tuple(size for size in (observation_size, privileged_size) if size)
        self._columns = -(-n // LINE) * LINE
        self.stride = (self._columns // LINE | 1) * LINE
        self._sets: list[Arrays] = []
        self.keeps_ended = 4 * n * max(self._sizes) <= ENDED_KEPT_MAX

    def take(self) -> Arrays:
        """A set that nobody uses; privileged comes last, and only if P > 0."""
        for _ in self._sets:
            oldest = self._sets.pop(0)
            self._sets.append(oldest)
            if _references(oldest) == IDLE:
                return oldest
        new = self.make()
        if len(self._sets) < KEPT:
            self._sets.append(new)
        return new

    def make(self) -> Arrays:
        """A new set."""
        arrays = [np.empty(self._columns, kind)[: self._n] for kind in (np.float32, np.bool_, np.bool_)]
        for size in self._sizes:
            arrays.append(aligned(size * self.stride).reshape(size, self.stride)[:, : self._n].T)
            arrays.append(np.empty((self._n if self.keeps_ended else 0, size), np.float32))
        return tuple(arrays)
