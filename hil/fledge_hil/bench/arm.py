"""What an arm learns, and what touch is worth: reach, and the insertion by what the actor senses and how it was taught.

Per seed: reach; an expert of the insertion that sees the truth; then actors without touch and with pooled touch: by PPO
from scratch, by behaviour cloning and DAgger with memory and without, and by DAgger followed by PPO with the expert's
critic (AACD), whose student is the DAgger run of its seed. Every run has its folder in --folder.
Finished ones are kept, interrupted ones go on, missing ones are trained: the same command again completes the table.
Before, how fast the worlds are (arm_speed.py); `--no-train --speed 3` is that alone.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_train import arm_config, arm_evaluate, recorded, runs
from fledge_train.arm_evaluate import ArmFigures
from fledge_train.trainer import Config, Progress

from fledge_hil import screen
from fledge_hil.bench import arm_speed
from fledge_hil.bench.report import Report, Table, require_known, this_machine

CPU = "cpu.json"
FIGURES = "figures.json"
ROBOT = "so101"


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    seeds: int = 3
    """Of every run."""
    first: int = 0
    """The first seed."""
    folder: Path = Path("runs/bench-arm")
    """Where the runs are kept."""
    only: tuple[str, ...] = ()
    """Run these alone, by their name in the table, and the experts that they need; default: all."""
    scale: float = 1.0
    """Factor on the iterations of every run."""
    episodes: int = 1000
    """Of every evaluation, all fresh."""
    train: bool = True
    """Train what is missing; otherwise show what there is."""
    speed: int = 3
    """Rounds of the tables of how fast the worlds are; 0 leaves them out."""
    json: Path | None = None
    """Also write the unrounded figures to this file."""


@dataclass(frozen=True)
class Run:
    """A row of the table."""

    name: str
    make: Callable[[int], Config]
    teacher: str = ""
    """Name of the run whose expert it learns from."""
    student: str = ""
    """Name of the run that it goes on from."""


@dataclass(frozen=True)
class Outcome:
    """One seed of a row."""

    run: str
    seed: int
    cpu: float
    """Of training [s]."""
    figures: ArmFigures


def _by_reward(preset: str, **changes: Any) -> Callable[[int], Config]:
    return lambda seed: dataclasses.replace(arm_config.PRESETS[preset](robot=ROBOT, seed=seed), **changes)


def _imitating(method: arm_config.Method, actor: arm_config.Network, **changes: Any) -> Callable[[int], Config]:
    preset = arm_config.IMITATION_PRESETS[method]
    return lambda seed: dataclasses.replace(preset(robot=ROBOT, seed=seed, actor=actor), **changes)


EXPERT = "truth (expert)"
LOOSE: dict[str, Any] = {"task": "loose_insertion"}
"""The same with a worse grip."""
LOOSE_EXPERT = "loose grip: truth (expert)"
RUNS: tuple[Run, ...] = (
    Run("reach", _by_reward("reach")),
    Run(EXPERT, _by_reward("insertion", senses="truth")),
    Run("no touch", _by_reward("insertion", senses="joints")),
    Run("touch", _by_reward("insertion", senses="touch")),
    Run("touch, AACD without a student", _by_reward("insertion", senses="touch"), EXPERT),
    Run("touch, cloning", _imitating("cloning", "gru"), EXPERT),
    Run("touch, DAgger without memory", _imitating("dagger", "mlp"), EXPERT),
    Run("touch, DAgger", _imitating("dagger", "gru"), EXPERT),
    Run("no touch, DAgger", _imitating("dagger", "gru", senses="joints"), EXPERT),
    Run("touch, AACD", _by_reward("aacd"), EXPERT, "touch, DAgger"),
    Run("no touch, AACD", _by_reward("aacd", senses="joints"), EXPERT, "no touch, DAgger"),
    Run(LOOSE_EXPERT, _by_reward("loose_insertion", senses="truth")),
    Run("loose grip: touch, DAgger", _imitating("dagger", "gru", **LOOSE), LOOSE_EXPERT),
    Run("loose grip: no touch, DAgger", _imitating("dagger", "gru", senses="joints", **LOOSE), LOOSE_EXPERT),
    Run("loose grip: touch, AACD", _by_reward("aacd", **LOOSE), LOOSE_EXPERT, "loose grip: touch, DAgger"),
    Run(
        "loose grip: no touch, AACD",
        _by_reward("aacd", senses="joints", **LOOSE),
        LOOSE_EXPERT,
        "loose grip: no touch, DAgger",
    ),
)


def measure(options: Options) -> Report:
    """Train what is missing, then the table."""
    chosen = _chosen(options)
    if options.seeds < 1 or options.episodes < 1 or options.scale <= 0:
        raise FledgeError("give at least one seed and one episode, and a scale above 0")
    if options.speed < 0:
        raise FledgeError(f"speed is {options.speed}; give a number of rounds, or 0 for none")
    fast = tuple(arm_speed.tables(ROBOT, options.speed)) if options.speed else ()
    outcomes: list[Outcome] = []
    absent: list[str] = []
    for seed in range(options.first, options.first + options.seeds):
        for run in chosen:
            outcome = None if absent and options.train else outcome_of(run, seed, options)
            if outcome is None:
                absent.append(f"{run.name}, seed {seed}: give the same command again")
            else:
                outcomes.append(outcome)
    learnt = tuple(tables(chosen, outcomes, options))
    return Report("arm", this_machine(("mujoco", "numpy")), (*fast, *learnt), tuple(absent))


def _chosen(options: Options) -> tuple[Run, ...]:
    require_known("run", options.only, [run.name for run in RUNS])
    chosen = [run for run in RUNS if not options.only or run.name in options.only]
    needed = {name for run in chosen for name in (run.student, run.teacher)}
    return tuple(run for run in RUNS if run in chosen or run.name in needed)


def _named(name: str) -> Run:
    return next(run for run in RUNS if run.name == name)


def folder_of(run: Run, seed: int, options: Options) -> Path:
    """Of a run."""
    slug = "".join(letter if letter.isalnum() else "-" for letter in run.name.lower()).strip("-")
    return options.folder / f"{slug.replace('--', '-')}-{seed}"


def config_of(run: Run, seed: int, options: Options) -> Config:
    """Its numbers."""
    config: Any = run.make(seed)
    changes: dict[str, Any] = {
        role: str(folder_of(_named(name), seed, options))
        for role, name in (("teacher", run.teacher), ("student", run.student))
        if name
    }
    scaled = max(1, round(config.iterations * options.scale))
    made: Config = dataclasses.replace(config, iterations=scaled, **changes)
    return made


def outcome_of(run: Run, seed: int, options: Options) -> Outcome | None:
    """What is there, or comes out of training; None where it is missing or was interrupted."""
    folder, config = folder_of(run, seed, options), config_of(run, seed, options)
    there = (folder / runs.CONFIG).exists()
    if there and runs.load_config(folder) != config:
        raise FledgeError(f"{folder} was trained with other numbers; give another --folder, or remove it")
    finished = there and (folder / runs.METRICS).exists() and not (folder / runs.CHECKPOINT).exists()
    if not finished and (not options.train or not _train(folder, config, run.name)):
        return None
    path = folder / FIGURES
    if not path.exists():
        figures = arm_evaluate.measure(runs.load_result(folder).policy, options.episodes)
        write_atomically(path, json.dumps(dataclasses.asdict(figures), indent=2) + "\n")
    return Outcome(run.name, seed, _cpu(folder), ArmFigures(**json.loads(path.read_text())))


def _train(folder: Path, config: Config, name: str) -> bool:
    """Train, or go on; whether it came to its end. CPU seconds are kept beside, over all parts."""
    before, begun = _cpu(folder) if (folder / runs.CHECKPOINT).exists() else 0.0, time.process_time()
    with screen.bar("training") as bar:

        def observe(entry: Progress) -> None:
            bar.show(entry.iteration / entry.iterations, f"{name}: success {entry.scalars['success']:.2f}")

        if (folder / runs.CHECKPOINT).exists():
            result = recorded.resume(folder, observe)
        else:
            result = recorded.train(folder, config, observe)
    write_atomically(folder / CPU, json.dumps(before + time.process_time() - begun) + "\n")
    return not result.interrupted


def _cpu(folder: Path) -> float:
    try:
        return float(json.loads((folder / CPU).read_text()))
    except (OSError, ValueError):
        return float("nan")


def tables(chosen: Sequence[Run], outcomes: Sequence[Outcome], options: Options) -> Iterator[Table]:
    """Mean (worst) over the seeds that are there."""
    rows = []
    for run in chosen:
        found = [outcome for outcome in outcomes if outcome.run == run.name]
        if found:
            success = [100 * outcome.figures.success for outcome in found]
            cells = (
                f"{np.mean(success):.1f} ({min(success):.1f})",
                f"{np.mean([1e3 * outcome.figures.error for outcome in found]):.2f}",
                f"{np.mean([outcome.figures.smoothness for outcome in found]):.3f}",
                f"{np.mean([outcome.cpu for outcome in found]):.0f}",
                len(found),
            )
            rows.append((run.name, *cells))
    yield Table(
        "an arm, by what its actor senses",
        ("run", "success %", "error mm", "change of action", "CPU s", "seeds"),
        tuple(rows),
        (
            f"Mean (worst) over seeds; {options.episodes} fresh episodes each, the mean action, randomization on.",
            "Success of reach: less than 1 cm at the end. Who is taught needs the seconds of those it learns from.",
        ),
    )
