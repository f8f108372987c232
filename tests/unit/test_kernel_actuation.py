"""The firmware's actuation path in the native kernel, by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fledge_sim import actuation, robot
from fledge_sim.errors import FledgeError
from fledge_sim.rows import setpoint_from_action
from numpy.typing import NDArray

CRAZYFLIE = robot.load("crazyflie")
NOMINAL = CRAZYFLIE.voltage_nominal
# one motor at full duty and nominal voltage turns at exactly 1000 rad/s, and thrust is speed squared
EASY = replace(
    CRAZYFLIE,
    thrust_curve=(0.0, 0.0, 1e-6),
    thrust_max=1.0,
    speed_per_volt=1000 / NOMINAL,
    fraction_low=0.0,
    fraction_high=1.0,
    thrust_min_fraction=0.1,
    pwm_levels=11.0,
)
OFF = {"dead_zone": False, "quantisation": False, "compensation": False}


def column(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None]


def volts(share: float = 1.0, n: int = 1) -> NDArray[np.float32]:
    """A share of the nominal voltage."""
    return np.full((1, n), share * NOMINAL, np.float32)


def of_fraction(*fraction: float) -> NDArray[np.float32]:
    return column(*(2 * f - 1 for f in fraction))


def test_thrust_is_inverted_on_the_curve() -> None:
    # n = sqrt(f T_max / 1e-6) = 1000 sqrt(f): 0.25 -> 500, 0.64 -> 800
    found = actuation.actuate(EASY, of_fraction(0.25, 0.64, 1, 0), volts(), **OFF)
    assert found[:, 0] == pytest.approx([500, 800, 1000, 0], abs=1e-3)


def test_below_the_dead_zone_a_motor_is_off() -> None:
    found = actuation.actuate(EASY, of_fraction(0.09, 0.11, 0.09, 0.25), volts(), quantisation=False)
    assert found[:, 0] == pytest.approx([0, 1000 * np.sqrt(0.11), 0, 500], rel=1e-5)


def test_duty_is_rounded_down_to_a_level() -> None:
    # 11 levels are 0, 0.1, ..., 1: duty 0.5 -> floor(5.5) / 10 = 0.5, 0.8 -> floor(8.8) / 10 = 0.8,
    # sqrt(0.2) = 0.447 -> floor(4.92) / 10 = 0.4, 1 -> min(11, 10) / 10 = 1
    found = actuation.actuate(EASY, of_fraction(0.25, 0.64, 0.2, 1), volts())
    assert found[:, 0] == pytest.approx([500, 800, 400, 1000], rel=1e-6)


def test_without_compensation_speed_follows_the_voltage() -> None:
    found = actuation.actuate(EASY, of_fraction(0.25, 0.64, 1, 0), volts(0.8), **OFF)
    assert found[:, 0] == pytest.approx([400, 640, 800, 0], rel=1e-6)


def test_saturation_takes_the_excess_from_all_four() -> None:
    # at 0.8 of the voltage the duties for 500, 800, 1000 and 200 rad/s are 0.625, 1, 1.25 and 0.25; all lose 0.25
    found = actuation.actuate(EASY, of_fraction(0.25, 0.64, 1, 0.04), volts(0.8), dead_zone=False, quantisation=False)
    assert found[:, 0] == pytest.approx([0.375 * 800, 0.75 * 800, 800, 0], abs=1e-3)


def test_adjoint_of_the_reduction() -> None:
    # as above: n_i = (d_i - (d_3 - 1)) 800 with d_i = 1000 sqrt(f_i) / 800 and f = (a + 1) / 2, so that motor 1 has
    # slope 1000 / (4 sqrt(f_1)) = 500 and takes 1000 / (4 sqrt(1)) = 250 from motors 1 and 2 through motor 3;
    # an action on its bound passes nothing, hence 0.98 in place of 1
    action = of_fraction(0.25, 0.64, 0.9604, 0.04)  # duties 0.625, 1, 1.225, 0.25 - 0.225
    adjoint = actuation.actuate_adjoint(EASY, action, volts(0.8), column(1, 0, 0, 0), dead_zone=False)
    assert adjoint[:, 0] == pytest.approx([500, 0, -1000 / (4 * 0.98), 0], rel=1e-4)
    largest = actuation.actuate_adjoint(EASY, action, volts(0.8), column(0, 0, 1, 0), dead_zone=False)
    assert abs(largest).max() < 1e-3  # it stays at full duty


def test_duty_is_the_fraction() -> None:
    found = actuation.actuate(replace(EASY, actuation="duty"), of_fraction(0.25, 0.5, 1, 0), volts(0.5))
    # floor(2.75) / 10 = 0.2, floor(5.5) / 10 = 0.5; half of 1000 rad/s at full duty
    assert found[:, 0] == pytest.approx([100, 250, 500, 0], rel=1e-6)


@pytest.mark.parametrize("name", robot.names())
def test_with_every_stage_off_it_is_the_mapping_alone(name: str) -> None:
    model = robot.load(name)
    action = np.random.default_rng(0).uniform(-1, 1, (4, 37)).astype(np.float32)
    found = actuation.actuate(model, action, np.full((1, 37), model.voltage_nominal, np.float32), **OFF)
    asked = setpoint_from_action(model, action)
    reached = asked.max(axis=0) <= model.duty_speed  # no duty above 1
    assert reached.any()
    assert found[:, reached] == pytest.approx(asked[:, reached], rel=1e-5)


def test_an_environment_does_not_depend_on_its_neighbours() -> None:
    action = np.random.default_rng(1).uniform(-1, 1, (4, 70)).astype(np.float32)
    voltage = np.random.default_rng(2).uniform(3, 4.2, (1, 70)).astype(np.float32)
    together = actuation.actuate(CRAZYFLIE, action, voltage)
    for i in (0, 15, 16, 69):
        alone = actuation.actuate(CRAZYFLIE, np.ascontiguousarray(action[:, i : i + 1]), voltage[:, i : i + 1].copy())
        assert alone.tobytes() == together[:, i].tobytes()


WRONG: list[tuple[str, Any, str]] = [
    ("action", np.zeros((3, 1), np.float32), r"action has shape \(3, 1\)"),
    ("action", np.zeros((4, 0), np.float32), "action has no environment"),
    ("action", column(0, 0, np.nan, 0), "action has elements that are not finite"),
    ("action", np.zeros((4, 1)), "action has dtype float64"),
    ("voltage", np.zeros((1, 2), np.float32), r"voltage has shape \(1, 2\)"),
    ("voltage", np.zeros((1, 1), np.float32), "voltage must be positive"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_wrong_arguments_are_named(name: str, value: Any, sentence: str) -> None:
    arguments = {"action": column(0, 0, 0, 0), "voltage": volts()}
    with pytest.raises(FledgeError, match=sentence):
        actuation.actuate(CRAZYFLIE, **{**arguments, name: value})
