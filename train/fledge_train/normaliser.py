"""Observations with mean 0 and deviation 1: running statistics, an environment seen through them, and their end.

A learner sees (x - m) / s. When it is done, `fold` takes m and s into the first layer, and the policy file needs
nothing but its weights: W (x - m) / s + b = (W / s) x + (b - W m / s). A critic that moves to another learner takes its
own statistics along, for without them its weights mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Float32

from fledge_train.trainer import Snapshot

if TYPE_CHECKING:
    from torch import Tensor

    from fledge_train.ppo import Environment

LEAST = 1e-3
"""Deviation below which a feature counts as constant; it is then left in its own unit."""
FAR = 10.0
"""Privileged features are clipped to so many deviations; the actor's are not, for that could not be folded."""


class Statistics:
    """Mean and deviation of each feature over all rows seen so far."""

    def __init__(self, size: int) -> None:
        self.count = np.zeros(())
        self.mean, self.square = np.zeros(size), np.zeros(size)
        """Mean, and sum of squared distances from it."""
        self._settle()

    def add(self, rows: Float32) -> None:
        """Take in (n, size). Chan's update: the squares of both parts, and that of the distance of their means."""
        batch = rows.astype(np.float64)
        count, mean = len(batch), batch.mean(axis=0)
        total, apart = float(self.count) + count, mean - self.mean
        self.square += np.square(batch - mean).sum(axis=0) + np.square(apart) * float(self.count) * count / total
        self.mean += apart * count / total
        self.count[...] = total
        self._settle()

    def _settle(self) -> None:
        deviation = np.sqrt(self.square / max(1.0, float(self.count)))
        self.deviation = np.where(deviation > LEAST, deviation, 1.0)
        self._offset, self._factor = self.mean.astype(np.float32), (1 / self.deviation).astype(np.float32)

    def normalised(self, rows: Float32) -> Float32:
        """(x - m) / s of (n, size)."""
        return np.asarray((rows - self._offset) * self._factor)

    def fold(self, weight: Float32, bias: Float32) -> tuple[Float32, Float32]:
        """First layer (W, b) on raw observations that does what this one does on normalised ones."""
        folded = weight / self.deviation
        return folded.astype(np.float32), (bias - folded @ self.mean).astype(np.float32)

    def arrays(self) -> Snapshot:
        """All that it knows; after `trainer.put` call `settle`."""
        return {"count": self.count, "mean": self.mean, "square": self.square}

    def settle(self) -> None:
        """After `arrays` were put back. Raises FledgeError where they are no statistics."""
        whole = all(np.isfinite(array).all() for array in (self.count, self.mean, self.square))
        if not whole or self.count < 0 or (self.square < 0).any():
            raise FledgeError("statistics of a normaliser are not finite or negative; the file is damaged, train anew")
        self._settle()


class Normalised:
    """An environment as a learner sees it; `learn` between two rollouts moves the statistics, never within one."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.n = environment.n
        self.observation_size, self.privileged_size = environment.observation_size, environment.privileged_size
        self.observation_statistics = Statistics(self.observation_size)
        self.privileged_statistics = Statistics(self.privileged_size)
        self.privileged: Tensor | None = None
        self.observation_held = False
        """Whether the statistics of the observation stay as they are, under an actor that came with them."""
        self._seen: list[tuple[Float32, Float32]] = []

    def reset(self) -> Tensor:
        """As the environment's; what it shows is learned at once."""
        observation = self._environment.reset().numpy()
        assert self._environment.privileged is not None
        privileged = self._environment.privileged.numpy()
        self._seen.append((observation, privileged))
        self.learn()
        self.privileged = torch.from_numpy(self._truth(privileged))
        return torch.from_numpy(self.observation_statistics.normalised(observation))

    def step(self, action: Tensor) -> Step:
        """As the environment's."""
        step = self._environment.step(action)
        assert step.privileged is not None
        assert step.ended_privileged is not None
        observation, privileged = step.observation.numpy(), step.privileged.numpy()
        self._seen.append((observation, privileged))
        ended = step.ended.any()  # elsewhere what ended is undefined, and nobody looks
        last = self._truth(step.ended_privileged.numpy()) if ended else step.ended_privileged.numpy()
        return step._replace(
            observation=torch.from_numpy(self.observation_statistics.normalised(observation)),
            privileged=torch.from_numpy(self._truth(privileged)),
            ended_privileged=torch.from_numpy(last),
        )

    def _truth(self, privileged: Float32) -> Float32:
        return np.clip(self.privileged_statistics.normalised(privileged), -FAR, FAR)

    def learn(self) -> None:
        """Take in what was shown since the last time."""
        if self._seen:
            observation, privileged = (np.concatenate(part) for part in zip(*self._seen, strict=True))
            if not self.observation_held:
                self.observation_statistics.add(observation)
            self.privileged_statistics.add(privileged)
            self._seen.clear()

    def arrays(self) -> Snapshot:
        """Both statistics."""
        both = {"observation": self.observation_statistics, "privileged": self.privileged_statistics}
        return {f"{name}.{key}": array for name, part in both.items() for key, array in part.arrays().items()}

    def settle(self) -> None:
        """After `arrays` were put back."""
        self.observation_statistics.settle()
        self.privileged_statistics.settle()
        self._seen.clear()
