"""The arm's tasks: each a complete environment; variants come from dataclasses.replace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fledge_sim.arm_config import ArmConfig, Touch
from fledge_sim.arm_insertion import InsertionTask
from fledge_sim.arm_placement import PlacementTask
from fledge_sim.arm_push import PushTask
from fledge_sim.arm_reach import ReachTask
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm

CONTACT_PERIOD, CONTACT_SUBSTEPS = 0.04, 16
"""Time between observations in tasks with contact [s], and physics steps of 2.5 ms in it; with 4 ms a peg that is
pressed beside the hole slides into it twice as often as with 1 ms."""


def reach(arm: Arm) -> ArmConfig:
    """Bring the tip to a point in front, 50 times a second, and keep it there for what is left of three seconds."""
    return ArmConfig(arm, ReachTask())


def insertion(arm: Arm) -> ArmConfig:
    """Put a peg into a hole, 25 times a second, within five seconds."""
    return ArmConfig(arm, InsertionTask(), CONTACT_PERIOD, CONTACT_SUBSTEPS, 125)


def loose_insertion(arm: Arm) -> ArmConfig:
    """The same with a peg that was gripped half as far again from where it should be, in side and tilt.

    A hand without touch knows nothing of either; a tilt of a quarter radian is what the wrist can undo.
    """
    config = insertion(arm)
    task = InsertionTask(lateral_error=0.0045, tilt_error=0.22)
    return dataclasses.replace(config, task=task)


def placement(arm: Arm) -> ArmConfig:
    """Stand a peg upright on a place of the table and let go of it, 25 times a second, within five seconds."""
    return ArmConfig(arm, PlacementTask(), CONTACT_PERIOD, CONTACT_SUBSTEPS, 125)


def push(arm: Arm) -> ArmConfig:
    """Push a block over the table to a place, 25 times a second, within six seconds."""
    return ArmConfig(arm, PushTask(), CONTACT_PERIOD, CONTACT_SUBSTEPS, 150)


TASKS: Mapping[str, Callable[[Arm], ArmConfig]] = {
    "reach": reach,
    "insertion": insertion,
    "loose_insertion": loose_insertion,
    "placement": placement,
    "push": push,
}
"""By name."""


def at_difficulty(arm: Arm, task: object, touch: Touch, difficulty: float) -> ArmConfig:
    """A task with all coordinates of its curriculum at one level. Raises FledgeError naming the tasks that exist."""
    if task not in TASKS:
        raise FledgeError(f"no task '{task}' for an arm; known: {', '.join(TASKS)}")
    config = TASKS[str(task)](arm)
    return dataclasses.replace(config, touch=touch, level=dict.fromkeys(config.task.coordinates, difficulty))
