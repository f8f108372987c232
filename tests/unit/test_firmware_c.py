"""Runs firmware/test: one small C program per source file, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fledge_export.build import WARNINGS, host_compiler

FIRMWARE = Path(__file__).parents[2] / "firmware"
TESTS = sorted((FIRMWARE / "test").glob("test_*.c"))
SANITIZE = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
ONLY_UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
"""zig as the host's compiler brings no address sanitizer."""


@pytest.fixture(scope="module")
def flags() -> tuple[str, ...]:
    compiler = host_compiler()
    sanitize = SANITIZE if len(compiler) == 1 else ONLY_UNDEFINED
    folders = ("flight", "test", "test/hand_policy")
    includes = [argument for folder in folders for argument in ("-I", str(FIRMWARE / folder))]
    return (*compiler[:1], *compiler[1:3], "-std=c11", *WARNINGS, *sanitize, "-g", "-O1", *includes)


@pytest.fixture(scope="module")
def objects(flags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("objects")
    sources = [*(FIRMWARE / "flight").glob("*.c"), FIRMWARE / "test/hand_policy/policy.c"]
    subprocess.run([*flags, "-c", *map(str, sources)], cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


@pytest.mark.parametrize("source", TESTS, ids=lambda path: path.stem)
def test_firmware_source(source: Path, flags: tuple[str, ...], objects: list[Path], tmp_path: Path) -> None:
    program = tmp_path / source.stem
    subprocess.run([*flags, str(source), *map(str, objects), "-lm", "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_flight_source_has_a_test() -> None:
    tested = {path.stem.removeprefix("test_") for path in TESTS}
    assert {path.stem for path in (FIRMWARE / "flight").glob("*.c")} <= tested
