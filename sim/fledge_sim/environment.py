"""What an environment is, for every backend: its configuration and the result of a step.

The native environment is quadrotor_env.py, the same on torch tensors of any device torch_env.py. Random numbers:
counter_random.py; what an environment remembers per world: environment_rows.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fledge_sim.contract import TERM_SIZES, Contract, ObservationTerm
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization, sample_parameters
from fledge_sim.robot import Robot
from fledge_sim.stability import check_step
from fledge_sim.tasks import InitialState, ReferenceDistribution
from fledge_sim.trajectories import SmoothReference, WaypointReference

if TYPE_CHECKING:
    from torch import Tensor

LOOK_AHEAD_MAX = 32
"""Most future references that a policy can see."""
SAMPLED = 256
"""Randomized robots on which the step has to be stable."""
DELAY_MAX = 2.0
"""Longest delay of commands and of sensors [steps]."""


class Step(NamedTuple):
    """What a step gives; tensors of the caller's own, never overwritten by a later step.

    Where an episode ended, `observation` is the first of the next one already (same-step autoreset).
    """

    observation: Tensor
    """(n, I) float32, units of the terms; after clip and scale if the configuration says so."""
    reward: Tensor
    """(n,) float32."""
    terminated: Tensor
    """(n,) bool: the episode ended in a state from which it must not go on."""
    truncated: Tensor
    """(n,) bool: its time was up, and it was not terminated."""
    ended_observation: Tensor
    """(n, I) float32: where an episode ended, its last observation; undefined elsewhere (see `final_observation`)."""
    privileged: Tensor | None = None
    """(n, P) float32, truth for a critic, as in environment_privileged.py; None unless asked for."""
    ended_privileged: Tensor | None = None
    """(n, P): as `ended_observation`."""
    groups: Tensor | None = None
    """(n, G) float32: the reward by groups, whose sum it is; None where there is but one."""

    @property
    def ended(self) -> Tensor:
        """(n,) bool: terminated or truncated."""
        return self.terminated | self.truncated

    @property
    def final_observation(self) -> Tensor:
        """(n, I): what this step led to in every world, before any reset; the successor in a replay buffer."""
        return self.ended_observation.where(self.ended[:, None], self.observation)

    @property
    def final_privileged(self) -> Tensor | None:
        """(n, P): likewise."""
        if self.privileged is None or self.ended_privileged is None:
            return None
        return self.ended_privileged.where(self.ended[:, None], self.privileged)


@dataclass(frozen=True)
class LookAhead:
    """Future references that the policy sees."""

    count: int = 0
    """How many; 0 for none."""
    spacing: float = 0.05
    """Time between them [s]; the first is one spacing ahead."""


@dataclass(frozen=True)
class Task:
    """Where an episode starts and what it should follow."""

    initial_state: InitialState = InitialState()
    reference: ReferenceDistribution | SmoothReference | WaypointReference | None = None
    """None: hover."""
    look_ahead: LookAhead = LookAhead()
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[m], world: where the references are centred; above z = 0 if floor or ground effect are on."""


@dataclass(frozen=True)
class Sensors:
    """What is between the truth and the policy. Zero switches a part off; ranges are drawn per episode, uniformly.

    In this order: delay, bias, gyro low-pass, noise, quantisation, dropped position updates; errors come last.
    """

    noise: bool = True
    """The terms' own noise, times Randomization.noise_scale."""
    delay: tuple[float, float] = (0.0, 0.0)
    """Of all sensed terms [steps], 0 to 2; fractional delays interpolate between two steps."""
    bias_position: float = 0.0
    """Standard deviation of a constant offset per axis [m]."""
    bias_velocity: float = 0.0
    """[m/s]"""
    bias_angular_velocity: float = 0.0
    """[rad/s]"""
    gyro_cutoff: tuple[float, float] = (0.0, 0.0)
    """Cut-off frequency of a low-pass of first order [Hz]."""
    quantisation_position: float = 0.0
    """Step of the sensed position [m]."""
    quantisation_velocity: float = 0.0
    """[m/s]"""
    quantisation_angular_velocity: float = 0.0
    """[rad/s]"""
    position_dropout: tuple[float, float] = (0.0, 0.0)
    """Probability that a step brings no position update; the last sensed position stays."""


@dataclass(frozen=True)
class Gusts:
    """Wind: a constant part and a fluctuation (Ornstein-Uhlenbeck); acts through drag. Drawn per episode, uniformly."""

    mean: float = 0.0
    """Half width of the constant wind per horizontal axis [m/s]."""
    intensity: tuple[float, float] = (0.0, 0.0)
    """Standard deviation of the fluctuation per axis [m/s]."""
    correlation_time: tuple[float, float] = (0.5, 2.0)
    """[s]"""


@dataclass(frozen=True)
class BatteryUse:
    """The battery over an episode; acts with Physics.battery or battery compensation."""

    charge: tuple[float, float] = (0.3, 1.0)
    """State of charge at the start, 1 = full; uniform."""
    resistance: float = 0.0
    """Relative half width of the internal resistance."""
    capacity: float = 0.0
    """Relative half width of the capacity."""


@dataclass(frozen=True)
class Actuation:
    """Stages of the firmware's actuation path (docs/dynamics.md) beyond the mapping itself.

    With none of them and no Physics.battery, an action asks for the rotor speed of the mapping, whatever the voltage.
    """

    dead_zone: bool = False
    """Below thrust_min_fraction a motor is off."""
    quantisation: bool = False
    """Duty is rounded down to pwm_levels."""
    compensation: bool = False
    """Duty follows the battery's voltage, all four reduced where one would saturate."""


@dataclass(frozen=True)
class Reward:
    """r = survival - scale * cost of the state reached and of the action; `terminal` instead where it terminates.

        cost = position |e|^2 + distance |e| + velocity |de/dt|^2 + tilt (qx^2 + qy^2) + yaw qz^2
             + angular_velocity |w|^2 + action |a - hover|^2 + action_rate |a_t - a_t-1|^2

    e = position - reference [m], w in body axes [rad/s], a in [-1, 1]; qx^2 + qy^2 + qz^2 = sin^2(angle / 2).
    """

    survival: float = 2.0
    scale: float = 0.5
    position: float = 5.0
    distance: float = 0.0
    velocity: float = 0.01
    tilt: float = 5.0
    yaw: float = 5.0
    angular_velocity: float = 0.0
    action: float = 0.01
    action_rate: float = 0.0
    terminal: float = 0.0


@dataclass(frozen=True)
class Termination:
    """Outside any of these, or with a number that is not finite, the episode terminates."""

    position: float = 0.6
    """Distance from the reference, per axis [m]."""
    velocity: float = 1000.0
    """Relative to the world, per axis [m/s]."""
    angular_velocity: float = 1000.0
    """Per axis [rad/s]."""
    tilt_deg: float = 180.0
    """Angle between body z and world z; 180 never terminates."""
    height: float = -1000.0
    """Smallest height of the centre of mass [m]."""


def default_observation(history: int = 1, look_ahead: int = 0) -> tuple[ObservationTerm, ...]:
    """The paper's terms and noise, `look_ahead` future references and the last `history` actions."""
    terms = (
        ObservationTerm("position_error", 3, "m", "heading", clip=10.0, scale=1.0, noise=0.001),
        ObservationTerm("rotation", 9, "1", "heading", clip=2.0, scale=1.0, noise=0.001),
        ObservationTerm("velocity_error", 3, "m/s", "heading", clip=100.0, scale=1.0, noise=0.002),
        ObservationTerm("angular_velocity", 3, "rad/s", "body", clip=1000.0, scale=1.0, noise=0.002),
        ObservationTerm("look_ahead", 6 * look_ahead, "m, m/s", "heading", clip=100.0, scale=1.0, noise=0.0),
        ObservationTerm("action_history", 4 * history, "1", "actuator", clip=1.0, scale=1.0, noise=0.0),
    )
    return tuple(term for term in terms if term.size)


@dataclass(frozen=True)
class EnvConfig:
    """Everything that defines an environment but its size, seed and threads. Checked on construction."""

    robot: Robot
    task: Task = Task()
    observation: tuple[ObservationTerm, ...] = field(default_factory=default_observation)
    """Known terms in any order, action_history last; `from_contract` takes a contract's."""
    normalised: bool = False
    """Observations clipped and scaled as the terms say, as a network of a policy file sees them."""
    randomization: Randomization = Randomization()
    sensors: Sensors = Sensors()
    gusts: Gusts = Gusts()
    battery: BatteryUse = BatteryUse()
    actuation: Actuation = Actuation()
    physics: Physics = field(default_factory=Physics)
    reward: Reward = Reward()
    termination: Termination = Termination()
    step: float = 0.01
    """Time between observations [s]."""
    episode_steps: int = 500
    """Longest episode."""
    staggered: bool = False
    """The first episode of each world starts at a random age, so that not all worlds run out of time together."""
    privileged: bool = False
    """Give the critic's truth as well."""

    def __post_init__(self) -> None:
        validate(self)

    @property
    def observation_size(self) -> int:
        """I."""
        return sum(term.size for term in self.observation)

    @property
    def history_length(self) -> int:
        """How many past actions the policy sees."""
        return sum(term.size // 4 for term in self.observation if term.name == "action_history")


def from_contract(contract: Contract, robot: Robot, task: Task = Task()) -> EnvConfig:
    """The environment of a contract: its observation terms at its native rate."""
    return EnvConfig(robot, task, contract.observation, step=1 / contract.native_rate)


def validate(config: EnvConfig) -> None:
    """Raise FledgeError naming the field and its range."""
    _require(math.isfinite(config.step) and 1e-4 <= config.step <= 0.1, f"step is {config.step} s, give 1e-4 to 0.1")
    _require(1 <= config.episode_steps <= 10**8, f"episode_steps is {config.episode_steps}, give 1 to 1e8")
    _validate_terms(config)
    sensors, gusts = config.sensors, config.gusts
    _range("sensors.delay", sensors.delay, 0.0, DELAY_MAX)
    _range("randomization.control_delay", config.randomization.control_delay, 0.0, DELAY_MAX)
    _range("randomization.noise_scale", config.randomization.noise_scale, 0.0, 1e3)
    _range("sensors.gyro_cutoff", sensors.gyro_cutoff, 0.0, 1e4)
    _range("sensors.position_dropout", sensors.position_dropout, 0.0, 1.0)
    _range("gusts.intensity", gusts.intensity, 0.0, 100.0)
    _range("gusts.correlation_time", gusts.correlation_time, 1e-3, 1e4)
    _range("battery.charge", config.battery.charge, 0.0, 1.0)
    for owner, names in ((sensors, ("bias_", "quantisation_")), (gusts, ("mean",))):
        for name, value in vars(owner).items():
            if name.startswith(names):
                _require(math.isfinite(value) and value >= 0, f"{name} is {value}, give a finite number >= 0")
    for name, value in vars(config.reward).items():
        _require(math.isfinite(value), f"reward.{name} is {value}, give a finite number")
    for name, value in vars(config.termination).items():
        _require(not math.isnan(value), f"termination.{name} is {value}, give a number")
    windy = gusts.mean > 0 or max(gusts.intensity) > 0
    _require(config.physics.drag or not windy, "gusts act through drag; give physics=Physics(drag=True)")
    robots = sample_parameters(config.robot, config.randomization, SAMPLED, seed=0)
    check_step(robots, config.physics, config.step)


def _validate_terms(config: EnvConfig) -> None:
    names = [term.name for term in config.observation]
    _require(bool(names) and len(set(names)) == len(names), f"observation terms repeat or are missing: {names}")
    for term in config.observation:
        _require(term.name in TERM_SIZES, f"unknown observation term '{term.name}'; known: {', '.join(TERM_SIZES)}")
        ahead_size = 6 * config.task.look_ahead.count
        expected = ahead_size if term.name == "look_ahead" else TERM_SIZES[term.name]
        fits = term.size > 0 and (term.size % 4 == 0 if expected is None else term.size == expected)
        wanted = "a multiple of 4" if expected is None else expected
        _require(fits, f"observation term '{term.name}' has size {term.size}, expected {wanted}")
        _require(math.isfinite(term.noise) and term.noise >= 0, f"noise of '{term.name}' is {term.noise}, give >= 0")
        noisy = term.noise and term.name in ("look_ahead", "action_history")
        _require(not noisy, f"noise of '{term.name}' is {term.noise}, it must be 0: that term is known, not sensed")
    _require("action_history" not in names[:-1], "action_history must be the last observation term")
    ahead = config.task.look_ahead
    steps = ahead.spacing / config.step
    whole = not ahead.count or (steps >= 0.5 and math.isclose(steps, round(steps), rel_tol=1e-6))
    _require(whole, f"look_ahead.spacing is {ahead.spacing} s, give a multiple of the step, {config.step} s")
    _require(0 <= ahead.count <= LOOK_AHEAD_MAX, f"look_ahead.count is {ahead.count}, give 0 to {LOOK_AHEAD_MAX}")


def _range(name: str, value: tuple[float, float], low: float, high: float) -> None:
    ok = len(value) == 2 and low <= value[0] <= value[1] <= high
    _require(ok, f"{name} is {value}, give (low, high) within {low:g} to {high:g}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise FledgeError(message)
