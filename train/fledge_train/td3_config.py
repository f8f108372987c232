"""The numbers of TD3 as in "Learning to Fly in Seconds", and its Markov decision process."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fledge_sim.environment import EnvConfig, Termination, default_observation
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization, paper
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32
from fledge_sim.tasks import InitialState

from fledge_train.dense import Activation
from fledge_train.worlds import View


@dataclass(frozen=True)
class Growing:
    """A weight that is multiplied by a factor at every step of the curriculum, up to a limit."""

    start: float
    """At first."""
    factor: float = 1.0
    """Per step of the curriculum."""
    limit: float = 1e9
    """Never above."""

    def at(self, updates: int) -> float:
        """After so many steps of the curriculum."""
        return float(min(self.start * self.factor**updates, self.limit))


@dataclass(frozen=True)
class PaperReward:
    """r = survival - scale (position |p|^2 + orientation (1 - q_w^2) + velocity |v|^2 + action |a - hover|^2).

    Of the state in which the action was taken; 0 where the next state terminates.
    """

    survival: float = 2.0
    """For every step that does not end the flight."""
    scale: float = 0.5
    """On all costs."""
    position: Growing = Growing(5.0, 1.2, 40.0)
    """[1/m^2]"""
    orientation: Growing = Growing(5.0)
    """On 1 - q_w^2, the whole attitude with yaw."""
    velocity: Growing = Growing(0.01, 1.4, 1.0)
    """[1/(m/s)^2]"""
    action: Growing = Growing(0.01, 1.4, 1.0)
    """On the distance from the hover action."""
    interval: int = 100_000
    """Environment steps between two steps of the curriculum."""

    def at(self, step: int, truth: Float32, action: Float32, hover: float) -> Float32:
        """Rewards (n,), with the weights of environment step `step` (from 0), of steps that do not terminate.

        Args:
            step: since the run began.
            truth: (n, 18 or more): position, rotation matrix, velocity first; fledge_sim.environment_privileged.
            action: (n, 4).
            hover: action that hovers.
        """
        updates = step // self.interval
        position, velocity = truth[:, 0:3], truth[:, 12:15]
        trace = truth[:, 3] + truth[:, 7] + truth[:, 11]  # 4 q_w^2 - 1
        cost = (
            self.position.at(updates) * (position * position).sum(axis=1)
            + self.orientation.at(updates) * (3 - trace) / 4
            + self.velocity.at(updates) * (velocity * velocity).sum(axis=1)
            + self.action.at(updates) * np.square(action - np.float32(hover)).sum(axis=1)
        )
        return np.asarray(self.survival - self.scale * cost)


@dataclass(frozen=True)
class Td3Config:
    """One run."""

    algorithm: ClassVar[str] = "td3"
    robot: str = "crazyflie_paper"
    """Name of a robot that ships with fledge, or path of a .toml file."""
    seed: int = 0
    """Of everything random; the same seed gives the same weights on the same machine."""
    steps: int = 300_000
    """Of one world; also the size of the replay."""
    history: int = 32
    """How many past actions the actor sees."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden sizes of actor and critics."""
    activation: Activation = "fast_tanh"
    """Behind every layer but the critics' last. fast_tanh is the paper's, slope included; a policy flies with tanh,
    0.024 off."""
    learning_rate: float = 1e-3
    """Of Adam, for all networks."""
    beta1: float = 0.9
    """Adam's decay of the mean."""
    beta2: float = 0.999
    """Adam's decay of the variance."""
    epsilon: float = 1e-8
    """Added to Adam's root."""
    weight_decay: float = 5e-5
    """Share of every weight, not of biases, that an update takes away."""
    batch: int = 256
    """Transitions per update, drawn anew for each critic and for the actor."""
    discount: float = 0.99
    """Per step."""
    polyak: float = 0.995
    """Share of a target that an update keeps."""
    exploration_noise: float = 0.1
    """Standard deviation of the noise on actions."""
    target_noise: float = 0.2
    """Standard deviation of the noise on the target actor's actions."""
    target_clip: float = 0.5
    """Bound on that noise."""
    noise_decay: float = 0.9
    """Factor on these three at every 100 000 steps from 500 000 on."""
    critic_interval: int = 10
    """Steps between updates of the critics."""
    actor_interval: int = 20
    """Steps between updates of the actor."""
    critic_warm_up: int = 15_000
    """Steps before the first update of the critics."""
    actor_warm_up: int = 30_000
    """Steps before the first update of the actor."""
    reward: PaperReward = PaperReward()
    """And its curriculum."""
    recompute_rewards: bool = True
    """Whether a step of the curriculum changes the rewards of what is in the replay already."""
    asymmetric: bool = True
    """Whether the critics see the truth; if not, they see what the actor sees."""
    observation_noise: bool = True
    """Whether the actor's sensors are noisy."""
    randomization: Randomization = dataclasses.field(default_factory=paper)
    """What differs from episode to episode."""
    rotor_lag: bool = True
    """Whether rotors take time to follow; if not, MIN_LAG."""
    episode_steps: int = 500
    """Longest episode; its end is no termination."""
    position_limit: float = 0.6
    """Beyond it, on any axis, an episode terminates [m]."""
    guided_share: float = 0.1
    """Share of episodes that start level at the target."""

    def __post_init__(self) -> None:
        check(self)

    def noise_scale(self, step: int) -> float:
        """Factor on exploration and target noise at a step."""
        return float(self.noise_decay ** max(0, step // 100_000 - 4))


MIN_LAG = 0.004
"""[s], the shortest lag that a step of 10 ms integrates; 63 % of a change of speed within a step would be 10 ms."""


def check(config: Td3Config) -> None:
    """Raise FledgeError naming the first field that cannot work."""

    def require(condition: bool, sentence: str) -> None:
        if not condition:
            raise FledgeError(f"training configuration: {sentence}")

    require(config.steps > config.history + 1, "steps must exceed the history by two")
    require(0 <= config.history <= 64, "history must lie in 0..64")
    require(1 <= len(config.hidden) <= 3 and min(config.hidden) > 0, "give one to three hidden sizes")
    require(config.batch > 0, "batch must be at least 1")
    require(config.critic_interval > 0 and config.actor_interval > 0, "intervals must be at least 1")
    require(config.critic_warm_up > 0 and config.actor_warm_up > 0, "warm-ups must be at least 1")
    require(config.reward.interval > 0, "the curriculum's interval must be at least 1")
    require(config.seed >= 0, "seed must not be negative")
    require(0 < config.discount < 1 and 0 <= config.polyak < 1, "discount and polyak must lie between 0 and 1")


def environment_of(config: Td3Config, robot: Robot) -> EnvConfig:
    """The paper's task: hover from up to 0.2 m, 90 degrees, 1 m/s and 1 rad/s."""
    if not config.rotor_lag:
        robot = dataclasses.replace(robot, rotor_time_constant_rise=MIN_LAG, rotor_time_constant_fall=MIN_LAG)
    config_of_world = EnvConfig(
        robot,
        observation=default_observation(config.history),
        randomization=config.randomization,
        physics=Physics(),
        termination=Termination(position=config.position_limit),
        episode_steps=config.episode_steps,
    )
    task = dataclasses.replace(config_of_world.task, initial_state=InitialState(guided_share=config.guided_share))
    return dataclasses.replace(config_of_world, task=task)


def paper_view(robot: Robot) -> View:
    """What the paper's critics see: position, rotation, velocity, rate, force [N], torque [N m], rotors in [-1, 1].

    Rotor speed of full scale is 1. The privileged observation has n / n_hover - 1; n_hover / n_max = (1 + hover) / 2.
    """
    weight = robot.mass * robot.gravity
    arm = max(abs(x) for xy in robot.rotor_position for x in xy)
    one_plus_hover = 2 * robot.hover_rotor_speed / robot.rotor_speed_max
    rotor, force, torque = range(19, 23), range(23, 26), range(26, 29)
    return View(
        columns=(*range(18), *force, *torque, *rotor),
        factor=(*(1.0,) * 18, *(weight,) * 3, *(weight * arm,) * 3, *(one_plus_hover,) * 4),
        offset=(*(0.0,) * 24, *(one_plus_hover - 1,) * 4),
    )


def paper_recipe(robot: str = "crazyflie_paper", seed: int = 0) -> Td3Config:
    """As published: 300 000 steps."""
    return Td3Config(robot=robot, seed=seed)


def paper_long(robot: str = "crazyflie_paper", seed: int = 0) -> Td3Config:
    """The run that the paper flew: ten times as many steps."""
    return Td3Config(robot=robot, seed=seed, steps=3_000_000)


PRESETS = {"paper": paper_recipe, "paper_long": paper_long}
"""By name, the first is the default."""
