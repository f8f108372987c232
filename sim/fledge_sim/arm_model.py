"""MuJoCo's and Bullet's models of an arm, as text: `mjcf(arm)`, `urdf(arm)`; primitive shapes, no meshes.

All frames are parallel to the base's at q = 0; a link's frame sits on its joint's axis. The finger pads are boxes; the
frame of a pad (site) has its origin in the middle of the face, z out of the face, x along the finger to the tip.
How the servo's law becomes joints and actuators is told in servo.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fledge_sim.arm_kinematics import axis_rotation
from fledge_sim.servo import BRISTLE_DAMPING, BRISTLE_STIFFNESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fledge_sim.arm import Arm, Joint
    from fledge_sim.arm_kinematics import Float64

Friction = Literal["none", "bristle", "constraint"]
ARM_BIT, OBJECT_BIT, SCENE_BIT = 1, 2, 4
"""Collision groups: the arm with objects and scene, objects with everything, never the arm with itself."""
IMPEDANCE_RATIO = 50.0
"""Of friction to normal force; with MuJoCo's own 1 a pressed peg creeps over the table by a centimetre in a second."""
BACKLASH_ARMATURE = 1e-3
"""Of the free joint behind a servo [kg m^2]; without any, MuJoCo's step would have to be shorter."""


@dataclass(frozen=True)
class ModelOptions:
    """What goes into the text beside the arm."""

    timestep: float = 0.002
    """[s]"""
    friction: Friction = "bristle"
    """Coulomb friction of the servos: none, an actuator's bristle, or MuJoCo's frictionloss."""
    backlash: bool = False
    """A second joint behind every servo that turns freely within the play; for comparison, it is expensive."""
    collisions: bool = True
    """Shapes collide."""
    arm_collides: bool = True
    """The arm's own shapes too, not only what is held and the scene."""
    pads_collide: bool = False
    """The finger pads collide with objects even where the arm does not."""
    scene: str = ""
    """Further elements of <worldbody>, behind the arm."""
    held: str = ""
    """Further elements of the body that the fixed pad is on, behind the gripper."""
    pad_friction: float = 0.8
    pad_stiffness: tuple[float, float] = (0.02, 1.0)
    """MuJoCo's solref of the pads' contact: time constant [s] and damping ratio; soft, as a gel."""


def mjcf(arm: Arm, options: ModelOptions = ModelOptions()) -> str:
    """The arm on the floor's origin: position actuators named as the joints, sites tip, pad_fixed, pad_moving.

    The first link turns inside the base: what both share of their primitive shapes is no contact.
    """
    physics = "" if options.collisions else '<flag contact="disable"/>'
    bits = (ARM_BIT, OBJECT_BIT | SCENE_BIT) if options.arm_collides else (0, 0)
    lines = [
        f'<mujoco model="{arm.name}">',
        '  <compiler angle="radian" inertiafromgeom="auto" boundmass="0" boundinertia="0"/>',
        f'  <option timestep="{options.timestep!r}" integrator="implicitfast" gravity="0 0 {-arm.gravity!r}" '
        f'cone="elliptic" impratio="{IMPEDANCE_RATIO!r}">{physics}</option>',
        "  <default>",
        f'    <geom group="1" contype="{bits[0]}" conaffinity="{bits[1]}"/>',
        "  </default>",
        "  <worldbody>",
        f'    <geom name="base" type="box" size="{_text(arm.base_size)}" pos="0 0 {arm.base_size[2]!r}" '
        f'contype="{SCENE_BIT}" conaffinity="{OBJECT_BIT}"/>',
        *_bodies(arm, options),
        *([options.scene] if options.scene else []),
        "  </worldbody>",
        f'  <contact><exclude body1="world" body2="{arm.joints[0].name}"/></contact>',
        "  <actuator>",
        *(_position(arm, joint) for joint in arm.joints),
        *(_bristle(arm, joint) for joint in arm.joints if options.friction == "bristle"),
        "  </actuator>",
        "</mujoco>",
    ]
    return "\n".join(lines) + "\n"


def _bodies(arm: Arm, options: ModelOptions) -> list[str]:
    """The links, one inside the other, and what is held beside the gripper: the arm's joints come first, in order."""
    lines, parent = [], np.zeros(3)
    for index, joint in enumerate(arm.joints):
        point = np.array(joint.point)
        lines.append(f'    <body name="{joint.name}" pos="{_text(point - parent)}">')
        lines += _joint(arm, joint, options)
        lines.append(
            f'      <inertial pos="{_text(np.array(joint.com) - point)}" mass="{joint.mass!r}" '
            f'fullinertia="{_text(joint.inertia)}"/>'
        )
        lines += _shapes(arm, index, options)
        parent = point
    held = [options.held] if options.held else []
    return [*lines, "    </body>", *held, *["    </body>"] * len(arm.chain)]


def _joint(arm: Arm, joint: Joint, options: ModelOptions) -> list[str]:
    servo, travel = arm.servo, joint.travel
    loss = f' frictionloss="{servo.coulomb_friction / travel!r}"' if options.friction == "constraint" else ""
    common = f'type="{joint.kind}" axis="{_text(joint.axis)}"'
    lines = [
        f'      <joint name="{joint.name}" {common} range="{joint.lower!r} {joint.upper!r}" '
        f'armature="{servo.armature / travel**2!r}" damping="{servo.damping / travel**2!r}"{loss}/>'
    ]
    if options.backlash:
        play = servo.backlash * travel
        lines.append(
            f'      <joint name="{joint.name}_play" {common} range="{-play!r} {play!r}" '
            f'armature="{BACKLASH_ARMATURE / travel**2!r}" damping="{BACKLASH_ARMATURE / travel**2!r}"/>'
        )
    return lines


def _position(arm: Arm, joint: Joint) -> str:
    """The duty's share of the torque; the voltage clips it alone, back-EMF is in the joint's damping."""
    servo, travel = arm.servo, joint.travel
    torque = servo.torque_max * joint.torque_fraction / travel
    return (
        f'    <position name="{joint.name}" joint="{joint.name}" kp="{servo.stiffness / travel**2!r}" kv="0" '
        f'forcerange="{-torque!r} {torque!r}"/>'
    )


def _bristle(arm: Arm, joint: Joint) -> str:
    """A motor without current: all that is left of it is its friction."""
    coulomb = arm.servo.coulomb_friction / joint.travel
    stiffness, damping = BRISTLE_STIFFNESS / joint.travel**2, BRISTLE_DAMPING / joint.travel**2
    return (
        f'    <dcmotor name="{joint.name}_friction" joint="{joint.name}" input="none" motorconst="1e-9" resistance="1" '
        f'lugre="{stiffness!r} {damping!r} {coulomb!r} {coulomb!r} 0.1"/>'
    )


def _shapes(arm: Arm, index: int, options: ModelOptions) -> list[str]:
    """A capsule to the next joint; pads and sites on the last two links."""
    joint, last = arm.joints[index], len(arm.joints) - 1
    point = np.array(joint.point)
    if index < last - 1:
        return [_capsule(joint, np.zeros(3), np.array(arm.joints[index + 1].point) - point)]
    moving = index == last
    center, rotation = pad_pose(arm, moving=moving)
    length, width = arm.pad_size
    half = arm.pad_thickness / 2
    behind = center - rotation[:, 2] * (arm.pad_thickness + joint.radius) - rotation[:, 0] * length / 2
    name = "pad_moving" if moving else "pad_fixed"
    bits = f' contype="{ARM_BIT}" conaffinity="{OBJECT_BIT}"' if options.pads_collide else ""
    axes = _text(np.concatenate([rotation[:, 0], rotation[:, 1]]))
    lines = [
        _capsule(joint, np.zeros(3), behind - point),
        f'      <geom name="{name}" type="box" size="{length / 2!r} {width / 2!r} {half!r}" xyaxes="{axes}" '
        f'pos="{_text(center - rotation[:, 2] * half - point)}" friction="{options.pad_friction!r} 0.005 0.0001" '
        f'condim="4" priority="2" solref="{_text(options.pad_stiffness)}"{bits}/>',
        f'      <site name="{name}" pos="{_text(center - point)}" xyaxes="{axes}"/>',
    ]
    if not moving:
        lines.append(f'      <site name="tip" pos="{_text(np.array(arm.tip) - point)}"/>')
    return lines


def pad_pose(arm: Arm, *, moving: bool) -> tuple[Float64, Float64]:
    """Frame of a pad at q = 0.

    Returns:
        Middle of the face (3,) [m], rotation_base_from_pad (3, 3); base axes.
    """
    closing, along = np.array(arm.closing_axis), np.array([1.0, 0.0, 0.0])
    out = -closing if moving else closing
    center = np.array(arm.tip) - out * arm.grip_width / 2
    rotation = np.stack([along, np.cross(out, along), out], -1)
    gripper = arm.joints[-1]
    if moving and gripper.kind == "slide":
        center = center - np.array(gripper.axis) * arm.grip_position
    elif moving:
        back, point = axis_rotation(gripper.axis, np.float64(-arm.grip_position)), np.array(gripper.point)
        center, rotation = point + back @ (center - point), back @ rotation
    return center, rotation


def _capsule(joint: Joint, start: Float64, end: Float64) -> str:
    return (
        f'      <geom name="{joint.name}" type="capsule" size="{joint.radius!r}" fromto="{_text(start)} {_text(end)}"/>'
    )


def _text(numbers: Sequence[float] | Float64) -> str:
    """Shortest text of the exact numbers."""
    return " ".join(repr(float(number)) for number in numbers)


def urdf(arm: Arm) -> str:
    """Links and joints with inertia, limits and the servos' damping; a servo's armature has no place in a URDF."""
    lines = [
        f'<robot name="{arm.name}">',
        '  <link name="base">',
        _inertial(arm.base_mass, (0, 0, 0), _BASE),
        "  </link>",
    ]
    parent, parent_name = np.zeros(3), "base"
    for joint in arm.joints:
        point = np.array(joint.point)
        speed, torque = arm.servo.setpoint_speed * joint.travel, arm.servo.torque_max / joint.travel
        kind = "revolute" if joint.kind == "hinge" else "prismatic"
        lines += [
            f'  <link name="{joint.name}">',
            _inertial(joint.mass, np.array(joint.com) - point, joint.inertia),
            "  </link>",
            f'  <joint name="{joint.name}_joint" type="{kind}">',
            f'    <parent link="{parent_name}"/><child link="{joint.name}"/>',
            f'    <origin xyz="{_text(point - parent)}"/><axis xyz="{_text(joint.axis)}"/>',
            f'    <limit lower="{joint.lower!r}" upper="{joint.upper!r}" effort="{torque!r}" velocity="{speed!r}"/>',
            f'    <dynamics damping="{arm.servo.damping / joint.travel**2!r}" friction="0"/>',
            "  </joint>",
        ]
        parent, parent_name = point, joint.name
        if joint is arm.chain[-1]:
            tip = np.array(arm.tip) - point
    lines += [
        '  <link name="tip"><inertial><mass value="0"/><inertia ixx="0" iyy="0" izz="0" ixy="0" ixz="0" iyz="0"/>'
        "</inertial></link>",
        f'  <joint name="tip_joint" type="fixed"><parent link="{arm.chain[-1].name}"/><child link="tip"/>'
        f'<origin xyz="{_text(tip)}"/></joint>',
        "</robot>",
    ]
    return "\n".join(lines) + "\n"


_BASE = (1e-4, 1e-4, 1e-4, 0.0, 0.0, 0.0)
"""The base does not move; any inertia of a body does."""


def _inertial(mass: float, com: Sequence[float] | Float64, inertia: Sequence[float]) -> str:
    xx, yy, zz, xy, xz, yz = map(repr, inertia)
    return (
        f'    <inertial><origin xyz="{_text(com)}"/><mass value="{mass!r}"/>'
        f'<inertia ixx="{xx}" iyy="{yy}" izz="{zz}" ixy="{xy}" ixz="{xz}" iyz="{yz}"/></inertial>'
    )
