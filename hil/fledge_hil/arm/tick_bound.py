"""Worst case of the arm's tick on the emulated Cortex-M4F: every path of arm_tick, with the policy's exact time in it.

Modelled (docs/timing.md), not measured on silicon.
"""

from __future__ import annotations

from pathlib import Path

from fledge_export import wcet
from fledge_export.timing import Code

from fledge_hil.control_tick import ControlTick, PolicyMemory, policy_time
from fledge_hil.mcu import Mcu

TICK = "arm_tick"
"""Bus, kinematics, guards, policy, targets; not the mailbox of the emulated board."""
MEMORY = PolicyMemory(output="arm_board_output", kept="arm_board_state")


def arm_tick_bound(elf: Path) -> ControlTick:
    """Of an image of fledge_hil.arm.board_build.build_arm_board.

    Raises:
        TaintError: the time of the policy depends on data.
        WcetError, ControlFlowError, TimingError, ImageError: see fledge_export.wcet.worst_case.
    """
    name, policy = policy_time(Mcu(elf), Code(elf), MEMORY)
    return ControlTick(wcet.worst_case(elf, TICK, {name: policy}, None, ("memory",) * 4), policy)
