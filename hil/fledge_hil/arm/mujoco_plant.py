"""The arm's body under the virtual servos: MuJoCo's model of it, driven by the servos' own torques.

The model's position actuators, which stand for the servos where policies are trained, are silenced: here every servo
computes its law from its registers, a thousand times a second. Friction, armature and damping are the model's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from fledge_sim.arm import Arm
from fledge_sim.arm_model import ModelOptions, mjcf
from fledge_sim.arm_plant import mujoco_module

from fledge_hil.arm.plant import Vector

TIMESTEP = 0.001
"""[s]"""


class MujocoPlant:
    """See Plant."""

    def __init__(self, arm: Arm, position: Vector | None = None, options: ModelOptions | None = None) -> None:
        """At rest.

        Args:
            arm: whose body.
            position: (joints,) [rad, m]; default: zero.
            options: of the model, whose time step is replaced; default: nothing collides, as where reaching is trained.
        Raises:
            FledgeError: MuJoCo is not installed.
        """
        self._mujoco = mujoco_module()
        self._joints = len(arm.joints)
        self._travel = np.array([joint.travel for joint in arm.joints])
        text = mjcf(arm, replace(options or ModelOptions(collisions=False), timestep=TIMESTEP))
        self._model: Any = self._mujoco.MjModel.from_xml_string(text)
        self._model.actuator_gainprm[: self._joints] = 0.0
        self._model.actuator_biasprm[: self._joints] = 0.0
        self._data: Any = self._mujoco.MjData(self._model)
        if position is not None:
            self._data.qpos[: self._joints] = position
        self._damping = np.array(self._model.dof_damping[: self._joints])
        self.load: Vector = np.zeros(self._joints)
        self.resistance: Vector = np.zeros(self._joints)

    @property
    def position(self) -> Vector:
        """See Plant."""
        return np.array(self._data.qpos[: self._joints])

    @property
    def velocity(self) -> Vector:
        """See Plant."""
        return np.array(self._data.qvel[: self._joints])

    @property
    def tip(self) -> Vector:
        """Where the grip frame really is, (3,) [m]."""
        return np.array(self._data.site("tip").xpos)

    def step(self, torque: Vector, seconds: float) -> None:
        """See Plant; whole milliseconds."""
        self._data.qfrc_applied[: self._joints] = torque / self._travel + self.load
        self._model.dof_damping[: self._joints] = self._damping + self.resistance
        self._mujoco.mj_step(self._model, self._data, nstep=max(1, round(seconds / TIMESTEP)))
