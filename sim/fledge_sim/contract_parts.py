"""What a policy contract is made of: observation terms, what actions mean, set-points, envelopes, network, record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fledge_sim.errors import FledgeError


class ContractError(FledgeError):
    """A contract that cannot be parsed, or two contracts that do not agree."""


@dataclass(frozen=True)
class ObservationTerm:
    """One block of the network's input.

    The network sees clip(sensed, -clip, clip) * scale. Noise is what training added to `sensed` before the clip.
    """

    name: str
    size: int
    unit: str
    frame: str
    """heading: z up, turned about z by the yaw held at take-over; body: x forward, y left, z up; actuator; joint; base:
    of an arm, x forward, z up; pad: of a finger, x along it to the tip, z out of its face."""
    clip: float
    """Bound on each element before scaling [unit]; finite."""
    scale: float
    noise: float
    """Standard deviation used in training [unit]."""


@dataclass(frozen=True)
class ActionMapping:
    """fraction = low + (action + 1)/2 (high - low), per motor M1..M4; hover balances the nominal robot's weight."""

    kind: Literal["thrust_fraction", "rotor_speed_fraction", "duty"]
    low: float
    high: float
    hover: float
    """Action in [-1, 1] at which thrust balances weight on the nominal robot."""
    motors: tuple[str, ...] = ("M1", "M2", "M3", "M4")
    spin: tuple[int, ...] = (-1, 1, -1, 1)
    """Sign of the reaction torque about body z, per motor."""


@dataclass(frozen=True)
class JointMapping:
    """target += step action, then kept within reach of the sensed joint, then within lower..upper; per native step.

    Action 0 leaves the targets where they are.
    """

    kind: Literal["joint_target_delta"]
    joints: tuple[str, ...]
    """Names in the order of the actions; a joint that a task holds still is left out."""
    step: float
    """[rad] that action 1 adds to a target."""
    reach: float
    """[rad], the furthest that a target may be from its sensed joint."""
    lower: tuple[float, ...]
    """[rad] per joint: bounds of the target, the margin to the mechanical limits included."""
    upper: tuple[float, ...]
    sensed: tuple[str, ...] = ()
    """Names in the order in which the observation terms list joints; empty: those of `joints`."""

    @property
    def sensed_joints(self) -> tuple[str, ...]:
        """Names behind each element of joint_position, joint_velocity and joint_load."""
        return self.sensed or self.joints

    @property
    def indices(self) -> tuple[int, ...]:
        """Of each action's joint among the sensed ones."""
        return tuple(self.sensed_joints.index(name) for name in self.joints)


@dataclass(frozen=True)
class SetpointSemantics:
    """What the errors in a quadrotor's observation mean: sensed minus commanded, and which yaw is held."""

    position_error: str = "position - setpoint"
    velocity_error: str = "velocity - setpoint"
    yaw: str = "held at take-over"


@dataclass(frozen=True)
class GoalSemantics:
    """What the errors in an arm's observation mean."""

    goal: str = "goal - tip"
    """The tip by forward kinematics of the sensed joints."""
    joint_load: str = "target - joint position"
    """The target of the step before, the sensed position of this one."""


@dataclass(frozen=True)
class Envelope:
    """Outside it the policy was not trained; the guard hands over to the stock controller."""

    position_error: float = 1.5
    """[m], any axis"""
    velocity: float = 4.0
    """[m/s], norm"""
    angular_velocity: float = 30.0
    """[rad/s], any axis"""


@dataclass(frozen=True)
class ArmEnvelope:
    """Outside it the policy was not trained; the guard holds the joints where they are."""

    goal: float = 0.8
    """[m], norm of goal minus tip"""
    joint_velocity: float = 8.0
    """[rad/s], any joint"""
    joint_load: float = 0.6
    """[rad], target minus position, any joint"""


@dataclass(frozen=True)
class NetworkShape:
    """gru: one GRU layer of hidden[0]. mlp: dense + activation per hidden size. Behind either: dense to the outputs,
    squash."""

    kind: Literal["gru", "mlp"]
    hidden: tuple[int, ...]
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    """Behind each hidden layer of an mlp; a gru has its own."""
    squash: Literal["tanh", "clip"] = "tanh"
    """How the last layer's sums become actions in [-1, 1]."""


@dataclass(frozen=True)
class TrainingRecord:
    """How the weights came about."""

    algorithm: str
    seed: int
    code_version: str
    config: Mapping[str, Any] = field(default_factory=dict)
