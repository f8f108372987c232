"""Runs firmware/test/arm: a C program per source file of the arm, and the fuzzer's short run, under the sanitizers.

Where clang is installed, a long run of the fuzzer, guided by coverage: python tests/unit/test_arm_firmware.py [SECONDS]
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fledge_export.build import EXACT, WARNINGS, compile_host, host_compiler
from fledge_hil.arm.table import arm_table
from fledge_sim import arm as arms
from fledge_sim import arm_kinematics

FIRMWARE = Path(__file__).parents[2] / "firmware"
SOURCES = [*sorted((FIRMWARE / "arm").glob("*.c")), FIRMWARE / "flight/turn.c"]
TEST = FIRMWARE / "test/arm"
HAND = TEST / "hand_policy"
TESTS = sorted(TEST.glob("test_*.c"))
SANITIZE = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
ONLY_UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
"""zig as the host's compiler brings no address sanitizer."""
ARM = arms.load("so101")
TICKS = 150_000


def flags(folder: Path, *options: str) -> tuple[str, ...]:
    """Of a compiler, with the table of the SO-101 in `folder`; the hand policy senses five of its joints."""
    (folder / "arm_table.h").write_text(arm_table(ARM, [joint.name for joint in ARM.chain]))
    includes = [f"-I{path}" for path in (FIRMWARE / "arm", FIRMWARE / "flight", TEST, HAND, folder)]
    return ("-std=c11", *WARNINGS, *options, "-g", *includes)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The compiler and its flags."""
    compiler = host_compiler()
    sanitize = SANITIZE if len(compiler) == 1 else ONLY_UNDEFINED
    return (*compiler, *flags(tmp_path_factory.mktemp("table"), *sanitize, "-O1"))


@pytest.fixture(scope="module")
def objects(command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("objects")
    subprocess.run([*command, "-c", *map(str, (*SOURCES, HAND / "policy.c"))], cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


def run(command: tuple[str, ...], source: Path, objects: list[Path], folder: Path, *arguments: str) -> None:
    program = folder / source.stem
    subprocess.run([*command, str(source), *map(str, objects), "-lm", "-o", str(program)], check=True)
    result = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("source", TESTS, ids=lambda path: path.stem)
def test_firmware_source(source: Path, command: tuple[str, ...], objects: list[Path], tmp_path: Path) -> None:
    run(command, source, objects, tmp_path)


def test_every_source_has_a_test() -> None:
    assert {path.stem for path in (FIRMWARE / "arm").glob("*.c")} <= {path.stem.removeprefix("test_") for path in TESTS}


def test_nothing_that_comes_in_breaks_it(command: tuple[str, ...], objects: list[Path], tmp_path: Path) -> None:
    run(command, TEST / "fuzz_arm.c", objects, tmp_path, "1", str(TICKS))


@pytest.mark.parametrize("name", arms.names())
def test_kinematics_are_those_of_the_readable_text(name: str, tmp_path: Path) -> None:
    """Within 1e-6 m over the arm's whole range."""
    arm = arms.load(name)
    (tmp_path / "arm_table.h").write_text(arm_table(arm, [joint.name for joint in arm.chain]))
    sources = [FIRMWARE / "arm/kinematics.c", FIRMWARE / "flight/turn.c"]
    library = compile_host(sources, [tmp_path, FIRMWARE / "arm", FIRMWARE / "flight"], tmp_path / "kinematics.so")
    tip_of = ctypes.CDLL(str(library)).kinematics_tip
    joints = np.random.default_rng(0).uniform(arm.lower, arm.upper, (500, len(arm.joints))).astype(np.float32)
    tips = np.empty((len(joints), 3), np.float32)
    for q, tip in zip(joints, tips, strict=True):
        tip_of(q.ctypes.data_as(ctypes.c_void_p), tip.ctypes.data_as(ctypes.c_void_p))
    expected, _ = arm_kinematics.forward(arm, joints.astype(np.float64))
    assert np.abs(tips - expected).max() < 1e-6
    assert np.ptp(expected, axis=0).min() > 0.3


def main() -> None:
    """A long run of the fuzzer."""
    options = (*EXACT, "-DFLEDGE_LIBFUZZER", "-fsanitize=fuzzer,address,undefined,float-cast-overflow", SANITIZE[1])
    with tempfile.TemporaryDirectory() as name:
        folder, program = Path(name), Path(name) / "fuzz"
        sources = [*SOURCES, HAND / "policy.c", TEST / "fuzz_arm.c"]
        subprocess.run(["clang", *flags(folder, *options), *map(str, sources), "-lm", "-o", str(program)], check=True)
        (folder / "corpus").mkdir()
        seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
        subprocess.run([program, f"-max_total_time={seconds}", "-max_len=2048", folder / "corpus"], check=True)


if __name__ == "__main__":
    main()
