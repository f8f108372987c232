"""High-level commander's planner: take off, go to, land on smooth polynomials.

Between two rests or from any start (p, v, a) to rest: degree 7 per axis, no jerk at both ends. With s = t/T in [0, 1],

    p(s) = p0 + v0 T s + a0 T^2 s^2/2 + c4 s^4 + c5 s^5 + c6 s^6 + c7 s^7

and c4..c7 from p(1) = p1, p'(1) = p''(1) = p'''(1) = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

Axes = tuple[float, float, float, float]
"""x, y, z [m, world] and yaw [rad]."""

_END = np.array([[math.perm(power, order) for power in (4, 5, 6, 7)] for order in range(4)], dtype=float)
_END_INVERSE = np.linalg.inv(_END)
"""Row `order`: that derivative at s = 1 of s^4..s^7."""


class Phase(Enum):
    """What the planner is doing."""

    IDLE = "idle"
    FLYING = "flying"
    LANDING = "landing"


@dataclass(frozen=True)
class Sample:
    """Position, velocity, acceleration of all four axes at one time."""

    position: Axes
    velocity: Axes = (0.0, 0.0, 0.0, 0.0)
    acceleration: Axes = (0.0, 0.0, 0.0, 0.0)


class Segment:
    """One polynomial piece; holds its end point after it ends."""

    def __init__(self, start: Sample, goal: Axes, start_time: float, duration: float, linear: bool = False) -> None:
        self.start_time, self.duration, self.goal = start_time, duration, goal
        self._coefficients = [_axis(start, goal, axis, duration, linear) for axis in range(4)]

    def ended(self, time: float) -> bool:
        """Whether the goal has been reached on schedule."""
        return time >= self.start_time + self.duration

    def at(self, time: float) -> Sample:
        """Where the plan is at `time` [s]."""
        if self.ended(time):
            return Sample(self.goal)
        s = (time - self.start_time) / self.duration
        rows = [_derivatives(coefficients, s) for coefficients in self._coefficients]
        scale = (1.0, 1.0 / self.duration, 1.0 / self.duration**2)
        position, velocity, acceleration = (
            (rows[0][k] * scale[k], rows[1][k] * scale[k], rows[2][k] * scale[k], rows[3][k] * scale[k])
            for k in range(3)
        )
        return Sample(position, velocity, acceleration)


def _axis(start: Sample, goal: Axes, axis: int, duration: float, linear: bool) -> list[float]:
    if linear:
        return [start.position[axis], goal[axis] - start.position[axis]]
    first = start.velocity[axis] * duration
    second = start.acceleration[axis] * duration**2 / 2
    rest = goal[axis] - start.position[axis] - first - second
    tail = _END_INVERSE @ np.array([rest, -first - 2 * second, -2 * second, 0.0])
    return [start.position[axis], first, second, 0.0, *(float(value) for value in tail)]


def _derivatives(coefficients: list[float], s: float) -> tuple[float, float, float]:
    """Value, first and second derivative in s, by Horner's rule."""
    value = first = second = 0.0
    for coefficient in reversed(coefficients):
        second = second * s + 2 * first
        first = first * s + value
        value = value * s + coefficient
    return value, first, second


class Planner:
    """Turns commands into a Sample at any time."""

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self._segment: Segment | None = None

    def stop(self) -> None:
        """Forget the plan; nothing is commanded any more."""
        self.phase, self._segment = Phase.IDLE, None

    def _start(self, time: float, here: Sample) -> Sample:
        return self._segment.at(time) if self._segment is not None else here

    def vertical(
        self, time: float, here: Sample, height: float, yaw: float | None, duration: float, land: bool
    ) -> bool:
        """Take off or land at the present x and y; yaw None keeps it. False when the command makes no sense."""
        if duration <= 0 or (not land and self.phase is not Phase.IDLE):
            return False
        start = self._start(time, here)
        x, y, _, held = start.position
        goal = (x, y, height, held if yaw is None else _nearest(yaw, held))
        self._segment = Segment(start, goal, time, duration)
        self.phase = Phase.LANDING if land else Phase.FLYING
        return True

    def go_to(self, time: float, here: Sample, goal: Axes, duration: float, relative: bool, linear: bool) -> bool:
        """Fly to a place; relative adds the present plan's position and yaw."""
        if duration <= 0:
            return False
        start = self._start(time, here)
        base = start.position if relative else (0.0, 0.0, 0.0, 0.0)
        x, y, z, yaw = (goal[axis] + base[axis] for axis in range(4))
        self._segment = Segment(start, (x, y, z, _nearest(yaw, start.position[3])), time, duration, linear)
        self.phase = Phase.FLYING
        return True

    def finished(self, time: float) -> bool:
        """Whether nothing is under way."""
        return self._segment is None or self._segment.ended(time)

    def at(self, time: float) -> Sample | None:
        """What to command now; None when idle. A landing that has ended turns the planner idle."""
        if self._segment is None:
            return None
        if self.phase is Phase.LANDING and self._segment.ended(time):
            self.stop()
            return None
        return self._segment.at(time)


def _nearest(yaw: float, held: float) -> float:
    """The angle equal to `yaw` modulo a turn that is closest to `held` [rad]."""
    return held + math.remainder(yaw - held, 2 * math.pi)
