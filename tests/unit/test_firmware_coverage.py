"""How much of firmware/flight its own C tests execute: lines and branches, counted by gcov.

python tests/unit/test_firmware_coverage.py     prints a row per file, and what is missing
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
FLIGHT = FIRMWARE / "flight"
LEAST = 0.95
"""Share of lines, and of branches."""


@dataclass(frozen=True)
class Coverage:
    """Of one file."""

    lines: int
    lines_run: int
    branches: int
    branches_taken: int
    missing: tuple[int, ...]
    """Lines that were not run, or of which a branch was not taken."""


def why_not() -> str:
    """Why nothing can be counted here; empty if it can."""
    if not (shutil.which("gcc") and shutil.which("gcov")):
        return "coverage needs gcc and gcov, which are not installed"
    return ""


def measure(folder: Path) -> dict[str, Coverage]:
    """Build in `folder`, run every test of firmware/test whose sources are in firmware/flight, count."""
    includes = [f"-I{path}" for path in (FLIGHT, FIRMWARE / "test", FIRMWARE / "test/hand_policy")]
    command = ["gcc", "-std=c11", "-O0", *includes]
    sources = sorted(FLIGHT.glob("*.c"))
    subprocess.run([*command, "--coverage", "-c", *map(str, sources)], cwd=folder, check=True)
    objects = [f"{source.stem}.o" for source in sources]
    policy = str(FIRMWARE / "test/hand_policy/policy.c")
    for test in (FIRMWARE / "test" / f"test_{source.stem}.c" for source in sources):
        program = [*command, "--coverage", str(test), policy, *objects, "-lm", "-o", test.stem]
        subprocess.run(program, cwd=folder, check=True)
        subprocess.run([f"./{test.stem}"], cwd=folder, check=True, timeout=60)
    counted = ["gcov", "--json-format", "--stdout", "--branch-probabilities", *objects]
    text = subprocess.run(counted, cwd=folder, check=True, capture_output=True, text=True).stdout
    found = [json.loads(line)["files"] for line in text.splitlines() if line.strip()]
    files = {Path(file["file"]): file["lines"] for files in found for file in files}
    return {path.name: _coverage(lines) for path, lines in files.items() if path.parent == FLIGHT}


def _coverage(lines: list[dict[str, Any]]) -> Coverage:
    branches = [bool(branch["count"]) for line in lines for branch in line["branches"]]
    whole = [line["count"] and all(branch["count"] for branch in line["branches"]) for line in lines]
    missing = {line["line_number"] for line, is_whole in zip(lines, whole, strict=True) if not is_whole}
    run = sum(bool(line["count"]) for line in lines)
    return Coverage(len(lines), run, len(branches), sum(branches), tuple(sorted(missing)))


def share(found: dict[str, Coverage]) -> tuple[float, float]:
    """Of lines and of branches."""
    every = found.values()
    lines = sum(file.lines_run for file in every) / sum(file.lines for file in every)
    return lines, sum(file.branches_taken for file in every) / sum(file.branches for file in every)


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")
def test_flight_code_is_covered_by_its_own_tests(tmp_path: Path) -> None:
    found = measure(tmp_path)
    assert {path.name for path in FLIGHT.glob("*.c")} <= set(found)
    lines, branches = share(found)
    assert min(lines, branches) >= LEAST, {name: file.missing for name, file in found.items() if file.missing}


def main() -> None:
    """Print what was found."""
    if why_not():
        print(why_not())
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    for name, file in sorted(found.items()):
        missing = f"   missing at {', '.join(map(str, file.missing))}" if file.missing else ""
        lines, branches = (f"{file.lines_run}/{file.lines}", f"{file.branches_taken}/{file.branches}")
        print(f"{name:16} {lines:>9} lines {branches:>9} branches{missing}")
    lines, branches = share(found)
    print(f"firmware/flight: {lines:.1%} of lines, {branches:.1%} of branches")


if __name__ == "__main__":
    main()
