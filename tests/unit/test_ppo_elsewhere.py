"""PPO on something that is no quadrotor: a cart with one force, seen by a noisy sensor, with episodes that run out."""

from __future__ import annotations

import numpy as np
import torch
from fledge_sim.environment import Step
from fledge_train.ppo import Learner
from fledge_train.ppo_config import PpoNumbers
from torch import Tensor


class Cart:
    """x'' = 10 u, step 0.05 s; lost beyond 1 m, over after 60 steps; the actor sees the position 1 cm off."""

    observation_size, privileged_size, n = 2, 3, 64

    def __init__(self) -> None:
        self.privileged: Tensor | None = None
        self._generator = torch.Generator().manual_seed(0)
        self._state, self._age = torch.zeros(self.n, 2), torch.zeros(self.n)

    def _fresh(self, mask: Tensor) -> None:
        self._state[mask] = torch.rand(int(mask.sum()), 2, generator=self._generator) - 0.5
        self._age[mask] = 0

    def _seen(self) -> tuple[Tensor, Tensor]:
        noise = 0.01 * torch.randn(self.n, 2, generator=self._generator)
        return self._state + noise, torch.cat([self._state, 1 - self._age[:, None] / 60], dim=1)

    def reset(self) -> Tensor:
        self._fresh(torch.ones(self.n, dtype=torch.bool))
        observation, self.privileged = self._seen()
        return observation

    def step(self, action: Tensor) -> Step:
        assert action.shape == (self.n, 1)
        self._state[:, 1] += 0.05 * 10 * action[:, 0]
        self._state[:, 0] += 0.05 * self._state[:, 1]
        self._age += 1
        reward = 1 - 4 * self._state[:, 0] ** 2 - 0.1 * self._state[:, 1] ** 2
        terminated = self._state[:, 0].abs() > 1
        truncated = (self._age >= 60) & ~terminated
        last, last_privileged = self._seen()
        self._fresh(terminated | truncated)
        observation, privileged = self._seen()
        return Step(observation, reward, terminated, truncated, last, privileged, last_privileged)


def test_it_learns_to_stop_the_cart() -> None:
    numbers = PpoNumbers(environments=64, horizon=32, minibatches=4, hidden=(16,), critic_hidden=(32,))
    ppo = Learner(Cart(), 1, numbers, seed=0, first=np.zeros(1, np.float32))
    figures = [ppo.iterate(np.random.Generator(np.random.PCG64(i)), i / 40) for i in range(40)]
    assert figures[0].terminations > 20
    assert figures[-1].terminations == 0
    assert figures[-1].reward > 0.9
    assert figures[-1].reward > figures[0].reward + 0.2
