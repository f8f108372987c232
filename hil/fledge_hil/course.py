"""A plan as set-points over time, for modes in which the client commands every one of them: no planner flies along."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from fledge_sim.errors import FledgeError

from fledge_hil import plans
from fledge_hil.flight_log import Phase
from fledge_hil.motion import Sample, Segment
from fledge_hil.plans import Plan, Point

FLYABLE = ("hover", "figure8", "waypoints")
"""Kinds of plan that need no controller but the policy, and nothing thrown."""
LOWEST = 0.06
"""[m], where a course ends, above the floor."""


@dataclass(frozen=True)
class Target:
    """What the policy is to follow."""

    phase: str
    position_world: Point
    """[m]"""
    velocity_world: Point
    """[m/s]"""


class _Path(Protocol):
    def at(self, time: float) -> Sample:
        """At a time since the start of the course [s]."""


@dataclass(frozen=True)
class _Leg:
    name: str
    start: float
    path: _Path


class Course:
    """See the module's docstring."""

    def __init__(self, plan: Plan, home: Point) -> None:
        """From `home`, on the floor [m, world]. Raises FledgeError for a plan that cannot be flown like this."""
        if plan.kind not in FLYABLE:
            raise FledgeError(f"plan '{plan.kind}' needs a flight; in the loop choose {', '.join(FLYABLE)}")
        self._legs: list[_Leg] = []
        self.seconds = 0.0
        """Of the whole course."""
        x, y, floor = home
        centre = (x, y, floor + plan.height)
        self._here = Sample((x, y, floor, 0.0))
        self._fly("take-off", centre, plan.climb_seconds)
        self._fly("settle", centre, plan.settle_seconds)
        self._fly("hover", centre, plan.hover_seconds)
        if plan.kind == "figure8" and plan.laps > 0:
            self._add("figure-eight", FigureEight(centre, plan.period, plan.scale, self.seconds), plan.figure_seconds)
            self._fly("return", centre, plan.return_seconds)
        elif plan.kind == "waypoints":
            for (px, py, pz), seconds in plans.legs((0.0, 0.0, plan.height), plan):
                self._fly("waypoints", (x + px, y + py, floor + pz), seconds, rest=plans.REST_SECONDS)
        px, py, _, _ = self._here.position
        self._fly("land", (px, py, floor + LOWEST), plan.climb_seconds, rest=0.5)

    def _fly(self, name: str, goal: Point, seconds: float, rest: float = 0.0) -> None:
        if seconds + rest > 0:
            segment = Segment(self._here, Sample((*goal, 0.0)), self.seconds, max(seconds, 1e-3))
            self._add(name, segment, seconds + rest)

    def _add(self, name: str, path: _Path, seconds: float) -> None:
        self._legs.append(_Leg(name, self.seconds, path))
        self.seconds += seconds
        self._here = path.at(self.seconds)

    def at(self, time: float) -> Target:
        """At a time since the start [s]."""
        leg = next(leg for leg in reversed(self._legs) if leg.start <= time + 1e-9)
        sample = leg.path.at(time)
        return Target(leg.name, sample.position[:3], sample.velocity[:3])

    def phases(self, until: float) -> tuple[Phase, ...]:
        """Parts that had begun before a time [s]; neighbours of one name are one."""
        starts = [leg for leg in self._legs if leg.start < until]
        merged = [leg for index, leg in enumerate(starts) if not index or leg.name != starts[index - 1].name]
        ends = [leg.start for leg in merged[1:]] + [until]
        return tuple(Phase(leg.name, leg.start, end) for leg, end in zip(merged, ends, strict=True))


class FigureEight:
    """As the firmware's: x = a sin p, y = a/2 sin 2p, at full speed after two seconds (firmware/flight/figure.c)."""

    def __init__(self, centre: Point, period: float, scale: float, start: float) -> None:
        """`centre` [m, world], `period` [s], half width `scale` [m], `start` [s]."""
        self._centre, self._scale, self._start = centre, scale, start
        self._rate = 2 * math.pi / period

    def at(self, time: float) -> Sample:
        """Position, velocity and acceleration."""
        past, ramp = time - self._start, plans.RAMP_SECONDS
        if past < ramp:
            distance, speed, gain = past * past / (2 * ramp), past / ramp, 1 / ramp
        else:
            distance, speed, gain = past - ramp / 2, 1.0, 0.0
        phase, rate, growth = self._rate * distance, self._rate * speed, self._rate * gain
        x0, y0, z0 = self._centre
        sine, cosine, sine_2, cosine_2 = math.sin(phase), math.cos(phase), math.sin(2 * phase), math.cos(2 * phase)
        a = self._scale
        return Sample(
            (x0 + a * sine, y0 + a / 2 * sine_2, z0, 0.0),
            (a * rate * cosine, a * rate * cosine_2, 0.0, 0.0),
            (
                a * (growth * cosine - rate * rate * sine),
                a * (growth * cosine_2 - 2 * rate * rate * sine_2),
                0.0,
                0.0,
            ),
        )
