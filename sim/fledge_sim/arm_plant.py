"""n arms in MuJoCo, stepped in one call; every world with its own parameters.

World i's motion depends on its own state, parameters and controls alone. mujoco.batch keeps one row of numbers per
world; `state` is a copy of the rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arm_model import mjcf
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_model import ModelOptions
    from fledge_sim.arm_randomize import ArmParameters

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]

FRICTION_COLUMNS = slice(3, 5)
"""Of a dcmotor's biasprm: Coulomb and static friction."""


PlantMaker = Callable[["Arm", "ModelOptions", int, int, int], "ArmPlant"]
"""Arm, model, worlds, substeps, threads."""


class ArmPlant:
    """MuJoCo's batch of one model, and what of it the environment reads and writes."""

    def __init__(self, arm: Arm, options: ModelOptions, n: int, substeps: int, threads: int) -> None:
        self.mujoco = mujoco_module()
        self.arm, self.n, self.joints, self.substeps = arm, n, len(arm.joints), substeps
        self.timestep = options.timestep
        self.model: Any = self.mujoco.MjModel.from_xml_string(mjcf(arm, options))
        self.batch: Any = importlib.import_module("mujoco.batch").Batch(self.model, n, threads)
        self.qpos: Float64 = self.batch.bind("qpos")
        """(n, nq), live: what is written is the state of the next step."""
        self.qvel: Float64 = self.batch.bind("qvel")
        self._rows: Float64 = self.qpos.base if self.qpos.base is not None else self.qpos
        self._applied: Float64 = self.batch.bind("qfrc_applied")
        self._act: Float64 = self.batch.bind("act")
        self._force: Float64 = self.batch.bind("actuator_force")
        self.bristles = options.friction == "bristle"
        names = ["actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "dof_damping", "dof_armature"]
        names += ["body_mass", "body_inertia", "body_ipos", "opt.timestep"]
        self._fields: dict[str, Float64] = {name: self.batch.expand(name) for name in names}
        self._nominal = {name: values[0].copy() for name, values in self._fields.items()}
        bind = self.batch.bind
        self._bias, self._actuators = bind("qfrc_bias"), bind("qfrc_actuator")
        self._passive, self._acceleration = bind("qfrc_passive"), bind("qacc")
        self._travel = np.array([joint.travel for joint in arm.joints])
        self._links = [self.model.body(joint.name).id for joint in arm.joints]
        link = self.model.body(arm.chain[-1].name).id
        self._payload_arm = np.array(arm.tip) - np.array(arm.chain[-1].point), link

    @property
    def q(self) -> Float64:
        """Joint positions (n, J) [rad, m], live."""
        return self.qpos[:, : self.joints]

    @property
    def v(self) -> Float64:
        """Joint velocities (n, J), live."""
        return self.qvel[:, : self.joints]

    @property
    def drive(self) -> Float64:
        """The duty's torques (n, J) [N m, N] in the last substep."""
        return self._force[:, : self.joints]

    def field(self, name: str) -> Float64:
        """A field of MuJoCo's model with a row per world, live."""
        if name not in self._fields:
            self._fields[name] = self.batch.expand(name)
        return self._fields[name]

    def bearing(self, worlds: Index) -> Float64:
        """What gravity asks of the servos of worlds (m,) where they have been put, (m, J) [N m, N]."""
        self.batch.forward(worlds, stage=self.mujoco.mjtStage.mjSTAGE_VEL)
        return np.asarray(self._bias[worlds, : self.joints])

    def holding(self, worlds: Index, load: Float64) -> Float64:
        """Errors of position, (m, J) [rad, m], at which the servos of worlds (m,) bear a load (m, J) [N m, N]."""
        return np.asarray(load / self._fields["actuator_gainprm"][worlds, : self.joints, 0])

    @property
    def transmitted(self) -> Float64:
        """Torque through the teeth, from motor to link, (n, J) [N m, N]: what is not spent on the motor's side.

        Of the duty's torque, less friction, damping, and the armature's acceleration; in the last substep.
        """
        joints = slice(0, self.joints)
        spent = self._fields["dof_armature"][:, joints] * self._acceleration[:, joints]
        return np.asarray(self._actuators[:, joints] + self._passive[:, joints] - spent)

    def put(self, worlds: Index, q: Float64) -> None:
        """Worlds (m,) at rest with joint positions (m, J); whatever else the model has is at its default."""
        self.batch.reset(worlds, stage=self.mujoco.mjtStage.mjSTAGE_NONE)
        self.qpos[worlds, : self.joints] = q

    def apply(self, worlds: Index, values: ArmParameters) -> None:
        """Parameters of worlds (m,)."""
        fields, nominal, joints = self._fields, self._nominal, slice(0, self.joints)
        stiffness = values.stiffness[:, None] * values.stiffness_joint
        gain = nominal["actuator_gainprm"][joints, 0] * stiffness
        fields["actuator_gainprm"][worlds, joints, 0] = gain
        fields["actuator_biasprm"][worlds, joints, 1] = -gain
        limits = nominal["actuator_forcerange"][joints] * values.torque[:, None, None]
        fields["actuator_forcerange"][worlds, joints] = limits
        fields["dof_damping"][worlds, joints] = nominal["dof_damping"][joints] * values.damping
        fields["dof_armature"][worlds, joints] = nominal["dof_armature"][joints] * values.armature
        links = self._links
        mass = nominal["body_mass"][links] * values.link_mass
        fields["body_inertia"][worlds[:, None], links] = nominal["body_inertia"][links] * values.link_mass[:, :, None]
        com = nominal["body_ipos"][links] + values.com.reshape(len(worlds), self.joints, 3)
        tip, link = self._payload_arm
        place, load = links.index(link), values.payload[:, None]
        com[:, place] = (mass[:, place, None] * com[:, place] + load * tip) / (mass[:, place, None] + load)
        mass[:, place] += values.payload
        fields["body_mass"][worlds[:, None], links] = mass
        fields["body_ipos"][worlds[:, None], links] = com

    def set_friction(self, limit: Float64) -> None:
        """Coulomb friction of the servos, (n, J) [N m] at the horn, for the next steps."""
        if self.bristles:
            places = slice(self.joints, 2 * self.joints)
            self._fields["actuator_biasprm"][:, places, FRICTION_COLUMNS] = (limit / self._travel)[:, :, None]

    def advance(self, controls: Float64, timestep: Float64, push: Float64) -> NDArray[np.bool_]:
        """All substeps of a period.

        Args:
            controls: of the position actuators, (n, substeps, J) [rad, m].
            timestep: (n,) [s].
            push: torque on the joints, (n, J) [N m, N].
        Returns:
            (n,) bool: worlds that MuJoCo could not step, or whose numbers grew without bounds, upon which it has put
            them back to its defaults; they must be begun again.
        """
        self._fields["opt.timestep"][:] = timestep
        self._applied[:, : self.joints] = push
        failed, before = np.zeros(self.n, np.bool_), self._unstable()
        try:
            self.batch.rollout(self.substeps, controls, self.mujoco.mjtState.mjSTATE_CTRL, record=[])
        except self._error as error:
            failed[list(error.ids)] = True
        return np.asarray(failed | (self._unstable() > before) | ~np.isfinite(self.qpos).all(1))

    def _unstable(self) -> NDArray[np.int64]:
        """How often each world has been put back, (n,)."""
        kinds = self.mujoco.mjtWarning
        places = [int(kind) for kind in (kinds.mjWARN_BADQPOS, kinds.mjWARN_BADQVEL, kinds.mjWARN_BADQACC)]
        return np.asarray(self.batch.warning[:, places, 1].sum(1), np.int64)

    @property
    def _error(self) -> Any:
        return importlib.import_module("mujoco.batch").SimulationError

    @property
    def rows(self) -> Float64:
        """Everything that MuJoCo remembers, (n, numbers), live."""
        return self._rows


def mujoco_module() -> Any:
    """MuJoCo with its batch. Raises FledgeError saying how to install it."""
    try:
        module = importlib.import_module("mujoco")
        importlib.import_module("mujoco.batch")
    except ImportError as error:
        raise FledgeError("the arm's worlds need MuJoCo 3.17 or later; pip install 'fledge[arm]'") from error
    return module
