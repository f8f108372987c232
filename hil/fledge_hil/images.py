"""Every firmware image that this machine's tools can build, with its size, stack and worst tick: `make firmware`.

An image needs the policy's shape, not its training, so untrained weights of the default network stand in when no
policy is given. What cannot be built is named with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from elftools.elf.elffile import ELFFile
from fledge_export.build import ARM_GCC, BuildError, firmware_directory
from fledge_export.image import FLASH, FLASH_SIZE, RAM, RAM_SIZE
from fledge_export.package import export
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

from fledge_hil.app_tick import NORMAL, app_tick
from fledge_hil.board_build import build_board, compile_image
from fledge_hil.control_tick import BOARD_TICK, ControlTick, control_tick

PLATFORMS = {"crazyflie": "cf2", "crazyflie_thrust_upgrade": "cf2", "crazyflie_brushless": "cf21bl"}
"""Robots that the Crazyflie app is built for, and the firmware's platform."""
CRAZYFLIE_TIMEOUT = 1800
"""[s], for a first build of the whole firmware."""


@dataclass(frozen=True)
class Built:
    """One image."""

    name: str
    flash: int
    """[bytes]"""
    ram: int
    """Static [bytes]"""
    tick: ControlTick
    """Of a whole millisecond, the platform's own controller included."""


@dataclass(frozen=True)
class Skipped:
    """An image that was not built."""

    name: str
    reason: str


def images(policy: Policy | None, directory: Path) -> Iterator[Built | Skipped]:
    """Build one after the other.

    Args:
        policy: to put on board; default: untrained, of the default shape.
        directory: where images are kept; a second call is quick.
    Raises:
        BuildError: a compiler refuses the sources.
    """
    on_board = policy or untrained("crazyflie")
    files = build_board(on_board, directory)
    yield _built("emulated board, clang", files.elf, control_tick(files.elf, BOARD_TICK))
    if shutil.which(ARM_GCC) is None:
        yield Skipped("emulated board, gcc", f"{ARM_GCC} is not installed")
    else:
        elf = compile_image(files.elf.parent, directory / "board-gcc.elf", "gcc")
        yield _built("emulated board, gcc", elf, control_tick(elf, BOARD_TICK))
    for robot in PLATFORMS:
        yield _crazyflie(policy, robot, directory)


def untrained(robot: str) -> Policy:
    """The default network with the weights that a training starts from."""
    contract = contract_of(robots.load(robot), ActorConfig(), SensorConfig(), TrainingRecord("none", 0, "untrained"))
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


def table(rows: list[Built | Skipped]) -> str:
    """For a terminal; times are modelled, not measured on silicon."""
    head = f"{'image':<36}{'flash':>10}{'RAM':>9}{'stack':>7}   worst tick [us], lower/nominal/upper"
    lines = [head, "-" * len(head)]
    for row in rows:
        if isinstance(row, Skipped):
            lines.append(f"{row.name:<36}skipped: {row.reason}")
            continue
        lower, nominal, upper = row.tick.microseconds
        times = f"{lower:.0f} / {nominal:.0f} / {upper:.0f}"
        lines.append(f"{row.name:<36}{row.flash:>10}{row.ram:>9}{row.tick.worst.stack:>7}   {times}")
    return "\n".join([*lines, "bytes; bounds over all paths at 168 MHz, modelled, not measured on silicon"])


def _crazyflie(policy: Policy | None, robot: str, directory: Path) -> Built | Skipped:
    name = f"{PLATFORMS[robot]}, {robot}"
    reason = cannot_build_app()
    if reason:
        return Skipped(name, reason)
    if policy is not None and policy.contract.robot != robot:
        return Skipped(name, f"the policy was trained for {policy.contract.robot}")
    elf = build_app(policy or untrained(robot), robot, directory)
    return _built(name, elf, app_tick(elf, (NORMAL,))[NORMAL])


def cannot_build_app() -> str:
    """What is missing for the Crazyflie app; empty: nothing."""
    if not os.environ.get("CRAZYFLIE_BASE", ""):
        return "CRAZYFLIE_BASE names no checkout of crazyflie-firmware"
    return "" if shutil.which(ARM_GCC) else f"{ARM_GCC} is not installed"


def build_app(policy: Policy, robot: str, directory: Path) -> Path:
    """The Crazyflie app with a policy on board: its .elf, and a .bin beside it. Raises BuildError."""
    reason = cannot_build_app()
    if reason or robot not in PLATFORMS:
        why = reason or f"it is not known on which platform {robot} flies"
        raise BuildError(f"the image for a real drone cannot be built: {why}; see firmware/boards/crazyflie/README.md")
    platform, source = PLATFORMS[robot], directory / f"export-{robot}"
    export(policy, source)
    command = ["make", f"CRAZYFLIE_BASE={Path(os.environ['CRAZYFLIE_BASE']).resolve()}", f"POLICY={source.resolve()}"]
    command.append(f"BUILD={directory.resolve()}")
    app = firmware_directory() / "boards" / "crazyflie"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    done = subprocess.run(
        command, cwd=app, env=environment, capture_output=True, text=True, check=False, timeout=CRAZYFLIE_TIMEOUT
    )
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "warning:" in line or "error:" in line]
    if done.returncode or warnings:
        raise BuildError(f"{platform}, {robot} does not build cleanly: {(warnings or [done.stderr[-200:]])[0]}")
    return directory / robot / "build" / f"{platform}.elf"


def _built(name: str, elf: Path, tick: ControlTick) -> Built:
    with elf.open("rb") as stream:
        image: Any = ELFFile(stream)
        segments = [each.header for each in image.iter_segments() if each["p_type"] == "PT_LOAD"]
    flash = sum(each.p_filesz for each in segments if FLASH <= each.p_paddr < FLASH + FLASH_SIZE)
    ram = sum(each.p_memsz for each in segments if RAM <= each.p_vaddr < RAM + RAM_SIZE)
    return Built(name, flash, ram, tick)


def main(policy: Path | None = None, directory: Path = Path("build/firmware")) -> None:
    """Build every firmware image that the tools of this machine allow, and print a table.

    Args:
        policy: file of a trained policy; default: untrained weights of the default network.
        directory: where images are kept.
    """
    directory.mkdir(parents=True, exist_ok=True)
    print(table(list(images(policies.load(policy) if policy else None, directory))))


if __name__ == "__main__":
    tyro.cli(main)
