"""Policy + firmware sources -> the image of the emulated board and the same code as a host library.

Products are kept by a hash of everything that went into them, so a second build of the same policy is a look-up.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fledge_export.build import (
    BuildError,
    CrossCompiler,
    compile_cortex_m4f,
    compile_host,
    firmware_directory,
    host_compiler,
    physics_directory,
)
from fledge_export.emit_c import emit
from fledge_export.robot_header import robot_header
from fledge_sim import robot as robots
from fledge_sim.contract import ContractError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot

BOARD = "boards/cortex_m4"
FOLDERS = ("flight", "hil", "simulated", BOARD)
"""Of the firmware's sources."""
IMAGE_ONLY = ("main.c", "memory.c", "startup.c")
"""Sources that exist only on the microcontroller."""


@dataclass(frozen=True)
class BoardFiles:
    """What build_board made."""

    elf: Path
    """Cortex-M4F image, for EmulatedBoard."""
    library: Path
    """Shared library, for HostBoard."""


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
    folder = directory / f"board-{_content_hash(generated)}"
    files = BoardFiles(folder / "board.elf", folder / "board.so")
    if not (files.elf.exists() and files.library.exists()):
        try:
            _build(generated, folder)
        except OSError as error:
            raise BuildError(f"cannot write {folder}: {error.strerror or error}; choose another place") from error
    return files


def _sources() -> list[Path]:
    firmware = firmware_directory()
    headers = physics_directory().glob("*.h")
    return sorted(
        [
            *(path for folder in FOLDERS for path in (firmware / folder).glob("*.[ch]")),
            firmware / BOARD / "link.ld",
            *headers,
        ]
    )


def _content_hash(generated: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.name.encode() + path.read_bytes())
    for name in sorted(generated):
        digest.update(name.encode() + generated[name].encode())
    tools = (*host_compiler(), _zig_version(), platform.machine(), platform.system())
    digest.update(" ".join(tools).encode())
    return digest.hexdigest()[:16]


def _zig_version() -> str:
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError as error:
        raise BuildError("the compiler for the microcontroller is missing; `pip install ziglang` brings it") from error


def _build(generated: Mapping[str, str], folder: Path) -> None:
    """Build beside `folder` and rename, so that nobody sees a half-built one; a racing builder's result is as good."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".board-") as name:
        scratch = Path(name) / "board"
        scratch.mkdir()
        for file, text in generated.items():
            write_atomically(scratch / file, text)
        compile_image(scratch, scratch / "board.elf")
        _compile_library(scratch)
        try:
            os.replace(scratch, folder)
        except OSError:
            if not (folder / "board.elf").exists():
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(scratch, folder)


def compile_image(folder: Path, out: Path, compiler: CrossCompiler = "zig") -> Path:
    """The board's image from the generated files in `folder`. Raises BuildError."""
    script = firmware_directory() / BOARD / "link.ld"
    return compile_cortex_m4f(_image_sources(folder), _includes(folder), script, out, compiler=compiler)


def _compile_library(folder: Path) -> None:
    library = [path for path in _image_sources(folder) if path.name not in IMAGE_ONLY]
    compile_host(library, _includes(folder), folder / "board.so")


def _image_sources(folder: Path) -> list[Path]:
    return [path for path in _sources() if path.suffix == ".c"] + [folder / "policy.c"]


def _includes(folder: Path) -> list[Path]:
    firmware = firmware_directory()
    return [*(firmware / name for name in FOLDERS), physics_directory(), folder]
