"""What the trainers of an arm share: worlds behind a normaliser, counters, state, the policy's weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

import numpy as np
from fledge_sim.contract import NetworkShape, TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.randomize import stream

from fledge_train import arm_worlds, teacher
from fledge_train.arm_config import ArmPpoConfig, ImitationConfig
from fledge_train.arm_worlds import Layers
from fledge_train.dense import Network
from fledge_train.normaliser import Normalised
from fledge_train.recurrent import Gru
from fledge_train.runs import code_version
from fledge_train.teacher import Critic, Origin, Teacher
from fledge_train.trainer import Diverged, Snapshot, put

CHUNK = 2
"""Iterations between two reports."""


class Learning(Protocol):
    """What improves the actor."""

    @property
    def actor(self) -> Network | Gru:
        """On normalised observations."""

    def arrays(self) -> Snapshot:
        """Everything that it remembers, live."""

    def continue_adam(self) -> None:
        """After `arrays` were put back."""


class ArmTrainer:
    """See fledge_train.trainer.Trainer. An algorithm makes its learner behind this, and then calls `_keep`."""

    _learner: Learning

    def __init__(
        self, config: ArmPpoConfig | ImitationConfig, algorithm: str, environments: int, hidden: tuple[int, ...]
    ) -> None:
        self.config = config
        self._algorithm = algorithm
        record = TrainingRecord(algorithm, config.seed, code_version(), dataclasses.asdict(config))
        self._worlds = arm_worlds.begin(config, environments, config.seed)
        self.contract = arm_worlds.contract_of(self._worlds, NetworkShape(config.network, hidden), record)
        self._normalised = Normalised(self._worlds)
        self._iteration = np.zeros((), np.int64)

    def _stream(self, name: str) -> np.random.Generator:
        return stream(self.config.seed, f"{self._algorithm}.{name}")

    @property
    def done(self) -> bool:
        """Whether every iteration was made."""
        return int(self._iteration) >= self.config.iterations

    def _require_finite(self, gradient_norm: float, advice: str) -> None:
        if not np.isfinite(gradient_norm):
            raise Diverged(
                f"training diverged at iteration {int(self._iteration)}: a gradient is not finite; the last good "
                f"weights are kept. {advice}",
                arm_worlds.policy_of(self.contract, self._good),
            )

    def _keep(self) -> None:
        """The weights of now are good."""
        self._good = self._layers()

    def _layers(self) -> Layers:
        """Copies of those of the actor of now, on raw observations."""
        (weight, bias), *others = self._learner.actor.weights()
        return [self._normalised.observation_statistics.fold(weight, bias), *others]

    def policy(self) -> Policy:
        """With the weights of now and the normaliser in them; it moves by the mean."""
        return arm_worlds.policy_of(self.contract, self._layers())

    def _critic(self) -> Critic | None:
        """With the statistics through which it sees the truth; None: this algorithm has none."""
        return None

    def leave(self, folder: Path) -> None:
        """teacher.npz beside the policy."""
        origin = Origin(self.contract.robot, self.config.task, self.config.senses, self._worlds.reward_groups)
        actor, seen = self._learner.actor, self._normalised.observation_statistics
        if not isinstance(actor, Gru):
            actor = Network(actor.sizes, "tanh", "tanh")
            actor.set_weights(self._learner.actor.weights())
        teacher.save(folder / teacher.FILE, Teacher(origin, actor, seen, self._critic()))

    def _arrays(self) -> Snapshot:
        mine = {"iteration": self._iteration} | self._learner.arrays()
        return mine | {f"normaliser.{name}": array for name, array in self._normalised.arrays().items()}

    def state(self) -> Snapshot:
        """Counters, networks, optimizers, statistics, what was seen, worlds."""
        return self._arrays() | self._worlds.state()

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self._arrays(), state)
        self._worlds.restore(state)
        self._learner.continue_adam()
        self._normalised.settle()
        self._keep()
