"""The classical controllers' parts, with numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fledge_sim import kernel, robot, sensors
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Parameter, State
from fledge_train import evaluate, flights
from fledge_train.baselines import allocation, cascade, gains, geometric, sensed
from fledge_train.baselines.allocation import Allocation
from numpy.typing import NDArray

CRAZYFLIE = robot.load("crazyflie")
WEIGHT = CRAZYFLIE.mass * CRAZYFLIE.gravity


def thrust_of(action: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 4) [N], in steady state."""
    speed = kernel.setpoint_from_action(CRAZYFLIE, action.T).T.astype(np.float64)
    c0, c1, c2 = CRAZYFLIE.thrust_curve
    return c0 + speed * (c1 + c2 * speed)


def observation_of(n: int = 1, **changes: object) -> NDArray[np.float32]:
    """Level, at rest, at the set-point."""
    seen = np.zeros((n, 30), np.float32)
    seen[:, [3, 7, 11]] = 1
    for name, value in changes.items():
        first = {"position": 0, "velocity": 12, "rate": 15}[name]
        seen[:, first : first + 3] = value
    seen[:, 18:] = -np.tile(np.concatenate([seen[:, :3], seen[:, 12:15]], axis=1), 2)  # the reference stands still
    return seen


def test_the_weight_on_four_rotors_is_the_hover_action() -> None:
    action = Allocation(CRAZYFLIE, 1.0, 1, 0.01).action(np.array([WEIGHT]), np.zeros((1, 3)))
    assert np.allclose(action, CRAZYFLIE.hover_action, atol=1e-6)


def test_a_torque_about_x_is_made_by_the_left_rotors() -> None:
    """M3 and M4 lie 32.5 mm to the left: 1 mN m takes 1e-3 / (4 * 0.0325) = 7.69 mN more from each of them."""
    action = Allocation(CRAZYFLIE, 1.0, 1, 0.01).action(np.array([WEIGHT]), np.array([[1e-3, 0, 0]]))
    expected = WEIGHT / 4 + 1e-3 / (4 * 0.0325) * np.array([-1, -1, 1, 1])
    assert np.allclose(thrust_of(action)[0], expected, atol=1e-6)


def test_saturated_rotors_keep_the_torque_and_give_up_lift() -> None:
    strongest = 4 * CRAZYFLIE.thrust_max
    thrust = thrust_of(Allocation(CRAZYFLIE, 1.0, 1, 0.01).action(np.array([strongest]), np.array([[2e-3, 0, 0]])))[0]
    assert thrust.max() == pytest.approx(CRAZYFLIE.thrust_max, rel=1e-6)
    assert 0.0325 * (thrust[2] + thrust[3] - thrust[0] - thrust[1]) == pytest.approx(2e-3, rel=1e-5)


def test_yaw_has_what_is_left() -> None:
    """At full lift nothing is left; an impossible yaw is shortened and leaves lift and roll alone."""
    full = Allocation(CRAZYFLIE, 1.0, 1, 0.01).action(np.array([4 * CRAZYFLIE.thrust_max]), np.array([[0, 0, 1e-3]]))
    assert np.allclose(full, 1, atol=1e-6)
    thrust = thrust_of(Allocation(CRAZYFLIE, 1.0, 1, 0.01).action(np.array([WEIGHT]), np.array([[1e-3, 0, 9e-3]])))[0]
    assert thrust.sum() == pytest.approx(WEIGHT, rel=1e-5)
    assert 0.0325 * (thrust[2] + thrust[3] - thrust[0] - thrust[1]) == pytest.approx(1e-3, rel=1e-4)


def test_a_lead_shortens_the_lag() -> None:
    """With the lead of 4 the speed covers 1 - (1 - r)^k of a small step, r = 4 (1 - exp(-0.01 / 0.112)) = 0.342."""
    leading = Allocation(CRAZYFLIE, 4.0, 1, 0.01)
    speed = np.full(4, CRAZYFLIE.hover_rotor_speed)
    share = 1 - np.exp(-0.01 / 0.112)
    wanted = 1.02 * WEIGHT
    for _ in range(5):
        command = kernel.setpoint_from_action(CRAZYFLIE, leading.action(np.array([wanted]), np.zeros((1, 3))).T)[:, 0]
        speed += share * (command - speed)
    c0, c1, c2 = CRAZYFLIE.thrust_curve
    goal = (np.sqrt(c1 * c1 + 4 * c2 * (wanted / 4 - c0)) - c1) / (2 * c2)
    covered = (speed - CRAZYFLIE.hover_rotor_speed) / (goal - CRAZYFLIE.hover_rotor_speed)
    assert np.allclose(covered, 1 - (1 - 4 * share) ** 5, atol=1e-3)


def test_the_reference_is_differentiated_from_what_is_observed() -> None:
    """What is sensed cancels: acceleration and jerk of the figure-eight, half and one spacing ahead, despite noise."""
    contract, state = sensed.contract(CRAZYFLIE, "pid"), kernel.hover_state(CRAZYFLIE, 2)
    state[State.VELOCITY : State.VELOCITY + 3] = 0.7
    noise = np.random.default_rng(0).normal(0, 0.1, (2, contract.observation_size)).astype(np.float32)
    noise[:, 18:] = 0
    target = evaluate.figure_eight_target(5.5, 2)
    seen = sensed.take_apart(flights.sense(contract, state, target, 3.0, np.zeros((2, 0), np.float32), noise))

    def slope(time: float) -> NDArray[np.float64]:
        return (target(time + 1e-4).velocity_world - target(time - 1e-4).velocity_world).T / 2e-4

    jerk = (slope(3.0 + sensed.SPACING + 1e-3) - slope(3.0 + sensed.SPACING - 1e-3)) / 2e-3
    assert np.allclose(seen.reference_acceleration, slope(3.0 + sensed.SPACING / 2), atol=2e-3)
    assert np.allclose(seen.reference_jerk, jerk, atol=3e-2)


def test_the_shortest_turn_to_the_thrust() -> None:
    """Level, thrust wanted along x: a quarter turn about +y. Upside down: half a turn about x. Yawed: turn back."""
    level, over = np.eye(3)[None], np.diag([1.0, -1.0, -1.0])[None]
    along_x, up = np.array([[2.0, 0, 0]]), np.array([[0, 0, 3.0]])
    assert np.allclose(cascade.attitude_error(level, along_x), [[0, np.pi / 2, 0]])
    assert np.allclose(np.abs(cascade.attitude_error(over, up)[0]), [np.pi, 0, 0])
    c, s = np.cos(0.3), np.sin(0.3)
    assert np.allclose(cascade.attitude_error(np.array([[[c, -s, 0], [s, c, 0], [0, 0, 1]]]), up), [[0, 0, -0.3]])


@pytest.mark.parametrize("angle", [1e-3, 0.5, 2.0, 3.1])
def test_the_geometric_attitude_error_grows_up_to_half_a_turn(angle: float) -> None:
    """R turned about y by the angle, R_d = 1: e_R = 2 sin(angle / 2) about y."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[[c, 0, s], [0, 1, 0], [-s, 0, c]]])
    error = geometric.attitude_error(rotation.transpose(0, 2, 1))
    assert np.allclose(error, [[0, 2 * np.sin(angle / 2), 0]], atol=1e-9)


def test_the_wanted_attitude_turns_with_the_jerk() -> None:
    """A jerk along x tips body z towards +x: a turn about +y of jerk / thrust."""
    thrust = np.array([[0, 0, 10.0]])
    wanted = geometric.level_heading(thrust)
    assert np.allclose(wanted, np.eye(3))
    assert np.allclose(geometric.reference_rate(wanted, thrust, np.array([[5.0, 0, 0]])), [[0, 0.5, 0]])


@pytest.mark.parametrize("kind", ["pid", "geometric"])
def test_answers_have_the_right_sign(kind: gains.Kind) -> None:
    """One step from rest: too high -> less lift; to the left -> roll to the right; rolling right -> roll back."""

    def thrust(**changes: object) -> NDArray[np.float64]:
        return thrust_of(gains.controller(kind, CRAZYFLIE).begin(1, 1).native(observation_of(**changes)))[0]

    def roll(four: NDArray[np.float64]) -> float:
        return float(four[2] + four[3] - four[0] - four[1])

    def pitch(four: NDArray[np.float64]) -> float:
        return float(four[1] + four[2] - four[0] - four[3])

    assert thrust(position=(0, 0, 0.1)).sum() < WEIGHT < thrust(position=(0, 0, -0.1)).sum()
    assert thrust(velocity=(0, 0, 0.1)).sum() < WEIGHT
    assert roll(thrust(position=(0, 0.1, 0))) > 0  # body z towards -y is a positive turn about x
    assert pitch(thrust(position=(-0.1, 0, 0))) > 0
    assert roll(thrust(rate=(1, 0, 0))) < 0
    assert pitch(thrust(rate=(0, 1, 0))) < 0
    yaw = thrust(rate=(0, 0, 1)) @ np.asarray(CRAZYFLIE.rotor_spin)
    assert yaw < 0


@pytest.mark.parametrize("kind", ["pid", "geometric"])
def test_the_integral_takes_up_a_constant_push(kind: gains.Kind) -> None:
    """Held 5 cm too low, lift grows from call to call."""
    execution = gains.controller(kind, CRAZYFLIE).begin(1, 1)
    lifts = [thrust_of(execution.native(observation_of(position=(0, 0, -0.05)))).sum() for _ in range(300)]
    assert lifts[299] > lifts[200] > lifts[100]


def test_gains_per_episode_are_those_of_each() -> None:
    """The search flies candidates side by side: each answers as if it were alone."""
    seen = observation_of(2, position=(0.1, -0.05, 0.1))
    one, two = cascade.CascadeGains(position=1.0), cascade.CascadeGains(position=3.0, lead=5.0)
    both = cascade.CascadeGains(position=np.array([1.0, 3.0]), lead=np.array([one.lead, 5.0]))
    together = cascade.Cascade(CRAZYFLIE, both).begin(2, 1).native(seen)
    apart = [cascade.Cascade(CRAZYFLIE, each).begin(1, 1).native(seen[:1])[0] for each in (one, two)]
    assert np.allclose(together, apart, atol=1e-6)


def test_found_gains_survive_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gains, "PATH", tmp_path / "gains.toml")
    with pytest.raises(FledgeError, match=r"no gains for robot 'crazyflie', only for none; search them"):
        gains.controller("pid", CRAZYFLIE)
    gains.keep("pid", CRAZYFLIE, cascade.CascadeGains(position=1.25))
    gains.keep("geometric", CRAZYFLIE, geometric.GeometricGains(position=7.5))
    assert gains.found("pid", CRAZYFLIE)["position"] == 1.25
    assert gains.found("geometric", CRAZYFLIE)["position"] == 7.5


def test_the_noise_is_the_same_whatever_else_is_observed() -> None:
    """A baseline's contract and a policy's with a history get the same errors on what both sense."""
    from fledge_sim.contract import TrainingRecord
    from fledge_train.config import ActorConfig, SensorConfig
    from fledge_train.networks import contract_of

    ours = sensed.contract(CRAZYFLIE, "pid")
    policys = contract_of(CRAZYFLIE, ActorConfig("mlp", (8,), 16), SensorConfig(), TrainingRecord("", 0, ""))
    one, two = (flights.draw_noise(c, np.random.default_rng(3), 5, 2.0) for c in (ours, policys))
    assert np.array_equal(one[:, :18], two[:, :18])
    assert not one[:, 18:].any()
    assert not two[:, 18:].any()
    deviation = sensors.noise_deviation(ours)[:18]
    many = flights.draw_noise(ours, np.random.default_rng(3), 20000, 2.0)[:, :18]
    assert np.allclose(many.std(axis=0), 2 * deviation, rtol=0.05)


def test_gusts_have_their_strength_and_their_time() -> None:
    n, period = 4000, 0.01
    gusts = flights.Gusts(0.5, n, 0, period)
    still = kernel.parameter_rows(CRAZYFLIE, n)
    rows = slice(Parameter.DISTURBANCE_FORCE, Parameter.DISTURBANCE_FORCE + 3)
    forces = [gusts.blow(still)[rows].copy() for _ in range(51)]
    assert not still[rows].any()
    assert forces[0].std() == pytest.approx(0.5, rel=0.03)
    assert forces[50].std() == pytest.approx(0.5, rel=0.03)
    correlation = float((forces[0] * forces[50]).mean() / 0.25)
    assert correlation == pytest.approx(np.exp(-0.5 / flights.GUST_TIME), abs=0.05)
    assert allocation.inverse_mixer(CRAZYFLIE).shape == (4, 4)
