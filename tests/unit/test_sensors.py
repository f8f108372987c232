"""Each sensor effect by itself, by hand, and their order."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim import frames, robot, sensors
from fledge_sim.environment import Sensors
from fledge_sim.rows import State, hover_state
from fledge_sim.sensors import SENSED, Episode, Sensed, Senses
from numpy.typing import NDArray

N = 2
STEP = 0.01
ZERO = np.zeros((SENSED, N))
LUCKY = np.ones(N)
Array = NDArray[np.float64]


def constant(value: float) -> Array:
    return np.full((SENSED, N), value)


def series(senses: Senses, values: list[float]) -> Array:
    """What each of a series of constant truths is sensed as, (steps, 18, n)."""
    return np.stack([senses.look(constant(value), ZERO, LUCKY) for value in values])


def test_nothing_switched_on_is_the_truth() -> None:
    senses = Senses(Sensors(), Episode(), ZERO, STEP)
    assert np.array_equal(series(senses, [1.0, 2.0])[:, 7, 1], [1.0, 2.0])


def test_truth_of_a_turned_state() -> None:
    state = hover_state(robot.load("crazyflie"), 1)
    state[State.POSITION : State.POSITION + 3, 0] = 1, 2, 3
    state[State.VELOCITY : State.VELOCITY + 3, 0] = 4, 5, 6
    state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3, 0] = 7, 8, 9
    state[State.QUATERNION : State.QUATERNION + 4] = frames.from_yaw(np.array([np.pi / 2])).T
    # a quarter turn to the left: body x is world y
    expected = [1, 2, 3, 0, -1, 0, 1, 0, 0, 0, 0, 1, 4, 5, 6, 7, 8, 9]
    np.testing.assert_allclose(sensors.truth(state)[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("delay", "sensed"),
    [
        (0.0, [0, 1, 2, 4]),
        (1.0, [0, 0, 1, 2]),
        (2.0, [0, 0, 0, 1]),
        (0.25, [0, 0.75, 1.75, 3.5]),
        (1.5, [0, 0, 0.5, 1.5]),
    ],
)
def test_delay_interpolates_between_steps(delay: float, sensed: list[float]) -> None:
    senses = Senses(Sensors(), Episode(delay=np.array([0.0, delay])), ZERO, STEP)
    seen = series(senses, [0, 1, 2, 4])
    np.testing.assert_allclose(seen[:, :, 1], np.repeat(np.array(sensed, float)[:, None], SENSED, axis=1))
    np.testing.assert_array_equal(seen[:, 0, 0], [0, 1, 2, 4], err_msg="the other world has no delay")


def test_bias_is_constant_and_spares_the_attitude() -> None:
    bias = np.repeat(np.arange(1.0, 10.0)[:, None], N, axis=1)
    seen = Senses(Sensors(), Episode(bias=bias), ZERO, STEP).look(ZERO, ZERO, LUCKY)[:, 0]
    np.testing.assert_array_equal(seen, [1, 2, 3, *[0] * 9, 4, 5, 6, 7, 8, 9])


def test_low_pass_follows_a_step_by_one_minus_exp() -> None:
    cutoff = 1 / (2 * np.pi * STEP)  # so that one step is one time constant
    senses = Senses(Sensors(), Episode(gyro_cutoff=np.full(N, cutoff)), ZERO, STEP)
    seen = series(senses, [0.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(seen[:, Sensed.ANGULAR_VELOCITY, 0], 1 - np.exp(-np.arange(4.0)))
    np.testing.assert_array_equal(seen[:, Sensed.VELOCITY, 0], [0, 1, 1, 1], err_msg="only the gyro is filtered")


def test_the_low_pass_begins_settled() -> None:
    senses = Senses(Sensors(), Episode(gyro_cutoff=np.full(N, 1.0)), constant(5.0), STEP)
    assert series(senses, [5.0])[0, Sensed.ANGULAR_VELOCITY, 0] == 5.0


def test_quantisation_rounds_to_multiples() -> None:
    grid = Sensors(quantisation_position=0.1, quantisation_velocity=0.25, quantisation_angular_velocity=1.0)
    seen = Senses(grid, Episode(), ZERO, STEP).look(constant(0.64), ZERO, LUCKY)
    # 6.4 -> 6, 2.56 -> 3, 0.64 -> 1; the attitude stays
    np.testing.assert_allclose(seen[[0, 3, 12, 15], 0], [0.6, 0.64, 0.75, 1.0])


def test_a_lost_position_holds_the_last_that_arrived() -> None:
    senses = Senses(Sensors(), Episode(dropout=np.array([0.5, 0.0])), ZERO, STEP)
    seen = []
    for value, luck in ((1.0, 0.1), (2.0, 0.7), (3.0, 0.4), (4.0, 0.49), (5.0, 0.5)):
        seen.append(senses.look(constant(value), ZERO, np.full(N, luck)))
    # the first always arrives; 0.4 and 0.49 are below the probability
    np.testing.assert_array_equal(np.stack(seen)[:, Sensed.POSITION, 0], [1, 2, 2, 2, 5])
    np.testing.assert_array_equal(np.stack(seen)[:, Sensed.VELOCITY, 0], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(np.stack(seen)[:, Sensed.POSITION, 1], [1, 2, 3, 4, 5])


def test_noise_comes_before_quantisation_and_is_lost_with_the_position() -> None:
    grid = Sensors(quantisation_position=1.0)
    senses = Senses(grid, Episode(dropout=np.full(N, 0.5)), ZERO, STEP)
    first = senses.look(constant(0.4), constant(0.2), LUCKY)
    second = senses.look(constant(0.4), constant(5.0), np.zeros(N))
    assert (first[0, 0], second[0, 0]) == (1.0, 1.0)
    assert second[Sensed.VELOCITY, 0] == pytest.approx(5.4)


def test_bias_and_delay_pass_the_low_pass() -> None:
    cutoff = 1 / (2 * np.pi * STEP)
    bias = np.zeros((9, N))
    bias[6:] = 1.0
    senses = Senses(Sensors(), Episode(np.ones(N), bias, np.full(N, cutoff)), ZERO, STEP)
    seen = series(senses, [0.0, 1.0, 1.0])[:, Sensed.ANGULAR_VELOCITY, 0]
    # delayed by one: 0 0 1; biased: 1 1 2; settled at 1, then 1 + (1 - 1/e)
    np.testing.assert_allclose(seen, [1, 1, 2 - np.exp(-1)])
