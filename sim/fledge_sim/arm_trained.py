"""From an arm's policy back to the arm and the environment it was trained in, by what its contract says of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm_config import ArmAction, Touch
from fledge_sim.errors import FledgeError
from fledge_sim.quantity import RobotError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import ArmConfig
    from fledge_sim.contract import Contract, ObservationTerm

BOUND_TOLERANCE = 1e-6
"""Of targets' bounds [rad]."""


def arm_of(contract: Contract, robot: str | None = None) -> Arm:
    """The arm that a policy was trained for, to the last number.

    Args:
        contract: of the policy.
        robot: name or file of the arm; default: the arm of the contract's name that ships with fledge, or the file that
            its training record names, whichever has the contract's checksum.
    Raises:
        FledgeError: no such arm, or it is another one.
    """
    contract.joint_action  # noqa: B018  (refuses a quadrotor's)
    if robot is not None:
        arm = arms.load(robot)
        require_arm(contract, arm)
        return arm
    found = []
    for name in _candidates(contract):
        try:
            arm = arms.load(name)
        except RobotError as error:
            found.append(str(error) if Path(name).exists() else f"{name} is not there")
            continue
        if arm.sha256 == contract.robot_sha256:
            return arm
        found.append(f"{name} is another arm now ({arm.sha256[:8]})")
    raise FledgeError(
        f"the policy was trained for another arm than is known here, '{contract.robot}' ({contract.robot_sha256[:8]}): "
        f"{'; '.join(found) or 'no arm of that name ships with fledge'}; give its file with --robot FILE.toml, "
        "or train again"
    )


def _candidates(contract: Contract) -> Iterator[str]:
    """Names and files under which the arm may be found."""
    if contract.robot in arms.names():
        yield contract.robot
    recorded = contract.training.config.get("robot")
    if isinstance(recorded, str) and recorded.endswith(".toml"):
        yield recorded


def require_arm(contract: Contract, arm: Arm) -> None:
    """Raise FledgeError unless it is the arm of the training, to the last number."""
    if arm.sha256 != contract.robot_sha256:
        raise FledgeError(
            f"the policy was trained for arm '{contract.robot}' ({contract.robot_sha256[:8]}), not for '{arm.name}' as "
            f"its file has it now ({arm.sha256[:8]}); give the file it was trained with, or train again"
        )


def feels(contract: Contract) -> bool:
    """Whether the policy has touch."""
    return any(term.name == "touch" for term in contract.observation)


def environment_of(contract: Contract, robot: str | None = None) -> ArmConfig:
    """What the policy was trained in, by its training record (`task`, `difficulty`) and its contract.

    Args:
        contract: of a policy that senses, no privileged one.
        robot: name or file of the arm; default: see arm_of.
    Raises:
        FledgeError: a quadrotor's policy, an arm that has changed, a record without a task, or terms of another task.
    """
    config = worlds_like(contract, robot)
    require_fit(contract, config, config.observation)
    return config


def worlds_like(contract: Contract, robot: str | None = None, difficulty: float | None = None) -> ArmConfig:
    """As environment_of, for an expert's policy too, and before anybody has looked whether rate and terms fit.

    Args:
        contract: of the policy.
        robot: name or file of the arm; default: see arm_of.
        difficulty: of every coordinate of the task; default: that of the training.
    """
    action, record = contract.joint_action, contract.training.config
    arm = arm_of(contract, robot)
    task = record.get("task")
    if task not in arm_presets.TASKS:
        known = ", ".join(arm_presets.TASKS)
        raise FledgeError(f"the policy's training record names no task that exists ({task}); known: {known}")
    touch: Touch = "pooled" if feels(contract) else "none"
    level = float(record.get("difficulty", 1.0)) if difficulty is None else difficulty
    return dataclasses.replace(
        arm_presets.at_difficulty(arm, task, touch, level),
        history=contract.history_length,
        action=ArmAction(action.step, action.reach, _margin(contract, arm)),
        privileged_actor=any(term.name == "truth" for term in contract.observation),
    )


def _margin(contract: Contract, arm: Arm) -> float:
    """Between the first joint's limit and the bound of its target [rad]."""
    joint = next((each for each in arm.joints if each.name == contract.joint_action.joints[0]), None)
    if joint is None:
        raise FledgeError(f"'{arm.name}' has no joint '{contract.joint_action.joints[0]}'; give the policy's arm")
    return round(contract.joint_action.lower[0] - joint.lower, 9)


def require_fit(contract: Contract, config: ArmConfig, terms: Sequence[ObservationTerm]) -> None:
    """Raise FledgeError unless rate, observation, joints and bounds of a policy are those of its worlds.

    Args:
        contract: of the policy.
        config: the worlds.
        terms: what they show.
    """
    rate, action = round(1 / config.period), contract.joint_action
    if contract.native_rate != rate:
        raise FledgeError(f"the policy acts at {contract.native_rate} Hz, its task at {rate} Hz; train again")
    ours, theirs = ([(term.name, term.size) for term in each] for each in (terms, contract.observation))
    joints = tuple(config.arm.joints[index].name for index in config.joints)
    if ours != theirs or joints != action.joints:
        raise FledgeError("the policy sees other terms, or moves other joints, than its task has; train again")
    for index, low, high in zip(config.joints, action.lower, action.upper, strict=True):
        joint = config.arm.joints[index]
        margins = (low - joint.lower, joint.upper - high)
        if any(abs(margin - config.action.margin) > BOUND_TOLERANCE for margin in margins):
            raise FledgeError(
                f"the policy's targets of {joint.name} end {margins[0]:.4g} and {margins[1]:.4g} rad inside the arm's "
                f"limits, those of the other joints {config.action.margin:.4g}; the simulator has one margin"
            )
