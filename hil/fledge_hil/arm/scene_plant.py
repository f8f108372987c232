"""A task's scene under the virtual servos: the environment's own worlds, one of them, moved by the servos' torques.

Peg, hole, slip in the hand, block, what the pads feel: the code and the episodes of fledge_sim.arm_env, in steps of the
plant instead of the policy. The servos are not the environment's: each computes its law from its registers, and neither
they nor the arm are randomized. The pads are read, and the peg slips, once per frame of their board.

An episode begins with the arm held by a hand, higher by what the servos will yield under its weight; `release`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from fledge_sim import counter_random
from fledge_sim.arm import Arm
from fledge_sim.arm_config import NOMINAL, ArmConfig
from fledge_sim.arm_model import ModelOptions
from fledge_sim.arm_placement import PlacementTask
from fledge_sim.arm_plant import ArmPlant
from fledge_sim.arm_task import Score
from fledge_sim.arm_worlds import ALL, ArmWorlds
from fledge_sim.errors import FledgeError
from fledge_sim.tactile_sensor import SensorModel
from numpy.typing import NDArray

from fledge_hil.arm.mujoco_plant import TIMESTEP
from fledge_hil.arm.pads import PERIOD_MS
from fledge_hil.arm.plant import Vector

SENSORS = SensorModel(latency=(0.0, 0.008), period=PERIOD_MS / 1000)
"""Those that policies are trained with: of their 2 to 20 ms a frame takes 2 ms, and up to 10 ms pass until the next."""
WORLD = np.zeros(1, np.intp)


class ScenePlant:
    """See Plant."""

    def __init__(self, config: ArmConfig, seed: int = 0, world: int = 0) -> None:
        """An episode: the first of a world of `ArmEnv(config, n, seed)`, for any n above `world`.

        Raises:
            FledgeError: MuJoCo is not installed, or something in the hand has to be pressed before anybody moves.
        """
        task = config.task
        if isinstance(task, PlacementTask) or getattr(task, "grasp", "compliant") == "free":
            raise FledgeError("virtual servos hold no free peg before a policy moves them; choose another task")
        nominal = dataclasses.replace(
            config,
            substeps=round(config.period / TIMESTEP),
            randomization=NOMINAL,
            touch="none",
            staggered=False,
            privileged_actor=False,
        )
        self.config = config
        self._level = {name: config.level.get(name, 1.0) for name in task.coordinates}
        self._worlds = ArmWorlds(nominal, 1, 1, _one_step)
        self._plant, self._servo = self._worlds.plant, config.arm.servo
        joints = self._plant.joints
        self._travel = np.array([joint.travel for joint in config.arm.joints])
        self.load: Vector = np.zeros(joints)
        self.resistance: Vector = np.zeros(joints)
        self._controls = np.zeros((1, 1, joints))
        identity = counter_random.identities(seed, np.array([world], np.uint32))
        self._worlds.identify(identity)
        self._touch = self._worlds.task.touch(PERIOD_MS / 1000, 1, SENSORS) if task.holds else None
        if self._touch is not None:
            self._touch.identify(identity)
        self._begin()

    def _begin(self) -> None:
        worlds, plant, joints = self._worlds, self._plant, slice(0, self._plant.joints)
        worlds.begin(WORLD, self._level)
        if self._touch is not None:
            worlds.task.touched(self._touch, WORLD)
        plant.q[:] = worlds.memory["target"]
        plant.field("actuator_gainprm")[:, joints, 0] = 0.0
        plant.field("actuator_biasprm")[:, joints, 1] = 0.0
        self._damping = plant.field("dof_damping")[0, joints].copy()
        self._steps = 0
        self.held = True

    @property
    def position(self) -> Vector:
        """See Plant."""
        return np.array(self._plant.q[0])

    @property
    def velocity(self) -> Vector:
        """See Plant."""
        return np.array(self._plant.v[0])

    @property
    def tip(self) -> Vector:
        """Where the grip frame really is, (3,) [m]."""
        return np.array(self._worlds.state(ALL).tip[0])

    @property
    def feels(self) -> bool:
        """There is something between the pads."""
        return self._touch is not None

    def touch(self) -> NDArray[np.float32]:
        """Cells of the pads as their board has them now, (96,) [N]."""
        assert self._touch is not None
        return np.asarray(self._touch.pooled[0])

    def kill_taxels(self, share: float) -> None:
        """So many of them say 0 from now on."""
        assert self._touch is not None
        self._touch.sensor.model = dataclasses.replace(self._touch.sensor.model, dead=share)

    def goal(self) -> Vector:
        """As seen, with its error, (3,) [m, base]; of a task of two places both, (6,)."""
        seen = self._worlds.task.goal(np.zeros((1, 3)), ALL)[0]
        places = np.cumsum(seen.reshape(-1, 3), axis=0)
        return np.asarray(places.ravel())

    def score(self) -> Score:
        """Of this moment."""
        return self._worlds.task.score(self._worlds.state(ALL), self._level)

    def release(self) -> None:
        """The hand lets go: what bears the arm now are its servos."""
        self.held = False

    def step(self, torque: Vector, seconds: float) -> None:
        """See Plant; milliseconds. Raises FledgeError if MuJoCo cannot go on."""
        reads = self._steps % PERIOD_MS == 0
        self._steps += 1
        timestep = np.array([seconds])
        if not self.held:
            if reads:
                self._worlds.task.before(timestep)
            plant, joints = self._plant, slice(0, self._plant.joints)
            plant.set_friction(self._servo.coulomb_friction + self._servo.load_friction * np.abs(torque)[None])
            plant.field("dof_damping")[0, joints] = self._damping + self.resistance
            if plant.advance(self._controls, timestep, (torque / self._travel + self.load)[None]).any():
                raise FledgeError("the scene's physics became unstable; choose another --seed, or report it")
        if reads and self._touch is not None:
            self._worlds.task.feel(self._touch)


def _one_step(arm: Arm, options: ModelOptions, n: int, substeps: int, threads: int) -> ArmPlant:
    del substeps
    return ArmPlant(arm, options, n, 1, threads)
