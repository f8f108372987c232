"""The rows of the kernel's arrays, and how a robot fills them.

State (17, n), setpoint (4, n) and parameters (51, n) are float32 with one column per environment; the row numbers are
those of the enums in sim/native/quadrotor.h.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arrays import Float32 as Float32
from fledge_sim.arrays import empty
from fledge_sim.errors import FledgeError
from fledge_sim.robot import Robot


class State(IntEnum):
    """First row of each part of the state; quadrotor_state_row in C."""

    POSITION = 0
    """3 rows [m], world."""
    QUATERNION = 3
    """4 rows, w x y z, body to world."""
    VELOCITY = 7
    """3 rows [m/s], world."""
    ANGULAR_VELOCITY = 10
    """3 rows [rad/s], body."""
    ROTOR_SPEED = 13
    """4 rows [rad/s], M1..M4."""


class Parameter(IntEnum):
    """First row of each physical parameter; quadrotor_parameter_row in C."""

    MASS_INVERSE = 0
    """1 row [1/kg]."""
    INERTIA = 1
    """3 rows [kg m^2], principal, body."""
    INERTIA_INVERSE = 4
    """3 rows [1/(kg m^2)]."""
    ROTOR_X = 7
    """4 rows [m], body, from the centre of mass."""
    ROTOR_Y = 11
    """4 rows [m], body."""
    THRUST_CURVE = 15
    """3 rows, c0 [N], c1 [N/(rad/s)], c2 [N/(rad/s)^2]."""
    THRUST_SCALE = 18
    """4 rows [1], 1 = nominal."""
    TORQUE_PER_THRUST = 22
    """4 rows [m], signed: reaction about body +z per newton."""
    LAG_RISE_INVERSE = 26
    """1 row [1/s]."""
    LAG_FALL_INVERSE = 27
    """1 row [1/s]."""
    DRAG = 28
    """3 rows [N/(m/s)], body axes."""
    DISTURBANCE_FORCE = 31
    """3 rows [N], world."""
    DISTURBANCE_TORQUE = 34
    """3 rows [N m], body."""
    GRAVITY = 37
    """1 row [m/s^2], positive."""
    LEG_HEIGHT = 38
    """1 row [m], feet below the centre of mass, under the rotors."""
    FLOOR_STIFFNESS = 39
    """1 row [N/m], per contact point."""
    FLOOR_DAMPING = 40
    """1 row [N/(m/s)], per contact point."""
    FLOOR_FRICTION = 41
    """1 row [1], Coulomb."""
    GROUND_EFFECT_AREA = 42
    """1 row [m^2], A = r^2 / 16 for rotors of radius r; 0 = none."""
    WIND = 43
    """3 rows [m/s], world, velocity of the air; held over a step."""
    BATTERY_VOLTAGE = 46
    """1 row [V], open circuit; held over a step."""
    BATTERY_RESISTANCE = 47
    """1 row [ohm]."""
    DRIVE_POWER = 48
    """1 row [m]: electrical power of a rotor per thrust and speed, k_tau / eta."""
    SPEED_PER_VOLT = 49
    """1 row [rad/s/V], rotor speed at full duty."""
    ROTOR_HEIGHT = 50
    """1 row [m], rotor plane and upper contact points above the centre of mass."""


STATES = 17
ROTORS = 4
PARAMETERS = 51

FLOOR_COMPRESSION = 1e-3
"""[m], how far the feet sink in at rest with the default floor."""
FLOOR_FRICTION = 0.6
"""[1], default Coulomb coefficient."""


def parameter_rows(robot: Robot, n: int) -> Float32:
    """Parameters (51, n): `n` copies of the nominal robot.

    Undisturbed, still air, thrust scale 1, full battery, floor of `floor_defaults`.
    """
    stiffness, damping = floor_defaults(robot)
    values: dict[Parameter, tuple[float, ...]] = {
        Parameter.MASS_INVERSE: (1 / robot.mass,),
        Parameter.INERTIA: robot.inertia,
        Parameter.INERTIA_INVERSE: tuple(1 / j for j in robot.inertia),
        Parameter.ROTOR_X: tuple(x for x, _ in robot.rotor_position),
        Parameter.ROTOR_Y: tuple(y for _, y in robot.rotor_position),
        Parameter.THRUST_CURVE: robot.thrust_curve,
        Parameter.THRUST_SCALE: (1.0,) * ROTORS,
        Parameter.TORQUE_PER_THRUST: tuple(spin * robot.torque_per_thrust for spin in robot.rotor_spin),
        Parameter.LAG_RISE_INVERSE: (1 / robot.rotor_time_constant_rise,),
        Parameter.LAG_FALL_INVERSE: (1 / robot.rotor_time_constant_fall,),
        Parameter.DRAG: robot.drag,
        Parameter.DISTURBANCE_FORCE: (0.0,) * 3,
        Parameter.DISTURBANCE_TORQUE: (0.0,) * 3,
        Parameter.GRAVITY: (robot.gravity,),
        Parameter.LEG_HEIGHT: (robot.leg_height,),
        Parameter.FLOOR_STIFFNESS: (stiffness,),
        Parameter.FLOOR_DAMPING: (damping,),
        Parameter.FLOOR_FRICTION: (FLOOR_FRICTION,),
        Parameter.GROUND_EFFECT_AREA: (robot.rotor_radius**2 / 16,),
        Parameter.WIND: (0.0,) * 3,
        Parameter.BATTERY_VOLTAGE: (robot.open_circuit_voltage(1.0),),
        Parameter.BATTERY_RESISTANCE: (robot.battery_resistance,),
        Parameter.DRIVE_POWER: (robot.torque_per_thrust / robot.drive_efficiency,),
        Parameter.SPEED_PER_VOLT: (robot.speed_per_volt,),
        Parameter.ROTOR_HEIGHT: (robot.rotor_height,),
    }
    rows = empty(PARAMETERS, _environments(n))
    rows[:] = np.concatenate([values[row] for row in Parameter])[:, None]
    return rows


def floor_defaults(robot: Robot) -> tuple[float, float]:
    """Stiffness [N/m] and damping [N/(m/s)] per foot.

    Stiffness: the weight on four feet sinks in by FLOOR_COMPRESSION. Damping: critical in the stiffest of heave, roll
    and pitch, which needs the least, since four feet at lever r move the mass J / r^2 when the body turns:
    4 b = 2 sqrt(4 k m'), m' = min(m, J_x / mean(y^2), J_y / mean(x^2)).
    """
    stiffness = robot.mass * robot.gravity / (ROTORS * FLOOR_COMPRESSION)
    squares = np.square(np.asarray(robot.rotor_position)).mean(axis=0)
    moved = min(robot.mass, robot.inertia[0] / squares[1], robot.inertia[1] / squares[0])
    return stiffness, math.sqrt(ROTORS * stiffness * moved) / 2


def hover_state(robot: Robot, n: int) -> Float32:
    """States (17, n): at the origin, level, at rest, rotors at hover speed."""
    state = empty(STATES, _environments(n))
    state[:] = 0
    state[State.QUATERNION] = 1
    state[State.ROTOR_SPEED :] = robot.hover_rotor_speed
    return state


def setpoint_from_action(robot: Robot, action: NDArray[np.floating]) -> Float32:
    """Rotor speed setpoints [rad/s] that the firmware asks for, with its nominal constants (docs/dynamics.md).

    Args:
        robot: nominal robot; names the actuation and its range.
        action: (4, n) in [-1, 1], clipped to it, M1..M4.
    """
    if action.ndim != 2 or action.shape[0] != ROTORS:
        raise FledgeError(f"action has shape {action.shape}, it must be ({ROTORS}, n)")
    span = robot.fraction_high - robot.fraction_low
    amount = robot.full_scale * (robot.fraction_low + span * (np.clip(action, -1, 1).astype(np.float64) + 1) / 2)
    if robot.actuation != "thrust_fraction":
        return np.ascontiguousarray(amount, dtype=np.float32)
    c0, c1, c2 = robot.thrust_curve
    return np.ascontiguousarray((np.sqrt(c1 * c1 + 4 * c2 * (amount - c0)) - c1) / (2 * c2), dtype=np.float32)


def _environments(n: int) -> int:
    if n < 1:
        raise FledgeError(f"n is {n}; ask for at least one environment")
    return n
