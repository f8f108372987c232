"""A long flight, minute by minute: what is kept of it does not grow, and its digest tells whether two were the same."""

from __future__ import annotations

import hashlib
import resource
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from fledge_hil.board_messages import Guard
from fledge_hil.client import Sample
from fledge_hil.flight_log import COLUMNS, Minute, Soak
from fledge_hil.telemetry import PERIOD_MS, table

MINUTE = 60.0
"""[s]"""
WARM_UP = 2
"""Minutes until memory is expected to stay as it is."""
MOST_GROWTH = 16.0
"""[MB], of the process's peak after that."""


class Diary:
    """Turns samples into minutes."""

    def __init__(self) -> None:
        self.minutes: list[Minute] = []
        self._memory: list[float] = []
        self._hash = hashlib.sha256()

    def close_minute(self, samples: Sequence[Sample], armed_at: float, start: float, end: float) -> None:
        """Add what was logged between two device times [s]."""
        rows = table(samples, armed_at)
        rows = rows[(rows[:, 0] > start - armed_at) & (rows[:, 0] <= end - armed_at)]
        self._hash.update(rows.tobytes())
        if not len(rows):
            return
        column = {name: rows[:, index] for index, name in enumerate(COLUMNS)}
        error = np.sqrt(sum((column[axis] - column[f"r{axis}"]) ** 2 for axis in "xyz"))
        self.minutes.append(
            Minute(
                start=start - armed_at,
                seconds=end - start,
                rmse=float(np.sqrt(np.mean(error**2))),
                maximum=float(error.max()),
                policy_share=float(np.mean(column["mode"] == 1)),
                guards=int(np.sum(column["guard"] != Guard.OK)),
                misses=int(column["misses"][-1]),
                inferences=int(column["inferences"][-1]),
                received=min(1.0, len(rows) * PERIOD_MS / 1000 / max(1e-9, end - start)),
                battery=float(column["battery"].min()),
            )
        )
        self._memory.append(peak_memory())

    @property
    def soak(self) -> Soak | None:
        """So far; None before the first minute."""
        if not self.minutes:
            return None
        return Soak(tuple(self.minutes), self._hash.hexdigest(), tuple(self._memory))


def peak_memory() -> float:
    """Of this process [MB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def growth(soak: Soak) -> float:
    """Of the memory after the first minutes [MB]; 0 for a short soak."""
    memory = soak.peak_memory
    return memory[-1] - memory[WARM_UP] if len(memory) > WARM_UP else 0.0


def reasons(soak: Soak, longest_rmse: float, least_received: float) -> Iterator[str]:
    """What speaks against the soak."""
    for number, minute in enumerate(soak.minutes, 1):
        if minute.guards or minute.policy_share < 1:
            yield f"in minute {number} the policy flew {minute.policy_share:.1%}, a guard spoke in {minute.guards} rows"
        if not minute.rmse <= longest_rmse:
            yield f"in minute {number} the RMSE was {100 * minute.rmse:.1f} cm, more than {100 * longest_rmse:.1f} cm"
        if minute.received < least_received:
            yield f"in minute {number} only {minute.received:.0%} of the log arrived"
    if growth(soak) > MOST_GROWTH:
        yield f"memory grew by {growth(soak):.0f} MB after the first {WARM_UP + 1} minutes"
