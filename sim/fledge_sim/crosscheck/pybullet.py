"""The quadrotor in PyBullet: `with pybullet.engine() as engine: state = engine.step(state, setpoint, parameters, dt)`.

Bullet's multibody with its semi-implicit Euler step, of order 1. Thrusts act on the rotors' links, their reaction
torques about the links' axes, both in link frames; forces last one step and are given anew at each.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fledge_sim import frames
from fledge_sim.crosscheck import loads, urdf
from fledge_sim.crosscheck.airframe import Body, Drive
from fledge_sim.crosscheck.engine import Engine, World
from fledge_sim.crosscheck.loads import RotorPath, Vector
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics

TIMESTEP = 5e-4
"""[s]"""
BASE = -1
INSTANT = 1e-7
"""[s], over which the acceleration is read off: Bullet's new velocity is v + h a(x)."""
Emit = Callable[[Body], str]


def engine(physics: Physics | None = None, timestep: float = TIMESTEP, emit: Emit = urdf.emit) -> Engine:
    """PyBullet behind the kernel's arrays; arguments as fledge_sim.crosscheck.mujoco.engine."""
    module = bullet_module()

    def make(body: Body, physics: Physics, timestep: float) -> World:
        return BulletWorld(module, body, emit(body), physics, timestep)

    return Engine(make, physics or Physics(), timestep)


class BulletWorld:
    """One body in a physics server of its own; see engine.World."""

    def __init__(self, module: Any, body: Body, model: str, physics: Physics, timestep: float) -> None:
        self._bullet, self._physics, self._timestep = module, physics, timestep
        self._client: int = module.connect(module.DIRECT)
        if self._client < 0:
            raise FledgeError("PyBullet gives no further physics server; use fewer environments")
        self._id = self._load_text(model)
        self._reactions = _reactions(model)
        self._call("setGravity", 0, 0, -body.gravity)
        self._call("setPhysicsEngineParameter", enableConeFriction=1)
        damping = {"linearDamping": 0, "angularDamping": 0, "maxJointVelocity": 1e4, "restitution": 0}
        for link in range(BASE, len(self._reactions)):
            self._call("changeDynamics", self._id, link, **damping)
        if physics.floor:
            plane = self._call("createCollisionShape", module.GEOM_PLANE)
            floor = self._call("createMultiBody", 0, plane)
            self._call("changeDynamics", floor, BASE, lateralFriction=1, restitution=0)
            self._call("changeDynamics", self._id, BASE, lateralFriction=body.friction)  # Bullet multiplies the two

    def put(self, pose: Vector) -> None:
        """Bullet wants x y z w, and both velocities in world axes."""
        q, angular_velocity_body = pose[3:7], pose[10:13]
        self._call("resetBasePositionAndOrientation", self._id, pose[:3], frames.to_xyzw(q))
        spin_world = self._rotation() @ angular_velocity_body
        self._call("resetBaseVelocity", self._id, pose[7:10], spin_world)

    def get(self) -> Vector:
        """Back into w x y z, and the angular velocity into body axes."""
        position, q_xyzw = self._call("getBasePositionAndOrientation", self._id)
        velocity, spin_world = self._call("getBaseVelocity", self._id)
        spin_body = self._rotation().T @ np.array(spin_world)
        return np.concatenate([position, frames.from_xyzw(np.array(q_xyzw)), velocity, spin_body])

    def advance(self, drive: Drive, rotors: RotorPath, duration: float) -> None:
        """Equal steps."""
        steps = max(1, math.ceil(duration / self._timestep - 1e-9))
        for i in range(steps):
            self._step(drive, rotors, i * duration / steps, duration / steps)

    def acceleration(self, drive: Drive, rotors: RotorPath) -> Vector:
        """Change of the velocities over an instant."""
        rotation = self._rotation()
        before = np.array(self._call("getBaseVelocity", self._id))
        self._step(drive, rotors, 0.0, INSTANT)
        change = (np.array(self._call("getBaseVelocity", self._id)) - before) / INSTANT
        return np.concatenate([change[0], rotation.T @ change[1]])

    def close(self) -> None:
        """End the physics server."""
        with contextlib.suppress(self._bullet.error):
            self._bullet.disconnect(self._client)

    def _step(self, drive: Drive, rotors: RotorPath, time: float, duration: float) -> None:
        position, q_xyzw = self._call("getBasePositionAndOrientation", self._id)
        velocity, _ = self._call("getBaseVelocity", self._id)
        rotation, frame = self._matrix(q_xyzw), self._bullet
        thrust = loads.thrust(drive, rotors.at(time))
        if self._physics.ground_effect:
            links = range(len(self._reactions))
            states = self._call("getLinkStates", self._id, list(links), computeForwardKinematics=1)
            thrust = thrust * loads.ground_effect(drive, np.array([state[4][2] for state in states]))
        for link, (force, reaction) in enumerate(zip(thrust, self._reactions, strict=True)):
            self._call("applyExternalForce", self._id, link, [0, 0, force], [0, 0, 0], frame.LINK_FRAME)
            self._call("applyExternalTorque", self._id, link, reaction * force, frame.LINK_FRAME)
        push = loads.force_world(drive, rotation, np.array(velocity), self._physics.drag)
        self._call("applyExternalForce", self._id, BASE, push, position, frame.WORLD_FRAME)
        self._call("applyExternalTorque", self._id, BASE, loads.torque_world(drive, rotation), frame.WORLD_FRAME)
        self._call("setTimeStep", duration)
        self._call("stepSimulation")

    def _rotation(self) -> Vector:
        """rotation_world_from_body, (3, 3), by Bullet."""
        _, q_xyzw = self._call("getBasePositionAndOrientation", self._id)
        return self._matrix(q_xyzw)

    def _matrix(self, q_xyzw: Sequence[float]) -> Vector:
        return np.array(self._bullet.getMatrixFromQuaternion(q_xyzw)).reshape(3, 3)

    def _load_text(self, model: str) -> int:
        """PyBullet reads files only. Without the flag it would compute the inertia from the collision shapes."""
        handle, name = tempfile.mkstemp(suffix=".urdf")
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(model)
            flags = self._bullet.URDF_USE_INERTIA_FROM_FILE
            return int(self._call("loadURDF", name, [0, 0, 10], flags=flags))
        finally:
            Path(name).unlink()

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self._bullet, name)(*arguments, **options, physicsClientId=self._client)


def _reactions(model: str) -> list[Vector]:
    """Reaction torque per thrust of each rotor [m], (3,): PyBullet does not report the axes of fixed joints."""
    axes = [joint.find("axis") for joint in ElementTree.fromstring(model).iter("joint")]
    return [np.array([float(part) for part in axis.attrib["xyz"].split()]) for axis in axes if axis is not None]


def bullet_module() -> Any:
    try:
        with _silent():
            return importlib.import_module("pybullet")
    except ImportError as error:
        raise FledgeError("PyBullet is not installed; pip install 'fledge[crosscheck]'") from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """PyBullet greets on the file descriptor of the standard error when it is imported."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
