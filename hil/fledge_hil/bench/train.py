"""Training from process start to saved policy, over seeds, and quality against seconds for every algorithm.

Each run is a process of its own, `fledge train --no-evaluate`: its time counts start-up, imports and the file. Policies
are then flown in 1000 hover episodes of the paper's starts, noise and disturbances on, and on figure-eights with 10 ms
of delay and parameters within +-20 % on top. --curve trains every algorithm again and looks at its policy on the way.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim import policy as policy_file
from fledge_sim import randomize
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_train import evaluate, suite
from fledge_train.evaluate import Conditions

from fledge_hil import screen
from fledge_hil.bench.report import Report, Table, require_known, this_machine

VARIANTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gru fast", ("--preset", "fast")),
    ("mlp fast", ("--preset", "fast", "--actor", "mlp")),
    ("gru robust", ()),
    ("mlp robust", ("--actor", "mlp")),
    ("gru tracking", ("--preset", "tracking")),
    ("gru tracking, look-ahead", ("--preset", "tracking", "--actor.look-ahead", "3")),
)
"""What is trained, with the flags of `fledge train`."""
ROBOTS = ("crazyflie_paper", "crazyflie")
EIGHTS = (15.0, 5.5, 3.5)
"""Periods [s]."""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    seeds: int = 10
    """Of each preset, actor and robot."""
    first: int = 1000
    """The first seed."""
    robots: tuple[str, ...] = ROBOTS
    """Which robots."""
    only: tuple[str, ...] = ()
    """These rows alone, such as "gru fast"; default: all."""
    episodes: int = 1000
    """Of hover; a tenth as many figure-eights."""
    curve: Path | None = None
    """Also draw quality against seconds to this file (.png or .svg); minutes per algorithm."""
    curve_seeds: int = 3
    """Of each algorithm on the curve."""
    quick: bool = False
    """One seed, 100 episodes."""
    json: Path | None = None
    """Also write the unrounded figures to this file."""


@dataclass(frozen=True)
class Measured:
    """One run."""

    wall: float
    """From process start to its end [s]."""
    cpu: float
    """Of the process, start-up included [s]."""
    loop: float
    """Of the training loop [s], wall-clock."""
    survival: float
    error: float
    """[m]; infinite when nobody survived."""
    survival_20: float
    error_20: float
    """Parameters within +-20 %."""
    survival_10_ms: float
    survival_20_ms: float
    eights: tuple[float, ...]
    """RMSE per period [m]; infinite when nobody survived."""
    lost: tuple[float, ...]
    """Share of lost figure-eights, per period."""


def measure(options: Options) -> Report:
    """All tables, and the curve where one is asked for."""
    if options.seeds < 1 or options.episodes < 1 or options.curve_seeds < 1:
        raise FledgeError("give at least one seed and one episode")
    seeds, episodes = (1, min(100, options.episodes)) if options.quick else (options.seeds, options.episodes)
    measured: dict[str, list[Measured]] = {}
    require_known("row", options.only, [label for label, _ in VARIANTS])
    variants = {label: flags for label, flags in VARIANTS if not options.only or label in options.only}
    total, done = len(variants) * len(options.robots) * seeds, 0
    with screen.bar("training") as bar:
        for robot in options.robots:
            for label, flags in variants.items():
                for run in _runs(robot, flags, range(options.first, options.first + seeds), episodes):
                    measured.setdefault(f"{robot} {label}", []).append(run)
                    done += 1
                    bar.show(done / total, f"{robot} {label}")
    tables = list(_tables(measured, seeds, episodes))
    if options.curve is not None:
        from fledge_hil.bench import train_curve

        tables.append(train_curve.draw(options.curve, 1 if options.quick else options.curve_seeds, options.first))
    return Report("train", this_machine(("numpy",)), tuple(tables))


def _runs(robot: str, flags: Sequence[str], seeds: range, episodes: int) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            yield train_and_fly(robot, flags, seed, episodes, Path(folder))


def train_and_fly(robot: str, flags: Sequence[str], seed: int, episodes: int, folder: Path) -> Measured:
    """One run of `fledge train` in a process of its own, and its figures."""
    name = f"{robot}-{seed}"
    command = [sys.executable, "-m", "fledge_hil.cli", "train", "--robot", robot, "--seed", str(seed), "--name", name]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [*command, "--directory", str(folder), "--no-evaluate", *flags],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    policy = policy_file.load(folder / name / "policy.npz")
    return _fly(policy, robot, episodes, (wall, cpu, _loop_seconds(folder / name)))


def _loop_seconds(folder: Path) -> float:
    return float(json.loads((folder / "metrics.json").read_text())["seconds"])


def _fly(policy: Policy, name: str, episodes: int, seconds: tuple[float, float, float]) -> Measured:
    robot, few = robots.load(name), max(1, episodes // 2)
    nominal = evaluate.hover(policy, robot, Conditions(seed=1), episodes)
    varied = evaluate.hover(policy, robot, Conditions(randomize.plus_minus(0.2), seed=2), few)
    late, later = (evaluate.hover(policy, robot, Conditions(delay=d, seed=3), few) for d in (0.01, 0.02))
    eights = [
        evaluate.track_figure_eight(policy, robot, period, suite.combined(7), max(1, episodes // 10))
        for period in EIGHTS
    ]
    return Measured(
        *seconds,
        survival=nominal.survival,
        error=_metres(nominal.error),
        survival_20=varied.survival,
        error_20=_metres(varied.error),
        survival_10_ms=late.survival,
        survival_20_ms=later.survival,
        eights=tuple(_metres(eight.rmse) for eight in eights),
        lost=tuple(1 - eight.survival for eight in eights),
    )


def hovers_well(label: str, run: Measured) -> bool:
    """Whether a run hovers as its preset promises for a robot with enough thrust."""
    if "fast" in label:
        return run.survival >= 0.97 and run.error <= 0.03
    varied = run.survival_20 >= 0.96 and run.error_20 <= 0.025
    late = run.survival_10_ms >= 0.97 and run.survival_20_ms >= 0.90
    return run.survival >= 0.99 and run.error <= 0.02 and varied and late


def follows_well(label: str, run: Measured) -> bool:
    """Whether a run follows the figure-eights as promised, and loses none."""
    bounds = (0.015, 0.025, 0.05) if "look-ahead" in label else (0.02, 0.04, 0.10)
    return all(rmse <= bound for rmse, bound in zip(run.eights, bounds, strict=True)) and not any(run.lost)


def _kept(by: Callable[[str, Measured], bool], label: str, runs: Sequence[Measured]) -> str:
    return f"{sum(by(label, run) for run in runs)}/{len(runs)}"


def _metres(value: float | None) -> float:
    return float("inf") if value is None else value


def _cell(values: Sequence[float], digits: int, worst: Callable[[Sequence[float]], float] = max) -> str:
    """Mean (worst)."""
    return f"{np.mean(values):.{digits}f} ({worst(values):.{digits}f})"


def _tables(measured: Mapping[str, Sequence[Measured]], seeds: int, episodes: int) -> tuple[Table, ...]:
    """Seconds; hover; figure-eights."""
    times, hovers, eights = [], [], []
    for label, runs in measured.items():
        seconds = (_cell([getattr(run, name) for run in runs], 2) for name in ("loop", "cpu", "wall"))
        times.append((label, *seconds))
        survivals = ("survival", "survival_20", "survival_10_ms", "survival_20_ms")
        hovers.append(
            (
                label,
                *(_cell([getattr(run, name) for run in runs], 3, min) for name in survivals),
                *(_cell([100 * getattr(run, name) for run in runs], 2) for name in ("error", "error_20")),
                _kept(hovers_well, label, runs),
            )
        )
        eights.append(
            (
                label,
                *(_cell([100 * run.eights[i] for run in runs], 2) for i in range(len(EIGHTS))),
                *(_cell([100 * run.lost[i] for run in runs], 1) for i in range(len(EIGHTS))),
                "-" if "fast" in label else _kept(follows_well, label, runs),
            )
        )
    mean = f"Mean (worst) of {seeds} seeds"
    hovering = f"{mean}; {episodes} episodes of 5 s, noise and disturbances on; half as many where one thing varies."
    return (
        Table(
            "training [s]", ("run", "loop", "process, CPU", "process, wall"), tuple(times), (f"{mean}, one thread.",)
        ),
        Table(
            "hover from the paper's starts",
            ("run", "survival", "+-20 %", "+10 ms", "+20 ms", "error cm", "error cm, +-20 %", "bounds kept"),
            tuple(hovers),
            (hovering,),
        ),
        Table(
            "figure-eight of 2 m x 1 m",
            ("run", *(f"RMSE cm, {t:g} s" for t in EIGHTS), *(f"lost %, {t:g} s" for t in EIGHTS), "bounds kept"),
            tuple(eights),
            (f"{mean}; {max(1, episodes // 10)} flights, noise, disturbances, 10 ms of delay and +-20 % at once.",),
        ),
    )
