"""Everything a training run depends on, as frozen dataclasses; presets are functions, variants come from `replace`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from fledge_sim.errors import FledgeError
from fledge_sim.randomize import Randomization
from fledge_sim.tasks import InitialState, ReferenceDistribution

from fledge_train.curriculum import Cosine, Line, Ramp

DELAYS = 4
"""How many actions a command mixes: delays of 0 to 3 steps."""
AHEAD_MAX = 16
"""Most future references of the native learner."""
GRANULE = 16
"""Environments come in multiples of this: the widest vector of a processor."""


def around() -> Randomization:
    """Robots like the nominal one, with up to 25 ms of delay: policies that never met two steps of it lose control."""
    return Randomization(control_delay=(0.0, 2.5))


@dataclass(frozen=True)
class ActorConfig:
    """Shape of the policy network and its inputs."""

    kind: Literal["gru", "mlp"] = "gru"
    """gru: recurrent, remembers by itself. mlp: dense layers over the observation and past actions."""
    hidden: tuple[int, ...] = (24,)
    """Hidden sizes, multiples of 8; exactly one for a gru, one to three for an mlp."""
    history: int = 0
    """How many past actions the network sees."""
    look_ahead: int = 0
    """How many future references the network sees."""
    look_ahead_spacing: float = 0.1
    """Time between them [s]; the first is one spacing ahead."""
    output_gain: float = 0.2
    """Factor on the initial weights of the output layer: begin near the hover action."""


@dataclass(frozen=True)
class SensorConfig:
    """Clip, scale and noise of the observation terms; they become the contract's."""

    position_clip: float = 0.6
    """[m]; a farther set-point looks this far."""
    velocity_clip: float = 2.0
    """[m/s]"""
    angular_velocity_clip: float = 30.0
    """[rad/s]"""
    position_scale: float = 3.0
    """Factor on the position error as the network sees it."""
    velocity_scale: float = 1.0
    """Factor on the velocity error."""
    angular_velocity_scale: float = 0.3
    """Factor on the angular velocity."""
    history_scale: float = 0.1
    """Factor on past actions."""
    look_ahead_clip: float = 4.0
    """[m] and [m/s], of a future reference minus what is sensed now."""
    look_ahead_scale: float = 1.0
    """Factor on the future references."""
    position_noise: float = 1e-3
    """Standard deviation [m]."""
    rotation_noise: float = 1e-3
    """Standard deviation per entry of the rotation matrix."""
    velocity_noise: float = 2e-3
    """Standard deviation [m/s]."""
    angular_velocity_noise: float = 2e-3
    """Standard deviation [rad/s]."""


@dataclass(frozen=True)
class CostConfig:
    """Weights of the squared terms in the cost of one step."""

    position: Ramp = Ramp(5.0, 150.0, 0.3)
    """On the position error [1/m^2]; grows once the policy flies."""
    velocity: Ramp = Ramp(0.1, 1.0, 0.3)
    """On the velocity error [1/(m/s)^2]."""
    tilt: Ramp = Ramp(5.0, 0.5)
    """On qx^2 + qy^2; shrinks, since following a curve needs tilt."""
    yaw: Ramp = Ramp(5.0, 5.0)
    """On qz^2."""
    angular_velocity: Ramp = Ramp(0.01, 0.01)
    """On the angular velocity [1/(rad/s)^2]."""
    action: Ramp = Ramp(0.01, 0.01)
    """On the distance of the action from hover."""
    action_rate: Ramp = Ramp(0.01, 5.0, 0.3)
    """On the change of the action from step to step."""


@dataclass(frozen=True)
class CurriculumConfig:
    """How hard episodes are as the run goes on. Weights of the cost, rates and horizon have schedules of their own."""

    stages: int = 1
    """How many times in a run episodes are drawn anew, each time as hard as the schedules say at that moment."""
    randomization: Line = Line()
    """Factor on the widths of the randomization, on delay and noise; 0: the nominal robot."""
    disturbance: Line = Line()
    """Factor on constant forces and torques."""
    initial_state: Line = Line()
    """Factor on the ranges of position, angle, velocity and angular velocity from which episodes start."""


@dataclass(frozen=True)
class CriticConfig:
    """A privileged critic that closes the horizon; it sees the truth, not the sensors."""

    begin: float = 0.5
    """Share of the run without it."""
    ramp: float = 0.2
    """Share of the run over which its weight then grows from 0 to 1."""
    every: int = 4
    """Iterations between two lessons; its gradient is used in each."""
    moments: int = 4
    """Moments of each horizon from which it learns the cost-to-go."""
    decay: float = 0.95
    """lambda of its TD(lambda) targets, from moment to moment."""
    floor: float = 0.1
    """Quantile of the targets below which an error is no longer judged relative to its target."""
    trust: float = 10.0
    """Multiple of that floor above which its gradient fades: far from hover it is only roughly right; 0: never."""
    hidden: tuple[int, ...] = (64, 64)
    """mlp: hidden sizes."""
    squares: int = 8
    """mlp: the value is the sum of so many squared outputs; 0: one output as it is."""
    learning_rate: float = 3e-3
    """mlp: of its Adam."""
    fits: int = 8
    """mlp: gradient steps per lesson."""
    forget: float = 0.95
    """quadratic: weight of what was seen a lesson ago, relative to now's."""
    ridge: float = 1e-4
    """quadratic: added to the diagonal of the normal equations, relative to it."""
    solve_every: int = 16
    """quadratic: lessons between two solutions of the normal equations."""


@dataclass(frozen=True)
class TrainConfig:
    """One run."""

    algorithm: ClassVar[str] = "shac"
    """Name of what trains with these numbers."""
    robot: str = "crazyflie"
    """Name of a robot that ships with fledge, or path of a .toml file."""
    seed: int = 0
    """Of everything random; the same seed gives the same weights on the same machine."""
    actor: ActorConfig = ActorConfig()
    """Policy network."""
    iterations: int = 5800
    """Gradient steps."""
    environments: int = 16
    """Simulated at once; a multiple of 16."""
    horizon: Ramp = Ramp(40.0, 96.0, 0.3)
    """Native steps per gradient; short at first, since the gradient of an unstable flight grows with the horizon."""
    learning_rate: Cosine = Cosine(1e-2, 1e-4)
    """Of Adam."""
    beta1: float = 0.9
    """Adam's decay of the mean."""
    beta2: float = 0.99
    """Adam's decay of the variance."""
    clip: float = 0.5
    """Bound on the global norm of the gradient."""
    adjoint_limit: Ramp = Ramp(300.0, 5e3, 0.4)
    """On how steeply the cost of one environment may depend on its state: a few that tumble would drown the others."""
    discount: float = 0.995
    """Of the cost, per step."""
    position_limit: float = 0.6
    """Position error beyond which an episode starts over [m], any axis."""
    age_limit: int = 1500
    """Steps after which an episode starts over."""
    catch_share: float = 0.5
    """Share of episodes that only catch a throw: thrown as the initial state says, hovering, and short."""
    tumble_share: float = 0.2
    """Share of those that begin in any attitude, upside down included, fast and spinning."""
    catch_age: int = 300
    """Steps after which those start over."""
    pool: int = 4096
    """Prepared episodes from which resets draw."""
    cost: CostConfig = CostConfig()
    """Objective and its schedule."""
    sensors: SensorConfig = SensorConfig()
    """What the network sees."""
    randomization: Randomization = field(default_factory=around)
    """What differs from episode to episode in the robot and its surroundings."""
    initial_state: InitialState = field(default_factory=lambda: InitialState(rest_share=0.1))
    """Where episodes start."""
    reference: ReferenceDistribution = ReferenceDistribution(0.6, period=(3.0, 7.0), acceleration=8.0)
    """What episodes follow."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """How hard the episodes are as the run goes on."""
    critic: Literal["none", "mlp", "quadratic"] = "none"
    """none: pure analytic gradient over the horizon. Others: add the gradient of a learned value at its end."""
    critic_config: CriticConfig = CriticConfig()
    """How that value is learned."""

    def __post_init__(self) -> None:
        check(self)


def check(config: TrainConfig) -> None:
    """Raise FledgeError naming the first field that cannot work."""

    def require(condition: bool, sentence: str) -> None:
        if not condition:
            raise FledgeError(f"training configuration: {sentence}")

    actor, hidden = config.actor, config.actor.hidden
    require(config.environments > 0 and config.environments % GRANULE == 0, "environments must be a multiple of 16")
    shortest, longest = sorted((config.horizon.start, config.horizon.end))
    require(shortest >= 2 and longest <= 256, "horizon must lie in 2..256")
    require(config.iterations > 0, "iterations must be at least 1")
    require(config.pool >= config.environments, "pool must hold at least one episode per environment")
    require(all(size % 8 == 0 and 8 <= size <= 128 for size in hidden), "hidden sizes must be multiples of 8 up to 128")
    require(actor.kind == "mlp" or len(hidden) == 1, "a gru has exactly one hidden size")
    require(1 <= len(hidden) <= 3, "give one to three hidden sizes")
    require(0 <= actor.history <= 64, "history must lie in 0..64")
    require(0 <= actor.look_ahead <= AHEAD_MAX, f"look_ahead must lie in 0..{AHEAD_MAX}")
    require(actor.look_ahead_spacing > 0, "look_ahead_spacing must be positive")
    low, high = config.randomization.control_delay
    require(0 <= low <= high <= DELAYS - 1, f"control delay must lie in 0..{DELAYS - 1} steps")
    require(1 <= config.curriculum.stages <= config.iterations, "curriculum stages must lie in 1..iterations")
    easing = (config.curriculum.randomization, config.curriculum.disturbance, config.curriculum.initial_state)
    require(all(0 <= end <= 1 for line in easing for end in (line.start, line.end)), "curriculum factors lie in 0..1")
    critic = config.critic_config
    require(min(critic.every, critic.moments, critic.fits, critic.solve_every) >= 1, "critic counts must be at least 1")
    require(1 <= len(critic.hidden) <= 3 and min(critic.hidden) >= 1, "a critic has one to three hidden sizes")
    require(0 < critic.forget <= 1 and 0 <= critic.decay <= 1, "forget and decay of the critic must lie in 0..1")
    require(0 <= critic.floor <= 1, "floor of the critic is a quantile, in 0..1")
    require(0 <= critic.begin < 1, "begin of the critic must lie in 0..1")
    require(min(critic.ridge, critic.ramp, critic.trust, critic.squares) >= 0, "numbers of the critic: none below 0")
    require(config.seed >= 0, "seed must not be negative")
    require(config.position_limit > 0 and config.age_limit > 0, "position and age limits must be positive")


def robust(robot: str = "crazyflie", actor: Literal["gru", "mlp"] = "gru", seed: int = 0) -> TrainConfig:
    """The default: randomized robot, delay and noise, hover and moving references; under three seconds on one core."""
    config = TrainConfig(robot=robot, seed=seed)
    return config if actor == "gru" else _with_mlp(config)


def fast(robot: str = "crazyflie", actor: Literal["gru", "mlp"] = "gru", seed: int = 0) -> TrainConfig:
    """Same task in a fraction of the iterations: flies, less precisely; episodes are shorter, to see more starts."""
    config = robust(robot, actor, seed)
    iterations = 480 if actor == "gru" else 700
    return dataclasses.replace(
        config, iterations=iterations, pool=2048, age_limit=400, learning_rate=Cosine(2e-2, 1e-4)
    )


def tracking(robot: str = "crazyflie", actor: Literal["gru", "mlp"] = "gru", seed: int = 0) -> TrainConfig:
    """Follows fast curves closely, also with little thrust to spare: fewer throws, a larger network, a longer run.

    Robots vary more in mass, and curves are faster, than it is meant for. The longer horizon and the larger network ask
    for a tighter limit on the adjoint and a smaller learning rate.
    """
    config = robust(robot, actor, seed)
    return dataclasses.replace(
        config,
        actor=dataclasses.replace(config.actor, hidden=(40,)) if actor == "gru" else config.actor,
        iterations=20_000,
        learning_rate=Cosine(7e-3, 1e-4),
        horizon=Ramp(40.0, 128.0, 0.3),
        adjoint_limit=Ramp(300.0, 3e3, 0.4),
        position_limit=1.0,
        sensors=dataclasses.replace(config.sensors, position_clip=1.0),
        catch_share=0.1,
        randomization=dataclasses.replace(config.randomization, mass=0.35),
        reference=ReferenceDistribution(0.8, period=(2.8, 4.5), acceleration=9.0),
    )


def with_critic(config: TrainConfig, critic: Literal["mlp", "quadratic"] = "quadratic") -> TrainConfig:
    """The same run closed by a privileged critic, with as many iterations as take about the same time."""
    return dataclasses.replace(config, critic=critic, iterations=round(0.5 * config.iterations))


def _with_mlp(config: TrainConfig) -> TrainConfig:
    """Remembers only its past actions, so it cannot learn to cancel a slow drift: shorter episodes serve it better."""
    actor = ActorConfig(kind="mlp", hidden=(32, 32), history=16)
    return dataclasses.replace(config, actor=actor, iterations=7000, age_limit=600)


PRESETS: Mapping[str, Callable[..., TrainConfig]] = {"robust": robust, "fast": fast, "tracking": tracking}
"""By the name that the command line has for them; the first is the default."""
