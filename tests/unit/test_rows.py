"""The rows of the kernel's arrays, against the C header and against hand-computed robots."""

import re
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
from fledge_sim import robot, rows
from fledge_sim.errors import FledgeError
from fledge_sim.physics import SUBSTEPS_MAX, Effect
from fledge_sim.rows import Parameter, State

HEADER = Path(__file__).parents[2] / "sim/native/quadrotor_rows.h"
CRAZYFLIE = robot.load("crazyflie")
PAPER = robot.load("crazyflie_paper")


@pytest.mark.parametrize("enum", [State, Parameter])
def test_rows_are_numbered_as_in_c(enum: type[IntEnum]) -> None:
    numbers = dict(re.findall(r"QUADROTOR_(\w+) = (\d+)", HEADER.read_text()))
    assert {row.name: int(numbers[row.name]) for row in enum} == {row.name: int(row) for row in enum}
    assert tuple(int(numbers[name]) for name in ("STATES", "ROTORS", "PARAMETERS")) == (
        rows.STATES,
        rows.ROTORS,
        rows.PARAMETERS,
    )
    bits = {name.removeprefix("EFFECT_"): int(value) for name, value in numbers.items() if name.startswith("EFFECT_")}
    assert bits == {effect.name: effect.value for effect in Effect}
    assert int(numbers["SUBSTEPS_MAX"]) == SUBSTEPS_MAX


def test_parameters_of_the_crazyflie() -> None:
    parameters = rows.parameter_rows(CRAZYFLIE, 3)
    assert parameters.shape == (51, 3)
    assert parameters.dtype == np.float32
    first = parameters[:, 0]
    assert np.array_equal(parameters, np.repeat(first[:, None], 3, axis=1))
    assert first[Parameter.MASS_INVERSE] == pytest.approx(31.34796)  # 1 / 0.0319
    assert first[Parameter.INERTIA_INVERSE + 2] == pytest.approx(33557.05, rel=1e-5)  # 1 / 29.8e-6
    # M1 is front right: x = +0.0325, y = -0.0325
    assert first[Parameter.ROTOR_X] == pytest.approx(0.0325)
    assert first[Parameter.ROTOR_Y] == pytest.approx(-0.0325)
    # reaction torques: M1 -, M2 +, M3 -, M4 +
    assert first[Parameter.TORQUE_PER_THRUST : Parameter.LAG_RISE_INVERSE] == pytest.approx(
        [-0.00699, 0.00699, -0.00699, 0.00699]
    )
    assert first[Parameter.LAG_RISE_INVERSE] == pytest.approx(8.928571)  # 1 / 0.112
    assert first[Parameter.LAG_FALL_INVERSE] == pytest.approx(9.708738)  # 1 / 0.103


def test_default_floor_carries_the_weight_on_a_millimetre() -> None:
    stiffness, damping = rows.floor_defaults(CRAZYFLIE)
    assert 4 * stiffness * 1e-3 == pytest.approx(0.0319 * 9.81)
    # roll: J / y^2 = 16.8e-6 / 0.0325^2 = 0.015905 kg, less than the mass, so 4 b = 2 sqrt(4 k 0.015905)
    # with 4 k = 312.94 N/m: sqrt(4.9774) = 2.2310, b = 1.1155
    assert damping == pytest.approx(1.1155, abs=1e-4)


def test_hover_state_is_level_and_still() -> None:
    state = rows.hover_state(PAPER, 2)
    # n = sqrt(0.027 * 9.81 / 4 / 2.8815817e-8) = sqrt(0.0662175 / 2.8815817e-8) = sqrt(2297957.9) = 1515.90
    expected = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, *[1515.90] * 4]
    assert np.allclose(state, np.array(expected)[:, None], rtol=1e-5)


def test_speed_fraction_is_linear_in_the_action() -> None:
    action = np.repeat([[-1.0, 0.0, 1.0]], 4, axis=0)
    # 0, half and all of 2272.64 rad/s
    assert np.allclose(rows.setpoint_from_action(PAPER, action), [[0, 1136.32, 2272.64]] * 4)


def test_thrust_fraction_inverts_the_thrust_curve() -> None:
    setpoint = rows.setpoint_from_action(CRAZYFLIE, np.full((4, 1), 1.0))
    # T = 0.12: c1^2 + 4 c2 T = 1.1951e-11 + 7.0296e-9 = 7.04155e-9, root 8.39139e-5,
    # n = (8.39139e-5 + 3.457e-6) / 2.929e-8 = 2982.96
    assert setpoint == pytest.approx(np.full((4, 1), 2982.96), rel=1e-5)


@pytest.mark.parametrize("model", [CRAZYFLIE, PAPER])
def test_hover_action_asks_for_hover_speed(model: robot.Robot) -> None:
    setpoint = rows.setpoint_from_action(model, np.full((4, 1), model.hover_action))
    assert setpoint == pytest.approx(np.full((4, 1), model.hover_rotor_speed), rel=1e-6)


def test_action_outside_its_range_is_clipped_as_the_firmware_does() -> None:
    outside = rows.setpoint_from_action(CRAZYFLIE, np.array([[-7.0], [7.0], [1.0], [-1.0]]))
    assert outside[0] == outside[3]
    assert outside[1] == outside[2]


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(FledgeError, match="at least one environment"):
        rows.parameter_rows(CRAZYFLIE, 0)
    with pytest.raises(FledgeError, match=r"action has shape \(3, 2\)"):
        rows.setpoint_from_action(CRAZYFLIE, np.zeros((3, 2)))
