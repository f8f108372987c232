"""PPO with a reward in groups: one critic's output each, advantages normalised per group, then weighted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fledge_sim.environment import Step
from fledge_train.normaliser import Normalised
from fledge_train.ppo import Learner, Rollout
from fledge_train.ppo_config import Pace, PpoNumbers
from torch import Tensor

NUMBERS = PpoNumbers(
    environments=2, horizon=2, minibatches=1, hidden=(8,), critic_hidden=(8,), discount=0.5, decay=0.5, value_scale=1.0
)


class Corridor:
    """A point on a line that may step left or right; one group pays for being right, one charges the effort."""

    observation_size, privileged_size, reward_groups = 1, 2, ("place", "effort")

    def __init__(self, n: int = 32) -> None:
        self.n, self.place, self.age = n, torch.zeros(n), 0
        self.privileged: Tensor | None = None

    def reset(self) -> Tensor:
        self.place, self.age = torch.linspace(-1, 1, self.n), 0
        return self._look()[0]

    def _look(self) -> tuple[Tensor, Tensor]:
        truth = torch.stack([self.place, torch.full((self.n,), self.age / 20)], dim=1)
        self.privileged = truth
        return 100 + 5 * self.place[:, None], truth

    def step(self, action: Tensor) -> Step:
        self.place = (self.place + 0.2 * action[:, 0]).clamp(-2, 2)
        self.age += 1
        groups = torch.stack([-((self.place - 0.5) ** 2), -1e-3 * action[:, 0] ** 2], dim=1)
        last, last_truth = self._look()
        over = torch.full((self.n,), self.age == 20)
        if self.age == 20:
            self.reset()
        seen, truth = self._look()
        return Step(seen, groups.sum(dim=1), over & False, over, last, truth, last_truth, groups)


def learner(
    weights: tuple[float, ...] = (1.0, 0.5), numbers: PpoNumbers = NUMBERS, pace: Pace | None = None
) -> Learner:
    return Learner(Corridor(numbers.environments), 1, numbers, 0, np.zeros(1, np.float32), weights, pace)


def test_advantages_of_two_groups_by_hand() -> None:
    """gamma lambda = 1/4, values 0, no end: A = [r0 + r1/4, r1] in each group.

    Group 1: r = [[4, 0], [0, 8]] of worlds a, b gives A = [[4, 2], [0, 8]]: mean 3.5, variance
    (.25 + 2.25 + 12.25 + 20.25) / 4 = 8.75. Group 2: r = [[0, -4], [-4, 0]] gives [[-1, -4], [-4, 0]]: mean -2.25,
    variance (1.5625 + 2 * 3.0625 + 5.0625) / 4 = 3.1875.
    """
    reward = np.array([[[4, 0], [0, -4]], [[0, -4], [8, 0]]], np.float32)
    zero = np.zeros_like(reward)
    advantage, target = learner()._advantages(reward, zero, zero, np.zeros((2, 2), bool))
    first, second = np.array([[4, 2], [0, 8]]), np.array([[-1, -4], [-4, 0]])
    assert np.allclose(target, np.stack([first, second], axis=-1))
    assert np.allclose(advantage, (first - 3.5) / 8.75**0.5 + 0.5 * (second + 2.25) / 3.1875**0.5, atol=1e-6)


def test_an_episode_that_ended_carries_nothing_back() -> None:
    reward = np.array([[[0, 0], [0, 0]], [[8, 8], [8, 8]]], np.float32)
    zero, ended = np.zeros_like(reward), np.array([[True, False], [False, False]])
    _, target = learner()._advantages(reward, zero, zero, ended)
    assert np.array_equal(target[0], [[0, 0], [2, 2]])


def test_the_scale_of_a_group_does_not_matter() -> None:
    """What a group pays is compared with itself: a thousand times the penalty is the same advantage."""
    reward = np.random.Generator(np.random.PCG64(0)).standard_normal((2, 2, 2)).astype(np.float32)
    zero, ended = np.zeros_like(reward), np.zeros((2, 2), bool)
    advantage, _ = learner()._advantages(reward, zero, zero, ended)
    scaled, _ = learner()._advantages(reward * np.array([1, 1000], np.float32), zero, zero, ended)
    assert np.allclose(advantage, scaled, atol=1e-4)


def test_gradient_of_the_critic_with_two_outputs() -> None:
    """Against torch in double precision: the sum over groups of the mean squared errors."""
    ppo, generator = learner(), np.random.Generator(np.random.PCG64(1))
    seen = generator.standard_normal((50, 2)).astype(np.float32)
    target = generator.standard_normal((50, 2)).astype(np.float32)
    empty = np.zeros((50, 1), np.float32)
    layers = [[torch.tensor(a, dtype=torch.float64).requires_grad_() for a in pair] for pair in ppo.critic.weights()]
    (w0, b0), (w1, b1) = layers
    value = torch.tanh(torch.from_numpy(seen).double() @ w0.T + b0) @ w1.T + b1
    loss = (value - torch.from_numpy(target)).square().mean(dim=0)
    loss.sum().backward()
    found, _ = ppo._improve_critic(Rollout(empty, seen, empty, empty[:, 0], empty[:, 0], target), np.arange(50))
    assert found == pytest.approx(float(loss.detach().mean()), rel=1e-5)
    for ours, theirs in zip(ppo.critic.weights(of_gradient=True), layers, strict=True):
        for mine, double in zip(ours, theirs, strict=True):
            assert double.grad is not None
            assert np.abs(mine - double.grad.numpy()).max() < 1e-4 * float(double.grad.abs().max())


def test_a_frozen_critic_stays_and_the_actor_does_not() -> None:
    ppo = learner()
    ppo.critic_frozen = True
    critic, actor = ppo.critic.parameter.copy(), ppo.actor.parameter.copy()
    figures = ppo.iterate(np.random.Generator(np.random.PCG64(0)), 0.0)
    assert figures.value_loss > 0
    assert np.array_equal(ppo.critic.parameter, critic)
    assert not np.array_equal(ppo.actor.parameter, actor)
    ppo.critic_frozen = False
    ppo.iterate(np.random.Generator(np.random.PCG64(1)), 0.0)
    assert not np.array_equal(ppo.critic.parameter, critic)
    kept = {name: array.copy() for name, array in ppo.arrays().items()}
    ppo.continue_adam()
    assert (ppo.actor_adam.steps, ppo.critic_adam.steps) == (int(kept["updates"]), int(kept["critic.updates"]))
    assert ppo.critic_adam.steps == ppo.actor_adam.steps // 2


def test_the_pace_follows_the_divergence() -> None:
    pace = Pace(target=0.01, factor=2.0, least=1e-4, most=1e-2)
    assert pace.next(1e-3, 0.021) == 5e-4
    assert pace.next(1e-3, 0.004) == 2e-3
    assert pace.next(1e-3, 0.01) == 1e-3
    assert pace.next(1.5e-4, 1.0) == 1e-4
    assert pace.next(8e-3, 0.0) == 1e-2


def test_a_learner_with_a_pace_settles_on_a_rate_that_its_state_keeps() -> None:
    numbers = PpoNumbers(environments=32, horizon=20, minibatches=2, hidden=(8,), critic_hidden=(8,))
    ppo = learner(numbers=numbers, pace=Pace(target=1e-3))
    generator = np.random.Generator(np.random.PCG64(0))
    rates = []
    for _ in range(15):
        ppo.iterate(generator, 0.0)
        rates.append(float(ppo.arrays()["rate"]))
    assert len(set(rates)) > 3
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)


def test_it_learns_from_groups_through_a_normaliser() -> None:
    """The place is seen as 100 + 5 x: without statistics no network of this size can tell left from right."""
    numbers = PpoNumbers(environments=32, horizon=20, minibatches=2, hidden=(16,), critic_hidden=(16,), deviation=0.5)
    corridor = Normalised(Corridor(32))
    ppo = Learner(corridor, 1, numbers, 0, np.zeros(1, np.float32), (1.0, 0.5))
    generator = np.random.Generator(np.random.PCG64(0))
    rewards = []
    for i in range(30):
        rewards.append(ppo.iterate(generator, i / 30).reward)
        corridor.learn()
    assert rewards[-1] > 0.4 * rewards[0]
