"""The insertion in PyBullet: a peg on springs in the hand of arm_bullet.BulletArm, and a hole.

Bullet gives mass matrix and bias of arm and peg, the peg's place, its Jacobian, and where it touches walls and floor.
Time step and contacts are our own (contact_solver.py): rigid, one Gauss-Seidel over all that touches,

    (M + A + h D) (v' - v) = h (tau - D v - K (q - rest) - F - c + push) + J' p

The springs' laws, slip in the hand and the taxels are the task's own; they see this plant in MuJoCo's place. Only the
peg touches anything, as in MuJoCo's model of this task.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arm_hole import SIDES
from fledge_sim.arm_model import urdf
from fledge_sim.arm_peg import AXES, grip_axes
from fledge_sim.crosscheck.arm_bullet import BulletArm, BulletPlant
from fledge_sim.crosscheck.contact_solver import cross, frames, impulses

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_insertion import InsertionTask
    from fledge_sim.arm_model import ModelOptions
    from fledge_sim.arm_peg import Peg
    from fledge_sim.arm_plant import ArmPlant, PlantMaker
    from fledge_sim.arm_randomize import ArmParameters

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]
SPRINGS = len(AXES)
NEAR = 1e-3
"""Gap up to which a contact is looked at [m]; at 0.4 m/s nothing comes nearer in a step."""
CLOSE = 2e-4
"""Gap at the end of a step, without contacts, from which on a contact takes part [m]."""
NOTHING = '<inertial><mass value="0"/><inertia ixx="0" iyy="0" izz="0" ixy="0" ixz="0" iyz="0"/></inertial>'
NAMES = ("peg", *(f"wall{index}" for index in range(len(SIDES))), "hole")


def with_peg(arm: Arm, peg: Peg) -> str:
    """The arm's URDF with the peg's body behind six joints in the grip frame."""
    axes, place = grip_axes(arm), np.array(arm.tip) - np.array(arm.chain[-1].point)
    directions = [axes[:, 0], axes[:, 1], axes[:, 2], axes[:, 2], axes[:, 1], axes[:, 0]]
    length, width = peg.bottom - peg.top, 2 * peg.half_width
    across, along = peg.mass * (length**2 + width**2) / 12, peg.mass * width**2 / 6
    body = (
        f'<inertial><origin xyz="{peg.center!r} 0 0"/><mass value="{peg.mass!r}"/>'
        f'<inertia ixx="{along!r}" iyy="{across!r}" izz="{across!r}" ixy="0" ixz="0" iyz="0"/></inertial>'
    )
    lines, parent = [], arm.chain[-1].name
    for index, name in enumerate(AXES):
        origin = place if index == 0 else np.zeros(3)
        lines += [
            f'  <link name="peg_{name}">{body if index == SPRINGS - 1 else NOTHING}</link>',
            f'  <joint name="peg_{name}_joint" type="{"prismatic" if index < 3 else "revolute"}">',
            f'    <parent link="{parent}"/><child link="peg_{name}"/>',
            f'    <origin xyz="{_text(origin)}"/><axis xyz="{_text(directions[index])}"/>',
            '    <limit lower="-1" upper="1" effort="1000" velocity="1000"/>',
            "  </joint>",
        ]
        parent = f"peg_{name}"
    return urdf(arm).replace("</robot>", "\n".join(lines) + "\n</robot>")


class BulletHand(BulletArm):
    """Arm and peg, and a hole that only the peg meets."""

    def __init__(self, arm: Arm, task: InsertionTask) -> None:
        self._task = task
        super().__init__(arm)

    def model(self, arm: Arm) -> str:
        """See with_peg."""
        return with_peg(arm, self._task.peg)

    def load(self, arm: Arm) -> int:
        """Replace everything; the hole has yet to be placed."""
        body = super().load(arm)
        peg, hole = self._task.peg, self._task.hole
        joints = [self._call("getJointInfo", body, index) for index in range(self._call("getNumJoints", body))]
        self._moving = [info[0] for info in joints if info[2] != self._bullet.JOINT_FIXED]
        names = [info[1].decode() for info in joints if info[2] != self._bullet.JOINT_FIXED]
        wanted = [f"{joint.name}_joint" for joint in arm.joints] + [f"peg_{name}_joint" for name in AXES]
        self._order = np.array([names.index(name) for name in wanted])
        """Of our coordinates among Bullet's."""
        self._link = next(info[0] for info in joints if info[1].decode() == f"peg_{AXES[-1]}_joint")
        self._peg = self._box(((peg.bottom - peg.top) / 2, peg.half_width, peg.half_width), 1.0)
        across, thick = peg.half_width + self._task.clearance[0] + hole.wall, hole.wall / 2
        sizes = [(thick, across) if x else (across, thick) for x, _ in SIDES]
        self._walls = [self._box((*size, hole.depth / 2), 0.0) for size in sizes]
        floor = self._box((1.0, 1.0, 0.1), 0.0)
        self._call("resetBasePositionAndOrientation", floor, (0, 0, hole.rim - hole.depth - 0.1), (0, 0, 0, 1))
        return body

    def place_hole(self, middle: Float64, yaw_quaternion: Float64, walls: Float64) -> None:
        """Of the hole's frame (3,), its turn w, x, y, z, and the walls in it (4, 3) [m]."""
        w, _, _, z = yaw_quaternion
        cosine, sine = 1 - 2 * z * z, 2 * w * z
        for body, (x, y, height) in zip(self._walls, walls, strict=True):
            there = middle + np.array([cosine * x - sine * y, sine * x + cosine * y, height])
            self._call("resetBasePositionAndOrientation", body, there.tolist(), (0, 0, z, w))

    def mass_matrix(self, q: Float64) -> Float64:
        """M(q) (J + 6, J + 6) in our order of coordinates."""
        return np.asarray(super().mass_matrix(self._theirs(q))[np.ix_(self._order, self._order)])

    def bias(self, q: Float64, v: Float64) -> Float64:
        """c(q, v) (J + 6,) in our order of coordinates."""
        return np.asarray(super().bias(self._theirs(q), self._theirs(v))[self._order])

    def contacts(self, q: Float64, v: Float64, h: float) -> tuple[Float64, Float64]:
        """Where the peg touches, or nearly would after h [s] at velocities v.

        Returns:
            Gaps (k,) [m], Jacobians (3 k, J + 6), rows as contact_solver has them.
        """
        theirs = self._theirs(q)
        for joint, position in zip(self._moving, theirs.tolist(), strict=True):
            self._call("resetJointState", self._body, joint, position)
        state = self._call("getLinkState", self._body, self._link, computeForwardKinematics=1)
        self._call("resetBasePositionAndOrientation", self._peg, state[0], state[1])
        self._call("performCollisionDetection")
        found = [each for each in self._call("getContactPoints", self._peg) if each[8] < NEAR]
        if not found:
            return np.zeros(0), np.zeros((0, len(q)))
        is_first = np.array([each[1] == self._peg for each in found])
        points = np.array([each[5] if first else each[6] for each, first in zip(found, is_first, strict=True)])
        normals = np.array([each[7] for each in found]) * np.where(is_first, 1.0, -1.0)[:, None]
        zero = [0.0] * len(q)
        local = [0.0, 0.0, 0.0]
        linear, angular = (
            np.array(part)[:, self._order]
            for part in self._call("calculateJacobian", self._body, self._link, local, theirs.tolist(), zero, zero)
        )
        away = points - np.array(state[0])
        moved = linear + cross(angular.T[None], away[:, None]).transpose(0, 2, 1)
        gap = np.array([each[8] for each in found])
        close = gap + h * (normals[:, None] @ moved)[:, 0] @ v < CLOSE
        return gap[close], (frames(normals[close]) @ moved[close]).reshape(-1, len(q))

    def _theirs(self, ours: Float64) -> Float64:
        result = np.empty(len(ours))
        result[self._order] = ours
        return result

    def _box(self, half: tuple[float, ...], mass: float) -> int:
        shape = self._call("createCollisionShape", self._bullet.GEOM_BOX, halfExtents=half)
        return int(self._call("createMultiBody", mass, shape))


def maker(task: InsertionTask) -> PlantMaker:
    """Of plants for this task, for ArmEnv."""

    def make(arm: Arm, options: ModelOptions, n: int, substeps: int, threads: int) -> ArmPlant:
        return cast("ArmPlant", PegPlant(arm, task, n, substeps))

    return make


class PegPlant(BulletPlant):
    """n hands with holes; what arm_peg.HeldPeg, arm_hole.Hole and the insertion read and write of MuJoCo's."""

    def __init__(self, arm: Arm, task: InsertionTask, n: int, substeps: int) -> None:
        self._task, dofs = task, len(arm.joints) + SPRINGS
        super().__init__(arm, n, substeps)
        self._state = np.zeros((n, 2 * dofs + len(arm.joints)))
        self.qpos, self.qvel = self._state[:, :dofs], self._state[:, dofs : 2 * dofs]
        """(n, J + 6), live."""
        self._bristles = self._state[:, 2 * dofs :]
        self._fields = {
            **{name: np.zeros((n, dofs)) for name in ("jnt_stiffness", "qpos_spring", "dof_damping")},
            "geom_friction": np.zeros((n, len(NAMES), 3)),
            "geom_pos": np.zeros((n, len(NAMES), 3)),
            "body_pos": np.zeros((n, len(NAMES), 3)),
            "body_quat": np.tile([1.0, 0.0, 0.0, 0.0], (n, len(NAMES), 1)),
        }
        self._fields["geom_pos"][:, :, 2] = -task.hole.depth / 2
        ids = {name: SimpleNamespace(id=index) for index, name in enumerate(NAMES)}
        self.model: Any = SimpleNamespace(geom=ids.__getitem__, body=ids.__getitem__)
        self._springs_armature = task.peg.inertia()
        self._is_placed = np.zeros(n, np.bool_)

    def make_arm(self, arm: Arm) -> BulletArm:
        """With a peg and a hole."""
        return BulletHand(arm, self._task)

    def field(self, name: str) -> Float64:
        """Of MuJoCo's names, with a row per world, live."""
        return self._fields[name]

    def apply(self, worlds: Index, values: ArmParameters) -> None:
        """As ArmPlant's; the hole is placed before the next step."""
        super().apply(worlds, values)
        self._is_placed[worlds] = False

    def advance(self, controls: Float64, timestep: Float64, push: Float64) -> NDArray[np.bool_]:
        """As ArmPlant's."""
        for world in np.flatnonzero(~self._is_placed):
            hole, walls = NAMES.index("hole"), slice(1, 1 + len(SIDES))
            pose = (self._fields["body_pos"][world, hole], self._fields["body_quat"][world, hole])
            cast("BulletHand", self._arms[world]).place_hole(*pose, self._fields["geom_pos"][world, walls])
        self._is_placed[:] = True
        return super().advance(controls, timestep, push)

    def _step(self, world: int, control: Float64, h: float, push: Float64) -> None:
        joints, q, v = self.joints, self.qpos[world], self.qvel[world]
        torque, friction = self._driven(world, control, q[:joints], v[:joints], h)
        engine, fields = cast("BulletHand", self._arms[world]), self._fields
        damping = np.concatenate([self._damping[world], fields["dof_damping"][world, joints:]])
        armature = np.concatenate([self._armature[world], self._springs_armature])
        force = -damping * v - fields["jnt_stiffness"][world] * (q - fields["qpos_spring"][world]) - engine.bias(q, v)
        force[:joints] += torque - friction + push
        inverse = np.linalg.inv(engine.mass_matrix(q) + np.diag(armature + h * damping))
        change = inverse @ (h * force)
        gap, jacobian = engine.contacts(q, v + change, h)
        if len(gap):
            spread = inverse @ jacobian.T
            grip = float(fields["geom_friction"][world, 0, 0])
            change += spread @ impulses(jacobian @ spread, jacobian @ (v + change), gap, grip, h)
        spent = damping[:joints] * v[:joints] + friction + armature[:joints] * change[:joints] / h
        self.drive[world], self.transmitted[world] = torque, torque - spent
        v += change
        q += h * v


def _text(numbers: Float64) -> str:
    return " ".join(repr(float(number)) for number in numbers)
