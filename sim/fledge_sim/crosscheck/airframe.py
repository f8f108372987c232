"""One robot as the generators and the loads need it: plain numbers, from a robot file or a column of parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter, parameter_rows

Triple = tuple[float, float, float]
Quadruple = tuple[float, float, float, float]


@dataclass(frozen=True)
class Body:
    """What an engine's model is generated from."""

    mass: float
    """[kg]"""
    inertia: Triple
    """Principal, body axes [kg m^2]."""
    rotor_x: Quadruple
    """[m], body, from the centre of mass, M1..M4."""
    rotor_y: Quadruple
    """[m]"""
    rotor_height: float
    """[m], rotor plane above the centre of mass."""
    torque_per_thrust: Quadruple
    """[m], signed: reaction about body +z."""
    leg_height: float
    """[m], feet below the centre of mass."""
    gravity: float
    """[m/s^2], positive."""
    friction: float
    """Coulomb coefficient with the floor."""


@dataclass(frozen=True)
class Drive:
    """What acts on the body: rotors, battery, air, disturbances."""

    thrust_curve: Triple
    """c0 [N], c1 [N/(rad/s)], c2 [N/(rad/s)^2]."""
    thrust_scale: Quadruple
    """1 = nominal."""
    time_constant_rise: float
    """[s]"""
    time_constant_fall: float
    """[s]"""
    drag: Triple
    """[N/(m/s)], body axes."""
    wind: Triple
    """[m/s], world."""
    disturbance_force: Triple
    """[N], world."""
    disturbance_torque: Triple
    """[N m], body."""
    ground_effect_area: float
    """[m^2]"""
    battery_voltage: float
    """Open circuit [V]."""
    battery_resistance: float
    """[ohm]"""
    drive_power: float
    """[m]: electrical power of a rotor per thrust and speed."""
    speed_per_volt: float
    """[rad/s/V]"""


def of_robot(robot: Robot) -> tuple[Body, Drive]:
    """The nominal robot, undisturbed."""
    return of_column(parameter_rows(robot, 1)[:, 0])


def of_column(column: NDArray[np.floating]) -> tuple[Body, Drive]:
    """One environment, (51,) rows as in fledge_sim.rows.Parameter."""

    def one(row: Parameter) -> float:
        return float(column[row])

    def triple(row: Parameter) -> Triple:
        return (float(column[row]), float(column[row + 1]), float(column[row + 2]))

    def quadruple(row: Parameter) -> Quadruple:
        return (*triple(row), float(column[row + 3]))

    body = Body(
        mass=1 / one(Parameter.MASS_INVERSE),
        inertia=triple(Parameter.INERTIA),
        rotor_x=quadruple(Parameter.ROTOR_X),
        rotor_y=quadruple(Parameter.ROTOR_Y),
        rotor_height=one(Parameter.ROTOR_HEIGHT),
        torque_per_thrust=quadruple(Parameter.TORQUE_PER_THRUST),
        leg_height=one(Parameter.LEG_HEIGHT),
        gravity=one(Parameter.GRAVITY),
        friction=one(Parameter.FLOOR_FRICTION),
    )
    drive = Drive(
        thrust_curve=triple(Parameter.THRUST_CURVE),
        thrust_scale=quadruple(Parameter.THRUST_SCALE),
        time_constant_rise=1 / one(Parameter.LAG_RISE_INVERSE),
        time_constant_fall=1 / one(Parameter.LAG_FALL_INVERSE),
        drag=triple(Parameter.DRAG),
        wind=triple(Parameter.WIND),
        disturbance_force=triple(Parameter.DISTURBANCE_FORCE),
        disturbance_torque=triple(Parameter.DISTURBANCE_TORQUE),
        ground_effect_area=one(Parameter.GROUND_EFFECT_AREA),
        battery_voltage=one(Parameter.BATTERY_VOLTAGE),
        battery_resistance=one(Parameter.BATTERY_RESISTANCE),
        drive_power=one(Parameter.DRIVE_POWER),
        speed_per_volt=one(Parameter.SPEED_PER_VOLT),
    )
    return body, drive
