"""A peg that nothing but the friction of the pads holds: a free body, four contacts on either side.

The second opinion on arm_peg.py, with the same members, and what a task needs that lets go of the peg. What the pads
press is MuJoCo's soft contact, not the gel's stiffness: the factor on the gel changes nothing here, and the force on
the peg is not known apart, `force` is zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fledge_sim import frames
from fledge_sim.arm_kinematics import forward
from fledge_sim.arm_model import ARM_BIT, OBJECT_BIT, SCENE_BIT
from fledge_sim.arm_peg import CONTACT, grip_axes

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_peg import Peg
    from fledge_sim.arm_plant import ArmPlant
    from fledge_sim.arm_task import Float64, Index


def free_text(peg: Peg, friction: float, solref: float) -> str:
    """The peg's body for ModelOptions.scene, the first there; its axes are along, lateral, closing."""
    half = (peg.bottom - peg.top) / 2
    return "\n".join(
        [
            '    <body name="peg" pos="0 0 0.5">',
            '      <freejoint name="peg"/>',
            f'      <geom name="peg" type="box" size="{half!r} {peg.half_width!r} {peg.half_width!r}" '
            f'pos="{peg.center!r} 0 0" mass="{peg.mass!r}" contype="{OBJECT_BIT}" conaffinity="{SCENE_BIT | ARM_BIT}" '
            f'friction="{friction!r} 0.005 0.0001" condim="4" priority="1" solref="{solref!r} 1" '
            f'solimp="{CONTACT[0]!r} {CONTACT[1]!r} {CONTACT[2]!r}"/>',
            "    </body>",
        ]
    )


def grip_lever(arm: Arm) -> float:
    """Speed of the moving pad along the closing axis per speed of the gripper's joint, at the grip [m/rad, 1]."""
    gripper, closing = arm.joints[-1], np.array(arm.closing_axis)
    if gripper.kind == "slide":
        return float(np.array(gripper.axis) @ closing)
    center = np.array(arm.tip) + closing * arm.grip_width / 2
    return float(np.cross(np.array(gripper.axis), center - np.array(gripper.point)) @ closing)


class FreePeg:
    """Free bodies of n worlds; members as of arm_peg.HeldPeg."""

    def __init__(self, arm: Arm, peg: Peg, plant: ArmPlant) -> None:
        self.arm, self.peg, self._plant, self._axes = arm, peg, plant, grip_axes(arm)
        self._place = slice(plant.joints, plant.joints + 7)
        pads = (plant.model.geom(name).id for name in ("pad_fixed", "pad_moving"))
        self._pads, self._friction = list(pads), plant.field("geom_friction")
        self._axes_quaternion = _from_axes(self._axes)

    def pose(self, worlds: Index | slice = slice(None)) -> Float64:
        """As HeldPeg's: coordinates in the hand (m, 6) [m, rad]."""
        position, rotation = forward(self.arm, self._plant.q[worlds])
        state = self._plant.qpos[worlds, self._place]
        back = np.swapaxes(rotation @ self._axes, 1, 2)
        place = (back @ (state[:, :3] - position)[..., None])[..., 0]
        turn = back @ frames.rotation_matrix(np.ascontiguousarray(state[:, 3:]))
        angles = (np.arctan2(turn[:, 1, 0], turn[:, 0, 0]), -np.arcsin(np.clip(turn[:, 2, 0], -1, 1)))
        return np.concatenate([place, np.stack([*angles, np.arctan2(turn[:, 2, 1], turn[:, 2, 2])], -1)], 1)

    def put(self, worlds: Index, pose: Float64) -> None:
        """Where the hand is, with coordinates (m, 6) in it, at rest."""
        q = self._plant.q[worlds]
        position, rotation = forward(self.arm, q)
        place = position + (rotation @ self._axes @ pose[:, :3, None])[..., 0]
        turn = _hand_quaternion(self.arm, q)
        turn = np.asarray(frames.multiply(turn, np.broadcast_to(self._axes_quaternion, turn.shape)))
        for axis, column in (((0.0, 0.0, 1.0), 3), ((0.0, 1.0, 0.0), 4), ((1.0, 0.0, 0.0), 5)):
            turn = np.asarray(frames.multiply(turn, _about(axis, pose[:, column])))
        self._plant.qpos[worlds, self._place] = np.concatenate([place, turn], 1)

    def apply(self, worlds: Index, rest: Float64, gel: Float64) -> None:
        """Nothing: there are no springs."""

    def hold(self, worlds: Index, friction: Float64) -> None:
        """Friction of the pads (m,) [1]."""
        self._friction[worlds[:, None], self._pads, 0] = friction[:, None]

    def force(self, rest: Float64, gel: Float64) -> Float64:
        """Not known."""
        return np.zeros((self._plant.n, 6))

    def slipped(self, rest: Float64, gel: Float64, hold: Float64) -> Float64:
        """The contacts slip by themselves."""
        return rest

    def place(self, q: Float64, worlds: Index | slice = slice(None)) -> tuple[Float64, Float64]:
        """As HeldPeg's: lower end (m, 3) [m], rotation_base_from_peg (m, 3, 3)."""
        state = self._plant.qpos[worlds, self._place]
        rotation = np.asarray(frames.rotation_matrix(np.ascontiguousarray(state[:, 3:])), np.float64)
        return state[:, :3] + rotation[:, :, 0] * self.peg.bottom, rotation


def _hand_quaternion(arm: Arm, q: Float64) -> Float64:
    """Of the grip frame, (m, 4)."""
    turn: Float64 = np.tile([1.0, 0.0, 0.0, 0.0], (len(q), 1))
    for index, joint in enumerate(arm.chain):
        if joint.kind == "hinge":
            turn = np.asarray(frames.multiply(turn, _about(joint.axis, q[:, index])))
    return turn


def _about(axis: tuple[float, float, float], angle: Float64) -> Float64:
    """Quaternions (m, 4) of turns (m,) about one axis."""
    half = np.sin(angle / 2)[:, None] * np.array(axis)
    return np.concatenate([np.cos(angle / 2)[:, None], half], 1)


def _from_axes(axes: Float64) -> Float64:
    """Quaternion (4,) of a turn about the fingers that takes y to the lateral axis."""
    angle = np.arctan2(axes[2, 1], axes[1, 1])
    return np.asarray(_about((1.0, 0.0, 0.0), np.array([angle]))[0])
