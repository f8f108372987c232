"""Behaviour cloning and DAgger on an arm, as a trainer."""

from __future__ import annotations

import dataclasses

import numpy as np
from fledge_sim.contract import TrainingRecord
from fledge_sim.environment import Step
from fledge_sim.policy import Policy
from fledge_sim.randomize import stream
from fledge_sim.rows import Float32

from fledge_train import arm_worlds
from fledge_train.arm_config import ImitationConfig
from fledge_train.dense import Network
from fledge_train.imitation import Imitated, Imitator
from fledge_train.normaliser import Normalised
from fledge_train.runs import code_version
from fledge_train.trainer import Diverged, Progress, Snapshot, put

CHUNK = 2
"""Iterations between two reports."""
LOOKED = 2
"""First iterations, from which the normaliser learns and whose rows are then forgotten: later ones see through it."""


class Imitation:
    """The trainer; see fledge_train.trainer.Trainer."""

    def __init__(self, config: ImitationConfig) -> None:
        self.config = c = config
        record = TrainingRecord("imitation", c.seed, code_version(), dataclasses.asdict(c))
        self._worlds = arm_worlds.begin(c, c.imitation.environments, c.seed)
        self.contract = arm_worlds.contract_of(self._worlds, c.imitation.hidden, record)
        self._normalised = Normalised(self._worlds)
        expert = arm_worlds.load_teacher(c)

        def act(step: Step | None) -> Float32:
            return expert.act(self._worlds.seen_by_expert())

        seed = int(stream(c.seed, "imitation.networks").integers(2**62))
        dagger, outputs = c.method == "dagger", self.contract.outputs
        self._imitator = Imitator(self._normalised, act, outputs, c.imitation, dagger, seed)
        self._iteration = np.zeros((), np.int64)
        self._good = self._actor()

    @property
    def done(self) -> bool:
        """Whether every iteration was made."""
        return int(self._iteration) >= self.config.iterations

    def advance(self) -> Progress:
        """A few iterations. Raises Diverged when a gradient is not finite."""
        results: list[Imitated] = []
        while len(results) < CHUNK and not self.done:
            done, total = int(self._iteration), self.config.iterations
            results.append(self._imitator.iterate(stream(self.config.seed, f"imitation.{done}"), done / total))
            if not np.isfinite(results[-1].gradient_norm):
                raise Diverged(
                    f"training diverged at iteration {done}: a gradient is not finite; the last good weights are kept. "
                    "Lower imitation.learning-rate",
                    arm_worlds.policy_of(self.contract, self._good),
                )
            if done < LOOKED:
                self._normalised.learn()
                self._imitator.forget()
            self._iteration += 1
        self._good = self._actor()
        return self._summary(results)

    def _summary(self, results: list[Imitated]) -> Progress:
        numbers = self.config.imitation
        return Progress(
            iteration=int(self._iteration),
            iterations=self.config.iterations,
            steps=int(self._iteration) * numbers.environments * numbers.horizon,
            position_error=self._worlds.goal_distance(),
            failures=0.0,
            scalars={
                "imitation_loss": results[-1].loss,
                "reward": sum(result.reward for result in results) / len(results),
                "success": self._worlds.success_rate(),
                "expert_share": results[-1].expert_share,
            },
        )

    def _actor(self) -> Network:
        """The student of now on raw observations, as one network of its own."""
        (weight, bias), *others = self._imitator.actor.weights()
        network = Network(self._imitator.actor.sizes, "tanh", "tanh")
        network.set_weights([self._normalised.observation_statistics.fold(weight, bias), *others])
        return network

    def policy(self) -> Policy:
        """With the weights of now and the normaliser in them."""
        return arm_worlds.policy_of(self.contract, self._actor())

    def _arrays(self) -> Snapshot:
        mine = {"iteration": self._iteration} | self._imitator.arrays()
        return mine | {f"normaliser.{name}": array for name, array in self._normalised.arrays().items()}

    def state(self) -> Snapshot:
        """Counters, networks, optimizers, what was seen, worlds."""
        return self._arrays() | self._worlds.state()

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self._arrays(), state)
        self._worlds.restore(state)
        self._imitator.continue_adam()
        self._normalised.settle()
        self._good = self._actor()
