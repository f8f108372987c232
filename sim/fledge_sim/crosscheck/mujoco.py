"""The quadrotor in MuJoCo: `with mujoco.engine() as engine: state = engine.step(state, setpoint, parameters, dt)`.

MuJoCo's Runge-Kutta integrator. At each of its stages a callback sets the thrusts for that instant and the forces of
the air for that pose; force, reaction torque and lever arms of the rotors come from the actuators of the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fledge_sim.crosscheck import loads, mjcf
from fledge_sim.crosscheck.airframe import Body, Drive
from fledge_sim.crosscheck.engine import Engine, World
from fledge_sim.crosscheck.loads import RotorPath, Vector
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics

TIMESTEP = 1e-3
"""[s]"""
Emit = Callable[[Body, bool], str]


def engine(physics: Physics | None = None, timestep: float = TIMESTEP, emit: Emit = mjcf.emit) -> Engine:
    """MuJoCo behind the kernel's arrays.

    Args:
        physics: which effects act; its integrator and substeps are the kernel's alone.
        timestep: longest of MuJoCo's own steps [s].
        emit: writes the model.
    Raises:
        FledgeError: MuJoCo is not installed.
    """
    module = _module()

    def make(body: Body, physics: Physics, timestep: float) -> World:
        return MujocoWorld(module, emit(body, physics.floor), physics, timestep)

    return Engine(make, physics or Physics(), timestep)


class MujocoWorld:
    """One body; see engine.World."""

    def __init__(self, module: Any, model: str, physics: Physics, timestep: float) -> None:
        self._mujoco, self._physics, self._timestep = module, physics, timestep
        self._model = module.MjModel.from_xml_string(model)
        self._data = module.MjData(self._model)
        self._body = self._model.body("body").id

    def put(self, pose: Vector) -> None:
        """Position, quaternion w x y z; velocity world, angular velocity body: as MuJoCo's free joint has them."""
        self._mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:], self._data.qvel[:] = pose[:7], pose[7:]

    def get(self) -> Vector:
        """Likewise."""
        return np.concatenate([self._data.qpos, self._data.qvel])

    def advance(self, drive: Drive, rotors: RotorPath, duration: float) -> None:
        """Equal steps."""
        steps = max(1, round(np.ceil(duration / self._timestep - 1e-9)))
        self._model.opt.timestep = duration / steps
        self._data.time = 0.0
        self._loaded(drive, rotors, lambda: self._mujoco.mj_step(self._model, self._data, steps))

    def acceleration(self, drive: Drive, rotors: RotorPath) -> Vector:
        """MuJoCo's forward dynamics."""
        self._data.time = 0.0
        self._loaded(drive, rotors, lambda: self._mujoco.mj_forward(self._model, self._data))
        return np.array(self._data.qacc)

    def close(self) -> None:
        """Nothing to free by hand."""

    def _loaded(self, drive: Drive, rotors: RotorPath, call: Callable[[], None]) -> None:
        """Call with the loads in MuJoCo's control callback, which is one for the whole process."""
        before = self._mujoco.get_mjcb_control()
        self._mujoco.set_mjcb_control(lambda _model, data: self._load(drive, rotors, data))
        try:
            call()
        finally:
            self._mujoco.set_mjcb_control(before)

    def _load(self, drive: Drive, rotors: RotorPath, data: Any) -> None:
        thrust = loads.thrust(drive, rotors.at(data.time))
        if self._physics.ground_effect:
            thrust = thrust * loads.ground_effect(drive, data.site_xpos[:, 2])
        data.ctrl[:] = thrust
        rotation = data.xmat[self._body].reshape(3, 3)
        data.xfrc_applied[self._body, :3] = loads.force_world(drive, rotation, data.qvel[:3], self._physics.drag)
        data.xfrc_applied[self._body, 3:] = loads.torque_world(drive, rotation)


def _module() -> Any:
    try:
        return importlib.import_module("mujoco")
    except ImportError as error:
        raise FledgeError("MuJoCo is not installed; pip install 'fledge[crosscheck]'") from error
