"""From action to rotor speed as the firmware does it, to be read: docs/dynamics.md, section Actuation, in torch.

Any dtype and device; differentiable, rounding passes the gradient straight through. The constants are the firmware's
own, hence the nominal robot's; only the battery's voltage differs between environments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fledge_sim.robot import Robot


@dataclass(frozen=True)
class DriveStages:
    """Parts of the path that can be switched off."""

    dead_zone: bool = True
    """A thrust fraction below the robot's thrust_min_fraction switches the motor off."""
    quantisation: bool = True
    """Duty is rounded down to one of pwm_levels."""
    compensation: bool = True
    """Duty is computed for the present voltage instead of the nominal one."""


def fraction(robot: Robot, action: Tensor) -> Tensor:
    """f = low + (a + 1)/2 (high - low) of the action a, clipped to [-1, 1], (..., 4) [1]."""
    return robot.fraction_low + (action.clamp(-1, 1) + 1) / 2 * (robot.fraction_high - robot.fraction_low)


def rotor_speed_of_thrust(robot: Robot, thrust: Tensor) -> Tensor:
    """Positive root n of c0 + c1 n + c2 n^2 = T on the nominal curve, (..., 4) [rad/s]."""
    c0, c1, c2 = robot.thrust_curve
    return (-c1 + torch.sqrt(c1**2 + 4 * c2 * (thrust - c0))) / (2 * c2)


def nominal_rotor_speed(robot: Robot, action: Tensor) -> Tensor:
    """What an action asks for at nominal voltage with no stage of the path on and no duty above 1 [rad/s]."""
    f = fraction(robot, action)
    if robot.actuation == "thrust_fraction":
        return rotor_speed_of_thrust(robot, f * robot.thrust_max)
    return f * robot.full_scale


def reduce_all(duty: Tensor, dim: int = -1) -> Tensor:
    """Where the largest duty along `dim` exceeds 1, all four lose the excess, but none falls below 0, (..., 4) [1]."""
    excess = (duty.max(dim, keepdim=True).values - 1).clamp(min=0)
    return (duty - excess).clamp(min=0)


def round_duty(duty: Tensor, levels: float) -> Tensor:
    """min(floor(d L), L - 1) / (L - 1); its derivative is taken as 1."""
    rounded = torch.floor(duty.detach() * levels).clamp(max=levels - 1) / (levels - 1)
    return duty + (rounded - duty.detach())


def rotor_speed_setpoint(robot: Robot, action: Tensor, voltage: Tensor, stages: DriveStages, dim: int = -1) -> Tensor:
    """What the rotors are asked for.

    Args:
        robot: nominal robot; names the kind of actuation.
        action: (..., 4) in [-1, 1], M1..M4.
        voltage: of the battery under load, (..., 1) [V].
        stages: which parts of the path are on.
        dim: axis of the motors; with 0, action and result are (4, n) and voltage (1, n).
    Returns:
        (..., 4) [rad/s].
    """
    f = fraction(robot, action)
    if robot.actuation == "rotor_speed_fraction":
        return f * robot.rotor_speed_max
    duty = _duty_of_thrust(robot, f, voltage, stages, dim) if robot.actuation == "thrust_fraction" else f
    if stages.quantisation:
        duty = round_duty(duty, robot.pwm_levels)
    return duty * robot.speed_per_volt * voltage


def _duty_of_thrust(robot: Robot, f: Tensor, voltage: Tensor, stages: DriveStages, dim: int) -> Tensor:
    rotor_speed = rotor_speed_of_thrust(robot, f * robot.thrust_max)
    if stages.dead_zone:
        rotor_speed = torch.where(f < robot.thrust_min_fraction, torch.zeros_like(rotor_speed), rotor_speed)
    assumed = voltage if stages.compensation else torch.full_like(voltage, robot.voltage_nominal)
    return reduce_all(rotor_speed / (robot.speed_per_volt * assumed), dim)
