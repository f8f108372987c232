"""A contract to begin with, for a model that moves an arm and was trained elsewhere."""

from __future__ import annotations

import dataclasses

from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm_config import TAXELS_POOLED, ArmConfig, Touch
from fledge_sim.contract import ArmEnvelope, Contract, GoalSemantics, NetworkShape, TrainingRecord
from fledge_sim.errors import FledgeError

HISTORY_MAX = 32
"""Past actions of an environment."""


def draft(width: int, robot: str, task: str, version: str) -> Contract:
    """The terms that fledge's own policies see, unscaled; what is over is touch, then past actions.

    Args:
        width: numbers that the model observes.
        robot: name of an arm, or a .toml file.
        task: in which the policy will be measured and calibrated.
        version: of this program, for the record.
    Raises:
        FledgeError: no such arm or task, or no contract of that width.
    """
    arm = arms.load(robot)
    config = _fitting(width, arm_presets.at_difficulty(arm, task, "none", 1.0), task)
    rate = round(1 / config.period)
    return Contract(
        robot=arm.name,
        robot_sha256=arm.sha256,
        device_type="",
        observation=config.observation,
        action=config.mapping,
        network=NetworkShape("mlp", (1,)),
        training=TrainingRecord("imported", 0, version, {"robot": robot, "task": task, "difficulty": 1.0}),
        native_rate=rate,
        inference_rate=rate,
        setpoint=GoalSemantics(),
        envelope=ArmEnvelope(),
    )


def _fitting(width: int, config: ArmConfig, task: str) -> ArmConfig:
    """With touch and past actions as the width says: of two readings the one with fewer past actions."""
    base, outputs = dataclasses.replace(config, history=0).senses_size, len(config.joints)
    kinds: tuple[Touch, ...] = ("pooled", "none") if config.task.holds else ("none",)
    for touch in kinds:
        history, over = divmod(width - base - (TAXELS_POOLED if touch == "pooled" else 0), outputs)
        if 0 <= history <= HISTORY_MAX and not over:
            return dataclasses.replace(config, touch=touch, history=history)
    touching = f", {TAXELS_POOLED} more with touch" if config.task.holds else ""
    raise FledgeError(
        f"the model observes {width} numbers, a drafted contract of {task} with {config.arm.name} {base}{touching} and "
        f"{outputs} for each past action; choose another --task, or write the contract by hand (docs/import.md)"
    )
