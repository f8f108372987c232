"""Hover thrust balances weight, for every robot that ships and every one drawn from it; by the native kernel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fledge_sim import kernel, randomize, robot
from fledge_sim.randomize import Randomization
from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter, State, hover_state, parameter_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

N = 16
QUIET = {"disturbance_force": 0.0, "disturbance_torque": 0.0}
PUBLISHED = dataclasses.replace(randomize.any_published_crazyflie(), **QUIET)
SPREAD = dataclasses.replace(Randomization(), **QUIET)


def balancing_speed(model: Robot, parameters: NDArray[np.float32]) -> NDArray[np.float64]:
    """Speed of each rotor, (4, n), at which it carries a quarter of the weight."""
    p = parameters.astype(np.float64)
    scale = p[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4]
    thrust = p[Parameter.GRAVITY] / p[Parameter.MASS_INVERSE] / 4 / scale
    c0, c1, c2 = model.thrust_curve
    return np.asarray((np.sqrt(c1 * c1 + 4 * c2 * (thrust - c0)) - c1) / (2 * c2))


@pytest.mark.parametrize("name", robot.names())
def test_the_hover_action_keeps_every_shipped_robot_in_place(name: str) -> None:
    model = robot.load(name)
    state = hover_state(model, 1)
    setpoint = kernel.setpoint_from_action(model, np.full((4, 1), model.hover_action))
    for _ in range(100):
        state = kernel.step(state, setpoint, parameter_rows(model, 1), 0.01)
    assert np.abs(state[State.POSITION : State.POSITION + 3]).max() < 1e-3, "within a millimetre after one second"
    assert np.abs(state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3]).max() < 1e-3


@given(name=st.sampled_from(robot.names()), seed=st.integers(0, 2**32 - 1), published=st.booleans())
@settings(max_examples=60, deadline=None)
def test_hover_thrust_balances_the_weight_of_every_sampled_robot(name: str, seed: int, published: bool) -> None:
    if published and not name.startswith("crazyflie"):
        published = False
    model = robot.load(name)
    parameters = randomize.sample_parameters(model, PUBLISHED if published else SPREAD, N, seed)
    speed = balancing_speed(model, parameters)
    state = hover_state(model, N)
    state[State.ROTOR_SPEED :] = speed
    after = kernel.step(state, speed.astype(np.float32), parameters, 0.01)
    assert np.abs(after[State.VELOCITY : State.VELOCITY + 3]).max() < 1e-5 * 9.81
    assert np.abs(after[State.POSITION : State.POSITION + 3]).max() < 1e-6


@given(name=st.sampled_from(robot.names()), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_sampled_robot_can_lift_itself(name: str, seed: int) -> None:
    model = robot.load(name)
    parameters = randomize.sample_parameters(model, SPREAD, N, seed)
    strongest = kernel.setpoint_from_action(model, np.ones((4, 1)))[:, 0].max()
    assert (balancing_speed(model, parameters) < strongest).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_every_published_crazyflie_can_lift_itself(seed: int) -> None:
    model = robot.load("crazyflie")
    parameters = randomize.sample_parameters(model, PUBLISHED, N, seed)
    strongest = kernel.setpoint_from_action(model, np.ones((4, 1)))[:, 0].max()
    assert (balancing_speed(model, parameters) < strongest).all()


@given(name=st.sampled_from(robot.names()), low=st.floats(-1, 1), high=st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_thrust_is_monotone_in_command(name: str, low: float, high: float) -> None:
    model = robot.load(name)
    low, high = sorted((low, high))
    speed = kernel.setpoint_from_action(model, np.array([[low, high]] * 4)).astype(np.float64)
    c0, c1, c2 = model.thrust_curve
    thrust = c0 + speed * (c1 + speed * c2)
    assert (thrust[:, 1] >= thrust[:, 0] - 1e-6 * model.thrust_max).all()
