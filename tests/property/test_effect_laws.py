"""Laws that the switched effects of the native kernel have to obey: ground, wind, battery, floor, integrators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fledge_sim import kernel, robot
from fledge_sim.physics import Physics
from fledge_sim.rows import Parameter, State
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Rows = NDArray[np.float64]
ROBOTS = robot.names()
SAMPLES = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
QUATERNION = slice(State.QUATERNION, State.VELOCITY)
VELOCITY = slice(State.VELOCITY, State.ANGULAR_VELOCITY)
ROTOR_SPEED = slice(State.ROTOR_SPEED, None)
FLOOR = Physics(floor=True)
EVERYTHING = Physics(drag=True, floor=True, ground_effect=True, battery=True)
STRONGEST = 4 / 3
"""Largest factor of the ground effect."""


def at_rest(model: robot.Robot, height: float) -> tuple[Rows, Rows, Rows]:
    """Level state with hovering rotors at a height [m], set-point and parameters, float64 vectors."""
    state = kernel.hover_state(model, 1)[:, 0].astype(np.float64)
    state[2] = height
    return state, np.full(4, model.hover_rotor_speed), kernel.parameter_rows(model, 1)[:, 0].astype(np.float64)


def climb(model: robot.Robot, height: float) -> float:
    """Vertical acceleration of the hovering robot with ground effect [m/s^2]."""
    state, setpoint, parameters = at_rest(model, height)
    dt = 1e-6
    return float(kernel.step_double(state, setpoint, parameters, dt, physics=Physics(ground_effect=True))[9] / dt)


@SAMPLES
@given(name=st.sampled_from(ROBOTS), low=st.floats(0, 3), more=st.floats(0, 3))
def test_ground_effect_falls_with_height_and_ends_far_away(name: str, low: float, more: float) -> None:
    model = robot.load(name)
    near, far = climb(model, low), climb(model, low + more)
    assert -1e-6 <= far <= near + 1e-6
    assert near <= model.gravity * (STRONGEST - 1) + 1e-6
    assert climb(model, 1000 * model.rotor_radius) < 1e-6 * model.gravity


@SAMPLES
@given(seed=SEEDS)
def test_air_that_moves_along_does_not_drag(seed: int, sample_quadrotor: Callable[..., Any]) -> None:
    state, setpoint, parameters = (np.ascontiguousarray(rows[:, 0]) for rows in sample_quadrotor(seed, 1))
    parameters[Parameter.WIND : Parameter.BATTERY_VOLTAGE] = state[VELOCITY]
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    parameters[Parameter.DISTURBANCE_FORCE : Parameter.GRAVITY + 1] = 0  # or it would not keep moving with the air
    dragged = kernel.step_double(state, setpoint, parameters, 0.01, physics=Physics(drag=True))
    assert np.allclose(dragged[VELOCITY], state[VELOCITY], rtol=1e-13, atol=1e-13)


@SAMPLES
@given(name=st.sampled_from(ROBOTS), slow=st.floats(0.1, 1), quick=st.floats(0.1, 1), charge=st.floats(0, 1))
def test_voltage_under_load_falls_with_thrust_and_charge(name: str, slow: float, quick: float, charge: float) -> None:
    model = robot.load(name)
    slow, quick = sorted((slow, quick))

    def reached(share: float, voltage: float) -> float:
        """Where a rotor settles that is asked for far too much, with the others held at a share of full speed."""
        state, _, parameters = at_rest(model, 10)
        parameters[Parameter.BATTERY_VOLTAGE] = voltage
        parameters[Parameter.LAG_RISE_INVERSE : Parameter.DRAG] = 1 / 0.1
        state[ROTOR_SPEED] = share * model.rotor_speed_max
        following = kernel.step_double(state, np.full(4, 1e6), parameters, 1e-6, physics=Physics(battery=True))
        return float(state[ROTOR_SPEED][0] + (following - state)[State.ROTOR_SPEED] * 0.1 / 1e-6)  # n + tau dn/dt

    voltage = model.open_circuit_voltage(charge)
    full = model.speed_per_volt * voltage
    c0, c1, c2 = model.thrust_curve
    if all(c0 + n * (c1 + c2 * n) > 0 for n in (slow * model.rotor_speed_max, quick * model.rotor_speed_max)):
        assert reached(quick, voltage) <= reached(slow, voltage) * (1 + 1e-6) <= full * (1 + 2e-6)
        assert reached(slow, voltage) <= reached(slow, model.open_circuit_voltage(1.0)) * (1 + 1e-6)


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(ROBOTS), roll=st.floats(2.8, 3.4), drop=st.floats(0, 0.5))
def test_dropped_on_its_back_it_comes_to_rest_on_its_rotors(name: str, roll: float, drop: float) -> None:
    model = robot.load(name)
    state, setpoint, parameters = at_rest(model, 0)
    size = float(np.abs(np.asarray(model.rotor_position)).max())
    state[2] = model.rotor_height + size * abs(np.sin(roll)) + drop * size
    state[QUATERNION] = [np.cos(roll / 2), np.sin(roll / 2), 0, 0]
    state[ROTOR_SPEED] = setpoint[:] = 0
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    for _ in range(round(2000 * np.sqrt(max(1, size / 0.05)))):
        state = kernel.step_double(state, setpoint, parameters, 1e-3, physics=Physics(floor=True, substeps=4))
    up = 1 - 2 * (state[4] ** 2 + state[5] ** 2)
    assert up == pytest.approx(-1, abs=1e-3)  # on its back
    assert state[2] == pytest.approx(model.rotor_height - 1e-3, abs=2e-4)  # the default floor gives way by 1 mm
    assert abs(state[VELOCITY]).max() < 2e-3


@settings(max_examples=10, deadline=None)
@given(speed=st.floats(0.2, 2), heading=st.floats(-np.pi, np.pi))
def test_sliding_it_stops_where_coulomb_says(speed: float, heading: float) -> None:
    model = robot.load("crazyflie")
    state, setpoint, parameters = at_rest(model, model.leg_height - 1e-3)
    state[ROTOR_SPEED] = setpoint[:] = 0
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    parameters[Parameter.LEG_HEIGHT] = 1e-3  # low, so that it slides and does not pitch over
    state[2] = 0
    state[State.VELOCITY : State.VELOCITY + 2] = speed * np.cos(heading), speed * np.sin(heading)
    for _ in range(1500):
        state = kernel.step_double(state, setpoint, parameters, 1e-3, physics=FLOOR)
    assert abs(state[VELOCITY]).max() < 1e-3
    friction = parameters[Parameter.FLOOR_FRICTION]
    # m v dv/dx = -mu m g v / sqrt(v^2 + s^2): x = (integral of sqrt(v^2 + s^2) dv) / (mu g) with s = 0.03 m/s
    s = 0.03
    distance = (speed * np.hypot(speed, s) + s * s * np.arcsinh(speed / s)) / 2 / (friction * model.gravity)
    assert np.hypot(*state[:2]) == pytest.approx(distance, rel=0.02)


@SAMPLES
@given(
    seed=SEEDS,
    parts=st.integers(1, 8),
    integrator=st.sampled_from(("rk4", "semi_implicit_euler")),
    all_on=st.booleans(),
)
def test_substeps_are_steps(
    seed: int, parts: int, integrator: Any, all_on: bool, sample_quadrotor: Callable[..., Any]
) -> None:
    arrays = [rows.astype(np.float32) for rows in sample_quadrotor(seed, 5, near_floor=True)]
    on = {"drag": all_on, "floor": all_on, "ground_effect": all_on, "battery": all_on}
    h = 2.0**-11
    at_once = kernel.step(*arrays, parts * h, physics=Physics(integrator=integrator, substeps=parts, **on))
    state = arrays[0]
    for _ in range(parts):
        state = kernel.step(state, *arrays[1:], h, physics=Physics(integrator=integrator, substeps=1, **on))
    # the specialised and the general machine code may round differently
    assert np.allclose(at_once, state, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("floor", [False, True])
@SAMPLES
@given(seed=SEEDS)
def test_reverse_sweep_is_the_slope_of_the_step(floor: bool, seed: int, sample_quadrotor: Callable[..., Any]) -> None:
    """Central difference of l . step along a random direction, in double precision, every effect on."""
    sample = sample_quadrotor(seed, 1, near_floor=floor)
    state, setpoint, parameters = (np.ascontiguousarray(rows[:, 0]) for rows in sample)
    physics = EVERYTHING if floor else Physics(drag=True, ground_effect=True, battery=True)
    generator = np.random.default_rng(seed)
    scale = np.concatenate([np.ones(13), np.full(4, 1e3)])
    adjoint_next = generator.standard_normal(17) / scale
    direction, turn = generator.standard_normal(17) * scale * 1e-7, generator.standard_normal(4) * 1e-4
    state_bar, setpoint_bar = kernel.step_adjoint_double(
        state, setpoint, parameters, 1e-3, adjoint_next, physics=physics
    )
    ahead, behind = (
        adjoint_next @ kernel.step_double(state + s * direction, setpoint + s * turn, parameters, 1e-3, physics=physics)
        for s in (1, -1)
    )
    expected = state_bar @ direction + setpoint_bar @ turn
    largest = np.abs(state_bar * direction).sum() + np.abs(setpoint_bar * turn).sum()
    # a kink (contact, rise against fall, ceiling) within 1e-7 of the sample would show; none is that close for these
    assert (ahead - behind) / 2 == pytest.approx(expected, abs=2e-4 * largest)


@pytest.mark.parametrize(
    "physics", [EVERYTHING, Physics(drag=True), Physics(floor=True, integrator="semi_implicit_euler")]
)
@SAMPLES
@given(seed=SEEDS, n=st.integers(2, 40), data=st.data())
def test_on_the_floor_a_world_does_not_feel_its_neighbours(
    physics: Physics, seed: int, n: int, data: st.DataObject, sample_quadrotor: Callable[..., Any]
) -> None:
    world = data.draw(st.integers(0, n - 1))
    arrays = [rows.astype(np.float32) for rows in sample_quadrotor(seed, n, near_floor=True)]
    adjoint = np.random.default_rng(seed).standard_normal((17, n)).astype(np.float32)
    others = np.arange(n) != world
    together = kernel.step(*arrays, 1e-3, physics=physics)[:, world].tobytes()
    back = [part[:, world].tobytes() for part in kernel.step_adjoint(*arrays, 1e-3, adjoint, physics=physics)]
    arrays[0][2, others] = 100.0  # far above, where contacts are skipped
    assert kernel.step(*arrays, 1e-3, physics=physics)[:, world].tobytes() == together
    high = kernel.step_adjoint(*arrays, 1e-3, adjoint, physics=physics)
    assert [part[:, world].tobytes() for part in high] == back


def test_it_lies_still_on_a_slope_of_zero() -> None:
    """Asleep on its feet, nothing moves: no creep from friction or damping."""
    model = robot.load("crazyflie")
    state, setpoint, parameters = at_rest(model, model.leg_height - 1e-3)
    state[ROTOR_SPEED] = setpoint[:] = 0
    parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST] = 0
    for _ in range(1000):
        state = kernel.step_double(state, setpoint, parameters, 1e-3, physics=FLOOR)
    assert abs(state[:2]).max() < 1e-12
    assert abs(state[State.QUATERNION + 1 : State.VELOCITY]).max() < 1e-12
