"""Behaviour cloning and DAgger: an actor that sees little learns what an expert that sees everything would do.

    L = mean |m(o) - a*|^2 over all that was seen so far,   a* the expert's mean action

Behaviour cloning looks at what the expert flies; DAgger at what the student flies, with the expert in its place in a
share of the worlds that falls to 0. The expert is asked in both, and nobody is rewarded.

Source: S. Ross, G. Gordon, D. Bagnell, A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
Learning, AISTATS 2011.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Float32

from fledge_train.curriculum import Cosine
from fledge_train.dense import Adam, Network
from fledge_train.ppo import Environment
from fledge_train.trainer import Snapshot

Expert = Callable[[Step | None], Float32]
"""Mean action (n, A) in the states that a step led to; None: those of the last reset."""


@dataclass(frozen=True)
class ImitationNumbers:
    """What both algorithms need, whatever the environment."""

    environments: int = 256
    """Worlds in step."""
    horizon: int = 25
    """Steps of every world per iteration."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden sizes of the actor."""
    mixing: float = 0.5
    """Iterations of DAgger, as a share of the run, over which the expert's share of the worlds falls from 1 to 0."""
    noise: float = 0.1
    """Standard deviation of what is added to actions, so that more is seen than one path."""
    capacity: int = 200_000
    """Rows kept, the newest."""
    passes: float = 2.0
    """Rows learned from in an iteration, in units of the rows that it adds."""
    batch: int = 1024
    """Rows of one update."""
    learning_rate: Cosine = Cosine(2e-3, 1e-4)
    """Of Adam."""

    def __post_init__(self) -> None:
        sizes = (self.environments, self.horizon, self.batch, self.capacity)
        if min(sizes) < 1 or not self.hidden or min(self.hidden) < 1 or self.passes <= 0:
            raise FledgeError("training configuration: sizes of an imitation must be at least 1")
        if not 0 <= self.mixing <= 1 or self.noise < 0:
            raise FledgeError("training configuration: mixing must lie in 0..1 and noise must not be negative")


@dataclass(frozen=True)
class Imitated:
    """Of one iteration."""

    loss: float
    """Mean squared error of an action, over all minibatches."""
    reward: float
    """Mean per step."""
    expert_share: float
    """Of the worlds."""
    gradient_norm: float
    """Largest; NaN where one was not finite."""


class Imitator:
    """A student in an environment, with an expert beside."""

    def __init__(
        self, environment: Environment, expert: Expert, actions: int, numbers: ImitationNumbers, dagger: bool, seed: int
    ) -> None:
        """Begin all episodes; `dagger` lets the student act."""
        self.environment, self.expert, self.numbers, self.dagger = environment, expert, numbers, dagger
        self.actor = Network((environment.observation_size, *numbers.hidden, actions), "tanh", "tanh", seed)
        self.adam = Adam(self.actor, numbers.learning_rate.start, clip=1.0)
        self._seen = np.zeros((numbers.capacity, environment.observation_size), np.float32)
        self._shown = np.zeros((numbers.capacity, actions), np.float32)
        self._count, self._updates = np.zeros((), np.int64), np.zeros((), np.int64)
        self.observation: Float32 = np.array(environment.reset().numpy(), order="C")
        self.wanted: Float32 = np.array(expert(None), order="C")
        """The expert's action in the states of now."""

    def expert_share(self, progress: float) -> float:
        """Of the worlds, at `progress` of the run."""
        if not self.dagger:
            return 1.0
        return max(0.0, 1 - progress / self.numbers.mixing) if self.numbers.mixing else 0.0

    def iterate(self, generator: np.random.Generator, progress: float) -> Imitated:
        """Fly the horizon and ask, then learn from all that was seen."""
        c, share = self.numbers, self.expert_share(progress)
        reward = np.mean([self._step(generator, share) for _ in range(c.horizon)])
        self.adam.rate = c.learning_rate.at(progress)
        known = min(int(self._count), c.capacity)
        updates = max(1, round(c.passes * c.horizon * self.environment.n / c.batch))
        results = [self._improve(generator.integers(known, size=min(c.batch, known))) for _ in range(updates)]
        losses, norms = zip(*results, strict=True)
        return Imitated(float(np.mean(losses)), float(reward), share, float(np.max(norms)))

    def _step(self, generator: np.random.Generator, share: float) -> float:
        """Keep what is seen and wanted, then act; mean reward."""
        c, n = self.numbers, self.environment.n
        places = (int(self._count) + np.arange(n)) % c.capacity
        self._seen[places], self._shown[places] = self.observation, self.wanted
        self._count += n
        theirs = generator.random(n) < share
        action = np.where(theirs[:, None], self.wanted, self.actor.infer(self.observation))
        action = action + np.float32(c.noise) * generator.standard_normal(action.shape, np.float32)
        step = self.environment.step(torch.from_numpy(np.clip(action, -1, 1)))
        self.observation[:], self.wanted[:] = step.observation.numpy(), self.expert(step)
        return float(step.reward.mean())

    def _improve(self, rows: np.ndarray) -> tuple[float, float]:
        """One update; loss before, and the gradient's norm."""
        error = self.actor.forward(self._seen[rows]) - self._shown[rows]
        self.actor.backward(np.float32(2 / error.size) * error)
        self._updates += 1
        return float(np.square(error).mean()), self.adam.step()

    def forget(self) -> None:
        """Everything that was seen; the student keeps what it has learned from it."""
        self._count[...] = 0

    def arrays(self) -> Snapshot:
        """All that changes, but the environment; views."""
        return {
            "actor": self.actor.parameter,
            "actor.moment": self.adam.moment,
            "seen": self._seen,
            "shown": self._shown,
            "count": self._count,
            "updates": self._updates,
            "observation": self.observation,
            "wanted": self.wanted,
        }

    def continue_adam(self) -> None:
        """After `arrays` were put back."""
        self.adam.steps = int(self._updates)
