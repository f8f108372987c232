"""The law of a position servo, to be read, and how MuJoCo is made to follow it.

    s      moves towards the commanded position no faster than setpoint_speed
    duty   = clip(duty_per_error (s - m), -duty_max, duty_max)     (m: position of the motor, behind its gears)
    tau    = kt / R (V duty - kt m') - viscous m' - F              (m' in rad/s, torque at the horn)
    F      = sigma_0 z + sigma_1 z',   z' = m' - sigma_0 |m'| z / Fc     (bristle z: Coulomb friction with rest)
    Fc     = coulomb + load_friction |tau_duty|
    q      = m - backlash clip(load / 0.05 N m, -1, 1)             (the link; load: torque through the teeth)

There is no derivative and no integral term, so the arm sags under load, and the back-EMF is all the damping there is.
The teeth lean on the side to which the link's weight and inertia push them, and the encoder counts on the motor's side:
nobody senses the play.

In MuJoCo (arm_model.py): the duty's torque is a <position> actuator of stiffness V duty_per_error kt / R and
forcerange duty_max V kt / R; back-EMF and viscous friction are the joint's damping, outside that range, as the voltage
clips the duty alone; the armature is the joint's. F is a <dcmotor> without current, whose LuGre friction is this
bristle (no Stribeck effect); Fc follows the load at every policy step. frictionloss gives the same forces as a
constraint, for which every step needs the solver: 367 thousand steps per core-second without friction, 302 with the
bristle, 231 with frictionloss. Slew, delay, play and encoder are on the way to and from the actuator, in arm_servos.py;
MuJoCo's joint is the link, what its actuator pulls to is s - (m - q). Against a second joint behind every servo, which
halves the speed, link positions differ by 4 mrad (root mean square, swinging at 1 rad/s, play 7.6 mrad either way);
without any play they differ by 9 mrad.

Source: structure and constants BAM (Rhoban, better actuator models), LuGre: Canudas de Wit et al. 1995.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from fledge_sim.arm import Servo

Float64 = NDArray[np.float64]

BRISTLE_STIFFNESS = 20.0
"""sigma_0 [N m/rad], of the order of the servo's own: friction of 0.05 N m yields 2.5 mrad before it slips."""
BRISTLE_DAMPING = 0.3
"""sigma_1 [N m/(rad/s)], about critical for the armature on the bristle."""
PLAY_TORQUE = 0.05
"""Load at which the teeth lean wholly on one side [N m]; a step there would be one of the set-point."""


@dataclass(frozen=True)
class ServoState:
    """What a servo remembers; any shape."""

    setpoint: Float64
    """s [rad]"""
    bristle: Float64
    """z [rad]"""


def at_rest(position: ArrayLike) -> ServoState:
    """A servo that has held a position [rad]."""
    held = np.array(position, np.float64)
    return ServoState(held, np.zeros_like(held))


def slewed(servo: Servo, setpoint: ArrayLike, command: ArrayLike, dt: float) -> Float64:
    """s after dt [s]: towards the command at setpoint_speed [rad]."""
    step = servo.setpoint_speed * dt
    return np.asarray(setpoint + np.clip(np.subtract(command, setpoint), -step, step), np.float64)


def play_open(servo: Servo, load: ArrayLike) -> Float64:
    """m - q [rad]: how far the motor is ahead of the link when a torque `load` [N m] goes through the teeth."""
    return np.asarray(servo.backlash * np.clip(np.divide(load, PLAY_TORQUE), -1, 1), np.float64)


def duty_torque(servo: Servo, setpoint: ArrayLike, motor: ArrayLike) -> Float64:
    """kt / R V duty [N m], what the servo's firmware decides."""
    duty = np.clip(servo.duty_per_error * np.subtract(setpoint, motor), -servo.duty_max, servo.duty_max)
    return np.asarray(servo.motor_constant / servo.resistance * servo.supply_voltage * duty, np.float64)


def step(
    servo: Servo, state: ServoState, command: ArrayLike, motor: ArrayLike, velocity: ArrayLike, dt: float
) -> tuple[ServoState, Float64]:
    """Torque at the horn, damping included, and the servo after dt.

    Args:
        servo: constants.
        state: before.
        command: commanded position [rad], delay and quantisation done.
        motor: its position [rad].
        velocity: of the motor [rad/s].
        dt: [s]; the bristle takes its exact step at constant velocity, stable for any dt.
    Returns:
        State after dt, torque [N m] during it.
    """
    setpoint = slewed(servo, state.setpoint, command, dt)
    speed = np.asarray(velocity, np.float64)
    driving = duty_torque(servo, setpoint, motor)
    limit = servo.coulomb_friction + servo.load_friction * np.abs(driving)
    bristle, friction = bent(state.bristle, speed, limit, dt)
    return ServoState(setpoint, bristle), driving - servo.damping * speed - friction


def bent(bristle: ArrayLike, speed: ArrayLike, limit: ArrayLike, dt: float) -> tuple[Float64, Float64]:
    """Bristle after dt and its force F, at constant speed [rad/s] and Coulomb friction `limit` [N m]."""
    before, moving = np.asarray(bristle, np.float64), np.asarray(speed, np.float64)
    rate = BRISTLE_STIFFNESS * np.abs(moving) / np.asarray(limit, np.float64)
    decay = np.exp(-rate * dt)
    moved = np.where(rate * dt > 1e-9, (1 - decay) / np.maximum(rate, 1e-300), dt)
    after = np.asarray(decay * before + moving * moved, np.float64)
    return after, np.asarray(BRISTLE_STIFFNESS * after + BRISTLE_DAMPING * (after - before) / dt)


def quantised(servo: Servo, position: ArrayLike) -> Float64:
    """To the nearest count of the encoder [rad]; commands travel in counts as well."""
    return np.asarray(np.round(np.divide(position, servo.encoder_step)) * servo.encoder_step, np.float64)
