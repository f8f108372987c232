"""The estimator's errors: what each deck leaves unknown, and what measurements of a client repair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fledge_hil.estimate import SensorNoise
from fledge_hil.estimator import PERFECT, PERIOD, QUEUE, EstimateErrors, Estimator
from fledge_hil.plant import DECKS

REST = [0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0, *([0.0] * 10)]
FLOW, NOTHING = ("bcFlow2",), ()


def moving(vx: float, vy: float, yaw: float = 0.0) -> list[float]:
    """Truth: rows of State."""
    return [0.0, 0.0, 0.5, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2), vx, vy, 0.0, *([0.0] * 7)]


def make(errors: EstimateErrors = PERFECT, decks: tuple[str, ...] = DECKS, seed: int = 0) -> Estimator:
    estimator = Estimator(SensorNoise(), errors, decks, seed)
    estimator.reset(REST)
    return estimator


def wander(decks: tuple[str, ...], seconds: float) -> np.ndarray:
    """Errors of x and y of 60 drones."""
    ends = []
    for seed in range(60):
        estimator = make(EstimateErrors(), decks, seed)
        for _ in range(round(seconds / PERIOD)):
            estimator.update(REST)
        ends.append(estimator.position_error[:2])
    return np.array(ends)


def test_perfect_is_truth() -> None:
    estimator, truth = make(), moving(1.0, -2.0, 0.7)
    truth[10:13] = 1.0, 2.0, 3.0
    estimator.update(truth)
    estimator.sense(truth)
    e = estimator.estimate
    assert e.position_world == pytest.approx(truth[:3], abs=1e-6)
    assert e.velocity_world == pytest.approx(truth[7:10], abs=1e-9)
    assert e.yaw == pytest.approx(0.7, abs=1e-6)
    assert e.gyro_deg_s == pytest.approx(np.degrees([1, 2, 3]))


def test_a_flow_deck_alone_wanders_like_a_random_walk() -> None:
    # 2 mm/sqrt(s) for 10 s: 6.3 mm; 120 values have a standard error of 6.5 %
    assert wander(FLOW, 10.0).std() == pytest.approx(2e-3 * math.sqrt(10), rel=0.2)


def test_a_positioning_system_holds_the_error() -> None:
    assert wander(DECKS, 10.0).std() == pytest.approx(EstimateErrors().position_bias, rel=0.25)
    estimator = make(EstimateErrors())
    for _ in range(1000):
        estimator.update(REST)
    assert max(estimator.estimate.variance) < 1e-5


def test_without_any_deck_the_position_is_lost_in_seconds_and_the_variance_says_so() -> None:
    # velocity walks 0.1 m/s/sqrt(s); its integral has deviation 0.1 sqrt(t^3 / 3) = 0.58 m after 10 s
    assert wander(NOTHING, 10.0).std() == pytest.approx(0.1 * math.sqrt(1000 / 3), rel=0.2)
    estimator = make(EstimateErrors(), NOTHING)
    estimator.update(REST)
    before = estimator.estimate.variance[2]
    for _ in range(1000):
        estimator.update(REST)
    assert estimator.estimate.variance[2] > before + 0.3


def test_after_a_reset_a_flow_deck_knows_height_but_not_place() -> None:
    estimator = make(EstimateErrors(), FLOW)
    assert estimator.estimate.variance[0] == pytest.approx(100.0)
    assert estimator.estimate.variance[2] < 1e-4


def test_a_sent_position_corrects_by_the_kalman_gain() -> None:
    estimator = make(PERFECT, NOTHING)
    estimator.position_error[:] = [0.0, 0.0, 0.0]
    estimator.measure((0.3, 0.0, 0.5), 10.0, None, 1.0)
    estimator.update(REST)
    # P = 100, R = 100: half way; P becomes 50
    assert estimator.position_error[0] == pytest.approx(0.15, rel=1e-6)
    assert estimator.estimate.variance[0] == pytest.approx(50.0, rel=1e-6)


def test_a_sent_pose_turns_the_heading() -> None:
    estimator = make(PERFECT, NOTHING)
    estimator.measure((0.0, 0.0, 0.5), 0.01, 0.2, 1e-6)
    estimator.update(REST)
    estimator.sense(REST)
    assert estimator.estimate.yaw == pytest.approx(0.2, abs=1e-3)


def test_the_initial_pose_is_where_a_drone_without_positioning_believes_to_be() -> None:
    estimator = make(PERFECT, FLOW)
    estimator.initial_pose = (1.0, 2.0, 0.0, math.pi / 2)
    estimator.reset(REST)
    estimator.sense(moving(1.0, 0.0))
    e = estimator.estimate
    assert e.position_world[:2] == pytest.approx([1.0, 2.0])
    # it flies along its own x, which it takes for the world's y
    assert e.velocity_world[:2] == pytest.approx([0.0, 1.0], abs=1e-9)
    assert e.yaw == pytest.approx(math.pi / 2)


def test_a_wrong_heading_turns_the_way_that_a_flow_deck_integrates() -> None:
    estimator = make(PERFECT, FLOW)
    estimator.yaw_error = math.pi / 2
    estimator.position_error[:] = [0.0, 0.0, 0.0]
    for _ in range(100):
        estimator.update(moving(1.0, 0.0))
    # after 1 s at 1 m/s along x it believes to be at (0, 1) instead of (1, 0)
    assert estimator.position_error[:2] == pytest.approx([-1.0, 1.0], abs=1e-6)


def test_too_many_measurements_at_once_are_dropped_and_counted() -> None:
    estimator = make()
    for _ in range(QUEUE + 3):
        estimator.measure((0.0, 0.0, 0.0), 0.01, None, 1.0)
    assert estimator.rejected == 3
    estimator.update(REST)
    estimator.measure((0.0, 0.0, 0.0), 0.01, None, 1.0)
    assert estimator.rejected == 3


def test_position_comes_late_and_the_gyro_through_its_filter() -> None:
    errors = EstimateErrors(0, 0, 0, 0, 0, 10.0, 0, 0, delay_ms=2, gyro_cutoff=80.0)
    estimator = make(errors)
    for k in range(5):
        truth = [float(k), *REST[1:]]
        truth[10] = 1.0
        estimator.sense(truth)
    assert estimator.estimate.position_world[0] == pytest.approx(2.0, abs=1e-6)
    # five steps of a first-order filter: 1 - exp(-2 pi 80 * 5 ms)
    assert estimator.estimate.gyro_deg_s[0] == pytest.approx(math.degrees(1 - math.exp(-2 * math.pi * 0.4)), rel=1e-6)
