"""The numbers of SAC."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from fledge_sim.errors import FledgeError
from fledge_sim.randomize import Randomization, paper

from fledge_train.hover_task import HoverTask


@dataclass(frozen=True)
class SacConfig:
    """One run."""

    algorithm: ClassVar[str] = "sac"
    robot: str = "crazyflie_paper"
    """Name of a robot that ships with fledge, or path of a .toml file."""
    seed: int = 0
    """Of everything random; the same seed gives the same weights on the same machine."""
    steps: int = 50_000
    """Transitions, of all worlds together."""
    environments: int = 8
    """Worlds in step."""
    updates: int = 4
    """Of all networks, per step of the worlds."""
    batch: int = 128
    """Transitions per update."""
    warm_up: int = 2_000
    """Transitions before the first update."""
    replay: int = 200_000
    """Transitions that are kept."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden sizes of the actor."""
    critic_hidden: tuple[int, ...] = (64, 64)
    """Hidden sizes of the critics."""
    learning_rate: float = 1e-3
    """Of Adam, for all networks; falls to a tenth along half a cosine."""
    temperature_rate: float = 3e-3
    """Of Adam, for the logarithm of the temperature."""
    discount: float = 0.99
    """Per step."""
    share: float = 0.01
    """By which the targets approach the critics per update."""
    target_entropy: float = -4.0
    """Of the four actions before the temperature rises [nat]."""
    temperature: float = 0.1
    """At first."""
    deviation: float = 0.2
    """Standard deviation of the first actions, before the squashing."""
    task: HoverTask = HoverTask()
    """What is learned."""
    randomization: Randomization = dataclasses.field(default_factory=paper)
    """What differs from episode to episode."""

    def __post_init__(self) -> None:
        def require(condition: bool, sentence: str) -> None:
            if not condition:
                raise FledgeError(f"training configuration: {sentence}")

        require(self.environments > 0 and self.batch > 0 and self.updates >= 0, "worlds and batch must be at least 1")
        require(self.steps >= self.environments, "steps must be at least the number of environments")
        require(self.replay >= 100 * self.environments, "the replay must hold at least 100 steps of every world")
        require(1 <= len(self.hidden) <= 3 and 1 <= len(self.critic_hidden) <= 3, "give one to three hidden sizes")
        require(min(*self.hidden, *self.critic_hidden) > 0, "hidden sizes must be at least 1")
        require(0 < self.discount < 1 and 0 < self.share <= 1, "discount and share must lie between 0 and 1")
        require(self.temperature > 0 and self.deviation > 0, "temperature and deviation must be positive")
        require(self.seed >= 0, "seed must not be negative")


def hover(robot: str = "crazyflie_paper", seed: int = 0) -> SacConfig:
    """Past actions in the actor's observation."""
    return SacConfig(robot=robot, seed=seed)


def without_history(robot: str = "crazyflie_paper", seed: int = 0) -> SacConfig:
    """An actor that sees the moment only."""
    return dataclasses.replace(hover(robot, seed), task=HoverTask(history=0))


PRESETS = {"hover": hover, "memoryless": without_history}
"""By name, the first is the default."""
