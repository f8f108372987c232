"""The arm in PyBullet: `env(arm_presets.reach(arm), n=16)` is an ArmEnv whose physics are Bullet's.

Bullet gives the mass matrix and the forces of gravity and velocities of a URDF that is written anew for every episode's
arm; it has no armature and its own integrator is not used:

    (M + A + h D) (v' - v) = h (tau - D v - F - c + push),   q' = q + h v'

with armatures A, damping D, duty's torque tau, bristle friction F (servo.py) and Bullet's bias c. Way of the commands,
sensors, task and random numbers are those of the environment, so that a policy meets the same episodes in both engines.
For reach, and for the insertion with arm_bullet_peg.py.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fledge_sim import servo
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_insertion import InsertionTask
from fledge_sim.arm_model import urdf
from fledge_sim.arm_plant import ArmPlant
from fledge_sim.crosscheck.pybullet import bullet_module
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm, Inertia, Vector3
    from fledge_sim.arm_config import ArmConfig
    from fledge_sim.arm_model import ModelOptions
    from fledge_sim.arm_randomize import ArmParameters

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]


def env(config: ArmConfig, n: int, seed: int = 0) -> ArmEnv:
    """As ArmEnv(config, n, seed). Raises FledgeError for a task with other objects, or if PyBullet is missing."""
    task = config.task
    if isinstance(task, InsertionTask) and task.grasp == "compliant":
        from fledge_sim.crosscheck.arm_bullet_peg import maker

        return ArmEnv(config, n, seed, make_plant=maker(task))
    if task.holds or task.model(config.arm, 1e-3).scene:
        raise FledgeError(
            "this task has objects, which the arm in PyBullet has not; give reach, or insertion with the peg on springs"
        )
    return ArmEnv(config, n, seed, make_plant=_make)


def _make(arm: Arm, options: ModelOptions, n: int, substeps: int, threads: int) -> ArmPlant:
    return cast("ArmPlant", BulletPlant(arm, n, substeps))


class BulletArm:
    """One arm's rigid-body terms, by Bullet."""

    def __init__(self, arm: Arm) -> None:
        self._bullet, self.joints = bullet_module(), len(arm.joints)
        self._client: int = self._bullet.connect(self._bullet.DIRECT)
        if self._client < 0:
            raise FledgeError("PyBullet gives no further physics server; use fewer worlds")
        self._body = self.load(arm)
        self._call("setGravity", 0, 0, -arm.gravity)

    def load(self, arm: Arm) -> int:
        """Replace what is there by another arm."""
        self._call("resetSimulation")
        self._call("setGravity", 0, 0, -arm.gravity)
        handle, name = tempfile.mkstemp(suffix=".urdf")
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(self.model(arm))
            flags = self._bullet.URDF_USE_INERTIA_FROM_FILE
            self._body = int(self._call("loadURDF", name, useFixedBase=True, flags=flags))
        finally:
            Path(name).unlink()
        return self._body

    def model(self, arm: Arm) -> str:
        """URDF."""
        return urdf(arm)

    def mass_matrix(self, q: Float64) -> Float64:
        """M(q), (J, J) [kg m^2, ...], without armature."""
        return np.array(self._call("calculateMassMatrix", self._body, q.tolist()))

    def bias(self, q: Float64, v: Float64) -> Float64:
        """c(q, v), (J,) [N m, N]: what the joints must bear so that nothing accelerates."""
        zero = [0.0] * len(q)
        return np.array(self._call("calculateInverseDynamics", self._body, q.tolist(), v.tolist(), zero))

    def close(self) -> None:
        """End the physics server."""
        self._bullet.disconnect(self._client)

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self._bullet, name)(*arguments, **options, physicsClientId=self._client)


class BulletPlant:
    """n arms; the members of arm_plant.ArmPlant that a task without objects needs."""

    def __init__(self, arm: Arm, n: int, substeps: int) -> None:
        self.arm, self.n, self.joints, self.substeps = arm, n, len(arm.joints), substeps
        self._arms = [self.make_arm(arm) for _ in range(n)]
        self._state = np.zeros((n, 3 * self.joints))
        self.qpos, self.qvel = self._state[:, : self.joints], self._state[:, self.joints : 2 * self.joints]
        """Positions and velocities of all that moves, live."""
        self._bristles = self._state[:, 2 * self.joints :]
        self.drive, self.transmitted = np.zeros((n, self.joints)), np.zeros((n, self.joints))
        self._travel = np.array([joint.travel for joint in arm.joints])
        self._limit, self._gain, self._damping, self._armature, self._torque = (
            np.ones((n, self.joints)) for _ in "12345"
        )

    def make_arm(self, arm: Arm) -> BulletArm:
        """One world's."""
        return BulletArm(arm)

    @property
    def q(self) -> Float64:
        """(n, J) [rad, m], live."""
        return self.qpos[:, : self.joints]

    @property
    def v(self) -> Float64:
        """(n, J), live."""
        return self.qvel[:, : self.joints]

    @property
    def rows(self) -> Float64:
        """Positions, velocities, bristles, live."""
        return self._state

    def put(self, worlds: Index, q: Float64) -> None:
        """At rest."""
        self._state[worlds] = 0
        self.q[worlds] = q

    def bearing(self, worlds: Index) -> Float64:
        """As ArmPlant's."""
        still = np.zeros(self.qpos.shape[1])
        return np.stack([self._arms[world].bias(self.qpos[world], still)[: self.joints] for world in worlds])

    def holding(self, worlds: Index, load: Float64) -> Float64:
        """As ArmPlant's."""
        return np.asarray(load / self._gain[worlds])

    def apply(self, worlds: Index, values: ArmParameters) -> None:
        """As ArmPlant's; every world's arm is written and loaded again."""
        constants, travel2 = self.arm.servo, self._travel**2
        fraction = np.array([joint.torque_fraction for joint in self.arm.joints])
        self._gain[worlds] = constants.stiffness / travel2 * values.stiffness[:, None] * values.stiffness_joint
        self._damping[worlds] = constants.damping / travel2 * values.damping
        self._armature[worlds] = constants.armature / travel2 * values.armature
        self._torque[worlds] = constants.torque_max * fraction / self._travel * values.torque[:, None]
        for row, world in enumerate(worlds):
            self._arms[world].load(_varied(self.arm, values, row))

    def set_friction(self, limit: Float64) -> None:
        """As ArmPlant's."""
        self._limit[:] = limit

    def advance(self, controls: Float64, timestep: Float64, push: Float64) -> NDArray[np.bool_]:
        """As ArmPlant's."""
        for substep in range(self.substeps):
            for world in range(self.n):
                self._step(world, controls[world, substep], float(timestep[world]), push[world])
        return np.zeros(self.n, np.bool_)

    def _step(self, world: int, control: Float64, h: float, push: Float64) -> None:
        q, v, _ = self._state[world].reshape(3, self.joints)
        torque, friction = self._driven(world, control, q, v, h)
        damping, engine = self._damping[world], self._arms[world]
        mass = engine.mass_matrix(q) + np.diag(self._armature[world] + h * damping)
        force = torque - damping * v - friction - engine.bias(q, v) + push
        change = np.linalg.solve(mass, h * force)
        spent = damping * v + friction + self._armature[world] * change / h
        self.drive[world], self.transmitted[world] = torque, torque - spent
        v += change
        q += h * v

    def _driven(self, world: int, control: Float64, q: Float64, v: Float64, h: float) -> tuple[Float64, Float64]:
        """Duty's torque and the bristles' friction at the joints, (J,) each [N m, N]; the bristles bend."""
        torque = np.clip(self._gain[world] * (control - q), -self._torque[world], self._torque[world])
        bristle = self._bristles[world]
        after, friction = servo.bent(bristle, v / self._travel, self._limit[world], h)
        bristle[:] = after
        return torque, friction / self._travel


def _varied(arm: Arm, values: ArmParameters, row: int) -> Arm:
    """One episode's arm: masses, inertias, centres of mass, payload."""
    shifts, joints = values.com[row].reshape(-1, 3), []
    for index, joint in enumerate(arm.joints):
        factor = float(values.link_mass[row, index])
        mass, com = joint.mass * factor, np.array(joint.com) + shifts[index]
        if joint is arm.chain[-1]:
            load = float(values.payload[row])
            com = (mass * com + load * np.array(arm.tip)) / (mass + load)
            mass += load
        inertia = cast("Inertia", tuple(factor * part for part in joint.inertia))
        place = cast("Vector3", tuple(float(part) for part in com))
        joints.append(dataclasses.replace(joint, mass=mass, com=place, inertia=inertia))
    return dataclasses.replace(arm, joints=tuple(joints))
