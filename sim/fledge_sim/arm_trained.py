"""From an arm's policy back to the environment it was trained in: for calibration, and to see what a format costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm_config import ArmAction, Touch
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import ArmConfig
    from fledge_sim.contract import Contract, ObservationTerm


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
    require_arm(contract, arm)
    task = record.get("task")
    if task not in arm_presets.TASKS:
        known = ", ".join(arm_presets.TASKS)
        raise FledgeError(f"the policy's training record names no task that exists ({task}); known: {known}")
    touch: Touch = "pooled" if any(term.name == "touch" for term in contract.observation) else "none"
    config = dataclasses.replace(
        arm_presets.at_difficulty(arm, task, touch, float(record.get("difficulty", 1.0))),
        history=contract.history_length,
        action=ArmAction(action.step, action.reach, _margin(contract, arm)),
    )
    require_fit(contract, config, config.observation)
    return config


def _margin(contract: Contract, arm: Arm) -> float:
    """Between the first joint's limit and the bound of its target [rad]."""
    joint = next((each for each in arm.joints if each.name == contract.joint_action.joints[0]), None)
    if joint is None:
        raise FledgeError(f"'{arm.name}' has no joint '{contract.joint_action.joints[0]}'; give the policy's arm")
    return contract.joint_action.lower[0] - joint.lower


def require_arm(contract: Contract, arm: Arm) -> None:
    """Raise FledgeError unless it is the arm of the training, to the last number."""
    if arm.sha256 != contract.robot_sha256:
        raise FledgeError(
            f"the policy was trained for another arm than '{arm.name}' is now; give its file or train again"
        )


def require_fit(contract: Contract, config: ArmConfig, terms: Sequence[ObservationTerm]) -> None:
    """Raise FledgeError unless rate, observation and joints of a policy are those of its worlds.

    Args:
        contract: of the policy.
        config: the worlds.
        terms: what they show.
    """
    rate = round(1 / config.period)
    if contract.native_rate != rate:
        raise FledgeError(f"the policy acts at {contract.native_rate} Hz, its task at {rate} Hz; train again")
    ours, theirs = ([(term.name, term.size) for term in each] for each in (terms, contract.observation))
    joints = tuple(config.arm.joints[index].name for index in config.joints)
    if ours != theirs or joints != contract.joint_action.joints:
        raise FledgeError("the policy sees other terms, or moves other joints, than its task has; train again")
