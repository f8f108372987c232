"""What a new episode draws: within the stated ranges, spread over them, and as uniform as stated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fledge_sim import frames, randomize, robot
from fledge_sim.environment import EnvConfig, Sensors, Task
from fledge_sim.environment_rows import Row
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.rows import Parameter, State, parameter_rows
from fledge_sim.tasks import InitialState, standing_initial_state
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
CRAZYFLIE = robot.load("crazyflie")
N = 20_000
BASE = EnvConfig(CRAZYFLIE)


def begun(config: EnvConfig) -> QuadrotorEnv:
    env = QuadrotorEnv(config, N, seed=5)
    env.reset()
    return env


def relative(env: QuadrotorEnv) -> Float64:
    """Parameters over the nominal ones; NaN where that is zero."""
    nominal = parameter_rows(CRAZYFLIE, 1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(env.parameters / nominal)


def is_uniform(x: Float64, low: float, high: float) -> bool:
    """Within the range, and the distribution function within 5 standard errors of a line, sqrt(1/(4 n)) at most."""
    unit = (np.sort(x) - low) / (high - low)
    steps = np.arange(1, x.size + 1) / x.size
    return bool(unit[0] > -1e-3 and unit[-1] < 1 + 1e-3 and np.abs(unit - steps).max() < 2.5 / x.size**0.5)


def test_widths_around_the_nominal_robot() -> None:
    spread = BASE.randomization
    env = begun(BASE)
    ratio = relative(env)
    assert is_uniform(1 / ratio[Parameter.MASS_INVERSE], 1 - spread.mass, 1 + spread.mass)
    assert is_uniform(ratio[Parameter.INERTIA], 1 - spread.inertia, 1 + spread.inertia)
    assert np.allclose(ratio[Parameter.INERTIA], ratio[Parameter.INERTIA + 1])
    assert np.allclose(ratio[Parameter.INERTIA : Parameter.INERTIA_INVERSE] * ratio[4:7], 1, rtol=1e-5)
    assert is_uniform(1 / ratio[Parameter.LAG_RISE_INVERSE], 1 - spread.rotor_lag, 1 + spread.rotor_lag)
    assert is_uniform(ratio[Parameter.ROTOR_X], 1 - spread.rotor_position, 1 + spread.rotor_position)
    assert is_uniform(ratio[Parameter.TORQUE_PER_THRUST], 1 - spread.torque_per_thrust, 1 + spread.torque_per_thrust)
    rotors = ratio[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST]
    common, single = 1 + spread.thrust, 1 + spread.thrust_per_rotor
    assert rotors.max() <= common * single * 1.0001
    assert 0.5 < np.corrcoef(rotors[0], rotors[1])[0, 1] < 0.95
    memory = env.get_state().memory
    assert is_uniform(memory[Row.COMMAND_DELAY].astype(np.float64), *spread.control_delay)
    assert is_uniform(memory[Row.NOISE_SCALE].astype(np.float64), *spread.noise_scale)
    assert is_uniform(env.parameters[Parameter.DRAG].astype(np.float64), 0, spread.drag)


def test_disturbances_are_normal_and_in_weights() -> None:
    env, weight = begun(BASE), CRAZYFLIE.mass * CRAZYFLIE.gravity
    force = env.parameters[Parameter.DISTURBANCE_FORCE : Parameter.DISTURBANCE_TORQUE] / weight
    torque = env.parameters[Parameter.DISTURBANCE_TORQUE : Parameter.GRAVITY] / weight
    for rows, deviation in ((force, 0.05), (torque, 1e-4)):
        assert np.allclose(rows.std(axis=1), deviation, rtol=0.03)
        assert (np.abs(rows.mean(axis=1)) < 5 * deviation / N**0.5).all()
        assert np.abs(np.corrcoef(rows) - np.eye(3)).max() < 0.05


def test_spans_of_any_published_crazyflie() -> None:
    """Log-uniform within each span, as in randomize.sample_parameters, whose quantiles they share."""
    spread = randomize.any_published_crazyflie()
    env = begun(dataclasses.replace(BASE, randomization=spread))
    ours, theirs = env.parameters, randomize.sample_parameters(CRAZYFLIE, spread, N, seed=1)
    parts = np.linspace(0.02, 0.98, 25)
    for row in (*range(8), *range(Parameter.THRUST_SCALE, Parameter.DISTURBANCE_FORCE), 42, 48, 49):
        a, b = np.quantile(ours[row], parts), np.quantile(theirs[row], parts)
        scale = max(float(np.ptp(theirs[row])), 1e-12)
        assert np.abs(a - b).max() / scale < 0.03, Parameter(row) if row in list(Parameter) else row
    mass = 1 / ours[Parameter.MASS_INVERSE].astype(np.float64)
    assert spread.mass_span is not None
    assert is_uniform(np.log(mass), *np.log(spread.mass_span))


@pytest.mark.parametrize("angle_deg", [0.0, 5.0, 90.0, 180.0])
def test_first_attitude_is_uniform_over_rotations(angle_deg: float) -> None:
    """(a - sin a) / (m - sin m) of the angles is uniform; so are the axis's z and its azimuth."""
    spec = InitialState(angle_deg=angle_deg, guided_share=0.0)
    state = begun(dataclasses.replace(BASE, task=Task(spec))).physical_state.astype(np.float64)
    q = state[State.QUATERNION : State.VELOCITY].T
    assert np.allclose(np.linalg.norm(q, axis=1), 1, atol=1e-5)
    angle, largest = frames.angle_of(q), np.radians(angle_deg)
    if angle_deg == 0:
        assert (angle < 1e-6).all()
        return
    assert is_uniform((angle - np.sin(angle)) / (largest - np.sin(largest)), 0, 1)
    axis = q[:, 1:] / np.linalg.norm(q[:, 1:], axis=1, keepdims=True)
    assert is_uniform(axis[:, 2], -1, 1)
    assert is_uniform(np.arctan2(axis[:, 1], axis[:, 0]), -np.pi, np.pi)


def test_first_states_keep_their_ranges_and_shares() -> None:
    spec = InitialState(guided_share=0.2, rest_share=0.3, rotor_action=(-0.5, 0.5), rest_rotor=(0.1, 0.4))
    state = begun(dataclasses.replace(BASE, task=Task(spec))).physical_state.astype(np.float64)
    level = (state[State.QUATERNION] == 1) & (state[:3] == 0).all(axis=0)
    rest = level & (state[State.VELOCITY : State.ROTOR_SPEED] == 0).all(axis=0)
    assert level.mean() == pytest.approx(0.5, abs=0.02)
    assert rest.mean() == pytest.approx(0.3, abs=0.02)
    assert is_uniform(state[0, ~level], -spec.position, spec.position)
    assert is_uniform(state[State.VELOCITY, ~rest], -spec.velocity, spec.velocity)
    assert is_uniform(state[State.ANGULAR_VELOCITY, ~rest], -spec.angular_velocity, spec.angular_velocity)
    assert is_uniform(state[State.ROTOR_SPEED, rest] / CRAZYFLIE.hover_rotor_speed, 0.1, 0.4)
    assert (state[State.ROTOR_SPEED :] == state[State.ROTOR_SPEED]).all()


def test_standing_start_stands_at_the_reference() -> None:
    config = dataclasses.replace(BASE, task=Task(standing_initial_state(), origin=(1.0, -2.0, 0.5)))
    state = begun(config).physical_state
    assert (state[:3].T == (1.0, -2.0, 0.5)).all()
    assert (state[State.VELOCITY :] == 0).all()


def test_episodes_draw_anew() -> None:
    """Ten episodes of one world are as different as ten worlds."""
    env = QuadrotorEnv(BASE, 1)
    masses = []
    for _ in range(300):
        env.reset()
        masses.append(float(relative(env)[Parameter.MASS_INVERSE, 0]))
    assert np.unique(masses).size == 300
    ranks = 1 / np.array(masses)
    assert is_uniform(ranks, 1 - BASE.randomization.mass, 1 + BASE.randomization.mass)
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 0.25


def test_nothing_is_drawn_where_nothing_is_asked() -> None:
    env = begun(dataclasses.replace(BASE, randomization=randomize.none(), sensors=Sensors(noise=False)))
    assert (env.parameters == parameter_rows(CRAZYFLIE, 1)).all()
    assert (env.get_state().memory[Row.COMMAND_DELAY] == 0).all()
