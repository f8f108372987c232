"""Laws of mechanics that every step of the native kernel has to obey, for any state."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import dynamics, frames, kernel, robot
from fledge_sim.physics import Physics
from fledge_sim.rows import Parameter, State, floor_defaults
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Rows = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
ROBOTS = robot.names()
SAMPLES = settings(max_examples=40, deadline=None)
QUATERNION = slice(State.QUATERNION, State.VELOCITY)
VELOCITY = slice(State.VELOCITY, State.ANGULAR_VELOCITY)
ANGULAR_VELOCITY = slice(State.ANGULAR_VELOCITY, State.ROTOR_SPEED)
ROTOR_SPEED = slice(State.ROTOR_SPEED, None)
INERTIA = slice(Parameter.INERTIA, Parameter.INERTIA_INVERSE)


def column(sample: Any, i: int = 0) -> list[Rows]:
    """Environment i as contiguous float64 vectors (17,), (4,), (51,), its quaternion exactly of unit length."""
    state, setpoint, parameters = (np.ascontiguousarray(rows[:, i]) for rows in sample)
    state[QUATERNION] = frames.normalise(state[QUATERNION])
    return [state, setpoint, parameters]


def without_forces(parameters: Rows) -> None:
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    parameters[Parameter.DISTURBANCE_FORCE : Parameter.GRAVITY + 1] = 0


@SAMPLES
@given(seed=SEEDS)
def test_torque_free_motion_keeps_energy_and_angular_momentum(seed: int, sample_quadrotor: Callable[..., Any]) -> None:
    state, setpoint, parameters = column(sample_quadrotor(seed, 1))
    without_forces(parameters)
    inertia = parameters[INERTIA]

    def conserved(x: Rows) -> Rows:
        momentum_body = inertia * x[ANGULAR_VELOCITY]
        energy = momentum_body @ x[ANGULAR_VELOCITY] / 2
        return np.array([energy, *frames.rotate(x[QUATERNION], momentum_body), *x[VELOCITY]])

    before = conserved(state)
    for _ in range(200):
        state = kernel.step_double(state, setpoint, parameters, 1e-3)
    scale = np.array([before[0], *[np.linalg.norm(before[1:4])] * 3, 1, 1, 1])
    # truncation: (|w| dt)^5 per step, (20e-3)^5 = 3e-9 at the fastest spins drawn
    assert (abs(conserved(state) - before) / scale < 1e-8).all()


@SAMPLES
@given(seed=SEEDS)
def test_gyroscopic_torque_does_no_work(seed: int, sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(seed, 1)
    parameters = dynamics.parameters_from_rows(torch.from_numpy(sample.parameters))
    spin = torch.from_numpy(sample.state).T[:, ANGULAR_VELOCITY]
    acceleration = dynamics.angular_acceleration_body(spin, torch.zeros_like(spin), parameters)
    power = (parameters.inertia * acceleration * spin).sum()
    largest = (parameters.inertia * acceleration * spin).abs().max()
    assert abs(power) <= 1e-14 * largest


@SAMPLES
@given(seed=SEEDS, n=st.integers(1, 40), length=st.floats(0.5, 2))
def test_attitude_stays_a_unit_quaternion(
    seed: int, n: int, length: float, sample_quadrotor: Callable[..., Any]
) -> None:
    state, setpoint, parameters = (rows.astype(np.float32) for rows in sample_quadrotor(seed, n))
    state[QUATERNION] *= np.float32(length)
    following = kernel.step(state, setpoint, parameters, 0.01)
    norm = np.linalg.norm(following[QUATERNION].astype(np.float64), axis=0)
    assert abs(norm - 1).max() < 3e-7  # two roundings of float32


# The rotation formula turns with the world only while |q| = 1; between the stages of a step it is not, which is part of
# the truncation error, and the stiff floor shows it.
@pytest.mark.parametrize(("floor", "dt", "tolerance"), [(False, 1e-3, 1e-8), (True, 1e-4, 1e-7)])
@SAMPLES
@given(seed=SEEDS, yaw=st.floats(-np.pi, np.pi), north=st.floats(-50, 50))
def test_turning_and_moving_the_world_turns_and_moves_the_answer(
    floor: bool,
    dt: float,
    tolerance: float,
    seed: int,
    yaw: float,
    north: float,
    sample_quadrotor: Callable[..., Any],
) -> None:
    state, setpoint, parameters = column(sample_quadrotor(seed, 1, near_floor=floor))
    turn = frames.from_yaw(np.array(yaw))
    force = slice(Parameter.DISTURBANCE_FORCE, Parameter.DISTURBANCE_TORQUE)
    wind = slice(Parameter.WIND, Parameter.BATTERY_VOLTAGE)

    def moved(x: Rows) -> Rows:
        y = x.copy()
        y[:3] = frames.rotate(turn, x[:3]) + np.array([0, north, 0])
        y[QUATERNION] = frames.multiply(turn, x[QUATERNION])
        y[VELOCITY] = frames.rotate(turn, x[VELOCITY])
        return y

    turned_parameters = parameters.copy()
    for vector in (force, wind):
        turned_parameters[vector] = frames.rotate(turn, parameters[vector])
    following = kernel.step_double(state, setpoint, parameters, dt, physics=Physics(drag=True, floor=floor))
    turned = kernel.step_double(moved(state), setpoint, turned_parameters, dt, physics=Physics(drag=True, floor=floor))
    assert np.allclose(turned, moved(following), rtol=tolerance, atol=tolerance)


@SAMPLES
@given(seed=SEEDS, n=st.integers(1, 70), data=st.data())
def test_a_world_depends_on_neither_n_nor_its_neighbours(
    seed: int, n: int, data: st.DataObject, sample_quadrotor: Callable[..., Any]
) -> None:
    world = data.draw(st.integers(0, n - 1))
    arrays = [rows.astype(np.float32) for rows in sample_quadrotor(seed, n, near_floor=True)]
    alone = [np.ascontiguousarray(rows[:, world : world + 1]) for rows in arrays]
    adjoint = np.random.default_rng(seed).standard_normal((17, n)).astype(np.float32)
    for rows in arrays:  # the neighbours have crashed in the worst way
        rows[:, np.arange(n) != world] = np.nan
    together = kernel.step(*arrays, 1e-3, physics=Physics(drag=True, floor=True))
    assert (
        together[:, world].tobytes()
        == kernel.step(*alone, 1e-3, physics=Physics(drag=True, floor=True))[:, 0].tobytes()
    )
    back = kernel.step_adjoint(*arrays, 1e-3, adjoint, physics=Physics(drag=True, floor=True))
    back_alone = kernel.step_adjoint(
        *alone, 1e-3, np.ascontiguousarray(adjoint[:, world : world + 1]), physics=Physics(drag=True, floor=True)
    )
    assert all(a[:, world].tobytes() == b[:, 0].tobytes() for a, b in zip(back, back_alone, strict=True))


@SAMPLES
@given(seed=SEEDS, name=st.sampled_from(ROBOTS))
def test_hover_thrust_balances_weight_for_every_sampled_robot(
    seed: int, name: str, sample_quadrotor: Callable[..., Any]
) -> None:
    sample = sample_quadrotor(seed, 1, name=name)
    parameters = sample.parameters[:, 0]
    curve = parameters[Parameter.THRUST_CURVE : Parameter.THRUST_SCALE]
    mass, gravity = 1 / parameters[Parameter.MASS_INVERSE], parameters[Parameter.GRAVITY]
    parameters[Parameter.DISTURBANCE_FORCE : Parameter.GRAVITY] = 0
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 1
    nominal = kernel.parameter_rows(robot.load(name), 1)[:, 0]  # rotors at equal levers, so that no torque is left
    for rows in (slice(Parameter.ROTOR_X, Parameter.THRUST_CURVE), slice(Parameter.TORQUE_PER_THRUST, Parameter.DRAG)):
        parameters[rows] = nominal[rows]
    speed = robot.rotor_speed_from_thrust(tuple(curve), mass * gravity / 4)
    state = np.zeros(17)
    state[State.QUATERNION] = 1
    state[ROTOR_SPEED] = speed
    following = kernel.step_double(state, np.full(4, speed), np.ascontiguousarray(parameters), 0.01)
    assert abs(following[VELOCITY]).max() < 1e-12 * gravity


@SAMPLES
@given(first=st.floats(-1, 1), second=st.floats(-1, 1), name=st.sampled_from(ROBOTS), age=st.integers(1, 100))
def test_thrust_is_monotone_in_command(first: float, second: float, name: str, age: int) -> None:
    low, high = sorted((first, second))
    model = robot.load(name)
    state, parameters = kernel.hover_state(model, 2), kernel.parameter_rows(model, 2)
    setpoint = kernel.setpoint_from_action(model, np.tile([low, high], (4, 1)))
    for _ in range(age):
        kernel.step(state, setpoint, parameters, 0.01, out=state)
    c0, c1, c2 = model.thrust_curve
    speed = state[ROTOR_SPEED].astype(np.float64)
    thrust = (c0 + c1 * speed + c2 * speed**2).sum(axis=0)
    assert thrust[0] <= thrust[1]
    assert thrust[0] < thrust[1] or high - low < 1e-5


def mechanical_energy(state: Rows, parameters: Rows) -> float:
    """Kinetic, in the field of gravity and in the springs of the feet [J]."""
    mass = 1 / parameters[Parameter.MASS_INVERSE]
    spin, speed = state[ANGULAR_VELOCITY], state[VELOCITY]
    kinetic = mass * (speed @ speed) / 2 + parameters[INERTIA] @ spin**2 / 2
    x = parameters[Parameter.ROTOR_X : Parameter.ROTOR_Y]
    y = parameters[Parameter.ROTOR_Y : Parameter.THRUST_CURVE]
    feet = np.stack([x, y, np.full(4, -parameters[Parameter.LEG_HEIGHT])], axis=-1)
    depth = np.maximum(0, -(state[2] + frames.rotate(state[None, QUATERNION], feet)[:, 2]))
    spring = parameters[Parameter.FLOOR_STIFFNESS] * (depth @ depth) / 2
    return float(kinetic + mass * parameters[Parameter.GRAVITY] * state[2] + spring)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, name=st.sampled_from(ROBOTS))
def test_floor_takes_energy_until_the_robot_rests_on_its_feet(
    seed: int, name: str, sample_quadrotor: Callable[..., Any]
) -> None:
    model = robot.load(name)
    sample = sample_quadrotor(seed, 1, near_floor=True, name=name)
    state, setpoint = column(sample)[0], np.zeros(4)
    parameters = kernel.parameter_rows(model, 1)[:, 0].astype(np.float64)
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    state[2] += 0.02
    state[ANGULAR_VELOCITY] /= 5  # a fall, not a tumble onto the back
    energy = mechanical_energy(state, parameters)
    for _ in range(1500):
        state = kernel.step_double(state, setpoint, parameters, 1e-3, physics=Physics(floor=True))
        up = frames.rotate(state[None, QUATERNION], np.array([[0.0, 0.0, 1.0]]))[0, 2]
        assume(up > 0.2)  # one that falls over lands on what is above, whose springs are not counted here
        before, energy = energy, mechanical_energy(state, parameters)
        assert energy <= before + 1e-9
    stiffness, _ = floor_defaults(model)
    compression = model.mass * model.gravity / (4 * stiffness)
    assert state[2] == pytest.approx(model.leg_height - compression, abs=1e-5)
    assert abs(state[VELOCITY]).max() < 1e-3
    assert abs(state[ANGULAR_VELOCITY]).max() < 1e-2
