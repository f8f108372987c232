"""Quality against processor seconds, for every algorithm on the paper's robot: a figure, and when each gets there.

A schedule reaches its end with the run, so the first-order method is run anew for every budget; the others are looked
at on their way. Looking costs nothing: only the seconds of `advance` count, on one thread.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy
from fledge_train import algorithms, evaluate
from fledge_train.trainer import start

from fledge_hil import screen
from fledge_hil.bench.report import Cell, Table

ROBOT = "crazyflie_paper"
EPISODES = 300
BUDGETS = (30, 60, 120, 250, 500, 1000, 2000, 4000, 5800)
"""Iterations of a first-order run."""
LOOKS = 12
"""Along a run of another algorithm, evenly in its iterations."""
BARS: tuple[tuple[str, float, float], ...] = (
    ("the paper's code: 0.86, 32 cm", 0.86, 0.32),
    ("0.93, 10 cm", 0.93, 0.10),
    ("0.97, 3 cm", 0.97, 0.03),
    ("0.99, 2 cm", 0.99, 0.02),
)
"""Name, survival, error [m]: both at once."""


@dataclass(frozen=True)
class Point:
    """One policy on the way."""

    seconds: float
    survival: float
    error: float
    """[m]; NaN when nobody survived."""


Course = list[Point]


def draw(path: Path, seeds: int, first: int) -> Table:
    """Train, write the figure, and say when each algorithm reached what."""
    courses: dict[str, list[Course]] = {}
    with screen.bar("curve") as bar:
        for label, course in _entries():
            for seed in range(first, first + seeds):
                bar.show(0.0, f"{label}, seed {seed}")
                courses.setdefault(label, []).append(course(seed))
    write_atomically(path, _figure(courses, path.suffix.lstrip(".") or "png"))
    rows = tuple((label, *_first_times(runs)) for label, runs in courses.items())
    notes = (
        f"Median CPU seconds of training until both are reached at once on {ROBOT}, {seeds} seeds, one thread;",
        f"in brackets how many got there. {EPISODES} episodes per look. Figure: {path}",
    )
    return Table("seconds until", ("algorithm", *(name for name, _, _ in BARS)), rows, notes)


def _entries() -> Iterator[tuple[str, Callable[[int], Course]]]:
    """Every algorithm with every kind of actor."""
    for name in algorithms.NAMES:
        known = algorithms.find(name)
        if known.robots != "quadrotor":
            continue
        preset: Callable[..., Any] = next(iter(known.presets.values()))
        for actor in known.actors:
            chosen = {"actor": actor} if len(known.actors) > 1 else {}

            def course(seed: int, name: str = name, preset: Any = preset, chosen: Mapping[str, str] = chosen) -> Course:
                config = preset(robot=ROBOT, seed=seed, **chosen)
                return _budgets(config) if name == "shac" else _along(config)

            yield f"{name} {actor}", course


def _budgets(config: Any) -> Course:
    return [_along(dataclasses.replace(config, iterations=n), looks=1)[-1] for n in BUDGETS]


def _along(config: Any, looks: int = LOOKS) -> Course:
    """Points at even shares of a run."""
    begin = time.process_time()
    trainer, course = start(config), list[Point]()
    seconds = time.process_time() - begin
    while not trainer.done:
        begin = time.process_time()
        progress = trainer.advance()
        seconds += time.process_time() - begin
        if trainer.done or progress.iteration >= (len(course) + 1) * progress.iterations / looks:
            course.append(_look(trainer.policy(), seconds))
    return course


def _look(policy: Policy, seconds: float) -> Point:
    hover = evaluate.hover(policy, robots.load(ROBOT), evaluate.Conditions(seed=1), EPISODES)
    return Point(seconds, hover.survival, float("nan") if hover.error is None else hover.error)


def _first_times(runs: Sequence[Course]) -> Iterator[Cell]:
    for _, survival, error in BARS:
        times = [
            next((p.seconds for p in course if p.survival >= survival and p.error <= error), None) for course in runs
        ]
        reached = [seconds for seconds in times if seconds is not None]
        yield f"{np.median(reached):.3g} ({len(reached)}/{len(runs)})" if reached else f"- (0/{len(runs)})"


def _figure(courses: Mapping[str, Sequence[Course]], kind: str) -> bytes:
    import io

    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (survival, error) = plt.subplots(2, 1, sharex=True, figsize=(8, 7), layout="constrained")
    for index, (label, runs) in enumerate(courses.items()):
        for number, course in enumerate(runs):
            seconds = [point.seconds for point in course]
            look = {"color": f"C{index}", "marker": ".", "alpha": 0.7, "label": label if number == 0 else None}
            survival.plot(seconds, [point.survival for point in course], **look)
            error.plot(seconds, [100 * point.error for point in course], **look)
    survival.set(xscale="log", ylabel="survival of 5 s", ylim=(0, 1.02), title=f"{ROBOT}: quality against seconds")
    some = any(point.error > 0 for runs in courses.values() for course in runs for point in course)
    error.set(
        yscale="log" if some else "linear",
        ylabel="error over the last second [cm]",
        xlabel="CPU seconds of training, one thread",
    )
    survival.legend(loc="lower right")
    for axes in (survival, error):
        axes.grid(visible=True, which="both", alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=110)
    plt.close(figure)
    return buffer.getvalue()
