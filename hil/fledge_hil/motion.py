"""Where a plan wants the drone to be: samples over time, and polynomial pieces between two of them.

From any start (p, v, a) to any end, degree 7 per axis, no jerk at both ends. With s = t/T in [0, 1],

    p(s) = p0 + v0 T s + a0 T^2 s^2/2 + c4 s^4 + c5 s^5 + c6 s^6 + c7 s^7

and c4..c7 from p, p', p'' and p''' = 0 at s = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Axes = tuple[float, float, float, float]
"""x, y, z [m, world] and yaw [rad]."""

_END = np.array([[math.perm(power, order) for power in (4, 5, 6, 7)] for order in range(4)], dtype=float)
_END_INVERSE = np.linalg.inv(_END)
"""Row `order`: that derivative at s = 1 of s^4..s^7."""


@dataclass(frozen=True)
class Sample:
    """Position, velocity, acceleration of all four axes at one time."""

    position: Axes
    velocity: Axes = (0.0, 0.0, 0.0, 0.0)
    acceleration: Axes = (0.0, 0.0, 0.0, 0.0)


class Motion(Protocol):
    """Something that a planner can follow."""

    def ended(self, time: float) -> bool:
        """Whether its end has been reached on schedule."""

    def at(self, time: float) -> Sample:
        """Where the plan is at `time` [s]; after the end, at rest there."""


class Segment:
    """One polynomial piece; holds its end point after it ends."""

    def __init__(self, start: Sample, end: Sample, start_time: float, duration: float, linear: bool = False) -> None:
        self.start_time, self.duration, self.goal = start_time, duration, end.position
        self._coefficients = [_axis(start, end, axis, duration, linear) for axis in range(4)]

    def ended(self, time: float) -> bool:
        """See Motion."""
        return time >= self.start_time + self.duration

    def at(self, time: float) -> Sample:
        """See Motion."""
        if self.ended(time):
            return Sample(self.goal)
        s = (time - self.start_time) / self.duration
        rows = [derivatives(coefficients, s) for coefficients in self._coefficients]
        scale = (1.0, 1.0 / self.duration, 1.0 / self.duration**2)
        position, velocity, acceleration = (
            (rows[0][k] * scale[k], rows[1][k] * scale[k], rows[2][k] * scale[k], rows[3][k] * scale[k])
            for k in range(3)
        )
        return Sample(position, velocity, acceleration)


def _axis(start: Sample, end: Sample, axis: int, duration: float, linear: bool) -> list[float]:
    if linear:
        return [start.position[axis], end.position[axis] - start.position[axis]]
    first = start.velocity[axis] * duration
    second = start.acceleration[axis] * duration**2 / 2
    rest = end.position[axis] - start.position[axis] - first - second
    speed = end.velocity[axis] * duration - first - 2 * second
    curve = end.acceleration[axis] * duration**2 - 2 * second
    tail = _END_INVERSE @ np.array([rest, speed, curve, 0.0])
    return [start.position[axis], first, second, 0.0, *(float(value) for value in tail)]


def derivatives(coefficients: Sequence[float], s: float) -> tuple[float, float, float]:
    """Value, first and second derivative in s of sum c_k s^k, by Horner's rule."""
    value = first = second = 0.0
    for coefficient in reversed(coefficients):
        second = second * s + 2 * first
        first = first * s + value
        value = value * s + coefficient
    return value, first, second


def nearest(yaw: float, held: float) -> float:
    """The angle equal to `yaw` modulo a turn that is closest to `held` [rad]."""
    return held + math.remainder(yaw - held, 2 * math.pi)


@dataclass(frozen=True)
class Spiral:
    """Part of a spiral around a centre beside the drone, or in front or behind when it flies sideways."""

    angle: float
    """[rad], up to a full turn either way."""
    radius_start: float
    radius_end: float
    """[m]"""
    ascent: float
    """[m]"""
    sideways: bool
    clockwise: bool

    def segment(self, start: Sample, start_time: float, duration: float) -> Segment:
        """Degree 7 between both ends, at the speed and acceleration of the spiral there; as the firmware flies it.

        The drone is at r(t) R(phi) d from the centre, phi = yaw, d = +-e_x (sideways) or +-e_y in its own frame.
        """
        sense = 1.0 if self.clockwise else -1.0
        angle = max(-2 * math.pi, min(2 * math.pi, self.angle))
        turning = -sense * angle / duration
        inner, outer = max(0.0, self.radius_start), max(0.0, self.radius_end)
        widening, rising = (outer - inner) / duration, self.ascent / duration
        x, y, z, yaw = start.position
        yaw = math.remainder(yaw, 2 * math.pi)
        beside = (-sense, 0.0) if self.sideways else (0.0, sense)

        def on_spiral(phi: float, radius: float, centre: tuple[float, float], height: float) -> Sample:
            """p = r u, p' = r' u + r w u_perp, p'' = 2 r' w u_perp - r w^2 u."""
            cosine, sine = math.cos(phi), math.sin(phi)
            ux, uy = cosine * beside[0] - sine * beside[1], sine * beside[0] + cosine * beside[1]
            w, r, dr = turning, radius, widening
            return Sample(
                (centre[0] + r * ux, centre[1] + r * uy, height, phi),
                (dr * ux - r * w * uy, dr * uy + r * w * ux, rising, w),
                (-2 * dr * w * uy - r * w * w * ux, 2 * dr * w * ux - r * w * w * uy, 0.0, 0.0),
            )

        at_origin = on_spiral(yaw, inner, (0.0, 0.0), z)
        centre = (x - at_origin.position[0], y - at_origin.position[1])
        first = on_spiral(yaw, inner, centre, z)
        last = on_spiral(yaw - sense * angle, outer, centre, z + self.ascent)
        return Segment(first, last, start_time, duration)
