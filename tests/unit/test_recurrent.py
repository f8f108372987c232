"""An actor with memory: its arithmetic, its gradient, and that both learners use what it remembers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from fledge_sim import policy as policies
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_train.arm_config import ArmPpoConfig, ImitationConfig
from fledge_train.curriculum import Cosine, Line
from fledge_train.history_encoder import HistoryNumbers
from fledge_train.imitation import ImitationNumbers, Imitator
from fledge_train.ppo_config import PpoNumbers
from fledge_train.recurrent import Gru, GruAdam
from fledge_train.recurrent_ppo import RecurrentLearner
from torch import Tensor

DRAW = np.random.Generator(np.random.PCG64(7))
SEEN = DRAW.standard_normal((6, 3, 5)).astype(np.float32)
torch.set_num_threads(1)  # small tensors: a second thread only waits, and on a busy machine for long
MEMORY = DRAW.standard_normal((3, 4)).astype(np.float32)
BEGUN = np.zeros((6, 3), bool)
BEGUN[2, 1] = BEGUN[4, 0] = True


def test_a_sequence_is_what_a_policy_file_does_step_by_step(make_arm_policy: Callable[..., Policy]) -> None:
    """fledge_sim.policy is the reference; a step that begins an episode forgets what was before."""
    policy = make_arm_policy("gru", (4,))
    inputs, w = policy.contract.observation_size, policy.weights
    pairs = (("gru.weight_input", "gru.bias_input"), ("gru.weight_hidden", "gru.bias_hidden"))
    gru = Gru((inputs, 4, policy.contract.outputs), 1)
    gru.set_weights([*((w[one], w[two]) for one, two in pairs), (w["output.weight"], w["output.bias"])])
    raw = DRAW.uniform(-1, 1, (6, 3, inputs))
    seen = policies.scale_observation(policy.contract, raw).astype(np.float32)
    actions = gru.forward(seen, MEMORY, BEGUN)
    state, kept = MEMORY.astype(np.float64), MEMORY
    for t in range(6):
        state[BEGUN[t]] = 0
        expected, state = policies.forward(policy, raw[t], state)
        assert np.abs(actions[t] - expected).max() < 1e-5
        action, kept = gru.act(seen[t], np.where(BEGUN[t][:, None], np.float32(0), kept))
        assert np.abs(actions[t] - action).max() < 1e-6


def test_the_gradient_goes_through_time() -> None:
    gru = Gru((5, 4, 2), 1)
    bar = np.zeros((6, 3, 2), np.float32)
    bar[5] = 1  # of the last actions alone

    def value() -> float:
        return float(gru.forward(SEEN, MEMORY, BEGUN)[5].astype(np.float64).sum())

    value()
    gru.backward(bar)
    assert gru.tensor.grad is not None
    gradient = gru.tensor.grad.numpy().copy()
    for place in DRAW.integers(gru.parameter.size, size=25):
        there = gru.parameter[place]
        gru.parameter[place] = there + 0.01
        above = value()
        gru.parameter[place] = there - 0.01
        difference = (above - value()) / 0.02
        gru.parameter[place] = there
        assert abs(difference - gradient[place]) < 2e-3 + 0.02 * abs(difference)


def test_a_gradient_that_is_not_finite_changes_no_weight() -> None:
    gru = Gru((5, 4, 2), 1)
    adam, before = GruAdam(gru, 0.1, 1.0), gru.parameter.copy()
    gru.forward(SEEN, MEMORY, BEGUN)
    gru.backward(np.full((6, 3, 2), np.nan, np.float32))
    assert not np.isfinite(adam.step())
    assert np.array_equal(gru.parameter, before)


class Recall:
    """The cue, -1 or 1, is seen in the first of 6 steps alone; every action should be 0.8 times it."""

    n, observation_size, privileged_size = 24, 2, 1

    def __init__(self) -> None:
        self._draw = np.random.Generator(np.random.PCG64(5))
        self.age = np.arange(self.n) % 6  # not all worlds end together
        self.cue = np.sign(self._draw.standard_normal((self.n, 1))).astype(np.float32)
        self.privileged: Tensor | None = None

    def _look(self) -> Tensor:
        self.privileged = torch.from_numpy(self.cue.copy())
        shown = np.where(self.age[:, None] == 0, self.cue, 0)
        return torch.from_numpy(np.concatenate([shown, np.ones_like(shown)], 1).astype(np.float32))

    def reset(self) -> Tensor:
        return self._look()

    def step(self, action: Tensor) -> Step:
        reward = -torch.from_numpy((action.numpy() - 0.8 * self.cue)[:, 0] ** 2)
        self.age = (self.age + 1) % 6
        ended = self.age == 0
        self.cue[ended] = np.sign(self._draw.standard_normal((int(ended.sum()), 1)))
        over, seen = torch.from_numpy(ended), self._look()
        return Step(seen, reward, over, over & False, seen, self.privileged, self.privileged)


def recalled(gru: Gru) -> float:
    """Root mean square error of the actions over fresh episodes; 0.8 without memory."""
    cue = np.array([[-1.0], [1.0]], np.float32)
    memory, errors = np.zeros((2, gru.memory_size), np.float32), []
    for age in range(6):
        seen = np.concatenate([cue * (age == 0), np.ones_like(cue)], 1)
        action, memory = gru.act(seen, memory)
        errors.append(action - 0.8 * cue)
    return float(np.sqrt(np.square(errors).mean()))


def test_an_imitator_with_memory_learns_what_it_saw_long_ago() -> None:
    numbers = ImitationNumbers(
        environments=24,
        horizon=6,
        hidden=(8,),
        capacity=24 * 60,
        batch=120,
        passes=4,
        window=8,
        noise=Line(0.1, 0.0),
        learning_rate=Cosine(2e-2, 1e-3),
    )
    point = Recall()
    student = Imitator(point, lambda step: 0.8 * point.cue, 1, numbers, True, 0, recurrent=True)  # type: ignore[arg-type]
    assert isinstance(student.actor, Gru)
    for i in range(20):
        student.iterate(np.random.Generator(np.random.PCG64(i)), i / 20)
    assert recalled(student.actor) < 0.15


def learner(rate: float) -> RecurrentLearner:
    numbers = PpoNumbers(
        environments=24,
        horizon=9,
        epochs=4,
        minibatches=3,
        hidden=(8,),
        critic_hidden=(16,),
        learning_rate=Cosine(rate, rate),
        deviation=0.3,
        discount=0.5,
        value_scale=1.0,
    )
    return RecurrentLearner(Recall(), 1, numbers, 1, np.zeros(1, np.float32))


def test_what_is_learned_from_is_what_flew() -> None:
    """With weights that barely move, new and old policies agree on every sample of the second horizon as well."""
    student = learner(rate=1e-9)
    for i in range(2):
        figures = student.iterate(np.random.Generator(np.random.PCG64(i)), 0.0)
        assert abs(figures.divergence) < 1e-5
    rows = np.sort(np.concatenate(student._minibatches(np.random.Generator(np.random.PCG64(0)), 9 * 24)))
    assert np.array_equal(rows, np.arange(9 * 24))


def test_ppo_with_memory_learns_what_it_saw_long_ago() -> None:
    student = learner(rate=3e-2)
    for i in range(12):
        student.iterate(np.random.Generator(np.random.PCG64(i)), i / 12)
    assert recalled(student.actor) < 0.2


def test_numbers_of_a_gru_that_cannot_work_are_refused() -> None:
    one = PpoNumbers(hidden=(8,))
    for make in (
        lambda: ArmPpoConfig(network="gru"),
        lambda: ArmPpoConfig(network="gru", ppo=PpoNumbers(hidden=(8,), environments=4, minibatches=5)),
        lambda: ArmPpoConfig(network="gru", ppo=one, history=HistoryNumbers(code=4)),
        lambda: ImitationConfig(imitation=ImitationNumbers(hidden=(8, 8))),
    ):
        with pytest.raises(FledgeError, match="training configuration"):
            make()
    assert ArmPpoConfig(network="gru", ppo=one).label.endswith("-gru")
