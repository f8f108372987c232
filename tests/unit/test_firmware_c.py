"""Runs firmware/test: one small C program per source file, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fledge_export.build import WARNINGS, host_compiler
from fledge_export.robot_header import robot_header
from fledge_hil.board_build import IMAGE_ONLY
from fledge_sim import robot as robots

FIRMWARE = Path(__file__).parents[2] / "firmware"
TESTS = sorted((FIRMWARE / "test").glob("test_*.c"))
SANITIZE = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
ONLY_UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
"""zig as the host's compiler brings no address sanitizer."""
ROBOTS = ("crazyflie", "crazyflie_paper")
"""Of either actuation."""
SAME_FOR_ALL = [path for folder in ("flight", "hil") for path in (FIRMWARE / folder).glob("*.c")]
BOARD = [
    *(FIRMWARE / "simulated").glob("*.c"),
    *(path for path in (FIRMWARE / "boards/cortex_m4").glob("*.c") if path.name not in IMAGE_ONLY),
]
"""Built around robot.h."""
CASES = [
    (robot, source)
    for robot in ROBOTS
    for source in TESTS
    if robot == ROBOTS[0] or source.stem.removeprefix("test_") in {path.stem for path in BOARD}
]


@pytest.fixture(scope="module")
def flags() -> tuple[str, ...]:
    """Compiler and options."""
    compiler = host_compiler()
    sanitize = SANITIZE if len(compiler) == 1 else ONLY_UNDEFINED
    folders = ("flight", "hil", "simulated", "../sim/native", "boards/cortex_m4", "test", "test/hand_policy")
    return (*compiler, "-std=c11", *WARNINGS, *sanitize, "-g", "-O1", *(f"-I{FIRMWARE / name}" for name in folders))


@pytest.fixture(scope="module")
def same_for_all(flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Objects that know no robot."""
    folder = tmp_path_factory.mktemp("objects")
    sources = [*SAME_FOR_ALL, FIRMWARE / "test/hand_policy/policy.c"]
    subprocess.run([*flags, "-c", *map(str, sources)], cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


@pytest.fixture(scope="module")
def built(
    flags: tuple[str, ...], same_for_all: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, ...]]:
    """By robot: flags, and all objects, with its constants."""
    commands = {}
    for robot in ROBOTS:
        folder = tmp_path_factory.mktemp(robot)
        (folder / "robot.h").write_text(robot_header(robots.load(robot)))
        subprocess.run([*flags, f"-I{folder}", "-c", *map(str, BOARD)], cwd=folder, check=True)
        commands[robot] = (*flags, f"-I{folder}", *map(str, (*same_for_all, *sorted(folder.glob("*.o")))))
    return commands


@pytest.mark.parametrize(("robot", "source"), CASES, ids=[f"{robot}-{source.stem}" for robot, source in CASES])
def test_firmware_source(robot: str, source: Path, built: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    program = tmp_path / source.stem
    subprocess.run([*built[robot], str(source), "-lm", "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_source_has_a_test() -> None:
    tested = {path.stem.removeprefix("test_") for path in TESTS}
    # stock.c flies in tests/hil/test_board_stock.py, layout.c is compared in tests/hil/test_board.py
    assert {path.stem for path in (*SAME_FOR_ALL, *BOARD)} - {"stock", "layout"} <= tested


def test_flight_and_injection_know_no_robot() -> None:
    """Else they would have to be built and tried with each."""
    files = [path for folder in ("flight", "hil") for path in (FIRMWARE / folder).glob("*.[ch]")]
    assert files
    assert not [path.name for path in files if "robot.h" in path.read_text() or "ROBOT_" in path.read_text()]
