"""References beyond Lissajous curves: random smooth ones and waypoints, as plain functions of uniform draws.

Every backend draws its own numbers in [0, 1) and must arrive at the same curve; there is no loop that depends on data.
Positions are relative to the origin of the task, in world axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError

Float64 = NDArray[np.float64]

HARMONICS_MAX = 4
"""Largest number of harmonics per axis: arrays of this size are cheap in every backend."""
WAYPOINTS_MAX = 256
"""Largest number of waypoints of an episode."""
TINY = 1e-6


@dataclass(frozen=True)
class SmoothReference:
    """Distribution of random smooth curves: per axis a sum of harmonics, with bounds that no instant exceeds."""

    harmonics: int = 3
    """K, 1 to HARMONICS_MAX."""
    frequency: tuple[float, float] = (0.3, 2.5)
    """Range of the angular frequencies [rad/s]; uniform."""
    half_width: tuple[float, float, float] = (1.0, 1.0, 0.4)
    """Bound on each axis [m]."""
    speed: float = 1.5
    """Bound on the speed of each axis [m/s]."""
    acceleration: float = 5.0
    """Bound on the acceleration of each axis [m/s^2]."""

    @property
    def draws(self) -> int:
        """Uniform numbers per episode."""
        return 9 * self.harmonics


@dataclass(frozen=True)
class Harmonics:
    """r = sum over k of A cos(phase + w t), per axis."""

    amplitude: Float64
    """A, (K, 3, n) [m]."""
    frequency: Float64
    """w, (K, 3, n) [rad/s]."""
    phase: Float64
    """(K, 3, n) [rad]."""

    def position(self, time: Float64 | float) -> Float64:
        """r(t), (3, n) [m]; time [s] is one number or (n,)."""
        return np.asarray((self.amplitude * np.cos(self.phase + self.frequency * time)).sum(axis=0))

    def velocity(self, time: Float64 | float) -> Float64:
        """dr/dt, (3, n) [m/s]."""
        return np.asarray((-self.amplitude * self.frequency * np.sin(self.phase + self.frequency * time)).sum(axis=0))


def smooth(spec: SmoothReference, draws: Float64) -> Harmonics:
    """Curves of `n` episodes.

    With u the drawn sizes and w the drawn frequencies of an axis, A_k = s u_k with the largest s that keeps
    sum A <= half_width, sum A w <= speed and sum A w^2 <= acceleration.

    Args:
        spec: distribution.
        draws: (9 K, n) in [0, 1): K x 3 sizes, K x 3 frequencies, K x 3 phases, harmonic by harmonic, x y z.
    """
    size, pace, phase = draws.reshape(3, spec.harmonics, 3, -1)
    low, high = spec.frequency
    frequency = low + (high - low) * pace
    bounds = (
        (np.asarray(spec.half_width)[:, None], size),
        (spec.speed, size * frequency),
        (spec.acceleration, size * frequency**2),
    )
    scale = np.minimum.reduce([bound / np.maximum(parts.sum(axis=0), TINY) for bound, parts in bounds])
    return Harmonics(scale * size, frequency, 2 * math.pi * phase)


@dataclass(frozen=True)
class WaypointReference:
    """From point to point in straight lines of minimum jerk, with a rest at each; after the last one it stays there."""

    points: tuple[tuple[float, float, float], ...] = ()
    """Given points [m]; none: random ones."""
    count: int = 16
    """How many random points, 1 to WAYPOINTS_MAX."""
    half_width: tuple[float, float, float] = (1.0, 1.0, 0.4)
    """Random points are uniform within it [m]."""
    move: tuple[float, float] = (1.5, 3.0)
    """Range of the time from point to point, one per episode [s]; the fastest instant has 15/8 of the mean speed."""
    hold: tuple[float, float] = (0.0, 1.0)
    """Range of the rest at each point, one per episode [s]."""

    @property
    def length(self) -> int:
        """Number of points of an episode."""
        return len(self.points) or self.count

    @property
    def draws(self) -> int:
        """Uniform numbers per episode: move, hold, then x y z of each random point."""
        return 2 + (0 if self.points else 3 * self.count)


@dataclass(frozen=True)
class Waypoints:
    """One walk per episode."""

    points: Float64
    """(m, 3, n) [m]."""
    move: Float64
    """(n,) [s]."""
    hold: Float64
    """(n,) [s]."""

    def position(self, time: Float64 | float) -> Float64:
        """r(t) = P_j + (P_j+1 - P_j) (10 s^3 - 15 s^4 + 6 s^5), (3, n) [m]; time [s] is one number or (n,)."""
        start, step, s = self._segment(time)
        return np.asarray(start + step * (s**3 * (10 + s * (-15 + 6 * s))))

    def velocity(self, time: Float64 | float) -> Float64:
        """dr/dt = (P_j+1 - P_j) 30 s^2 (1 - s)^2 / move, (3, n) [m/s]."""
        _, step, s = self._segment(time)
        return np.asarray(step * (30 * s**2 * (1 - s) ** 2 / self.move))

    def _segment(self, time: Float64 | float) -> tuple[Float64, Float64, Float64]:
        """P_j, P_j+1 - P_j (3, n), and the fraction s (n,) of the move j = floor(t / (move + hold)) that is done."""
        last = self.points.shape[0] - 1
        period = self.move + self.hold
        j = np.clip(np.floor(time / period), 0, max(last - 1, 0))
        start, end = (
            np.take_along_axis(self.points, index.astype(int)[None, None, :], axis=0)[0]
            for index in (j, np.minimum(j + 1, last))
        )
        return start, end - start, np.clip((time - j * period) / self.move, 0.0, 1.0)


def waypoints(spec: WaypointReference, draws: Float64) -> Waypoints:
    """Walks of `n` episodes; draws (spec.draws, n) in [0, 1)."""
    n = draws.shape[1]
    move, hold = (low + (high - low) * draws[i] for i, (low, high) in enumerate((spec.move, spec.hold)))
    if spec.points:
        return Waypoints(np.repeat(np.asarray(spec.points, float)[:, :, None], n, axis=2), move, hold)
    unit = 2 * draws[2:].reshape(spec.count, 3, n) - 1
    return Waypoints(np.asarray(spec.half_width)[:, None] * unit, move, hold)


def look_ahead(
    reference: Harmonics | Waypoints, time: float, count: int, spacing: float, position: Float64, velocity: Float64
) -> Float64:
    """The observation term `look_ahead`: where the reference will be, seen from here.

    Args:
        reference: what is followed.
        time: now [s].
        count: how many future references.
        spacing: time between them [s]; the first is one spacing ahead.
        position: sensed position relative to the task's origin, (3, n) [m], world.
        velocity: sensed velocity, (3, n) [m/s], world.
    Returns:
        (n, 6 count): r(t + i spacing) - position, then dr/dt(t + i spacing) - velocity, for i = 1 to count.
    """
    times = [time + spacing * (i + 1) for i in range(count)]
    parts = [np.concatenate([reference.position(t) - position, reference.velocity(t) - velocity]) for t in times]
    return np.concatenate(parts).T


def check(spec: SmoothReference | WaypointReference) -> None:
    """Raise FledgeError naming the field and its range."""
    if isinstance(spec, SmoothReference):
        _require(1 <= spec.harmonics <= HARMONICS_MAX, f"harmonics is {spec.harmonics}, give 1 to {HARMONICS_MAX}")
        _range("frequency", spec.frequency, 1e-3, 100.0)
        for name, value in (("speed", spec.speed), ("acceleration", spec.acceleration)):
            _require(math.isfinite(value) and value >= 0, f"{name} is {value}, give a finite number >= 0")
    else:
        _require(1 <= spec.length <= WAYPOINTS_MAX, f"there are {spec.length} waypoints, give 1 to {WAYPOINTS_MAX}")
        _range("move", spec.move, 0.1, 1e4)
        _range("hold", spec.hold, 0.0, 1e4)
        _require(all(math.isfinite(x) for point in spec.points for x in point), "waypoints must be finite")
    fits = all(math.isfinite(width) and width >= 0 for width in spec.half_width)
    _require(fits, f"half_width is {spec.half_width}, give three finite numbers >= 0")


def _range(name: str, value: tuple[float, float], low: float, high: float) -> None:
    _require(low <= value[0] <= value[1] <= high, f"{name} is {value}, give (low, high) within {low:g} to {high:g}")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise FledgeError(f"reference: {sentence}")
