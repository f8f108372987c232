"""Policy + firmware sources -> the image of the emulated board and the same code as a host library."""

from __future__ import annotations

from pathlib import Path

from fledge_export.build import CrossCompiler, firmware_directory, physics_directory
from fledge_export.emit_c import emit
from fledge_export.robot_header import robot_header
from fledge_sim import robot as robots
from fledge_sim.contract import ContractError
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot

from fledge_hil.board_cache import IMAGE_ONLY, BoardFiles, Recipe, build

__all__ = ["BOARD", "FOLDERS", "IMAGE_ONLY", "BoardFiles", "build_board", "compile_image"]

BOARD = "boards/cortex_m4"
FOLDERS = ("flight", "hil", "simulated", BOARD)
"""Of the firmware's sources."""


def build_board(policy: Policy, directory: Path, robot: Robot | None = None) -> BoardFiles:
    """Emit, compile and link, or find what an earlier call left in `directory`.

    Args:
        policy: to be put on the board.
        directory: cache; one folder per distinct content.
        robot: for the stock controller's constants; default: the robot that the contract names.
    Raises:
        ContractError: the policy was trained for other physics than this robot's file says.
        BuildError: no compiler, or it refuses the sources.
    """
    robot = robot or robots.load(policy.contract.robot)
    if robot.sha256 != policy.contract.robot_sha256:
        raise ContractError(
            f"the policy was trained for robot '{policy.contract.robot}', not for '{robot.name}': it is another "
            "one, or its file has changed; take the robot of the policy, or train for this one"
        )
    emitted = emit(policy)
    generated = {"policy.c": emitted.source, "policy.h": emitted.header, "robot.h": robot_header(robot)}
    return build(_recipe(), generated, directory)


def compile_image(folder: Path, out: Path, compiler: CrossCompiler = "zig") -> Path:
    """The board's image from the generated files in `folder`. Raises BuildError."""
    return _recipe().compile_image(folder, out, compiler)


def _recipe() -> Recipe:
    firmware, physics = firmware_directory(), physics_directory()
    sources = [path for folder in FOLDERS for path in (firmware / folder).glob("*.[ch]")]
    includes = [*(firmware / name for name in FOLDERS), physics]
    return Recipe(tuple(sorted([*sources, *physics.glob("*.h")])), tuple(includes), firmware / BOARD / "link.ld")
