"""The limits of the integrators are where the kernel says they are, and beyond them a configuration is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from fledge_sim import kernel, robot, stability
from fledge_sim.environment import EnvConfig
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Integrator, Physics
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.rows import Parameter, State, hover_state, parameter_rows

CRAZYFLIE = robot.load("crazyflie")
METHODS: tuple[Integrator, ...] = ("rk4", "semi_implicit_euler")


@pytest.mark.parametrize("method", METHODS)
def test_lag_decays_below_the_limit_and_grows_above(method: Integrator) -> None:
    """n is 1 rad/s off its set-point; rise and fall have one rate here."""
    parameters = parameter_rows(CRAZYFLIE, 1)
    rate = float(parameters[Parameter.LAG_RISE_INVERSE, 0])
    parameters[Parameter.LAG_FALL_INVERSE] = rate
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    setpoint = np.full((4, 1), CRAZYFLIE.hover_rotor_speed, np.float32)
    for share, grows in ((0.95, False), (1.05, True)):
        state = hover_state(CRAZYFLIE, 1)
        state[State.ROTOR_SPEED :] += 1
        for _ in range(100):
            state = kernel.step(
                state, setpoint, parameters, share * stability.LIMITS[method] / rate, physics=Physics(integrator=method)
            )
        error = abs(float(state[State.ROTOR_SPEED, 0] - setpoint[0, 0]))
        assert (error > 10) == grows


@pytest.mark.parametrize("method", METHODS)
def test_friction_at_rest_decays_below_the_limit_and_grows_above(method: Integrator) -> None:
    """Turning slowly about z on the floor, far below the speed at which friction is Coulomb's."""
    physics = Physics(floor=True, integrator=method)
    parameters = parameter_rows(CRAZYFLIE, 1)
    (rate, limit) = next((float(r[0]), x) for m, r, x in stability.modes(parameters, physics) if "friction" in m)
    setpoint = np.zeros((4, 1), np.float32)
    for share, grows in ((0.8, False), (1.2, True)):
        state = hover_state(CRAZYFLIE, 1)
        state[State.ROTOR_SPEED :] = 0
        state[State.POSITION + 2] = CRAZYFLIE.leg_height - 1e-3
        state[State.ANGULAR_VELOCITY + 2] = 0.01
        for _ in range(60):
            state = kernel.step(state, setpoint, parameters, share * limit / rate, physics=physics)
        assert (abs(state[State.ANGULAR_VELOCITY + 2, 0]) > 0.01) == grows


def test_unstable_step_is_refused_with_the_remedy() -> None:
    with pytest.raises(FledgeError, match=r"the floor's friction has a rate of .* give substeps of at least"):
        EnvConfig(CRAZYFLIE, physics=Physics(floor=True))
    EnvConfig(CRAZYFLIE, physics=Physics(floor=True, substeps=10))


@pytest.mark.parametrize(
    ("row", "value", "sentence"),
    [
        (Parameter.MASS_INVERSE, 0.0, "mass_inverse of world 1 is 0.0, it must be positive"),
        (Parameter.INERTIA + 2, -1e-6, "inertia of world 1 is -.*, it must be positive"),
        (Parameter.THRUST_SCALE + 3, -1.0, "thrust_scale of world 1 is -1.0, it must be 0 or more"),
        (Parameter.LAG_RISE_INVERSE, 1e4, "the rotors' lag has a rate of 1e"),
        (Parameter.GRAVITY, np.inf, "parameters of world 1 is not finite"),
    ],
)
def test_unphysical_parameters_are_refused(row: int, value: float, sentence: str) -> None:
    env = QuadrotorEnv(EnvConfig(CRAZYFLIE), n=3)
    env.reset()
    before = env.get_state().memory.tobytes()
    parameters = env.parameters
    parameters[row, 1] = value
    with pytest.raises(FledgeError, match=sentence):
        env.parameters = parameters
    assert env.get_state().memory.tobytes() == before


def test_quaternion_must_have_unit_length() -> None:
    env = QuadrotorEnv(EnvConfig(CRAZYFLIE), n=3)
    env.reset()
    state: Any = env.physical_state
    state[State.QUATERNION : State.VELOCITY, 2] *= 1.1
    with pytest.raises(FledgeError, match=r"world 2 has a quaternion of length 1\.1"):
        env.physical_state = state


def test_every_robot_flies_at_the_usual_step() -> None:
    for name in robot.names():
        dataclasses.replace(EnvConfig(robot.load(name)), physics=Physics(drag=True))
