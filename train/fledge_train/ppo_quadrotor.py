"""PPO on the quadrotor, as a trainer."""

from __future__ import annotations

import dataclasses

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.quadrotor_env import EnvState, QuadrotorEnv
from fledge_sim.randomize import stream
from fledge_sim.rows import ROTORS

from fledge_train import worlds
from fledge_train.ppo import Figures, Learner
from fledge_train.ppo_config import PpoConfig
from fledge_train.runs import code_version
from fledge_train.trainer import Diverged, Progress, Snapshot, put

CHUNK = 4
"""Iterations between two reports."""


class Ppo:
    """The trainer; see fledge_train.trainer.Trainer."""

    def __init__(self, config: PpoConfig) -> None:
        self.config = c = config
        robot = robots.load(c.robot)
        environment = c.task.environment(robot, c.randomization)
        record = TrainingRecord("ppo", c.seed, code_version(), dataclasses.asdict(c))
        self.contract = worlds.contract_of(environment, robot, c.ppo.hidden, record)
        self._environment = QuadrotorEnv(environment, c.ppo.environments, c.seed)
        first = np.full(ROTORS, robot.hover_action, np.float32)
        seed = int(stream(c.seed, "ppo.networks").integers(2**62))
        self._learner = Learner(self._environment, ROTORS, c.ppo, seed, first)
        self._iteration = np.zeros((), np.int64)
        self._good = self._learner.actor.parameter.copy()

    @property
    def done(self) -> bool:
        """Whether every iteration was made."""
        return int(self._iteration) >= self.config.iterations

    def advance(self) -> Progress:
        """A few iterations. Raises Diverged when a gradient is not finite."""
        figures: list[Figures] = []
        while len(figures) < CHUNK and not self.done:
            done, total = int(self._iteration), self.config.iterations
            figures.append(self._learner.iterate(stream(self.config.seed, f"ppo.{done}"), done / total))
            if not np.isfinite(figures[-1].gradient_norm):
                self._learner.actor.parameter[:] = self._good
                raise Diverged(
                    f"training diverged at iteration {done}: a gradient is not finite; the last good weights are kept. "
                    "Lower the learning rate",
                    self.policy(),
                )
            self._iteration += 1
        self._good = self._learner.actor.parameter.copy()
        return self._summary(figures)

    def _summary(self, figures: list[Figures]) -> Progress:
        position = self._environment.physical_state[:3]
        return Progress(
            iteration=int(self._iteration),
            iterations=self.config.iterations,
            steps=int(self._iteration) * figures[-1].steps,
            position_error=float(np.linalg.norm(position, axis=0).mean()),
            failures=1000 * sum(f.terminations for f in figures) / sum(f.steps for f in figures),
            scalars={
                "reward": sum(f.reward for f in figures) / len(figures),
                "value_loss": figures[-1].value_loss,
                "divergence": figures[-1].divergence,
                "deviation": float(np.exp(self._learner.log_deviation).mean()),
            },
        )

    def policy(self) -> Policy:
        """With the weights of now; it flies the mean."""
        return worlds.policy_of(self.contract, self._learner.actor)

    def _arrays(self) -> Snapshot:
        return {"iteration": self._iteration} | self._learner.arrays()

    def state(self) -> Snapshot:
        """Counters, networks, optimizers, environment."""
        kept = self._environment.get_state()
        words = kept.memory.view(np.uint32)  # some of them are no numbers
        return self._arrays() | {"memory": words, "head": np.array(kept.head)}

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        memory, head = self._environment.get_state().memory, np.zeros((), np.int64)
        put(self._arrays() | {"memory": memory.view(np.uint32), "head": head}, state)
        self._environment.set_state(EnvState(memory, int(head)))
        self._learner.continue_adam()
        self._good = self._learner.actor.parameter.copy()
