"""A wrong sign, a lost limit, a guard that sleeps: put into firmware/arm, a C test catches it (pytest -m slow)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fledge_export.build import host_compiler
from fledge_hil.arm.table import arm_table
from fledge_sim import arm as arms

FIRMWARE = Path(__file__).parents[2] / "firmware"
ARM, TEST = FIRMWARE / "arm", FIRMWARE / "test/arm"
MUTANTS = (
    # name, file, old text, new text, test that fails with it
    ("checksum not looked at", "bus.c", "if (sum_is_right(bus, start))", "if (1)", "bus"),
    ("answers of anybody", "bus.c", "return found & bus->awaited;", "return found;", "bus"),
    ("question does not forget", "bus.c", "bus->window[i] = 0;\n}\n\nvoid bus_read",
     "(void)i;\n}\n\nvoid bus_read", "bus"),
    ("arm turned the other way", "kinematics.c", "of.sine * once[i]", "-of.sine * once[i]", "kinematics"),
    ("any model will do", "servos.c", "return model != ARM_SERVO_MODEL ||", "return", "servos"),
    ("settings not read again", "servos.c", "servos->sets < SERVOS_LOOKS", "1", "servos"),
    ("direction ignored", "servos.c", "servos->calibration.direction[j] * target", "target", "servos"),
    ("first jump believed", "servos.c", "    servos->is_doubted |= bit;\n    return 0;", "    return 1;", "servos"),
    ("silent ones not asked again", "servos.c", "servos->phase == SERVOS_ASKING)", "0)", "servos"),
    ("goals not confirmed", "arm.c", "arm->servos.prepared == BUS_ALL", "1", "arm"),
    ("torque while it is moved", "arm.c", "away >= -STILL && away <= STILL", "1", "arm"),
    ("trip not latched", "arm.c", "arm->guard = arm->latched = guard;", "arm->guard = guard;", "arm_guard"),
    ("never lets go", "arm.c", "arm->latched_for_ms >= ARM_HOLD_MS", "0", "arm_guard"),
    ("moves when told to hold", "arm.c", "command == ARM_COMMAND_HOLD && arm->mode", "0 && arm->mode", "arm"),
    ("past kept at take-over", "arm.c", "    arm_policy_reset(&arm->policy);\n    arm->due_ms", "    arm->due_ms",
     "arm"),
    ("reach not kept", "arm_act.c", "here + POLICY_ACTION_REACH", "here + 9.0f", "arm_act"),
    ("bounds not kept", "arm_act.c", "clip(reached, lower[i], upper[i])", "reached", "arm_act"),
    ("slew not kept", "arm_act.c", "old - SLEW, old + SLEW", "old - 9.0f, old + 9.0f", "arm_act"),
    ("load with the wrong sign", "arm_observe.c", "target[j] - servos->position[j]",
     "servos->position[j] - target[j]", "arm_observe"),
    ("goal from the base", "arm_observe.c", "input->goal_base[i] - tip_base[i]", "input->goal_base[i]", "arm_observe"),
    ("history the wrong way round", "arm_policy.c", "past[i] = past[i + POLICY_OUTPUT_SIZE]", "past[i] = past[i]",
     "arm_policy"),
    ("heat unguarded", "arm_guard.c", "!(servos->temperature[j] <= ARM_HEAT_MAX)", "0", "arm_guard"),
    ("one hot answer is enough", "arm_guard.c", "torque ? ARM_WRONG_MS : SERVOS_CYCLE_MS", "SERVOS_CYCLE_MS",
     "arm_guard"),
    ("overload unguarded", "arm_guard.c", "watch->overload_ms[j] >= ARM_OVERLOAD_MS", "0", "arm_guard"),
    ("lost torque unguarded", "arm_guard.c", "torque && !(servos->torque >> j & 1u)", "0", "arm_guard"),
    ("negative limit unguarded", "arm_guard.c", "servos->position[j] >= low ? reason : ARM_GUARD_LIMIT", "reason",
     "arm_guard"),
    ("second place from the tip", "arm_observe.c", "input->goal_base[3 + i] - input->goal_base[i]",
     "input->goal_base[3 + i] - tip_base[i]", "arm_observe"),
    ("second place unguarded", "arm_guard.c", "is_apart(input->goal_base + 3, input->goal_base)", "0", "arm_guard"),
    ("pads' checksum not looked at", "pads.c", "crc_of(pads, start) != sum", "0", "pads"),
    ("half of the checksum", "pads.c", "at(pads, start + PADS_FRAME - 1u) << 8", "(crc_of(pads, start) & 0xff00u)",
     "pads"),
    ("old frame is news", "pads.c", "sequence != pads->sequence", "1", "pads"),
    ("pads the wrong way round", "pads.c", "pad = cell / CELLS_PER_PAD", "pad = 1u - cell / CELLS_PER_PAD", "pads"),
    ("bytes the wrong way round", "pads.c", "at(pads, place) | at(pads, place + 1u) << 8",
     "at(pads, place + 1u) | at(pads, place) << 8", "pads"),
    ("silent pads unguarded", "arm_guard.c", "pads->age_ms > ARM_SILENT_MAX_MS", "0", "arm_guard"),
    ("stuck pad unguarded", "arm_guard.c", "pads->same_ms[pad] >= ARM_PAD_STUCK_MS", "0", "arm_guard"),
    ("full pad unguarded", "arm_guard.c", "pads->full_ms[pad] >= ARM_WRONG_MS", "0", "arm_guard"),
    ("pads' trip never lets go", "arm.c", "latched && of_pads != ARM_GUARD_OK ?", "0 ?", "arm_guard"),
    ("old goal good enough", "arm_guard.c", "input->goal_age_ms > ARM_GOAL_AGE_MAX_MS", "0", "arm_guard"),
)  # fmt: skip


def build(folder: Path, sources: list[Path]) -> None:
    """Objects of `sources` in `folder`, with the table of the SO-101."""
    arm = arms.load("so101")
    (folder / "arm_table.h").write_text(arm_table(arm, [joint.name for joint in arm.chain]))
    includes = [f"-I{path}" for path in (folder, ARM, FIRMWARE / "flight", TEST, TEST / "hand_policy")]
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
    build(folder, [*ARM.glob("*.c"), *TEST.glob("test_*.c"), FIRMWARE / "flight/turn.c", TEST / "hand_policy/policy.c"])
    return {path.stem: path for path in folder.glob("*.o")}


@pytest.mark.slow
@pytest.mark.parametrize("killer", sorted({mutant[4] for mutant in MUTANTS}))
def test_without_a_mutant_the_tests_pass(killer: str, healthy: dict[str, Path], tmp_path: Path) -> None:
    assert passes(killer, tmp_path, healthy)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file", "old", "new", "killer"), MUTANTS, ids=[mutant[0] for mutant in MUTANTS])
def test_mutant_is_killed(
    name: str, file: str, old: str, new: str, killer: str, healthy: dict[str, Path], tmp_path: Path
) -> None:
    text = (ARM / file).read_text()
    assert text.count(old) == 1, f"{file} has changed; find a new place for the mutant '{name}'"
    (tmp_path / file).write_text(text.replace(old, new))
    build(tmp_path, [tmp_path / file])
    assert not passes(killer, tmp_path, healthy | {made.stem: made for made in tmp_path.glob("*.o")})


def test_every_mutant_has_its_place() -> None:
    for name, file, old, _, killer in MUTANTS:
        assert (ARM / file).read_text().count(old) == 1, name
        assert (TEST / f"test_{killer}.c").exists()
