"""Everything that defines an arm's environment but its size, seed and threads; presets are in arm_presets.py."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fledge_sim.contract import JointMapping, ObservationTerm
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_task import TaskConfig

Span = tuple[float, float]
Touch = Literal["none", "pooled"]

TAXELS_POOLED = 2 * 4 * 4 * 3
"""Numbers of the term touch: two pads, four by four cells, normal and two shears."""


@dataclass(frozen=True)
class ArmRandomization:
    """Ranges drawn per episode, uniformly; (1, 1) or (0, 0) switches one off, `NOMINAL` all of them.

    Factors act on the robot file's value; one factor per joint unless stated.
    """

    stiffness: Span = (0.7, 1.3)
    """Factor on the servo's stiffness: voltage, winding, firmware; one for all joints and a tenth of it per joint."""
    damping: Span = (0.7, 1.3)
    """Factor on back-EMF and viscous friction."""
    armature: Span = (0.8, 1.2)
    """Factor."""
    coulomb: Span = (0.5, 2.0)
    """Factor on the Coulomb friction."""
    load_friction: Span = (0.0, 0.3)
    """Friction torque per transmitted torque [1], instead of the file's."""
    torque: Span = (0.8, 1.0)
    """Factor on the torque limit; one for all joints, they share a supply."""
    setpoint_speed: Span = (0.9, 1.1)
    """Factor on the slew of the set-point."""
    backlash: Span = (0.003, 0.009)
    """Free play either way [rad], instead of the file's."""
    link_mass: Span = (0.9, 1.1)
    """Factor on every link's mass and inertia."""
    com: float = 0.005
    """Half width of the shift of every link's centre of mass, per axis [m]."""
    payload: Span = (0.0, 0.1)
    """Mass at the tip [kg]; its own turn about the link's centre, 1 % of the armature, is left out."""
    command_delay: Span = (0.002, 0.020)
    """From the policy's output to the servo's set-point [s]."""
    period: float = 0.1
    """Relative half width of the time between two observations, drawn at every step."""
    missed_frame: float = 0.01
    """Probability that a step's command is lost; the servos hold the one before."""
    push_probability: float = 0.005
    """Probability per step that a torque pulse begins, on one joint."""
    push_torque: Span = (0.1, 0.3)
    """Of a pulse, either sign [N m]."""
    push_steps: int = 5
    """How long a pulse lasts [steps]."""


NOMINAL = ArmRandomization(
    stiffness=(1.0, 1.0),
    damping=(1.0, 1.0),
    armature=(1.0, 1.0),
    coulomb=(1.0, 1.0),
    load_friction=(0.208, 0.208),
    torque=(1.0, 1.0),
    setpoint_speed=(1.0, 1.0),
    backlash=(0.0076, 0.0076),
    link_mass=(1.0, 1.0),
    com=0.0,
    payload=(0.0, 0.0),
    command_delay=(0.005, 0.005),
    period=0.0,
    missed_frame=0.0,
    push_probability=0.0,
)
"""The SO-101 as its file has it."""


@dataclass(frozen=True)
class ArmSensors:
    """Between the truth and the policy: encoder count, bias, delay, noise, in that order."""

    encoder: bool = True
    """Positions come in whole counts of the encoder, from the motor's side of the play."""
    bias: float = 0.004
    """Half width of a constant offset per joint and episode [rad]: what is left after calibration; 0.02 without any."""
    position_noise: float = 0.002
    """Standard deviation [rad]."""
    velocity_noise: float = 0.05
    """[rad/s]"""
    delay: Span = (0.002, 0.020)
    """Age of what is sensed, per episode [s]; up to one step, interpolated between steps."""


@dataclass(frozen=True)
class ArmAction:
    """From the network's output in [-1, 1] to a joint's commanded position, as firmware/arm does it.

    target = target + step a, within `reach` of the sensed position, within the limits by `margin`.
    """

    step: float = 0.08
    """[rad] per policy step."""
    reach: float = 0.15
    """[rad]; stiffness times reach is the largest torque that the policy can ask for."""
    margin: float = 0.05
    """[rad] to the joint limits."""


@dataclass(frozen=True)
class ArmConfig:
    """An arm, a task and what lies between policy and physics. Checked on construction."""

    arm: Arm
    task: TaskConfig
    period: float = 0.02
    """Time between observations [s]."""
    substeps: int = 10
    """Physics steps in a period."""
    episode_steps: int = 150
    """Longest episode."""
    staggered: bool = False
    """The first episode of each world starts at a random age, so that not all run out of time together."""
    action: ArmAction = ArmAction()
    history: int = 1
    """How many past actions the policy sees."""
    randomization: ArmRandomization = ArmRandomization()
    sensors: ArmSensors = ArmSensors()
    touch: Touch = "none"
    """Whether the actor has pooled taxels of the finger pads."""
    privileged_actor: bool = False
    """The actor sees the critic's truth instead of its senses: the expert of a distillation."""
    frictionless: bool = False
    """No bristle in the servos: a fifth faster, and the arm creeps where a real one rests."""
    level: dict[str, float] = field(default_factory=dict)
    """Of each of the task's curriculum coordinates, 0 easy to 1 full width; those left out are 1."""

    def __post_init__(self) -> None:
        validate(self)

    @property
    def joints(self) -> tuple[int, ...]:
        """Places of the joints that the policy controls."""
        last = len(self.arm.joints) - 1
        return tuple(range(last + 1 if self.task.moves_gripper else last))

    @property
    def observation(self) -> tuple[ObservationTerm, ...]:
        """The actor's terms, in the contract's order; one unnamed block for a privileged actor."""
        joints, sensors = len(self.arm.joints), self.sensors
        terms = [
            ObservationTerm("joint_position", joints, "rad", "joint", 7.0, 1.0, sensors.position_noise),
            ObservationTerm("joint_velocity", joints, "rad/s", "joint", 20.0, 1.0, sensors.velocity_noise),
            ObservationTerm("joint_load", joints, "rad", "joint", 1.0, 1.0, 0.0),
            ObservationTerm("tip", 3, "m", "base", 2.0, 1.0, 0.0),
            ObservationTerm("goal", self.task.goal_size, "m", "base", 2.0, 1.0, 0.0),
        ]
        if self.touch == "pooled":
            terms.append(ObservationTerm("touch", TAXELS_POOLED, "N", "pad", 20.0, 1.0, 0.0))
        if self.history:
            terms.append(
                ObservationTerm("action_history", self.history * len(self.joints), "1", "joint", 1.0, 1.0, 0.0)
            )
        return tuple(terms)

    @property
    def mapping(self) -> JointMapping:
        """What the actor's outputs mean."""
        arm, margin = self.arm, self.action.margin
        names = tuple(joint.name for joint in arm.joints)
        return JointMapping(
            kind="joint_target_delta",
            joints=tuple(names[i] for i in self.joints),
            step=self.action.step,
            reach=self.action.reach,
            lower=tuple(arm.lower[i] + margin for i in self.joints),
            upper=tuple(arm.upper[i] - margin for i in self.joints),
            sensed=names,
        )

    @property
    def senses_size(self) -> int:
        """Numbers in `observation`."""
        return sum(term.size for term in self.observation)


def validate(config: ArmConfig) -> None:
    """Raise FledgeError naming the field and its range."""
    _require(1e-3 <= config.period <= 0.2, f"period is {config.period} s, give 0.001 to 0.2")
    _require(1 <= config.substeps <= 200, f"substeps is {config.substeps}, give 1 to 200")
    _require(1 <= config.episode_steps <= 10**6, f"episode_steps is {config.episode_steps}, give 1 to 1e6")
    _require(0 <= config.history <= 32, f"history is {config.history}, give 0 to 32")
    action, spans, sensors = config.action, config.randomization, config.sensors
    for name, value in vars(action).items():
        _require(math.isfinite(value) and 0 < value < 3, f"action.{name} is {value} rad, give more than 0, less than 3")
    for name, low, high in (
        *((name, 0.1, 10.0) for name in ("stiffness", "damping", "armature", "torque", "setpoint_speed", "link_mass")),
        ("coulomb", 0.0, 100.0),
        ("load_friction", 0.0, 0.9),
        ("backlash", 0.0, 0.2),
        ("payload", 0.0, 10.0),
        ("command_delay", 0.0, 2 * config.period),
        ("push_torque", 0.0, 100.0),
    ):
        _span(f"randomization.{name}", getattr(spans, name), low, high)
    _span("sensors.delay", sensors.delay, 0.0, config.period)
    for name in ("missed_frame", "push_probability"):
        _require(0 <= getattr(spans, name) < 1, f"randomization.{name} is {getattr(spans, name)}, give 0 to 1")
    _require(0 <= spans.period <= 0.5, f"randomization.period is {spans.period}, give 0 to 0.5")
    for name in ("bias", "position_noise", "velocity_noise"):
        value = getattr(sensors, name)
        _require(math.isfinite(value) and value >= 0, f"sensors.{name} is {value}, give a finite number >= 0")
    _require(not (config.touch != "none" and not config.task.holds), "touch needs a task with something in the hand")
    for name, value in config.level.items():
        known = ", ".join(config.task.coordinates) or "none"
        _require(name in config.task.coordinates, f"level of '{name}': this task's coordinates are {known}")
        _require(0 <= value <= 1, f"level of '{name}' is {value}, give 0 to 1")


def _span(name: str, value: Span, low: float, high: float) -> None:
    ok = len(value) == 2 and low <= value[0] <= value[1] <= high
    _require(ok, f"{name} is {value}, give (low, high) within {low:g} to {high:g}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise FledgeError(message)
