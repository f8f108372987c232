"""Tasks: what each starts from, follows and counts as success."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fledge_sim import frames, presets, robot, tasks, trajectories
from fledge_sim.environment import EnvConfig, LookAhead, Reward
from fledge_sim.rows import State, hover_state
from fledge_sim.tasks import InitialState, Settled
from fledge_sim.trajectories import WaypointReference

CRAZYFLIE = robot.load("crazyflie")
TASKS = {
    "hover": presets.hover,
    "track": presets.track,
    "figure_eight": presets.figure_eight,
    "smooth": presets.smooth,
    "waypoints": presets.waypoints,
    "recover": presets.recover,
    "take_off_and_land": presets.take_off_and_land,
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("vehicle", ["crazyflie", "x500"])
def test_every_task_is_a_valid_environment(name: str, vehicle: str) -> None:
    config = TASKS[name](robot.load(vehicle))
    assert isinstance(config, EnvConfig)
    # 3 + 9 + 3 + 3 and the last action
    assert config.observation_size == 22


def test_hover_has_the_papers_reward() -> None:
    # r = 2 - 0.5 (5 |p|^2 + 5 (1 - qw^2) + 0.01 |v|^2 + 0.01 |a - a_hover|^2)
    reward = presets.hover(CRAZYFLIE).reward
    assert reward == Reward(2.0, 0.5, position=5.0, velocity=0.01, tilt=5.0, yaw=5.0, action=0.01)
    assert presets.hover(CRAZYFLIE).termination.position == 0.6


@pytest.mark.parametrize(("period", "peak"), [(15.0, 0.59), (5.5, 1.62), (3.5, 2.54)])
def test_figure_eight_has_the_published_peak_speed(period: float, peak: float) -> None:
    assert period in presets.FIGURE_EIGHT_PERIODS
    spec = presets.figure_eight(CRAZYFLIE, period).task.reference
    assert isinstance(spec, tasks.ReferenceDistribution)
    curve = tasks.sample_references(spec, 3, 0)
    speed = [np.linalg.norm(curve.velocity(t), axis=0) for t in np.linspace(0, period, 2000)]
    assert np.max(speed, axis=0) == pytest.approx(np.full(3, peak), abs=0.01)
    reach = np.max([np.abs(curve.position(t)) for t in np.linspace(0, period, 2000)], axis=0)
    np.testing.assert_allclose(np.sort(reach, axis=0), np.repeat([[0], [0.5], [1]], 3, axis=1), atol=1e-4)


def test_look_ahead_enlarges_the_observation() -> None:
    # 22, and 10 times position and velocity
    config = presets.track(CRAZYFLIE, ahead=LookAhead(10, 0.05))
    assert config.observation_size == 82
    assert [term.name for term in config.observation][-2:] == ["look_ahead", "action_history"]


def test_a_throw_reaches_every_attitude() -> None:
    state = tasks.sample_initial_states(CRAZYFLIE, tasks.thrown_initial_state(), 4000, 0)
    up = frames.rotation_matrix(state[State.QUATERNION : State.QUATERNION + 4].T)[:, 2, 2]
    # body z is uniform on the sphere, so its height is uniform in -1..1
    assert np.histogram(up, 8, (-1, 1))[0] / 500 == pytest.approx(np.ones(8), abs=0.2)
    assert np.abs(state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3]).max() > 9.9


def test_the_angle_limit_of_first_attitudes_is_kept_and_used() -> None:
    spec = InitialState(angle_deg=40.0, guided_share=0.0)
    angle = frames.angle_of(tasks.sample_initial_states(CRAZYFLIE, spec, 4000, 0)[State.QUATERNION :][:4].T)
    assert np.radians(39) < angle.max() <= np.radians(40) + 1e-3


def test_standing_is_at_the_reference_with_stopped_rotors() -> None:
    state = tasks.sample_initial_states(CRAZYFLIE, tasks.standing_initial_state(), 5, 0)
    expected = hover_state(CRAZYFLIE, 5)
    expected[State.ROTOR_SPEED :] = 0
    np.testing.assert_array_equal(state, expected)


def test_take_off_and_land_goes_up_and_down_again() -> None:
    config = presets.take_off_and_land(CRAZYFLIE, height=0.8, move=2.0, hold=1.0)
    spec = config.task.reference
    assert isinstance(spec, WaypointReference)
    path = trajectories.waypoints(spec, np.zeros((spec.draws, 1)))
    floor = CRAZYFLIE.leg_height - 1e-3
    assert [path.position(t)[2, 0] for t in (0.0, 2.5, 5.5)] == pytest.approx([floor, 0.8, floor])
    assert config.episode_steps == 600
    assert config.physics.floor
    assert config.physics.ground_effect


@pytest.mark.parametrize(
    ("row", "value", "success"),
    [
        (State.POSITION, 0.14, True),
        (State.POSITION, 0.16, False),
        (State.VELOCITY + 2, 0.29, True),
        (State.VELOCITY + 2, -0.31, False),
        (State.ANGULAR_VELOCITY, 1.1, False),
    ],
)
def test_settled_by_hand(row: int, value: float, success: bool) -> None:
    state = hover_state(CRAZYFLIE, 2)
    state[row, 1] = value
    zero = np.zeros((3, 1))
    assert tasks.settled(Settled(), state, zero, zero).tolist() == [True, success]


@pytest.mark.parametrize(("degrees", "success"), [(14.0, True), (16.0, False), (180.0, False)])
def test_settled_is_upright(degrees: float, success: bool) -> None:
    state = hover_state(CRAZYFLIE, 1)
    tilt = frames.from_axis_angle(np.array([[0.6, 0.8, 0.0]]), np.radians([degrees]))
    state[State.QUATERNION : State.QUATERNION + 4] = tilt.T
    zero = np.zeros((3, 1))
    assert tasks.settled(Settled(), state, zero, zero).tolist() == [success]


def test_presets_vary_by_replace() -> None:
    config = dataclasses.replace(presets.hover(CRAZYFLIE), episode_steps=7)
    assert config.episode_steps == 7
