"""Critics that close the horizon: targets, slopes, what they learn, and that a short horizon flies with one only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from fledge_sim import robot
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Float32, State
from fledge_train import config, critic, shac
from fledge_train.config import CriticConfig, TrainConfig
from fledge_train.critic import CriticStep, Value
from fledge_train.curriculum import constant
from fledge_train.evaluate import Conditions, hover
from fledge_train.learner import Learner
from fledge_train.value_mlp import MlpValue
from fledge_train.value_quadratic import Float64, QuadraticValue

Kind = Literal["mlp", "quadratic"]
KINDS: tuple[Kind, ...] = ("quadratic", "mlp")


def short(kind: Kind, **numbers: Any) -> TrainConfig:
    """A run of a few milliseconds."""
    own = dataclasses.replace(CriticConfig(begin=0.0, solve_every=4), **numbers)
    return dataclasses.replace(config.robust(), critic=kind, critic_config=own, iterations=40, pool=64)


def taught(kind: Kind, lessons: int = 8) -> tuple[CriticStep, Learner]:
    """A critic after a few iterations, with the traces of one more horizon."""
    cfg = short(kind, every=1)
    _, learner = shac.begin(cfg)
    step = CriticStep(cfg, learner)
    for k in range(lessons):
        step(k / lessons)
    learner.forward()
    return step, learner


def test_lambda_targets_by_hand() -> None:
    cost = np.array([[1.0], [4.0], [2.0]], np.float32)
    value = np.array([[0.0], [10.0], [20.0]], np.float32)
    # Moments 0, 2, 3.  G_1 = 2 + 0.5 * 20 = 12;  G_0 = 1 + 0.5 * 4 + 0.25 (0.5 * 10 + 0.5 * 12) = 5.75
    assert critic.lambda_targets(cost, value, [0, 2, 3], 0.5, 0.5)[:, 0].tolist() == [5.75, 12.0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_terminal_adjoint_is_the_slope_of_what_closes_the_horizon(kind: Kind) -> None:
    """w gamma^T / (n T) trusted log(1 + V / trusted), by central differences."""
    step, learner = taught(kind)
    steps = int(learner.problem.horizon)
    state, error = learner.traces["state"][steps], learner.traces["error"][steps]
    state[State.QUATERNION : State.VELOCITY, ::2] *= -1  # the same attitudes
    trusted = CriticConfig().trust * float(step.state()["critic.floor"])
    share = 0.995**steps / (16 * steps)

    def closing() -> Float64:
        value = step.value.value(step.truth.features([steps])[:, 0]).astype(np.float64)
        closed: Float64 = share * trusted * np.log1p(value / trusted)
        return closed

    adjoint = step.terminal_adjoint(step.truth.features([steps])[:, 0], progress=1.0)
    assert np.abs(adjoint).max() > 0
    inside = np.abs(step.truth.features([steps])[:, 0]).max(axis=0) < 9
    for row in (
        State.POSITION,
        State.QUATERNION + 1,
        State.VELOCITY + 1,
        State.ANGULAR_VELOCITY + 2,
        State.ROTOR_SPEED,
    ):
        size = 2.0 if row == State.ROTOR_SPEED else 1e-2
        up, down = (_shifted(closing, state, error, row, shift) for shift in (size, -size))
        slope = (up - down) / (2 * size)
        smooth = inside & ((up > 0) == (down > 0))  # no value of 0, where the form would be negative, on one side only
        assert np.allclose(adjoint[row, smooth], slope[smooth], rtol=0.02, atol=2e-3 * np.abs(slope).max()), row


def _shifted(closing: Callable[[], Float64], state: Float32, error: Float32, row: int, shift: float) -> Float64:
    kept, kept_error = state.copy(), error.copy()
    state[row] += shift
    if row < State.QUATERNION:
        error[row] += shift  # the reference stays where it is
    elif State.VELOCITY <= row < State.ANGULAR_VELOCITY:
        error[3 + row - State.VELOCITY] += shift
    result = closing()
    state[:], error[:] = kept, kept_error
    return result


def known(generator: np.random.Generator, count: int) -> tuple[Float32, Float32]:
    """Features, (5, count), and V = (z_0 + z_1)^2 + 3 z_2^2 + 0.1, which leaves out the others."""
    z = generator.normal(size=(5, count)).astype(np.float32)
    return z, (z[0] + z[1]) ** 2 + 3 * z[2] ** 2 + np.float32(0.1)


@pytest.mark.parametrize(
    ("value", "lessons", "bound"),
    [
        (QuadraticValue(5, CriticConfig(solve_every=5, ridge=1e-6)), 20, 1e-3),
        (MlpValue(5, CriticConfig(hidden=(32,), learning_rate=1e-2), seed=0), 200, 0.1),
    ],
    ids=KINDS,
)
def test_a_known_value_is_learned(value: Value, lessons: int, bound: float) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    for _ in range(lessons):
        z, target = known(generator, 64)
        value.fit(z, target, 1 / (target + 1))
    z, target = known(generator, 500)
    assert np.median(np.abs(value.value(z) - target) / (target + 1)) < bound
    slope = value.slope(z)
    # dV/dz_2 = 6 z_2, dV/dz_4 = 0
    assert np.median(np.abs(slope[2] - 6 * z[2])) < 10 * bound
    assert np.median(np.abs(slope[4])) < 10 * bound


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_flight_teaches_nothing(kind: Kind) -> None:
    values = []
    for lie in (1.0, 1e6):
        step, learner = taught(kind)
        learner.traces["alive"][20:, 3] = 0
        learner.traces["cost"][:, 3] *= lie
        step.learn(step.moments(), step.truth.features(step.moments()))
        values.append(step.value.value(step.truth.features([10])[:, 0]))
    assert np.array_equal(values[0], values[1])


@pytest.mark.parametrize("kind", KINDS)
def test_before_its_beginning_the_run_is_that_without(kind: Kind) -> None:
    cfg = short(kind, begin=0.5)
    with_one, without = shac.Shac(cfg), shac.Shac(dataclasses.replace(cfg, critic="none"))
    same = []
    while not without.done:  # in chunks of 20 iterations
        with_one.advance(), without.advance()
        same.append(np.array_equal(with_one.state()["learner.parameter"], without.state()["learner.parameter"]))
    assert same == [True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_reproducible(kind: Kind) -> None:
    one, two = (shac.train(short(kind)).policy.contract.weights_sha256 for _ in range(2))
    assert one == two


def test_a_horizon_of_160_ms_flies_with_a_critic_only() -> None:
    """The motors alone lag by 150 ms: without a critic hardly any effect of an action is within the horizon."""
    base = dataclasses.replace(config.robust("crazyflie_paper", seed=1), horizon=constant(16.0), discount=0.98)
    base = dataclasses.replace(base, iterations=1500, critic_config=CriticConfig(begin=0.0, trust=0.0, every=2))
    body, conditions = robot.load("crazyflie_paper"), Conditions(seed=1)
    runs = (base, dataclasses.replace(base, critic="mlp"))
    alone, helped = (hover(shac.train(run).policy, body, conditions, 50).survival for run in runs)
    assert alone < 0.1  # 0.02 on AVX-512
    assert helped > 0.3  # 0.68


@pytest.mark.parametrize("numbers", [{"every": 0}, {"hidden": ()}, {"forget": 0.0}, {"begin": 1.0}, {"trust": -1.0}])
def test_impossible_critics_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(FledgeError, match="critic"):
        short("quadratic", **numbers)
