"""The numbers of PPO."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from fledge_sim.errors import FledgeError
from fledge_sim.randomize import Randomization, paper

from fledge_train.curriculum import Cosine
from fledge_train.hover_task import HoverTask


@dataclass(frozen=True)
class Pace:
    """Keeps the divergence of the new policy from the old one near a target, by the actor's learning rate.

    The divergence is the mean of w - 1 - log w with w = pi / pi_old: never negative, and without pi_old's mean.
    """

    target: float = 0.01
    """Of one update, against the policy that flew."""
    factor: float = 1.2
    """The rate is divided by it above twice the target, multiplied by it below half."""
    least: float = 2e-5
    """Bounds of the rate."""
    most: float = 1e-2

    def next(self, rate: float, divergence: float) -> float:
        """The rate of the next update."""
        if divergence > 2 * self.target:
            return max(self.least, rate / self.factor)
        return min(self.most, rate * self.factor) if divergence < self.target / 2 else rate


@dataclass(frozen=True)
class PpoNumbers:
    """What the algorithm needs, whatever the environment."""

    environments: int = 256
    """Worlds in step."""
    horizon: int = 32
    """Steps of every world per iteration."""
    epochs: int = 4
    """Passes over what an iteration has seen."""
    minibatches: int = 8
    """Per pass."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden sizes of the actor."""
    critic_hidden: tuple[int, ...] = (64, 64)
    """Hidden sizes of the critic."""
    learning_rate: Cosine = Cosine(2e-3, 1e-4)
    """Of Adam, for both."""
    clip: float = 0.2
    """Range of the probability ratio within which it is followed: 1 - clip to 1 + clip."""
    discount: float = 0.99
    """Per step."""
    decay: float = 0.95
    """lambda of the generalised advantage estimate."""
    entropy: float = 0.0
    """Weight of the entropy."""
    deviation: float = 0.2
    """Standard deviation of the actions at first."""
    deviation_least: float = 0.02
    """Never below."""
    gradient_clip: float = 1.0
    """Bound on the norm of either gradient."""
    value_scale: float = 10.0
    """Order of the returns: the critic's output is multiplied by it."""

    def __post_init__(self) -> None:
        def require(condition: bool, sentence: str) -> None:
            if not condition:
                raise FledgeError(f"training configuration: {sentence}")

        samples = self.environments * self.horizon
        require(samples > 0 and self.epochs > 0, "environments, horizon and epochs must be at least 1")
        require(0 < self.minibatches <= samples, "minibatches must lie in 1..environments * horizon")
        require(1 <= len(self.hidden) <= 3 and 1 <= len(self.critic_hidden) <= 3, "give one to three hidden sizes")
        require(min(*self.hidden, *self.critic_hidden) > 0, "hidden sizes must be at least 1")
        require(0 < self.discount < 1 and 0 <= self.decay <= 1, "discount and decay must lie between 0 and 1")
        require(0 < self.deviation_least <= self.deviation, "deviation must be at least deviation_least, positive")


@dataclass(frozen=True)
class PpoConfig:
    """One run on the quadrotor."""

    algorithm: ClassVar[str] = "ppo"
    robot: str = "crazyflie_paper"
    """Name of a robot that ships with fledge, or path of a .toml file."""
    seed: int = 0
    """Of everything random; the same seed gives the same weights on the same machine."""
    iterations: int = 300
    """Each: every world flies the horizon, then the networks learn from it."""
    ppo: PpoNumbers = PpoNumbers()
    """The algorithm's own numbers."""
    task: HoverTask = HoverTask()
    """What is learned."""
    randomization: Randomization = dataclasses.field(default_factory=paper)
    """What differs from episode to episode."""

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.seed < 0:
            raise FledgeError("training configuration: iterations must be at least 1 and seed not negative")


def hover(robot: str = "crazyflie_paper", seed: int = 0) -> PpoConfig:
    """Past actions in the actor's observation."""
    return PpoConfig(robot=robot, seed=seed)


def without_history(robot: str = "crazyflie_paper", seed: int = 0) -> PpoConfig:
    """An actor that sees the moment only."""
    return dataclasses.replace(hover(robot, seed), task=HoverTask(history=0))


PRESETS = {"hover": hover, "memoryless": without_history}
"""By name, the first is the default."""
