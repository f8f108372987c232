"""Cloning, DAgger, and what one run leaves for another: a point must go to a place that only the expert sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_train import teacher
from fledge_train.curriculum import Line
from fledge_train.dense import Network
from fledge_train.history_encoder import HistoryLearner, HistoryNumbers
from fledge_train.imitation import ImitationNumbers, Imitator
from fledge_train.normaliser import Normalised, Statistics
from fledge_train.ppo import Learner
from fledge_train.ppo_config import PpoNumbers
from fledge_train.recurrent import Gru
from fledge_train.teacher import Critic, Origin, Teacher
from torch import Tensor

NUMBERS = ImitationNumbers(
    environments=16, horizon=10, hidden=(16,), capacity=2000, batch=100, passes=3, mixing=0.5, noise=Line(0.1, 0.1)
)
ORIGIN = Origin("so101", "reach", "truth", ("task", "smoothness"))


class Point:
    """x' = u on a line; the expert knows x, the student 3 x and the last action."""

    n, observation_size, privileged_size = 16, 2, 1

    def __init__(self) -> None:
        self.x, self.age, self.acted = torch.zeros(16), 0, torch.zeros(16, 1)
        self.privileged: Tensor | None = None
        self.taken: list[Tensor] = []

    def _look(self) -> Tensor:
        self.privileged = self.x[:, None].clone()
        return torch.stack([3 * self.x, self.acted[:, 0]], dim=1)

    def reset(self) -> Tensor:
        self.x, self.age = torch.linspace(-1, 1, 16), 0
        return self._look()

    def step(self, action: Tensor) -> Step:
        self.taken.append(action)
        self.x, self.age, self.acted = self.x + 0.3 * action[:, 0], self.age + 1, action
        reward, over, last, truth = -self.x.abs(), torch.full((16,), self.age == 20), self._look(), self.x[:, None]
        if self.age == 20:
            self.reset()
        return Step(self._look(), reward, over & False, over, last, self.privileged, truth)


def expert_of(point: Point) -> object:
    return lambda step: np.clip(-2 * point.x[:, None].numpy(), -0.9, 0.9)


def imitator(dagger: bool) -> tuple[Imitator, Point]:
    point = Point()
    return Imitator(point, expert_of(point), 1, NUMBERS, dagger, seed=0), point  # type: ignore[arg-type]


def test_cloning_lets_the_expert_act_and_dagger_hands_over() -> None:
    cloning, _ = imitator(dagger=False)
    assert [cloning.expert_share(progress) for progress in (0.0, 0.5, 1.0)] == [1, 1, 1]
    dagger, point = imitator(dagger=True)
    assert [dagger.expert_share(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == [1, 0.5, 0, 0]
    theirs, own = dagger.wanted.copy(), dagger.actor.infer(dagger.observation).copy()
    dagger._step(np.random.Generator(np.random.PCG64(0)), 0.5, 0.1)
    acted = point.taken[-1].numpy()
    by_expert = np.abs(acted - theirs) < np.abs(acted - own)
    assert 2 < by_expert.sum() < 14
    assert 0.02 < np.abs(acted - np.where(by_expert, theirs, own)).max() < 5 * 0.1
    assert np.array_equal(dagger._shown[0], theirs)  # whoever acts, the expert is what is learned


def test_both_learn_what_the_expert_would_do() -> None:
    for dagger in (False, True):
        student, point = imitator(dagger)
        generator = np.random.Generator(np.random.PCG64(0))
        results = [student.iterate(generator, i / 30) for i in range(30)]
        assert results[-1].loss < 0.05 * results[0].loss
        assert results[-1].expert_share == (0 if dagger else 1)
        point.reset()
        for _ in range(15):
            point.step(torch.from_numpy(student.actor.infer(point._look().numpy()).copy()))
        assert float(point.x.abs().max()) < 0.1
        assert int(student._count) == 30 * 10  # more than is kept
        assert student._seen.shape == (125, 16, 2)


def test_numbers_that_cannot_work_are_refused() -> None:
    for wrong in ({"batch": 0}, {"hidden": ()}, {"mixing": 1.5}, {"noise": Line(-0.1, 0)}, {"passes": 0.0}):
        with pytest.raises(FledgeError, match="training configuration"):
            ImitationNumbers(**wrong)  # type: ignore[arg-type]


def a_teacher(groups: int = 2) -> Teacher:
    observation, privileged = Statistics(2), Statistics(1)
    draw = np.random.Generator(np.random.PCG64(0))
    observation.add(draw.standard_normal((50, 2)).astype(np.float32) + 3)
    privileged.add(draw.standard_normal((50, 1)).astype(np.float32) * 9)
    actor, critic = Network((2, 8, 1), "tanh", "tanh", 1), Network((1, 8, groups), "tanh", "linear", 2)
    return Teacher(ORIGIN, actor, observation, Critic(critic, privileged))


def learner(groups: int = 2, history: bool = False) -> tuple[Learner, Normalised]:
    environment = Normalised(Point())
    numbers = PpoNumbers(environments=16, horizon=4, minibatches=2, epochs=1, hidden=(8, 8), critic_hidden=(8,))
    kind = HistoryLearner if history else Learner
    return kind(environment, 1, numbers, 5, np.zeros(1, np.float32), (1.0,) * groups), environment


def test_a_teacher_comes_back_and_acts_the_same(tmp_path: Path) -> None:
    ours = a_teacher()
    teacher.save(tmp_path / teacher.FILE, ours)
    theirs = teacher.load(tmp_path)
    assert theirs.origin == ORIGIN
    seen = np.array([[3.0, 2.0], [4.0, 1.0]], np.float32)
    assert np.array_equal(theirs.act(seen), ours.act(seen))
    assert ours.critic is not None
    assert theirs.critic is not None
    assert np.array_equal(theirs.critic.network.parameter, ours.critic.network.parameter)
    assert np.array_equal(theirs.critic.statistics.deviation, ours.critic.statistics.deviation)


def test_a_student_that_remembers_comes_back_without_a_critic(tmp_path: Path) -> None:
    ours = replace(a_teacher(), actor=Gru((2, 4, 1), 3), critic=None)
    teacher.save(tmp_path / teacher.FILE, ours)
    theirs = teacher.load(tmp_path)
    assert isinstance(theirs.actor, Gru)
    assert theirs.critic is None
    assert np.array_equal(theirs.actor.parameter, ours.actor.parameter)
    with pytest.raises(FledgeError, match="cannot be asked"):
        theirs.act(np.zeros((1, 2), np.float32))


def test_a_lent_critic_brings_what_it_sees_through() -> None:
    """AACD: the new learner values a raw privileged state exactly as the teacher did; its actor stays its own."""
    ours = a_teacher()
    student, environment = learner()
    actor = student.actor.parameter.copy()
    assert ours.critic is not None
    ours.lend_critic(student, environment.privileged_statistics)
    raw = np.array([[0.4], [-7.0]], np.float32)
    expected = ours.critic.network.infer(ours.critic.statistics.normalised(raw)).copy()
    assert np.array_equal(student.critic.infer(environment._truth(raw)), expected)
    assert np.array_equal(student.actor.parameter, actor)
    with pytest.raises(FledgeError, match="same task"):
        a_teacher(groups=3).lend_critic(student, environment.privileged_statistics)


def test_what_is_no_teacher_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="train a teacher first"):
        teacher.load(tmp_path)
    (tmp_path / teacher.FILE).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FledgeError, match="no teacher file"):
        teacher.load(tmp_path)
    np.savez(tmp_path / "policy.npz", contract=np.zeros(3, np.uint8))
    with pytest.raises(FledgeError, match="no teacher file"):
        teacher.load(tmp_path / "policy.npz")
    diverged = a_teacher()
    diverged.actor.parameter[:] = np.nan
    teacher.save(tmp_path / teacher.FILE, diverged)
    with pytest.raises(FledgeError, match="diverged"):
        teacher.load(tmp_path)


def test_the_history_learner_predicts_better_as_it_goes_and_continues_to_the_same_bytes() -> None:
    def begun() -> HistoryLearner:
        student, _ = learner(groups=1, history=True)
        assert isinstance(student, HistoryLearner)
        student.begin_history(HistoryNumbers(code=4, weight=1.0), seed=1)
        return student

    one, losses = begun(), []
    for i in range(70):
        one.iterate(np.random.Generator(np.random.PCG64(i)), 0.5)
        losses.append(one.actor.loss)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])

    two = begun()
    for name, array in two.arrays().items():
        array[...] = one.arrays()[name]
    two.continue_adam()
    two.environment, two.critic_adam.rate = one.environment, one.critic_adam.rate
    assert np.array_equal(two.actor.infer(one.observation), one.actor.infer(one.observation))
    assert two.actor_adam.steps == one.actor_adam.steps > 0
