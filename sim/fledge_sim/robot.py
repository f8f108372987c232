"""Robots as data: one TOML file each, every quantity with value, unit and source.

Public models of one 30 g drone disagree by 4x on roll inertia and 6x on motor lag, so the source is part of the number
and the loader refuses a quantity without it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fledge_sim import quantity
from fledge_sim.quantity import ROBOTS as ROBOTS
from fledge_sim.quantity import Quantity
from fledge_sim.quantity import RobotError as RobotError

QUANTITIES: Mapping[str, Quantity] = {
    # name: unit, shape, smallest and largest physical value of each element
    "mass": ("kg", (), 1e-3, 100.0),
    "inertia": ("kg m^2", (3,), 1e-8, 100.0),
    "rotor_position": ("m", (4, 2), -5.0, 5.0),
    "rotor_spin": ("1", (4,), -1.0, 1.0),
    "thrust_curve": ("N, N/(rad/s), N/(rad/s)^2", (3,), -100.0, 1000.0),
    "rotor_speed_max": ("rad/s", (), 1.0, 1e5),
    "thrust_max": ("N", (), 1e-4, 1e3),
    "fraction_low": ("1", (), 0.0, 0.99),
    "fraction_high": ("1", (), 0.01, 1.0),
    "torque_per_thrust": ("m", (), 1e-5, 1.0),
    "rotor_time_constant_rise": ("s", (), 1e-3, 2.0),
    "rotor_time_constant_fall": ("s", (), 1e-3, 2.0),
    "drag": ("N/(m/s)", (3,), 0.0, 100.0),
    "leg_height": ("m", (), 0.0, 5.0),
    "pwm_levels": ("1", (), 2.0, 65536.0),
    "gravity": ("m/s^2", (), 0.0, 30.0),
    "rotor_radius": ("m", (), 1e-3, 2.0),
    "rotor_height": ("m", (), 0.0, 5.0),
    "battery_open_circuit": ("V", (4,), -1000.0, 1000.0),
    "battery_resistance": ("ohm", (), 0.0, 10.0),
    "battery_capacity": ("C", (), 1.0, 1e6),
    "drive_efficiency": ("1", (), 0.01, 1.0),
    "speed_per_volt": ("rad/s/V", (), 1.0, 1e5),
    "thrust_min_fraction": ("1", (), 0.0, 0.9),
}
"""The complete list: a file with more, fewer or other units is refused."""

Actuation = Literal["thrust_fraction", "rotor_speed_fraction", "duty"]
"""What a motor command of 0..1 is a fraction of: thrust_max, rotor_speed_max, or the battery's voltage."""


@dataclass(frozen=True)
class Robot:
    """One rigid quadrotor in SI units; body axes x forward, y left, z up; rotors M1..M4. Fields as in QUANTITIES."""

    name: str
    description: str
    device_type: str
    actuation: Actuation
    mass: float
    inertia: tuple[float, float, float]
    rotor_position: tuple[tuple[float, float], ...]
    rotor_spin: tuple[float, ...]
    thrust_curve: tuple[float, float, float]
    rotor_speed_max: float
    thrust_max: float
    fraction_low: float
    fraction_high: float
    torque_per_thrust: float
    rotor_time_constant_rise: float
    rotor_time_constant_fall: float
    drag: tuple[float, float, float]
    leg_height: float
    pwm_levels: float
    gravity: float
    rotor_radius: float
    rotor_height: float
    """Rotor plane above the centre of mass; a body on its back rests on it."""
    battery_open_circuit: tuple[float, float, float, float]
    """Coefficients, constant first, of a cubic in the state of charge 0..1."""
    battery_resistance: float
    battery_capacity: float
    drive_efficiency: float
    """Power of a rotor's reaction torque over the electrical power of its drive."""
    speed_per_volt: float
    """Rotor speed at full duty, per volt across the motor."""
    thrust_min_fraction: float
    """A thrust command below it switches the motor off."""

    @property
    def sha256(self) -> str:
        """Digest of name, actuation and every value (sources and prose excluded)."""
        tree = {key: getattr(self, key) for key in ("name", "actuation", *QUANTITIES)}
        return hashlib.sha256(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def hover_thrust(self) -> float:
        """Thrust per rotor that balances the weight [N]."""
        return self.mass * self.gravity / 4

    @property
    def hover_rotor_speed(self) -> float:
        """Rotor speed at hover [rad/s]."""
        return rotor_speed_from_thrust(self.thrust_curve, self.hover_thrust)

    def open_circuit_voltage(self, charge: float) -> float:
        """Battery voltage without load [V] at a state of charge 0..1."""
        c0, c1, c2, c3 = self.battery_open_circuit
        return c0 + charge * (c1 + charge * (c2 + charge * c3))

    @property
    def voltage_nominal(self) -> float:
        """Open-circuit voltage of the half-charged battery [V]; what a duty means when the battery is not simulated."""
        return self.open_circuit_voltage(0.5)

    @property
    def duty_speed(self) -> float:
        """Rotor speed at full duty and nominal voltage [rad/s]."""
        return self.speed_per_volt * self.voltage_nominal

    @property
    def full_scale(self) -> float:
        """What actuation fraction 1 means: a thrust [N] or a rotor speed [rad/s], by `actuation`."""
        if self.actuation == "thrust_fraction":
            return self.thrust_max
        return self.rotor_speed_max if self.actuation == "rotor_speed_fraction" else self.duty_speed

    @property
    def hover_action(self) -> float:
        """Action in [-1, 1] that balances the weight."""
        amount = self.hover_thrust if self.actuation == "thrust_fraction" else self.hover_rotor_speed
        fraction = amount / self.full_scale
        return 2 * (fraction - self.fraction_low) / (self.fraction_high - self.fraction_low) - 1


def rotor_speed_from_thrust(curve: tuple[float, float, float], thrust: float) -> float:
    """Positive root n of c0 + c1 n + c2 n^2 = thrust [rad/s]."""
    c0, c1, c2 = curve
    return (-c1 + math.sqrt(c1 * c1 + 4 * c2 * (thrust - c0))) / (2 * c2)


def names() -> list[str]:
    """Quadrotors that ship with fledge."""
    return quantity.names("quadrotor")


def load(name_or_path: str) -> Robot:
    """Robot by its shipped name, or from a TOML file. Raises RobotError saying what to change."""
    return parse(*quantity.read(name_or_path, "quadrotor"))


def parse(tree: Mapping[str, Any], where: str) -> Robot:
    """Check a TOML tree: every quantity present, unit as expected, source given, value physical."""
    texts = ("name", "description", "device_type", "actuation")
    quantity.check_texts(tree, texts, QUANTITIES, where)
    if tree["actuation"] not in get_args(Actuation):
        known = ", ".join(get_args(Actuation))
        raise RobotError(f"{where}: actuation '{tree['actuation']}' must be one of {known}")
    values = {name: quantity.parse(tree, name, entry, where) for name, entry in QUANTITIES.items()}
    robot = Robot(**{key: tree[key] for key in texts}, **values)
    _check_flyable(robot, where)
    return robot


def _check_flyable(robot: Robot, where: str) -> None:
    if robot.thrust_curve[2] <= 0:
        raise RobotError(f"{where}: [thrust_curve] needs a positive quadratic coefficient")
    c0, c1, c2 = robot.thrust_curve
    least = robot.fraction_low * robot.thrust_max if robot.actuation == "thrust_fraction" else robot.hover_thrust
    if c1 * c1 + 4 * c2 * (min(least, robot.hover_thrust) - c0) <= 0:
        raise RobotError(f"{where}: [thrust_curve] never gives the thrust {least:.4g} N that the range asks for")
    if any(abs(spin) != 1 for spin in robot.rotor_spin):
        raise RobotError(f"{where}: [rotor_spin] must be +1 or -1 per rotor")
    jx, jy, jz = robot.inertia
    if max(jx, jy, jz) > jx + jy + jz - max(jx, jy, jz):
        raise RobotError(f"{where}: [inertia] {robot.inertia} breaks the triangle inequality of a rigid body")
    if robot.fraction_low >= robot.fraction_high:
        raise RobotError(f"{where}: fraction_low must be below fraction_high")
    if not -1 < robot.hover_action < 0.9:
        ratio = robot.thrust_max / robot.hover_thrust
        raise RobotError(f"{where}: cannot hover with authority to spare (thrust-to-weight {ratio:.2f})")
    _check_battery(robot, where)


def _check_battery(robot: Robot, where: str) -> None:
    """A battery that empties downwards and holds under load."""
    voltages = [robot.open_circuit_voltage(step / 100) for step in range(101)]
    if voltages[0] <= 0 or any(low >= high for low, high in itertools.pairwise(voltages)):
        raise RobotError(f"{where}: [battery_open_circuit] must be positive and rise with the state of charge 0..1")
    speed = rotor_speed_from_thrust(robot.thrust_curve, robot.thrust_max)
    power = 4 * robot.torque_per_thrust / robot.drive_efficiency * robot.thrust_max * speed
    largest = voltages[0] ** 2 / (2 * power)
    if robot.battery_resistance > largest:
        raise RobotError(
            f"{where}: [battery_resistance] {robot.battery_resistance} ohm is too much for the {power:.3g} W of full "
            f"thrust on an empty battery of {voltages[0]:.2f} V; give at most {largest:.3g}, or correct it"
        )
    _check_drive(robot, voltages[-1], where)


def _check_drive(robot: Robot, full: float, where: str) -> None:
    """Rotors that a battery of voltage `full` can drive as fast as the commands ask."""
    fastest = robot.speed_per_volt * full
    asked = rotor_speed_from_thrust(robot.thrust_curve, robot.thrust_max)
    if robot.actuation == "thrust_fraction" and fastest < asked:
        raise RobotError(
            f"{where}: [speed_per_volt] full duty on a full battery of {full:.2f} V turns at {fastest:.0f} rad/s, "
            f"thrust_max needs {asked:.0f}; lower thrust_max or correct speed_per_volt"
        )
    if robot.actuation == "rotor_speed_fraction" and fastest < robot.rotor_speed_max:
        raise RobotError(
            f"{where}: [rotor_speed_max] {robot.rotor_speed_max:.0f} rad/s is more than full duty gives on a full "
            f"battery ({fastest:.0f}); lower it or correct speed_per_volt"
        )
    if robot.actuation == "duty" and not 0.99 < robot.duty_speed / robot.rotor_speed_max < 1.01:
        raise RobotError(
            f"{where}: [rotor_speed_max] {robot.rotor_speed_max:.0f} rad/s must be the speed at full duty and nominal "
            f"voltage, {robot.duty_speed:.0f}, for actuation by duty; correct it or speed_per_volt"
        )
