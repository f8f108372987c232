"""The arm's tasks: each a complete environment; variants come from dataclasses.replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_reach import ReachTask

if TYPE_CHECKING:
    from fledge_sim.arm import Arm


def reach(arm: Arm) -> ArmConfig:
    """Bring the tip to a point in front, 50 times a second, and keep it there for what is left of three seconds."""
    return ArmConfig(arm, ReachTask())
