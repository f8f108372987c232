"""A wrong sign, a swapped motor, a limit that is off: put into firmware/flight, each is caught by a C test."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from fledge_export.build import host_compiler

FIRMWARE = Path(__file__).parents[2] / "firmware"
FLIGHT, TEST = FIRMWARE / "flight", FIRMWARE / "test"


@dataclass(frozen=True)
class Mutant:
    """One change."""

    name: str
    file: str
    old: str
    new: str
    killer: str
    """Test that fails with it, firmware/test/test_*.c."""


MUTANTS = (
    Mutant(
        "position error with the wrong sign",
        "observe.c",
        "sensed_world[i] - commanded_world[i]",
        "commanded_world[i] - sensed_world[i]",
        "observe",
    ),
    Mutant(
        "look-ahead with the wrong sign",
        "observe.c",
        "ahead[3 * k + i] - sensed_world[i]",
        "sensed_world[i] - ahead[3 * k + i]",
        "observe",
    ),
    Mutant(
        "heading turned the wrong way",
        "rotation.h",
        "heading.cosine * x + heading.sine * y",
        "heading.cosine * x - heading.sine * y",
        "observe",
    ),
    Mutant("rotation transposed", "rotation.c", "r[1] = s * (x * y - w * z)", "r[1] = s * (x * y + w * z)", "rotation"),
    Mutant(
        "gyro mirrored", "observe.c", "input->gyro_deg_s[i] * RADIANS", "-input->gyro_deg_s[i] * RADIANS", "observe"
    ),
    Mutant("gyro axes swapped", "observe.c", "= input->gyro_deg_s[i] *", "= input->gyro_deg_s[2 - i] *", "observe"),
    Mutant("two motors swapped", "act.c", "half * action[i],", "half * action[i ^ 1],", "act"),
    Mutant("thrust inverted", "act.c", "half + half * action[i]", "half - half * action[i]", "act"),
    Mutant(
        "history starts at zero", "executor.c", "HISTORY + i] = POLICY_ACTION_HOVER", "HISTORY + i] = 0.0f", "executor"
    ),
    Mutant(
        "history shifted the wrong way",
        "executor.c",
        "slots(executor)[i] = slots(executor)[i + 1]",
        "slots(executor)[i + 1] = slots(executor)[i]",
        "executor",
    ),
    Mutant(
        "state advances in every call",
        "executor.c",
        "executor->state_between, executor->state_between",
        "executor->state_between, executor->state",
        "executor",
    ),
    Mutant("state between calls too new", "executor.c", "+ share * (after[i]", "+ (after[i]", "executor"),
    Mutant(
        "hand-over runs off",
        "executor.c",
        "action[i] + share * executor->handover[i]",
        "action[i] - share * executor->handover[i]",
        "executor",
    ),
    Mutant("NaN passes the guard", "finite.h", "most - magnitude(x[i])", "most - 0u * magnitude(x[i])", "guard"),
    Mutant("negative side unguarded", "finite.h", "return view.bits & 0x7fffffffu", "return view.bits", "guard"),
    Mutant(
        "velocity limit not squared",
        "guard.c",
        "POLICY_ENVELOPE_VELOCITY * POLICY_ENVELOPE_VELOCITY",
        "POLICY_ENVELOPE_VELOCITY * 5.0f",
        "guard",
    ),
    Mutant(
        "degrees taken for radians", "guard.c", "ANGULAR_VELOCITY / RADIANS_PER_DEGREE", "ANGULAR_VELOCITY", "guard"
    ),
    Mutant("trip not latched", "guard.c", "guard->tripped = 1;", "guard->tripped = 0;", "guard"),
    Mutant("stale state passes", "guard.c", "input->state_age_ms > GUARD_STATE_AGE_MAX_MS", "0", "guard"),
    Mutant("late ticks never forgiven", "guard.c", "guard->late_window >> (GUARD_LATE_WINDOW - 1)", "0u", "guard"),
    Mutant("fence open below", "guard.c", "x < low || x > high", "x > high", "guard"),
    Mutant(
        "saturation counted for all motors together",
        "guard.c",
        "guard->saturated_ms[i] = lasting(",
        "guard->saturated_ms[0] = lasting(",
        "guard",
    ),
    Mutant(
        "blind drone follows the set-point",
        "failsafe.c",
        "if (!velocity_known(input)) return FLIGHT_FAILSAFE_LEVEL;",
        "",
        "failsafe",
    ),
    Mutant(
        "figure mirrored",
        "figure.c",
        "figure->centre_world[0] - scale * a.sine",
        "figure->centre_world[0] + scale * a.sine",
        "figure",
    ),
    Mutant("figure never brakes", "figure.c", "figure->ramp = clip(peak - b * slowing, 0.0f, 1.0f);", "", "figure"),
    Mutant("jerk is not minimal", "walk.c", "10.0f + s * (6.0f * s - 15.0f)", "10.0f + s * (6.0f * s - 14.0f)", "walk"),
    Mutant(
        "blend ends too early", "blend.c", "18.0f + s * (15.0f * s - 32.0f)", "18.0f + s * (15.0f * s - 31.0f)", "blend"
    ),
    Mutant(
        "landing goes up",
        "walk.c",
        "walk->to_world[2] = height_world;",
        "walk->to_world[2] = 2.0f * from_world[2] - height_world;",
        "walk",
    ),
    Mutant(
        "policy flies although a guard spoke",
        "flight.c",
        "output->guard == FLIGHT_GUARD_OK ? FLIGHT_POLICY : FLIGHT_STOCK",
        "FLIGHT_POLICY",
        "guard",
    ),
    Mutant(
        "broken clock moves the target",
        "flight.c",
        "elapsed_ms <= GUARD_PERIOD_MAX_MS ? elapsed_ms : 0u",
        "elapsed_ms",
        "flight",
    ),
    Mutant("heading not held", "flight.c", "flight->heading = observe_heading(input);", "", "flight"),
)


def build(folder: Path, sources: list[Path], headers: Path) -> None:
    """Objects of `sources` in `folder`; a header that is in `headers` comes before that of firmware/flight."""
    includes = [f"-I{path}" for path in (headers, FLIGHT, TEST, TEST / "hand_policy")]
    command = [*host_compiler(), "-std=c11", "-O1", "-w", *includes, "-c", *map(str, sources)]
    subprocess.run(command, cwd=folder, check=True)


def passes(killer: str, folder: Path, objects: dict[str, Path]) -> bool:
    """Link the test in `folder` and run it."""
    program = folder / killer
    parts = [str(path) for name, path in objects.items() if not name.startswith("test_") or name == f"test_{killer}"]
    subprocess.run([*host_compiler(), *parts, "-lm", "-o", str(program)], check=True)
    return subprocess.run([program], capture_output=True, timeout=60, check=False).returncode == 0


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Objects by name, without a mutant."""
    folder = tmp_path_factory.mktemp("healthy")
    tests = [TEST / f"test_{killer}.c" for killer in sorted({mutant.killer for mutant in MUTANTS})]
    build(folder, [*FLIGHT.glob("*.c"), *tests, TEST / "hand_policy/policy.c"], folder)
    return {path.stem: path for path in folder.glob("*.o")}


@pytest.mark.parametrize("killer", sorted({mutant.killer for mutant in MUTANTS}))
def test_without_a_mutant_the_tests_pass(killer: str, healthy: dict[str, Path], tmp_path: Path) -> None:
    assert passes(killer, tmp_path, healthy)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant, healthy: dict[str, Path], tmp_path: Path) -> None:
    text = (FLIGHT / mutant.file).read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} has changed; find a new place for this mutant"
    path = tmp_path / mutant.file
    sources = [path]
    if path.suffix == ".h":  # all that may include it
        copies = [Path(shutil.copy(source, tmp_path)) for source in FLIGHT.glob("*.[ch]")]
        sources = [copy for copy in copies if copy.suffix == ".c"]
    path.write_text(text.replace(mutant.old, mutant.new))
    build(tmp_path, sources, tmp_path)
    assert not passes(mutant.killer, tmp_path, healthy | {made.stem: made for made in tmp_path.glob("*.o")})
