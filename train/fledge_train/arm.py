"""PPO on an arm, as a trainer: asymmetric from the start, or with an expert's critic (AACD) and a student's actor."""

from __future__ import annotations

import math

import numpy as np

from fledge_train import arm_worlds
from fledge_train.arm_config import ArmPpoConfig
from fledge_train.arm_trainer import CHUNK, ArmTrainer
from fledge_train.history_encoder import HistoryLearner
from fledge_train.ppo import Figures, Learner
from fledge_train.recurrent import one_thread
from fledge_train.recurrent_ppo import RecurrentLearner
from fledge_train.teacher import Critic
from fledge_train.trainer import Progress


class Arm(ArmTrainer):
    """The trainer; see fledge_train.trainer.Trainer."""

    config: ArmPpoConfig
    _learner: Learner

    def __init__(self, config: ArmPpoConfig) -> None:
        c = config
        super().__init__(c, "arm", c.ppo.environments, c.ppo.hidden)
        self._groups = self._worlds.reward_groups
        seed = int(self._stream("networks").integers(2**62))
        kind = RecurrentLearner if c.network == "gru" else HistoryLearner if c.history.code else Learner
        first, weights = np.zeros(self.contract.outputs, np.float32), self._weights(0.0)
        self._learner = kind(self._normalised, self.contract.outputs, c.ppo, seed, first, weights, c.pace)
        if isinstance(self._learner, HistoryLearner):
            self._learner.begin_history(c.history, seed)
        if c.teacher:
            arm_worlds.load_teacher(c).lend_critic(self._learner, self._normalised.privileged_statistics)
        if c.student:
            arm_worlds.load_student(c).lend_actor(self._learner, self._normalised.observation_statistics)
            self._normalised.observation_held = True
        self._keep()

    def _weights(self, progress: float) -> list[float]:
        return [self.config.weights.at(group, progress) for group in self._groups]

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
            with one_thread():
                figures.append(self._learner.iterate(self._stream(str(done)), done / total))
            self._require_finite(figures[-1].gradient_norm, "Lower pace.most and ppo.learning-rate")
            self._normalised.learn()
            self._iteration += 1
        self._keep()
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

    def _critic(self) -> Critic:
        return Critic(self._learner.critic, self._normalised.privileged_statistics)
