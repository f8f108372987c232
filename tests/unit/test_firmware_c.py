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


SOURCES = [
    *(FIRMWARE / "flight").glob("*.c"),
    *(FIRMWARE / "hil").glob("*.c"),
    *(FIRMWARE / "simulated").glob("*.c"),
    *(path for path in (FIRMWARE / "boards/cortex_m4").glob("*.c") if path.name not in IMAGE_ONLY),
]


@pytest.fixture(scope="module", params=["crazyflie", "crazyflie_paper"])
def flags(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Compiler and options, with the constants of a robot of either actuation."""
    compiler = host_compiler()
    sanitize = SANITIZE if len(compiler) == 1 else ONLY_UNDEFINED
    generated = tmp_path_factory.mktemp("robot")
    (generated / "robot.h").write_text(robot_header(robots.load(request.param)))
    folders = ("flight", "hil", "simulated", "../sim/native", "boards/cortex_m4", "test", "test/hand_policy")
    includes = [argument for folder in (*folders, generated) for argument in ("-I", str(FIRMWARE / folder))]
    return (*compiler, "-std=c11", *WARNINGS, *sanitize, "-g", "-O1", *includes)


@pytest.fixture(scope="module")
def objects(flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("objects")
    sources = [*SOURCES, FIRMWARE / "test/hand_policy/policy.c"]
    subprocess.run([*flags, "-c", *map(str, sources)], cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


@pytest.mark.parametrize("source", TESTS, ids=lambda path: path.stem)
def test_firmware_source(source: Path, flags: tuple[str, ...], objects: list[Path], tmp_path: Path) -> None:
    program = tmp_path / source.stem
    subprocess.run([*flags, str(source), *map(str, objects), "-lm", "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_source_has_a_test() -> None:
    tested = {path.stem.removeprefix("test_") for path in TESTS}
    # stock.c flies in tests/hil/test_board_stock.py, layout.c is compared in tests/hil/test_board.py
    assert {path.stem for path in SOURCES} - {"stock", "layout"} <= tested
