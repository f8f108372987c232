"""Behaviour cloning and DAgger on an arm, as a trainer."""

from __future__ import annotations

from fledge_sim.environment import Step
from fledge_sim.rows import Float32

from fledge_train import arm_worlds
from fledge_train.arm_config import ImitationConfig
from fledge_train.arm_trainer import CHUNK, ArmTrainer
from fledge_train.imitation import Imitated, Imitator
from fledge_train.recurrent import one_thread
from fledge_train.trainer import Progress

LOOKED = 2
"""First iterations, from which the normaliser learns and whose rows are then forgotten: later ones see through it."""


class Imitation(ArmTrainer):
    """The trainer; see fledge_train.trainer.Trainer."""

    config: ImitationConfig
    _learner: Imitator

    def __init__(self, config: ImitationConfig) -> None:
        c = config
        super().__init__(c, "imitation", c.imitation.environments, c.imitation.hidden)
        expert = arm_worlds.load_teacher(c)

        def act(step: Step | None) -> Float32:
            return expert.act(self._worlds.seen_by_expert())

        seed = int(self._stream("networks").integers(2**62))
        dagger, outputs = c.method == "dagger", self.contract.outputs
        recurrent = c.network == "gru"
        self._learner = Imitator(self._normalised, act, outputs, c.imitation, dagger, seed, recurrent)
        self._keep()

    def advance(self) -> Progress:
        """A few iterations. Raises Diverged when a gradient is not finite."""
        results: list[Imitated] = []
        while len(results) < CHUNK and not self.done:
            done, total = int(self._iteration), self.config.iterations
            with one_thread():
                results.append(self._learner.iterate(self._stream(str(done)), done / total))
            self._require_finite(results[-1].gradient_norm, "Lower imitation.learning-rate")
            if done < LOOKED:
                self._normalised.learn()
                self._learner.forget()
            self._iteration += 1
        self._keep()
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
