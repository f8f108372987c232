"""Behaviour cloning and DAgger: an actor that sees little learns what an expert that sees everything would do.

    L = mean |m(o) - a*|^2 over all that was seen so far,   a* the expert's mean action

Behaviour cloning looks at what the expert flies; DAgger at what the student flies, with the expert in its place in a
share of the worlds that falls to 0. The expert is asked in both, and nobody is rewarded. A student with memory learns
from windows of the past, each from what it remembered then.

Source: S. Ross, G. Gordon, D. Bagnell, A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
Learning, AISTATS 2011.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Float32

from fledge_train.curriculum import Cosine, Line
from fledge_train.dense import Adam, Network
from fledge_train.ppo import Environment
from fledge_train.recurrent import Bools, Gru, GruAdam

if TYPE_CHECKING:
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
    hidden: tuple[int, ...] = (48,)
    """Units of memory of a gru, or hidden sizes of an mlp."""
    mixing: float = 0.3
    """Iterations of DAgger, as a share of the run, over which the expert's share of the worlds falls from 1 to 0."""
    noise: Line = Line(0.1, 0.0, until=0.6)
    """Standard deviation of what is added to actions, so that more is seen than one path; nothing at the end, or the
    student learns to move with its shaking."""
    capacity: int = 256_000
    """Rows kept, the newest."""
    passes: float = 16.0
    """Rows learned from in an iteration, in units of the rows that it adds."""
    batch: int = 2048
    """Rows of one update."""
    window: int = 32
    """Steps of a world that a student with memory learns from at once."""
    learning_rate: Cosine = Cosine(3e-3, 1e-4)
    """Of Adam."""

    def __post_init__(self) -> None:
        sizes = (self.environments, self.horizon, self.batch, self.capacity // self.environments, self.window)
        if min(sizes) < 1 or not self.hidden or min(self.hidden) < 1 or self.passes <= 0:
            raise FledgeError("training configuration: sizes of an imitation must be at least 1")
        if not 0 <= self.mixing <= 1 or min(self.noise.start, self.noise.end) < 0:
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


class Memoryless:
    """A dense network with the members of a Gru."""

    memory_size = 0

    def __init__(self, network: Network) -> None:
        self._network = network

    def act(self, observation: Float32, memory: Float32) -> tuple[Float32, Float32]:
        """Actions (n, A) for (n, I), and the memory, empty."""
        return self._network.infer(observation), memory

    def forward(self, observation: Float32, memory: Float32, begun: Bools) -> Float32:
        """Actions (T, n, A) for (T, n, I)."""
        steps, n, inputs = observation.shape
        return self._network.forward(observation.reshape(-1, inputs)).reshape(steps, n, -1)

    def backward(self, output_bar: Float32) -> None:
        """Gradient of the last forward."""
        self._network.backward(output_bar.reshape(-1, output_bar.shape[-1]))


class Imitator:
    """A student in an environment, with an expert beside."""

    def __init__(
        self,
        environment: Environment,
        expert: Expert,
        actions: int,
        numbers: ImitationNumbers,
        dagger: bool,
        seed: int,
        recurrent: bool = False,
    ) -> None:
        """Begin all episodes; `dagger` lets the student act, `recurrent` lets it remember."""
        self.environment, self.expert, self.numbers, self.dagger = environment, expert, numbers, dagger
        n, inputs, rate = environment.n, environment.observation_size, numbers.learning_rate.start
        self.actor: Gru | Network
        self.adam: GruAdam | Adam
        self._student: Gru | Memoryless
        if recurrent:
            self.actor = self._student = Gru((inputs, numbers.hidden[0], actions), seed)
            self.adam = GruAdam(self.actor, rate, clip=1.0)
        else:
            self.actor = Network((inputs, *numbers.hidden, actions), "tanh", "tanh", seed)
            self._student, self.adam = Memoryless(self.actor), Adam(self.actor, rate, clip=1.0)
        self._window = numbers.window if recurrent else 1
        self._steps = numbers.capacity // n
        kept = (self._steps, n)
        self._seen, self._shown = np.zeros((*kept, inputs), np.float32), np.zeros((*kept, actions), np.float32)
        self._known, self._first = np.zeros((*kept, self._student.memory_size), np.float32), np.zeros(kept, bool)
        self._count, self._updates = np.zeros((), np.int64), np.zeros((), np.int64)
        self.observation: Float32 = np.array(environment.reset().numpy(), order="C")
        self.wanted: Float32 = np.array(expert(None), order="C")
        """The expert's action in the states of now."""
        self.memory, self.begun = np.zeros((n, self._student.memory_size), np.float32), np.ones(n, bool)

    def expert_share(self, progress: float) -> float:
        """Of the worlds, at `progress` of the run."""
        if not self.dagger:
            return 1.0
        return max(0.0, 1 - progress / self.numbers.mixing) if self.numbers.mixing else 0.0

    def iterate(self, generator: np.random.Generator, progress: float) -> Imitated:
        """Fly the horizon and ask, then learn from all that was seen."""
        c, share = self.numbers, self.expert_share(progress)
        noise = c.noise.at(progress)
        reward = np.mean([self._step(generator, share, noise) for _ in range(c.horizon)])
        self.adam.rate = c.learning_rate.at(progress)
        updates = max(1, round(c.passes * c.horizon * self.environment.n / c.batch))
        results = [self._improve(generator) for _ in range(updates)]
        losses, norms = zip(*results, strict=True)
        return Imitated(float(np.mean(losses)), float(reward), share, float(np.max(norms)))

    def _step(self, generator: np.random.Generator, share: float, noise: float) -> float:
        """Keep what is seen, remembered and wanted, then act; mean reward."""
        n, place = self.environment.n, int(self._count) % self._steps
        self.memory[self.begun] = 0
        self._seen[place], self._shown[place] = self.observation, self.wanted
        self._known[place], self._first[place] = self.memory, self.begun
        self._count += 1
        theirs = generator.random(n) < share
        own, self.memory[:] = self._student.act(self.observation, self.memory)
        action = np.where(theirs[:, None], self.wanted, own)
        action = action + np.float32(noise) * generator.standard_normal(action.shape, np.float32)
        step = self.environment.step(torch.from_numpy(np.clip(action, -1, 1)))
        self.observation[:], self.wanted[:] = step.observation.numpy(), self.expert(step)
        self.begun[:] = step.ended.numpy()
        return float(step.reward.mean())

    def _improve(self, generator: np.random.Generator) -> tuple[float, float]:
        """One update from windows that do not run over the newest row; loss before, and the gradient's norm."""
        count, known = int(self._count), min(int(self._count), self._steps)
        length = min(self._window, known)
        windows = max(1, self.numbers.batch // length)
        begin = count - known + generator.integers(known - length + 1, size=windows)
        world = generator.integers(self.environment.n, size=windows)
        steps = (begin + np.arange(length)[:, None]) % self._steps
        memory = self._known[steps[0], world]
        actions = self._student.forward(self._seen[steps, world], memory, self._first[steps, world])
        error = actions - self._shown[steps, world]
        self._student.backward(np.float32(2 / error.size) * error)
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
            "known": self._known,
            "first": self._first,
            "count": self._count,
            "updates": self._updates,
            "observation": self.observation,
            "wanted": self.wanted,
            "memory": self.memory,
            "begun": self.begun,
        }

    def continue_adam(self) -> None:
        """After `arrays` were put back."""
        self.adam.steps = int(self._updates)
