"""Arms as data: one TOML file each, every quantity with value, unit and source, as robot.py for rotors.

Geometry is a product of exponentials: every point and axis in base axes at q = 0 (x forward, y left, z up), so that no
chain of frames has to be read. Joints in the order of the servo bus, gripper last.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from fledge_sim import quantity
from fledge_sim.quantity import Quantity, RobotError

Vector3 = tuple[float, float, float]
Inertia = tuple[float, float, float, float, float, float]
JointKind = Literal["hinge", "slide"]

PER_JOINT: Mapping[str, Quantity] = {
    # name: unit, shape of one joint's value, smallest and largest physical value of each element
    "servo_id": ("1", (), 0.0, 253.0),
    "joint_point": ("m", (3,), -5.0, 5.0),
    "joint_axis": ("1", (3,), -1.0, 1.0),
    "joint_lower": ("rad or m", (), -6.3, 6.3),
    "joint_upper": ("rad or m", (), -6.3, 6.3),
    "joint_travel": ("1 or m/rad", (), 1e-4, 1.0),
    "torque_fraction": ("1", (), 0.01, 1.0),
    "link_mass": ("kg", (), 1e-4, 50.0),
    "link_com": ("m", (3,), -5.0, 5.0),
    "link_inertia": ("kg m^2", (6,), -10.0, 10.0),
    "link_radius": ("m", (), 1e-3, 0.5),
}
SERVO: Mapping[str, Quantity] = {
    "motor_constant": ("N m/A", (), 1e-3, 100.0),
    "resistance": ("ohm", (), 1e-2, 1e3),
    "supply_voltage": ("V", (), 1.0, 60.0),
    "duty_per_error": ("1/rad", (), 1e-2, 1e3),
    "duty_max": ("1", (), 0.01, 1.0),
    "viscous_friction": ("N m/(rad/s)", (), 0.0, 10.0),
    "coulomb_friction": ("N m", (), 0.0, 10.0),
    "load_friction": ("1", (), 0.0, 0.9),
    "armature": ("kg m^2", (), 1e-6, 10.0),
    "setpoint_speed": ("rad/s", (), 0.1, 100.0),
    "backlash": ("rad", (), 0.0, 0.2),
    "encoder_counts": ("1/turn", (), 16.0, 2.0**24),
    "command_delay": ("s", (), 0.0, 0.2),
}
WHOLE: Mapping[str, Quantity] = {
    "base_mass": ("kg", (), 1e-3, 500.0),
    "base_size": ("m", (3,), 1e-3, 2.0),
    "tip": ("m", (3,), -5.0, 5.0),
    "closing_axis": ("1", (3,), -1.0, 1.0),
    "grip_position": ("rad or m", (), -6.3, 6.3),
    "grip_width": ("m", (), 1e-3, 0.5),
    "pad_size": ("m", (2,), 1e-3, 0.2),
    "pad_thickness": ("m", (), 1e-4, 0.05),
    "gravity": ("m/s^2", (), 0.0, 30.0),
}
"""The complete list, with PER_JOINT and SERVO: a file with more, fewer or other units is refused."""

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of an axis may be; it is normalised."""


@dataclass(frozen=True)
class Joint:
    """A joint, its servo and the link that it moves; base axes at q = 0."""

    name: str
    kind: JointKind
    servo_id: int
    point: Vector3
    """On the axis [m]."""
    axis: Vector3
    """Unit vector: direction of a positive turn by the right-hand rule, or of a positive slide."""
    lower: float
    """[rad, m]"""
    upper: float
    travel: float
    """Joint per turn of the servo: 1 where the joint is on its horn [1], a crank's radius [m/rad]."""
    torque_fraction: float
    """Largest torque, of the servo's own limit."""
    mass: float
    com: Vector3
    """[m]"""
    inertia: Inertia
    """xx yy zz xy xz yz about the centre of mass [kg m^2]."""
    radius: float
    """Of the capsule that stands for the link [m]."""


@dataclass(frozen=True)
class Servo:
    """A position servo by its electrical constants, at its horn; the law is in servo.py. Fields as in SERVO."""

    motor_constant: float
    resistance: float
    supply_voltage: float
    duty_per_error: float
    duty_max: float
    viscous_friction: float
    coulomb_friction: float
    load_friction: float
    armature: float
    setpoint_speed: float
    backlash: float
    """Free play either way."""
    encoder_counts: float
    command_delay: float

    @property
    def stiffness(self) -> float:
        """Torque per position error [N m/rad]: V duty_per_error kt / R."""
        return self.supply_voltage * self.duty_per_error * self.motor_constant / self.resistance

    @property
    def damping(self) -> float:
        """Back-EMF kt^2 / R plus viscous friction [N m/(rad/s)]."""
        return self.motor_constant**2 / self.resistance + self.viscous_friction

    @property
    def torque_max(self) -> float:
        """Torque of the largest duty at standstill [N m]."""
        return self.duty_max * self.supply_voltage * self.motor_constant / self.resistance

    @property
    def encoder_step(self) -> float:
        """[rad]"""
        return 2 * math.pi / self.encoder_counts


@dataclass(frozen=True)
class Arm:
    """A serial arm with a gripper as its last joint; see the module's docstring."""

    name: str
    description: str
    joints: tuple[Joint, ...]
    servo: Servo
    base_mass: float
    base_size: Vector3
    """Half sizes [m]."""
    tip: Vector3
    """Origin of the grip frame at q = 0 [m]; its axes are the base's there: x along the fingers."""
    closing_axis: Vector3
    """From the fixed pad to the moving pad, grip frame."""
    grip_position: float
    """Of the gripper's joint, where the pads are parallel and grip_width apart, the tip half-way [rad, m]."""
    grip_width: float
    pad_size: tuple[float, float]
    """Along the finger, across [m]."""
    pad_thickness: float
    gravity: float

    @property
    def sha256(self) -> str:
        """Digest of name and every value (sources and prose excluded)."""
        tree = {key: _plain(value) for key, value in vars(self).items() if key != "description"}
        return hashlib.sha256(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def lower(self) -> tuple[float, ...]:
        """Of every joint [rad, m]."""
        return tuple(joint.lower for joint in self.joints)

    @property
    def upper(self) -> tuple[float, ...]:
        """Of every joint [rad, m]."""
        return tuple(joint.upper for joint in self.joints)

    @property
    def chain(self) -> tuple[Joint, ...]:
        """The joints that move the grip frame: all but the gripper."""
        return self.joints[:-1]


def names() -> list[str]:
    """Arms that ship with fledge."""
    return quantity.names("arm")


def load(name_or_path: str) -> Arm:
    """Arm by its shipped name, or from a TOML file. Raises RobotError saying what to change."""
    return parse(*quantity.read(name_or_path, "arm"))


def parse(tree: Mapping[str, Any], where: str) -> Arm:
    """Check a TOML tree: every quantity present, unit as expected, source given, value physical."""
    lists, texts = ("joint_names", "joint_kinds"), ("kind", "name", "description")
    known: dict[str, Any] = {**dict.fromkeys(lists), **PER_JOINT, **SERVO, **WHOLE}
    quantity.check_texts(tree, texts, known, where)
    labels, kinds = (_labels(tree, name, where) for name in lists)
    if len(labels) < 2 or len(set(labels)) != len(labels) or len(kinds) != len(labels):
        raise RobotError(f"{where}: joint_names needs two or more different names and joint_kinds one kind for each")
    per_joint = {
        name: quantity.parse(tree, name, (unit, (len(labels), *shape), low, high), where)
        for name, (unit, shape, low, high) in PER_JOINT.items()
    }
    servo = Servo(**{name: quantity.parse(tree, name, entry, where) for name, entry in SERVO.items()})
    whole = {name: quantity.parse(tree, name, entry, where) for name, entry in WHOLE.items()}
    whole["closing_axis"] = _unit(whole["closing_axis"], "closing_axis", where)
    joints = tuple(_joint(i, labels[i], kinds[i], per_joint, where) for i in range(len(labels)))
    arm = Arm(tree["name"], tree["description"], joints, servo, **whole)
    _check_arm(arm, where)
    return arm


def _labels(tree: Mapping[str, Any], name: str, where: str) -> list[str]:
    value = tree.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise RobotError(f"{where}: '{name}' must be a list of texts, one per joint")
    return value


def _joint(index: int, name: str, kind: str, values: Mapping[str, Any], where: str) -> Joint:
    of = {key: value[index] for key, value in values.items()}
    if kind not in ("hinge", "slide"):
        raise RobotError(f"{where}: joint_kinds of {name} is '{kind}', it must be hinge or slide")
    if of["joint_lower"] >= of["joint_upper"]:
        raise RobotError(
            f"{where}: [joint_lower] {of['joint_lower']} of {name} is not below its [joint_upper] {of['joint_upper']}; "
            "a joint must be able to move"
        )
    if not of["joint_lower"] <= 0 <= of["joint_upper"]:
        raise RobotError(
            f"{where}: {name} cannot reach 0, its limits are {of['joint_lower']} to {of['joint_upper']}; all "
            "points and axes are given at q = 0, which every joint must be able to take"
        )
    _check_inertia(of["link_inertia"], name, where)
    return Joint(
        name=name,
        kind=cast("JointKind", kind),
        servo_id=int(of["servo_id"]),
        point=of["joint_point"],
        axis=_unit(of["joint_axis"], f"joint_axis of {name}", where),
        lower=of["joint_lower"],
        upper=of["joint_upper"],
        travel=of["joint_travel"],
        torque_fraction=of["torque_fraction"],
        mass=of["link_mass"],
        com=of["link_com"],
        inertia=of["link_inertia"],
        radius=of["link_radius"],
    )


def _unit(axis: Vector3, what: str, where: str) -> Vector3:
    length = math.hypot(*axis)
    if abs(length - 1) > UNIT_TOLERANCE:
        raise RobotError(f"{where}: {what} {axis} has length {length:.4g}, it must be a unit vector")
    x, y, z = (part / length for part in axis)
    return x, y, z


def _check_inertia(inertia: Inertia, name: str, where: str) -> None:
    """Positive principal moments that fulfil the triangle inequality: some body has them."""
    xx, yy, zz, xy, xz, yz = inertia
    principal = np.linalg.eigvalsh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    if principal[0] <= 0 or principal[2] > principal[0] + principal[1] + 1e-9:
        moments = ", ".join(f"{value:.3g}" for value in principal)
        raise RobotError(f"{where}: [link_inertia] of {name} belongs to no body: principal moments {moments} kg m^2")


def _check_arm(arm: Arm, where: str) -> None:
    ids = [joint.servo_id for joint in arm.joints]
    if len(set(ids)) != len(ids):
        raise RobotError(f"{where}: [servo_id] {ids} repeats; every servo of a bus has a number of its own")
    gripper = arm.joints[-1]
    if not gripper.lower <= arm.grip_position <= gripper.upper:
        raise RobotError(
            f"{where}: [grip_position] {arm.grip_position} is outside the gripper's limits {gripper.lower} to "
            f"{gripper.upper}"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in vars(value).items()} if hasattr(value, "__dict__") else value
