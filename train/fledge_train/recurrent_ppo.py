"""PPO of an actor with memory: minibatches are worlds, not samples, and the gradient goes through the whole horizon.

What an actor remembered when the horizon began is kept as it was then; within the horizon memory is computed anew with
the weights of each update.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fledge_sim.environment import Step
from fledge_sim.rows import Float32

from fledge_train.dense import Index
from fledge_train.ppo import Learner, Rollout
from fledge_train.recurrent import Bools, Gru, GruAdam
from fledge_train.trainer import Snapshot


class RecurrentLearner(Learner):
    """Made like a Learner; the one hidden size of its numbers is that of the memory."""

    actor: Gru  # type: ignore[assignment]
    actor_adam: GruAdam  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        n = self.environment.n
        self.memory: Float32 = np.zeros((n, self.actor.memory_size), np.float32)
        self.begun = np.ones(n, bool)
        """Worlds whose next step is the first of an episode."""
        self._memory_then = self.memory.copy()
        self._begun_then: list[Bools] = []
        """Memory before the horizon, and `begun` of each of its steps."""

    @staticmethod
    def _begin_actor(sizes: tuple[int, ...], seed: int, first: Float32) -> Gru:  # type: ignore[override]
        inputs, hidden, actions = sizes
        actor = Gru((inputs, hidden, actions), seed)
        *others, (weight, _) = actor.weights()
        actor.set_weights([*others, (0.1 * weight, np.arctanh(first).astype(np.float32))])
        return actor

    def _begin_adam(self, rate: float) -> GruAdam:  # type: ignore[override]
        return GruAdam(self.actor, rate, self.numbers.gradient_clip)

    def _minibatches(self, generator: np.random.Generator, samples: int) -> list[Index]:
        """Of all steps of some worlds each, step by step."""
        n = self.environment.n
        first = np.arange(0, samples, n)[:, None]
        parts = np.array_split(generator.permutation(n), self.numbers.minibatches)
        return [(first + worlds).ravel() for worlds in parts]

    def _fly(self, generator: np.random.Generator) -> tuple[Rollout, float, int]:
        self._memory_then[:] = self.memory
        self._begun_then.clear()
        return super()._fly(generator)

    def _mean(self, observation: Float32) -> Float32:
        self.memory[self.begun] = 0
        self._begun_then.append(self.begun.copy())
        action, self.memory[:] = self.actor.act(observation, self.memory)
        return action

    def _value_behind(self, step: Step) -> Float32:
        self.begun[:] = step.ended.numpy()
        return super()._value_behind(step)

    def _forward(self, seen: Rollout, index: Index) -> Float32:
        steps = len(self._begun_then)
        worlds = index[: len(index) // steps]
        observation = seen.observation[index].reshape(steps, len(worlds), -1)
        begun = np.stack(self._begun_then)[:, worlds]
        return self.actor.forward(observation, self._memory_then[worlds], begun).reshape(len(index), -1)

    def _arrays_besides_actor(self) -> Snapshot:
        return super()._arrays_besides_actor() | {"memory": self.memory, "begun": self.begun}
