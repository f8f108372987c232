"""A plan as set-points over time: no jump anywhere, and the firmware's own figure-eight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fledge_hil.course import LOWEST, Course, FigureEight
from fledge_hil.plans import Plan

HOME = (0.3, -0.2, 0.02)


@pytest.mark.parametrize("kind", ["hover", "figure8", "waypoints"])
def test_positions_do_not_jump_and_velocities_are_their_slope(kind: str) -> None:
    course = Course(Plan(kind=kind, laps=1.0), HOME)  # type: ignore[arg-type]
    step = 1e-3
    times = np.arange(0.0, course.seconds, step)
    targets = [course.at(float(time)) for time in times]
    position = np.array([target.position_world for target in targets])
    velocity = np.array([target.velocity_world for target in targets])
    assert np.abs(np.diff(position, axis=0)).max() < 2.5 * step  # no faster than 2.5 m/s
    slope = (position[2:] - position[:-2]) / (2 * step)
    assert np.abs(slope - velocity[1:-1]).max() < 0.01
    assert position[0] == pytest.approx(HOME, abs=1e-6)
    assert position[-1] == pytest.approx((*position[-1][:2], HOME[2] + LOWEST), abs=1e-3)


def test_the_figure_eight_is_the_firmwares() -> None:
    """After the ramp of 2 s, d = 1 s + (t - 2 s): a quarter of the period later it is at the far right."""
    eight = FigureEight((0.0, 0.0, 1.0), period=4.0, scale=0.8, start=10.0)
    assert eight.at(10.0).position[:3] == (0.0, 0.0, 1.0)
    assert eight.at(12.0).position[:2] == pytest.approx((0.8, 0.0))  # d = 1 s, a quarter turn
    assert eight.at(12.5).position[:2] == pytest.approx((0.8 * math.sin(0.75 * math.pi), -0.4))
    assert eight.at(16.0).position[:2] == pytest.approx((0.8 * math.sin(2.5 * math.pi), 0.4 * math.sin(5 * math.pi)))
    assert eight.at(14.0).velocity[0] == pytest.approx(0.8 * 2 * math.pi / 4 * math.cos(1.5 * math.pi))


def test_phases_are_those_of_a_flight_and_end_where_the_run_ended() -> None:
    course = Course(Plan(laps=1.0), HOME)
    names = [phase.name for phase in course.phases(course.seconds)]
    assert names == ["take-off", "settle", "hover", "figure-eight", "return", "land"]
    cut = course.phases(5.0)
    assert [phase.name for phase in cut] == ["take-off", "settle", "hover"]
    assert (cut[-1].start, cut[-1].end) == (3.5, 5.0)
    walk = Course(Plan(kind="waypoints"), HOME).phases(1e9)
    assert [phase.name for phase in walk].count("waypoints") == 1  # legs of one name are one part
