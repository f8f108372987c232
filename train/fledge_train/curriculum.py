"""Schedules: how a number changes over a run."""

from __future__ import annotations

import math
from dataclasses import dataclass


class Schedule:
    """A number that changes over a run; every one in a configuration is shown among the run's scalars."""

    def at(self, progress: float) -> float:
        """Value at `progress`, 0 to 1 of the run."""
        raise NotImplementedError


@dataclass(frozen=True)
class Ramp(Schedule):
    """Geometric from start to end over the first part of a run, then constant: start (end/start)^(progress/until)."""

    start: float
    """Value at the beginning; > 0."""
    end: float
    """Value from `until` on; > 0."""
    until: float = 0.5
    """Share of the run at which `end` is reached."""

    def at(self, progress: float) -> float:
        """Value at `progress`, 0 to 1 of the run."""
        if progress >= self.until:
            return float(self.end)
        return float(self.start * (self.end / self.start) ** (progress / self.until))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from start to end over the whole run: end + (start - end) (1 + cos(pi progress)) / 2."""

    start: float
    """Value at the beginning."""
    end: float
    """Value at the end."""

    def at(self, progress: float) -> float:
        """Value at `progress`, 0 to 1 of the run."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Line(Schedule):
    """Straight from start to end over the first part of a run, then constant; may begin or end at 0."""

    start: float = 1.0
    """Value at the beginning."""
    end: float = 1.0
    """Value from `until` on."""
    until: float = 0.5
    """Share of the run at which `end` is reached."""

    def at(self, progress: float) -> float:
        """Value at `progress`, 0 to 1 of the run."""
        share = min(1.0, progress / self.until) if self.until > 0 else 1.0
        return self.start + (self.end - self.start) * share


def constant(value: float) -> Ramp:
    """A ramp that does not move."""
    return Ramp(value, value, 0.0)
