"""An arm's policy + firmware/arm -> the image of the emulated board and the same code as a host library."""

from __future__ import annotations

from pathlib import Path

from fledge_export.build import CrossCompiler, firmware_directory
from fledge_export.emit_c import emit
from fledge_sim.arm import Arm
from fledge_sim.arm_trained import arm_of
from fledge_sim.contract import ContractError
from fledge_sim.policy import Policy

from fledge_hil.arm.table import arm_table
from fledge_hil.board_cache import BoardFiles, Recipe, build

BOARD = "boards/cortex_m4_arm"
PLATFORM = "boards/cortex_m4"
"""Start-up and linker script are the quadrotor's board's."""
FOLDERS = ("arm", BOARD)


def build_arm_board(policy: Policy, directory: Path, arm: Arm | None = None) -> BoardFiles:
    """Emit, compile and link, or find what an earlier call left in `directory`.

    Args:
        policy: to be put on the board.
        directory: cache; one folder per distinct content.
        arm: default: the robot that the contract names.
    Raises:
        FledgeError: no arm is given, and that of the contract is not here.
        ContractError: a policy of another robot, or one that moves joints without sensing them.
        BuildError: no compiler, or it refuses the sources.
    """
    contract = policy.contract
    sensed = contract.joint_action.sensed_joints
    arm = arm or arm_of(contract)
    if arm.sha256 != contract.robot_sha256:
        raise ContractError(
            f"the policy was trained for arm '{contract.robot}', not for '{arm.name}': it is another one, or its file "
            "has changed; take the arm of the policy, or train for this one"
        )
    if not any(term.name.startswith("joint_") for term in contract.observation):
        raise ContractError("the policy senses no joint; the firmware moves none of which it does not know where it is")
    emitted = emit(policy)
    generated = {"policy.c": emitted.source, "policy.h": emitted.header, "arm_table.h": arm_table(arm, sensed)}
    return build(_recipe(), generated, directory)


def compile_image(folder: Path, out: Path, compiler: CrossCompiler = "zig") -> Path:
    """The board's image from the generated files in `folder`. Raises BuildError."""
    return _recipe().compile_image(folder, out, compiler)


def _recipe() -> Recipe:
    firmware = firmware_directory()
    sources = [path for folder in FOLDERS for path in (firmware / folder).glob("*.[ch]")]
    sources += [firmware / PLATFORM / name for name in ("startup.c", "memory.c")]
    sources += [firmware / "flight" / name for name in ("turn.c", "turn.h", "finite.h")]
    includes = (*(firmware / name for name in FOLDERS), firmware / "flight")
    return Recipe(tuple(sorted(sources)), includes, firmware / PLATFORM / "link.ld")
