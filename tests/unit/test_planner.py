"""The high-level commander's planner: boundary conditions, continuity, refusals."""

from __future__ import annotations

import math

import pytest
from fledge_hil.planner import Phase, Planner, Sample, Segment
from hypothesis import given
from hypothesis import strategies as st

number = st.floats(-5, 5, allow_nan=False)
axes = st.tuples(number, number, number, number)


def test_halfway_between_two_rests_is_the_middle_at_35_sixteenths_of_the_mean_speed() -> None:
    # degree 7 from rest to rest: p(s) = 35 s^4 - 84 s^5 + 70 s^6 - 20 s^7, p(1/2) = 1/2, p'(1/2) = 35/16
    segment = Segment(Sample((0, 0, 0, 0)), Sample((0, 0, 2, 0)), start_time=1.0, duration=4.0)
    middle = segment.at(3.0)
    assert middle.position[2] == pytest.approx(1.0, abs=1e-12)
    assert middle.velocity[2] == pytest.approx(35 / 16 * 2 / 4, abs=1e-12)
    assert middle.acceleration[2] == pytest.approx(0.0, abs=1e-12)


@given(axes, axes, axes, axes, st.floats(0.5, 10))
def test_segment_starts_as_given_and_ends_at_rest(
    position: tuple[float, ...],
    velocity: tuple[float, ...],
    acceleration: tuple[float, ...],
    goal: tuple[float, ...],
    t: float,
) -> None:
    start = Sample(position, velocity, acceleration)  # type: ignore[arg-type]
    segment = Segment(start, Sample(goal), 0.0, t)  # type: ignore[arg-type]
    first, last = segment.at(0.0), segment.at(t * (1 - 1e-12))
    for axis in range(4):
        assert first.position[axis] == pytest.approx(position[axis], abs=1e-9)
        assert first.velocity[axis] == pytest.approx(velocity[axis], abs=1e-9)
        assert first.acceleration[axis] == pytest.approx(acceleration[axis], abs=1e-9)
        assert last.position[axis] == pytest.approx(goal[axis], abs=1e-6)
        assert last.velocity[axis] == pytest.approx(0.0, abs=1e-6)
    assert segment.at(t + 1).position == goal


@given(st.floats(0.01, 0.99))
def test_velocity_is_the_derivative_of_position(share: float) -> None:
    segment = Segment(Sample((0, 1, 0, 0), (1, 0, 0, 0)), Sample((3, -1, 2, 1)), 0.0, 2.0)
    h = 1e-5
    for axis in range(4):
        slope = (segment.at(2 * share + h).position[axis] - segment.at(2 * share - h).position[axis]) / (2 * h)
        assert segment.at(2 * share).velocity[axis] == pytest.approx(slope, abs=1e-4)


def test_take_off_go_to_and_land_join_without_a_jump() -> None:
    planner, here = Planner(), Sample((0.3, -0.2, 0.0, 0.5))
    assert planner.vertical(0.0, here, 1.0, None, 2.0, land=False)
    before = planner.at(1.0)
    assert before is not None
    assert planner.go_to(1.0, here, (1.0, 0.0, 0.0, 0.0), 2.0, relative=True, linear=False)
    after = planner.at(1.0)
    assert after is not None
    assert after.position == pytest.approx(before.position)
    assert after.velocity == pytest.approx(before.velocity)
    end = planner.at(3.0)
    assert end is not None
    assert end.position == pytest.approx((1.3, -0.2, before.position[2], 0.5))
    assert planner.vertical(3.0, here, 0.0, None, 1.0, land=True)
    assert planner.phase is Phase.LANDING
    assert planner.at(4.0) is None
    assert planner.phase is Phase.IDLE


def test_linear_goes_at_constant_speed() -> None:
    planner = Planner()
    assert planner.go_to(0.0, Sample((0, 0, 1, 0)), (2, 0, 1, 0), 4.0, relative=False, linear=True)
    sample = planner.at(1.0)
    assert sample is not None
    assert sample.position[0] == pytest.approx(0.5)
    assert sample.velocity[0] == pytest.approx(0.5)


def test_a_second_take_off_or_a_zero_duration_is_refused() -> None:
    planner, here = Planner(), Sample((0, 0, 0, 0))
    assert not planner.vertical(0.0, here, 1.0, None, 0.0, land=False)
    assert planner.vertical(0.0, here, 1.0, None, 1.0, land=False)
    assert not planner.vertical(0.5, here, 2.0, None, 1.0, land=False)
    assert not planner.go_to(0.5, here, (0, 0, 0, 0), -1.0, relative=False, linear=False)


def test_yaw_takes_the_short_way() -> None:
    planner = Planner()
    planner.go_to(0.0, Sample((0, 0, 1, math.radians(170))), (0, 0, 1, math.radians(-170)), 1.0, False, False)
    sample = planner.at(1.0)
    assert sample is not None
    assert sample.position[3] == pytest.approx(math.radians(190))
