"""Uploaded trajectories: pieces of polynomials in x, y, z [m, world] and yaw [rad], as clients store them.

Plain: per piece eight float32 coefficients of t^0..t^7 for each of x, y, z, yaw, then its duration [s]. Compressed:
first x, y, z [mm] and yaw [0.1 deg] of the start as int16, then per piece a byte with two bits per axis, its duration
[ms] as uint16 and the axes' further control points of a Bezier curve of degree 0, 1, 3 or 7; duration 0 ends it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from fledge_hil.motion import Axes, Sample, derivatives

_PLAIN = struct.Struct("<33f")
_START = struct.Struct("<4h")
_HEAD = struct.Struct("<BH")
_POINTS = (0, 1, 3, 7)
"""Control points that are stored by the two bits; the first one is the end of the piece before."""
_UNITS = (1e-3, 1e-3, 1e-3, math.radians(0.1))


@dataclass(frozen=True)
class Piece:
    """One polynomial per axis over `duration` seconds."""

    duration: float
    coefficients: tuple[tuple[float, ...], ...]
    """Of t^0, t^1, ... for x, y, z, yaw."""

    def at(self, t: float) -> list[tuple[float, float, float]]:
        """Value, first and second derivative of each axis."""
        return [derivatives(axis, t) for axis in self.coefficients]


def parse_plain(memory: bytes, offset: int, count: int) -> list[Piece] | None:
    """None when the memory ends too early or holds what is no trajectory."""
    if count < 1 or offset + count * _PLAIN.size > len(memory):
        return None
    pieces = []
    for number in range(count):
        fields = _PLAIN.unpack_from(memory, offset + number * _PLAIN.size)
        if not all(map(math.isfinite, fields)) or fields[32] <= 0:
            return None
        pieces.append(Piece(fields[32], tuple(fields[8 * axis : 8 * axis + 8] for axis in range(4))))
    return pieces


def parse_compressed(memory: bytes, offset: int) -> list[Piece] | None:
    """None when the memory ends before the trajectory does, or it is empty."""
    try:
        ends = [unit * value for unit, value in zip(_UNITS, _START.unpack_from(memory, offset), strict=True)]
        place = offset + _START.size
        pieces: list[Piece] = []
        while True:
            kinds, milliseconds = _HEAD.unpack_from(memory, place)
            place += _HEAD.size
            if milliseconds == 0:
                return pieces or None
            axes = []
            for axis in range(4):
                count = _POINTS[kinds >> (2 * axis) & 3]
                stored = struct.unpack_from(f"<{count}h", memory, place)
                place += 2 * count
                points = [ends[axis], *(_UNITS[axis] * value for value in stored)]
                axes.append(_from_bezier(points, milliseconds / 1000))
                ends[axis] = points[-1]
            pieces.append(Piece(milliseconds / 1000, tuple(axes)))
    except struct.error:
        return None


def _from_bezier(points: Sequence[float], duration: float) -> tuple[float, ...]:
    """c_j = C(n, j) / T^j sum_{i <= j} (-1)^(i + j) C(j, i) P_i."""
    degree = len(points) - 1
    return tuple(
        math.comb(degree, j) / duration**j * sum((-1) ** (i + j) * math.comb(j, i) * points[i] for i in range(j + 1))
        for j in range(degree + 1)
    )


class Track:
    """A trajectory under way; holds its end. Shifted, turned about its start, slower or backwards, as commanded."""

    def __init__(self, pieces: Sequence[Piece], start_time: float, scale: float, backwards: bool = False) -> None:
        self._pieces, self._scale, self._backwards = pieces, scale, backwards
        self.start_time = start_time
        self.duration = scale * sum(piece.duration for piece in pieces)
        self._shift: Axes = (0.0, 0.0, 0.0, 0.0)
        self._turn = 0.0
        self._start = self.at(start_time).position

    def begin_at(self, place: Axes, turn: bool) -> None:
        """Shift it to begin at x, y, z of `place`; with `turn` also at its yaw."""
        self._turn = math.remainder(place[3] - self._start[3], 2 * math.pi) if turn else 0.0
        x, y, z, _ = (place[axis] - self._start[axis] for axis in range(4))
        self._shift = (x, y, z, self._turn)

    def ended(self, time: float) -> bool:
        """Whether its end has been reached on schedule."""
        return time >= self.start_time + self.duration

    def at(self, time: float) -> Sample:
        """Where the plan is at `time` [s]."""
        passed = min(max(time - self.start_time, 0.0), self.duration) / self._scale
        rows = self._rows(sum(piece.duration for piece in self._pieces) - passed if self._backwards else passed)
        rate = 0.0 if self.ended(time) else (-1.0 if self._backwards else 1.0) / self._scale
        position, velocity, acceleration = ([row[k] * rate**k for row in rows] for k in range(3))
        return self._placed(position, velocity, acceleration)

    def _rows(self, t: float) -> list[tuple[float, float, float]]:
        for piece in self._pieces[:-1]:
            if t <= piece.duration:
                return piece.at(t)
            t -= piece.duration
        last = self._pieces[-1]
        return last.at(min(t, last.duration))

    def _placed(self, position: list[float], velocity: list[float], acceleration: list[float]) -> Sample:
        cosine, sine = math.cos(self._turn), math.sin(self._turn)
        if self._turn:
            x0, y0, _, _ = self._start
            x, y = position[0] - x0, position[1] - y0
            position[:2] = x0 + cosine * x - sine * y, y0 + sine * x + cosine * y
            for vector in (velocity, acceleration):
                vector[:2] = cosine * vector[0] - sine * vector[1], sine * vector[0] + cosine * vector[1]
        x, y, z, yaw = (position[axis] + self._shift[axis] for axis in range(4))
        vx, vy, vz, turning = velocity
        ax, ay, az, _ = acceleration
        return Sample((x, y, z, yaw), (vx, vy, vz, turning), (ax, ay, az, 0.0))
