"""PPO on an arm, as a trainer: asymmetric from the start, or with an expert's critic (AACD)."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.randomize import stream

from fledge_train import arm_worlds, teacher
from fledge_train.arm_config import ArmPpoConfig
from fledge_train.dense import Network
from fledge_train.history_encoder import HistoryLearner
from fledge_train.normaliser import Normalised
from fledge_train.ppo import Figures, Learner
from fledge_train.runs import code_version
from fledge_train.teacher import Origin, Teacher
from fledge_train.trainer import Diverged, Progress, Snapshot, put

CHUNK = 2
"""Iterations between two reports."""


class Arm:
    """The trainer; see fledge_train.trainer.Trainer."""

    def __init__(self, config: ArmPpoConfig) -> None:
        self.config = c = config
        record = TrainingRecord("arm", c.seed, code_version(), dataclasses.asdict(c))
        self._worlds = arm_worlds.begin(c, c.ppo.environments, c.seed)
        self.contract = arm_worlds.contract_of(self._worlds, c.ppo.hidden, record)
        self._normalised = Normalised(self._worlds)
        self._groups = self._worlds.reward_groups
        seed = int(stream(c.seed, "arm.networks").integers(2**62))
        kind = HistoryLearner if c.history.code else Learner
        first, weights = np.zeros(self.contract.outputs, np.float32), self._weights(0.0)
        self._learner = kind(self._normalised, self.contract.outputs, c.ppo, seed, first, weights, c.pace)
        if isinstance(self._learner, HistoryLearner):
            self._learner.begin_history(c.history, seed)
        if c.teacher:
            arm_worlds.load_teacher(c).lend_critic(self._learner, self._normalised.privileged_statistics)
        self._iteration = np.zeros((), np.int64)
        self._good = self._actor()

    def _weights(self, progress: float) -> list[float]:
        return [self.config.weights.at(group, progress) for group in self._groups]

    @property
    def done(self) -> bool:
        """Whether every iteration was made."""
        return int(self._iteration) >= self.config.iterations

    def advance(self) -> Progress:
        """A few iterations. Raises Diverged when a gradient is not finite."""
        figures: list[Figures] = []
        while len(figures) < CHUNK and not self.done:
            done, total = int(self._iteration), self.config.iterations
            self._learner.weights[:] = self._weights(done / total)
            spread = self._learner.log_deviation
            np.minimum(spread, math.log(self.config.exploration.at(done / total)), out=spread)
            self._worlds.set_difficulty(self.config.difficulty * self.config.curriculum.at(done / total))
            self._learner.critic_frozen = bool(self.config.teacher) and done < self.config.frozen
            figures.append(self._learner.iterate(stream(self.config.seed, f"arm.{done}"), done / total))
            if not np.isfinite(figures[-1].gradient_norm):
                raise Diverged(
                    f"training diverged at iteration {done}: a gradient is not finite; the last good weights are kept. "
                    "Lower pace.most and ppo.learning-rate",
                    arm_worlds.policy_of(self.contract, self._good),
                )
            self._normalised.learn()
            self._iteration += 1
        self._good = self._actor()
        return self._summary(figures)

    def _summary(self, figures: list[Figures]) -> Progress:
        return Progress(
            iteration=int(self._iteration),
            iterations=self.config.iterations,
            steps=int(self._iteration) * figures[-1].steps,
            position_error=self._worlds.goal_distance(),
            failures=1000 * sum(f.terminations for f in figures) / sum(f.steps for f in figures),
            scalars={
                "reward": sum(f.reward for f in figures) / len(figures),
                "success": self._worlds.success_rate(),
                "value_loss": figures[-1].value_loss,
                "divergence": figures[-1].divergence,
                "deviation": float(np.exp(self._learner.log_deviation).mean()),
                "learning_rate": float(self._learner.actor_adam.rate),
            },
        )

    def _actor(self) -> Network:
        """The actor of now on raw observations, as one network of its own."""
        (weight, bias), *others = self._learner.actor.weights()
        network = Network(self._learner.actor.sizes, "tanh", "tanh")
        network.set_weights([self._normalised.observation_statistics.fold(weight, bias), *others])
        return network

    def policy(self) -> Policy:
        """With the weights of now and the normaliser in them; it moves by the mean."""
        return arm_worlds.policy_of(self.contract, self._actor())

    def leave(self, folder: Path) -> None:
        """teacher.npz beside the policy."""
        actor = Network(self._learner.actor.sizes, "tanh", "tanh")
        actor.set_weights(self._learner.actor.weights())
        seen, truth = self._normalised.observation_statistics, self._normalised.privileged_statistics
        origin = Origin(self.contract.robot, self.config.task, self.config.senses, self._groups)
        teacher.save(folder / teacher.FILE, Teacher(origin, actor, self._learner.critic, seen, truth))

    def _arrays(self) -> Snapshot:
        mine = {"iteration": self._iteration} | self._learner.arrays()
        return mine | {f"normaliser.{name}": array for name, array in self._normalised.arrays().items()}

    def state(self) -> Snapshot:
        """Counters, networks, optimizers, statistics, worlds."""
        return self._arrays() | self._worlds.state()

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self._arrays(), state)
        self._worlds.restore(state)
        self._learner.continue_adam()
        self._normalised.settle()
        self._good = self._actor()
