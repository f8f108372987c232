"""Where a run with a virtual arm begins: at rest in a pose, or in the scene of the policy's task, held by a hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from fledge_sim import arm_presets
from fledge_sim.arm import Arm
from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_trained import environment_of, feels
from fledge_sim.contract import Contract

from fledge_hil.arm.driver import Driver
from fledge_hil.arm.messages import ArmOutput
from fledge_hil.arm.mujoco_plant import MujocoPlant
from fledge_hil.arm.pads import PERIOD_MS
from fledge_hil.arm.plant import Vector
from fledge_hil.arm.scene_plant import ScenePlant
from fledge_hil.arm.virtual_arm import VirtualArm
from fledge_hil.arm.virtual_pads import VirtualPads

SETTLE_S = 0.4
"""From the hand's letting go to the policy's first step: the arm sinks into its servos."""


@dataclass(frozen=True)
class Start:
    """A virtual arm that nobody has talked to yet."""

    virtual: VirtualArm
    goals: tuple[list[float], ...]
    """Each of one place (3,) or of two (6,) [m, base]."""
    scene: ScenePlant | None = None

    def take_over(self, driver: Driver) -> None:
        """The servos hold the arm; a hand that held it has let go, and it settles. Raises ArmStopped."""
        driver.aim(self.goals[0])
        driver.hold()
        if self.scene is not None:
            driver.run(SETTLE_S)

    def watch(self, driver: Driver) -> None:
        """Tell the driver where the goal is seen, a hundred times a second from now on."""
        if (scene := self.scene) is None:
            return

        def look(_: ArmOutput) -> None:
            if driver.input.time_ms % PERIOD_MS == 0:
                driver.aim(scene.goal().tolist())

        driver.told.append(look)


Starts = Callable[[int], Start]
"""Of a seed."""


def resting(arm: Arm, pose: Vector, goals: Vector, seed: int = 0) -> Start:
    """Nothing but the arm, in a pose (joints,) [rad, m], with goals (n, 3) [m]."""
    return Start(VirtualArm(arm, MujocoPlant(arm, pose), seed=seed), tuple(goals.tolist()))


@dataclass(frozen=True)
class Stage:
    """The scene of a policy's task."""

    config: ArmConfig
    feels: bool
    """The policy has touch: there are pads on the fingers."""

    def start(self, seed: int, world: int = 0) -> Start:
        """First episode of a world of `ArmEnv(config, n, seed)`, for any n above `world`. See ScenePlant."""
        scene = ScenePlant(self.config, seed, world)
        pads = VirtualPads(scene.touch, seed) if self.feels else None
        virtual = VirtualArm(self.config.arm, scene, seed=seed + world, pads=pads, hand=scene.release)
        return Start(virtual, (scene.goal().tolist(),), scene)


def stage_of(contract: Contract, robot: str | None = None) -> Stage:
    """What a policy was trained in. Raises FledgeError as environment_of."""
    return Stage(dataclasses.replace(environment_of(contract, robot), touch="none"), feels(contract))


def places(contract: Contract) -> int:
    """Of the policy's goal: one, two, or none."""
    return sum(term.size for term in contract.observation if term.name == "goal") // 3


def task_of(contract: Contract) -> str:
    """That the policy was trained for; reach where its record does not say and it needs to know no more."""
    recorded = contract.training.config.get("task")
    return "reach" if recorded not in arm_presets.TASKS and not feels(contract) else str(recorded)
