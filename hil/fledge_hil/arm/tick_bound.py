"""Worst case of the arm's tick on the emulated Cortex-M4F: every path of arm_tick, with the policy's exact time in it.

Modelled (docs/timing.md), not measured on silicon.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fledge_export import wcet
from fledge_export.timing import Code
from fledge_sim.arm import Arm
from fledge_sim.contract import Contract

from fledge_hil.arm.board_build import compile_image
from fledge_hil.arm.table import arm_table
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


def arm_tick(source: Path, contract: Contract, arm: Arm) -> ControlTick:
    """Worst case of the firmware around the policy.c and policy.h in `source`. Raises as above, and BuildError."""
    with tempfile.TemporaryDirectory(dir=source, prefix=".tick-") as name:
        folder = Path(name)
        for file in ("policy.c", "policy.h"):
            shutil.copy(source / file, folder)
        (folder / "arm_table.h").write_text(arm_table(arm, contract.joint_action.sensed_joints))
        return arm_tick_bound(compile_image(folder, folder / "board.elf"))
