"""What a world should follow, on torch tensors: drawn at the start of an episode, evaluated at any of its steps.

A harmonic is r = A cos(2 pi (phase + f age)) per axis, phase and f in fractions of a turn held as int32, 2^32 to the
turn, so that the angle wraps by itself and is as exact after a million steps as after one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from fledge_sim import counter_random, torch_random
from fledge_sim.counter_random import Channel
from fledge_sim.environment import EnvConfig
from fledge_sim.tasks import ReferenceDistribution
from fledge_sim.trajectories import TINY, SmoothReference, WaypointReference

Vector = list[Tensor]
TURN = 2 * math.pi
QUARTER_TURN = 2**30


class Drawn(NamedTuple):
    """One reference per world; what the rows are is the business of its kind."""

    values: Tensor
    """(V, n) float32."""
    turns: Tensor
    """(T, n) int32 [2^-32 turn]."""
    key: Tensor
    """(1, n) int32, of the numbers drawn for the whole episode."""


class Reference(Protocol):
    """A kind of reference: how it is drawn and where it is."""

    def draw(self, key: Tensor) -> Drawn:
        """References of a new episode in every world; key (n,) int32 of its step 0."""

    def at(self, drawn: Drawn, age: Tensor) -> tuple[Vector, Vector]:
        """Position [m] and velocity [m/s], world, three rows (n,) each, at age (n,) int32 [steps]."""


def reference_of(config: EnvConfig) -> Reference:
    """What a configuration follows."""
    kind, origin, dt = config.task.reference, config.task.origin, config.step
    if isinstance(kind, ReferenceDistribution):
        return Lissajous(origin, dt, kind)
    if isinstance(kind, SmoothReference):
        return Smooth(origin, dt, kind)
    return Walk(origin, dt, kind) if kind else Harmonics(origin, dt)


@dataclass(frozen=True)
class Harmonics:
    """Sums of harmonics around an origin; values: amplitudes [m], turns: frequencies [per step], then phases.

    Each is x y z of the first harmonic, then of the next. No harmonic: hovering at the origin.
    """

    origin: tuple[float, float, float]
    """[m], world."""
    dt: float
    """[s]"""

    def draw(self, key: Tensor) -> Drawn:
        """Stands still."""
        return self._pack([], [], [], key)

    def at(self, drawn: Drawn, age: Tensor) -> tuple[Vector, Vector]:
        """Sum over the harmonics, axis by axis."""
        position, velocity = still(self.origin, age)
        frequency, phase = torch.tensor_split(drawn.turns, 2)
        for row, (size, f, start) in enumerate(zip(drawn.values, frequency, phase, strict=True)):
            axis, angle = row % 3, radians(start + f * age)
            position[axis] = position[axis] + size * torch.cos(angle)
            velocity[axis] = velocity[axis] - size * (radians(f) / self.dt) * torch.sin(angle)
        return position, velocity

    def _pack(self, amplitude: Vector, frequency: Vector, phase: Vector, key: Tensor) -> Drawn:
        """Frequencies [rad/s], phases in turns."""
        turns = [from_radians(w * self.dt) for w in frequency] + phase
        if not amplitude:
            return Drawn(key.new_empty((0, *key.shape), dtype=torch.float32), key[None][:0], key[None])
        return Drawn(torch.stack(amplitude), torch.stack(turns), key[None])


@dataclass(frozen=True)
class Lissajous(Harmonics):
    """A mixture of hovering, figures of eight and free Lissajous curves: one harmonic."""

    spec: ReferenceDistribution

    def draw(self, key: Tensor) -> Drawn:
        """As tasks.sample_references, from the words of the channel REFERENCE in the order of their use here."""
        words = list(torch_random.words(key, Channel.REFERENCE, 14).unbind(0))
        kind, period, width, eight_phase, direction = words[:5]
        share = torch_random.uniform(kind)
        is_eight = share < self.spec.figure_eight_share
        is_free = share < self.spec.figure_eight_share + self.spec.lissajous_share
        eight = self._eight(_within(period, self.spec.period), _within(width, self.spec.half_width), eight_phase)
        free = self._free(words[5:8], words[8:11], is_free)
        parts = zip(eight, (*free, words[11:14]), strict=True)
        chosen = [[torch.where(is_eight, a, b) for a, b in zip(*part, strict=True)] for part in parts]
        swap = direction < 0  # the highest bit
        amplitude, turning, phase = (_swapped(part, swap) for part in chosen)
        return self._pack(amplitude, turning, phase, key)

    def _eight(self, period: Tensor, half_width: Tensor, phase: Tensor) -> tuple[Vector, Vector, Vector]:
        """x = s cos p, y = s/2 sin 2p, p = phase + 2 pi t / period; smaller where it would accelerate too much."""
        w, none = TURN / period, torch.zeros_like(period)
        peak = torch.maximum(half_width * w**2, half_width / 2 * (2 * w) ** 2)
        size = half_width * torch.clamp(self.spec.acceleration / torch.clamp(peak, min=1e-9), max=1)
        return [size, size / 2, none], [w, 2 * w, none], [phase, 2 * phase - QUARTER_TURN, torch.zeros_like(phase)]

    def _free(self, frequency: Vector, acceleration: Vector, moving: Tensor) -> tuple[Vector, Vector]:
        """Independent axes, sized by their peak acceleration, or nothing; the arguments are words."""
        w = [_within(word, self.spec.frequency) for word in frequency]
        peak = [_within(word, (0.0, self.spec.acceleration)) for word in acceleration]
        size = [torch.clamp(a / x**2, max=self.spec.half_width[1]) for a, x in zip(peak, w, strict=True)]
        return [torch.where(moving, a, 0.0) for a in size], [torch.where(moving, x, 0.0) for x in w]


@dataclass(frozen=True)
class Smooth(Harmonics):
    """Random smooth curves: per axis a sum of harmonics, as large as their bounds let them be."""

    spec: SmoothReference

    def draw(self, key: Tensor) -> Drawn:
        """As trajectories.smooth: sizes, then frequencies, then phases, harmonic by harmonic."""
        spec, count = self.spec, 3 * self.spec.harmonics
        words = list(torch_random.words(key, Channel.REFERENCE, 3 * count).unbind(0))
        size = [torch_random.uniform(word) for word in words[:count]]
        w = [_within(word, spec.frequency) for word in words[count : 2 * count]]
        scale = [self._scale(axis, size[axis::3], w[axis::3]) for axis in range(3)] * spec.harmonics
        return self._pack([a * s for a, s in zip(size, scale, strict=True)], w, words[2 * count :], key)

    def _scale(self, axis: int, size: Vector, w: Vector) -> Tensor:
        """The largest factor within the bounds of one axis."""
        bounds = (self.spec.half_width[axis], self.spec.speed, self.spec.acceleration)
        sums = [torch.stack([a * x**power for a, x in zip(size, w, strict=True)]).sum(0) for power in range(3)]
        limits = [bound / torch.clamp(total, min=TINY) for bound, total in zip(bounds, sums, strict=True)]
        return torch.minimum(torch.minimum(limits[0], limits[1]), limits[2])


@dataclass(frozen=True)
class Walk:
    """From point to point in straight lines of minimum jerk; values: time of a move, then of a rest [s]."""

    origin: tuple[float, float, float]
    """[m], world."""
    dt: float
    """[s]"""
    spec: WaypointReference

    def draw(self, key: Tensor) -> Drawn:
        """Random points are not kept: they are drawn again from the key of the episode."""
        move, hold = torch_random.uniforms(key, Channel.REFERENCE, 2)
        times = torch.stack([_between(move, self.spec.move), _between(hold, self.spec.hold)])
        return Drawn(times, key[None][:0], key[None])

    def at(self, drawn: Drawn, age: Tensor) -> tuple[Vector, Vector]:
        """As trajectories.Waypoints."""
        position, velocity = still(self.origin, age)
        move, hold = drawn.values.unbind(0)
        time, last = self.dt * age.to(torch.float32), self.spec.length - 1
        j = torch.clamp(torch.floor(time / (move + hold)), 0, max(last - 1, 0))
        s = torch.clamp((time - j * (move + hold)) / move, 0, 1)
        way, pace = s**3 * (10 + s * (-15 + 6 * s)), 30 * s**2 * (1 - s) ** 2 / move
        here = j.to(torch.int32)
        ends = zip(self._point(drawn.key[0], here), self._point(drawn.key[0], here + 1 if last else here), strict=True)
        for axis, (start, end) in enumerate(ends):
            position[axis] = position[axis] + start + way * (end - start)
            velocity[axis] = pace * (end - start)
        return position, velocity

    def _point(self, key: Tensor, index: Tensor) -> Vector:
        if self.spec.points:
            return [torch.tensor(axis, device=key.device)[index] for axis in zip(*self.spec.points, strict=True)]
        rows = []
        for axis, width in enumerate(self.spec.half_width):
            channel = Channel.REFERENCE + 2 + axis + 3 * index
            word = torch_random.mix(key ^ channel * torch_random.signed(counter_random.GOLDEN))
            rows.append(width * (2 * torch_random.uniform(word) - 1))
        return rows


def still(origin: tuple[float, float, float], age: Tensor) -> tuple[Vector, Vector]:
    """At the origin, at rest."""
    position = [torch.full_like(age, where, dtype=torch.float32) for where in origin]
    return position, [torch.zeros_like(age, dtype=torch.float32) for _ in origin]


def radians(turn: Tensor) -> Tensor:
    """Angle [rad], -pi to pi, of a fraction of a turn."""
    return turn.to(torch.float32) * (TURN / 2**32)


def from_radians(angle: Tensor) -> Tensor:
    """Fraction of a turn, int32, of an angle within +-pi; by halves and doubled, since pi itself would overflow."""
    return (angle * (2**31 / TURN)).to(torch.int32) << 1


def _within(word: Tensor, limits: tuple[float, float]) -> Tensor:
    return _between(torch_random.uniform(word), limits)


def _between(share: Tensor, limits: tuple[float, float]) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * share


def _swapped(part: Vector, swap: Tensor) -> Vector:
    """x and y change places where asked."""
    return [torch.where(swap, part[1], part[0]), torch.where(swap, part[0], part[1]), part[2]]
