"""The task of the learners that draw minibatches: hover, with the contract's observation and a reward for learning."""

from __future__ import annotations

from dataclasses import dataclass

from fledge_sim.environment import EnvConfig, Reward, Task, Termination
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization
from fledge_sim.robot import Robot
from fledge_sim.tasks import InitialState

from fledge_train.config import SensorConfig
from fledge_train.networks import observation_terms


@dataclass(frozen=True)
class HoverTask:
    """Where episodes start, what they are rewarded for, what the actor sees."""

    history: int = 16
    """How many past actions the actor sees; 0 for none."""
    sensors: SensorConfig = SensorConfig()
    """Clip, scale and noise of the actor's observation."""
    initial_state: InitialState = InitialState()
    """Where episodes start."""
    reward: Reward = Reward(
        survival=1.0, scale=0.5, position=2.0, distance=1.0, velocity=0.02, tilt=0.5, yaw=0.5, action=0.05
    )
    """Of one step; `distance` keeps pulling close to the target, where the square no longer does."""
    position_limit: float = 0.6
    """Beyond it, on any axis, an episode terminates [m]."""
    episode_steps: int = 500
    """Longest episode; its end is no termination."""

    def environment(self, robot: Robot, randomization: Randomization) -> EnvConfig:
        """For a robot and its spread. Raises FledgeError where a number cannot work."""
        if not 0 <= self.history <= 64:
            raise FledgeError(f"training configuration: history is {self.history}, it must lie in 0..64")
        return EnvConfig(
            robot,
            Task(self.initial_state),
            observation=observation_terms(self.sensors, self.history),
            normalised=True,
            randomization=randomization,
            physics=Physics(drag=True),
            reward=self.reward,
            termination=Termination(position=self.position_limit),
            episode_steps=self.episode_steps,
            staggered=True,
            privileged=True,
        )
