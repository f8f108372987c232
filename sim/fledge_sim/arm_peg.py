"""A peg in the gripper: a body on six springs in the grip frame, which stand for the gel of both pads.

    along    x of the grip frame, along the fingers        shear of the gel
    lateral  across the fingers                             shear
    closing  from the fixed pad to the moving pad           compression
    then turns about closing (tilt), lateral, along         shear, compression, compression

Stiffness follows from that of a pad under compression, k, spread evenly over the patch where peg and pad touch: shear
has a third of it; turning stiffness is k times the mean square distance from the axis. Where the shear force and the
torque about the closing axis together exceed what the grip's friction holds, the springs' rest pose slips after the
peg, once per period. What differs from a peg held by contacts (`free`) is measured in sim/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arm_kinematics import axis_rotation, forward
from fledge_sim.arm_model import OBJECT_BIT, SCENE_BIT
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_plant import ArmPlant

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]

AXES = ("along", "lateral", "closing", "tilt", "pitch", "roll")
"""Of the springs, in the order of the joints."""
CONTACT = (0.98, 0.995, 5e-4)
"""MuJoCo's solimp of the peg's contacts: near a hard constraint, so that little gives way but the gel. With MuJoCo's
own (0.9, 0.95) a peg pressed beside the hole sinks in by 2 mm and is pushed in through the wall's edge."""
SHEAR_SHARE = 1 / 3
"""Shear modulus over modulus of a material that keeps its volume."""


@dataclass(frozen=True)
class Peg:
    """A square prism between the pads, its axis along the fingers, and the grip on it."""

    half_width: float = 0.008
    """[m]"""
    top: float = -0.005
    """Upper end, along the fingers from the grip frame's origin [m]."""
    bottom: float = 0.040
    """Lower end [m]."""
    mass: float = 0.030
    """[kg]"""
    stiffness: float = 4000.0
    """Of one pad under compression [N/m]: 40 kPa over the pad's 26 mm x 16 mm at 4 mm of thickness."""
    damping: float = 0.5
    """Ratio to critical, of every spring."""
    grip: float = 5.0
    """Force of the pads on the peg [N]."""
    pad_friction: float = 0.8
    """[1]"""
    inertia_share: float = 4.0
    """Inertia that the springs have of their own, of the peg's mass: so that a timestep of 2.5 ms resolves them."""

    def check_fit(self, arm: Arm) -> None:
        """Raise FledgeError unless the pads are parallel where they hold it."""
        if abs(2 * self.half_width - arm.grip_width) > 1e-3:
            raise FledgeError(
                f"the pads of '{arm.name}' are parallel {1e3 * arm.grip_width:.0f} mm apart, the peg is "
                f"{2e3 * self.half_width:.0f} mm wide; give Peg(half_width={arm.grip_width / 2:g})"
            )

    @property
    def center(self) -> float:
        """Of the peg, along the fingers [m]."""
        return (self.top + self.bottom) / 2

    def patch(self, arm: Arm) -> tuple[float, float, float]:
        """Where peg and pad touch: length along, width across, and its middle along the fingers [m]."""
        low, high = max(self.top, -arm.pad_size[0] / 2), min(self.bottom, arm.pad_size[0] / 2)
        return high - low, min(2 * self.half_width, arm.pad_size[1]), (low + high) / 2

    def spring(self, arm: Arm) -> Float64:
        """Stiffness of the six springs [N/m, N m/rad], both pads together."""
        length, width, _ = self.patch(arm)
        along2, across2 = length**2 / 12, width**2 / 12
        normal, shear = 2 * self.stiffness, 2 * self.stiffness * SHEAR_SHARE
        turns = [shear * (along2 + across2), normal * along2, normal * across2]
        return np.array([shear, shear, normal, *turns])

    def inertia(self) -> Float64:
        """Of the springs' own [kg, kg m^2]."""
        mass, length = self.inertia_share * self.mass, self.bottom - self.top
        own = mass * np.array([length**2, length**2, 2 * (2 * self.half_width) ** 2]) / 12
        return np.array([mass, mass, mass, *(0.5 * own)])

    def springs_damping(self, arm: Arm) -> Float64:
        """[N/(m/s), N m/(rad/s)]"""
        inertia = self.inertia() * (1 + 1 / self.inertia_share)
        return np.asarray(2 * self.damping * np.sqrt(self.spring(arm) * inertia))


def grip_axes(arm: Arm) -> Float64:
    """Along, lateral, closing as columns (3, 3), grip frame; right-handed."""
    along, closing = np.array([1.0, 0.0, 0.0]), np.array(arm.closing_axis)
    return np.stack([along, np.cross(closing, along), closing], -1)


def held_text(arm: Arm, peg: Peg, friction: float, solref: float) -> str:
    """The peg's body for ModelOptions.held."""
    place = np.array(arm.tip) - np.array(arm.chain[-1].point)
    axes, spring, damping, inertia = grip_axes(arm), peg.spring(arm), peg.springs_damping(arm), peg.inertia()
    directions = [axes[:, 0], axes[:, 1], axes[:, 2], axes[:, 2], axes[:, 1], axes[:, 0]]
    lines = [f'      <body name="peg" pos="{_text(place)}">']
    for i, name in enumerate(AXES):
        kind = "slide" if i < 3 else "hinge"
        lines.append(
            f'        <joint name="peg_{name}" type="{kind}" axis="{_text(directions[i])}" '
            f'stiffness="{_text(spring[i : i + 1])}" damping="{_text(damping[i : i + 1])}" '
            f'armature="{_text(inertia[i : i + 1])}"/>'
        )
    half = (peg.bottom - peg.top) / 2
    lines += [
        f'        <geom name="peg" type="box" size="{_text((half, peg.half_width, peg.half_width))}" '
        f'pos="{peg.center!r} 0 0" mass="{peg.mass!r}" contype="{OBJECT_BIT}" conaffinity="{SCENE_BIT}" '
        f'friction="{friction!r} 0.005 0.0001" condim="3" priority="1" solref="{solref!r} 1" '
        f'solimp="{_text(CONTACT)}"/>',
        "      </body>",
    ]
    return "\n".join(lines)


class HeldPeg:
    """The springs of n worlds, and what they know."""

    def __init__(self, arm: Arm, peg: Peg, plant: ArmPlant) -> None:
        self.arm, self.peg, self._plant, self._axes = arm, peg, plant, grip_axes(arm)
        self._place = slice(plant.joints, plant.joints + 6)
        self._spring, self._damping = peg.spring(arm), peg.springs_damping(arm)
        self._stiffness_field = plant.field("jnt_stiffness")
        self._rest_field = plant.field("qpos_spring")
        self._damping_field = plant.field("dof_damping")
        length, width, self._patch_middle = peg.patch(arm)
        self._radius = np.hypot(length, width) / 3
        """Mean distance of a rectangle's points from its middle, nearly [m]."""

    def pose(self, worlds: Index | slice = slice(None)) -> Float64:
        """Coordinates of the springs (m, 6) [m, rad]; zero: straight in the middle."""
        return self._plant.qpos[worlds, self._place]

    def put(self, worlds: Index, pose: Float64) -> None:
        """Set the coordinates (m, 6), at rest."""
        self._plant.qpos[worlds, self._place] = pose

    def apply(self, worlds: Index, rest: Float64, gel: Float64) -> None:
        """Rest poses (m, 6) and factors (m,) on the stiffness."""
        self._stiffness_field[worlds, self._place] = self._spring * gel[:, None]
        self._damping_field[worlds, self._place] = self._damping * np.sqrt(gel)[:, None]
        self._rest_field[worlds, self._place] = rest

    def force(self, rest: Float64, gel: Float64) -> Float64:
        """Of the springs on the peg, (n, 6) [N, N m]."""
        return -self._spring * gel[:, None] * (self.pose() - rest)

    def slipped(self, rest: Float64, gel: Float64, hold: Float64) -> Float64:
        """Rest poses after slip.

        Shear and torque share the friction: |F| and |M| / radius are added as vectors at right angles, an ellipse.

        Args:
            rest: (n, 6).
            gel: factors on the stiffness, (n,).
            hold: largest shear force, (n,) [N]: twice the grip times the friction.
        """
        load = self.force(rest, gel)[:, [0, 1, 3]]
        load[:, 2] += load[:, 1] * self._patch_middle
        size = np.sqrt(load[:, 0] ** 2 + load[:, 1] ** 2 + (load[:, 2] / self._radius) ** 2)
        excess = np.maximum(0.0, 1 - hold / np.maximum(size, 1e-9))
        moved: Float64 = rest.copy()
        moved[:, [0, 1, 3]] += excess[:, None] * (self.pose() - rest)[:, [0, 1, 3]]
        return moved

    def place(self, q: Float64, worlds: Index | slice = slice(None)) -> tuple[Float64, Float64]:
        """Of the peg in the base's axes for joints (m, J): lower end (m, 3) [m], rotation_base_from_peg (m, 3, 3).

        The peg's axes are along, lateral, closing where it is straight.
        """
        position, rotation = forward(self.arm, q)
        pose = self.pose(worlds)
        turn = rotation_in_hand(pose)
        held = rotation @ self._axes
        rotation_peg = held @ turn
        lower = pose[:, :3] + turn[:, :, 0] * self.peg.bottom
        return position + (held @ lower[..., None])[..., 0], rotation_peg


def rotation_in_hand(pose: Float64) -> Float64:
    """rotation_hand_from_peg (m, 3, 3) of poses (m, 6): about closing, then lateral, then along."""
    turn = axis_rotation((0.0, 0.0, 1.0), pose[:, 3]) @ axis_rotation((0.0, 1.0, 0.0), pose[:, 4])
    return np.asarray(turn @ axis_rotation((1.0, 0.0, 0.0), pose[:, 5]))


def _text(numbers: tuple[float, ...] | Float64) -> str:
    return " ".join(repr(float(number)) for number in numbers)
