"""From an arm's policy back to the environment it was trained in: for calibration, and to see what a format costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm_config import ArmAction, Touch
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import ArmConfig
    from fledge_sim.contract import Contract

PRESETS: dict[str, Callable[[Arm], ArmConfig]] = {
    name: preset
    for name, preset in vars(arm_presets).items()
    if getattr(preset, "__module__", "") == arm_presets.__name__ and not name.startswith("_")
}
"""By task."""


def environment_of(contract: Contract, robot: str | None = None) -> ArmConfig:
    """What the policy was trained in, by its training record (`task`, `difficulty`) and its contract.

    Args:
        contract: of a policy that senses, no privileged one.
        robot: name or file of the arm; default: the one that the contract names.
    Raises:
        FledgeError: a quadrotor's policy, an arm that has changed, a record without a task, or terms of another task.
    """
    action, record = contract.joint_action, contract.training.config
    arm = arms.load(robot or contract.robot)
    if arm.sha256 != contract.robot_sha256:
        raise FledgeError(
            f"the policy was trained for another arm than '{arm.name}' is now; give its file or train again"
        )
    task = record.get("task")
    if task not in PRESETS:
        known = ", ".join(PRESETS)
        raise FledgeError(f"the policy's training record names no task that exists ({task}); known: {known}")
    config = PRESETS[str(task)](arm)
    touch: Touch = "pooled" if any(term.name == "touch" for term in contract.observation) else "none"
    config = dataclasses.replace(
        config,
        touch=touch,
        history=contract.history_length,
        action=ArmAction(action.step, action.reach, _margin(contract, arm)),
        level=dict.fromkeys(config.task.coordinates, float(record.get("difficulty", 1.0))),
    )
    _check(contract, config)
    return config


def _margin(contract: Contract, arm: Arm) -> float:
    """Between the first joint's limit and the bound of its target [rad]."""
    joint = next((each for each in arm.joints if each.name == contract.joint_action.joints[0]), None)
    if joint is None:
        raise FledgeError(f"'{arm.name}' has no joint '{contract.joint_action.joints[0]}'; give the policy's arm")
    return contract.joint_action.lower[0] - joint.lower


def _check(contract: Contract, config: ArmConfig) -> None:
    rate = round(1 / config.period)
    if contract.native_rate != rate:
        raise FledgeError(f"the policy acts at {contract.native_rate} Hz, its task at {rate} Hz; train again")
    ours, theirs = ([(term.name, term.size) for term in each.observation] for each in (config, contract))
    joints = tuple(config.arm.joints[index].name for index in config.joints)
    if ours != theirs or joints != contract.joint_action.joints:
        raise FledgeError("the policy sees other terms, or moves other joints, than its task has; train again")
