"""Learners of minibatches over seeds: `python tests/bench/bench_minibatch.py runs/ablation/nothing --plot x.svg`

Takes the folder of several seeds (`fledge train --seeds`, or a variant of `fledge ablate`), measures every policy's
hover from the paper's starts, prints seeds and spread, and draws the learning curves: mean, and lowest to highest seed.
Asserts nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from fledge_sim import robot as robots
from fledge_train import evaluate, runs
from fledge_train.trainer import TrainResult
from matplotlib.axes import Axes

SMOOTHED = 10
"""Entries of the history per point."""


def curve(results: Sequence[TrainResult], name: str) -> np.ndarray:
    """(seeds, points), each the mean of SMOOTHED entries."""
    rows = np.array([[getattr(entry, name) for entry in result.history] for result in results])
    points = rows.shape[1] // SMOOTHED
    return rows[:, : points * SMOOTHED].reshape(len(rows), points, SMOOTHED).mean(axis=2)


def draw(axes: Axes, steps: np.ndarray, values: np.ndarray, label: str) -> None:
    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), alpha=0.25, linewidth=0)
    axes.plot(steps, values.mean(axis=0))
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def plot(results: Sequence[TrainResult], path: Path) -> None:
    """Two panels over environment steps."""
    plt.rcParams["svg.hashsalt"] = "fledge"  # the same curves give the same bytes
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(6, 4.5), layout="constrained")
    lost, distance = curve(results, "failures"), curve(results, "position_error")
    ends = [entry.steps for entry in results[0].history][SMOOTHED - 1 :: SMOOTHED]
    steps = np.array(ends[: lost.shape[1]]) / 1000
    draw(above, steps, lost, "episodes lost\nper 1000 steps")
    draw(below, steps, distance, "mean distance [m]")
    below.set_xlabel(f"thousand steps ({len(results)} seeds: mean, lowest to highest)")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--episodes", type=int, default=1000)
    options = parser.parse_args()
    folders = sorted(options.folder.glob("seed-*"), key=lambda path: int(path.name.partition("-")[2]))
    finished = [folder for folder in folders if (folder / runs.METRICS).exists()]
    results = [runs.load_result(folder) for folder in finished]
    figures = []
    for folder, result in zip(finished, results, strict=True):
        robot = robots.load(result.policy.contract.robot)
        hover = evaluate.hover(result.policy, robot, evaluate.Conditions(), options.episodes)
        error = np.nan if hover.error is None else hover.error
        jerk = np.nan if hover.action_jerk is None else hover.action_jerk
        figures.append((hover.survival, error, jerk))
        print(f"{folder.name:8s} survival {hover.survival:.3f}  error {error:.3f} m  jerk {jerk:.3f}", flush=True)
    mean, low, high = (np.array(figures).mean(0), np.array(figures).min(0), np.array(figures).max(0))
    for name, values in zip(("survival", "error [m]", "jerk"), np.stack([mean, low, high], axis=1), strict=True):
        print(f"{name:10s} {values[0]:.3f} ({values[1]:.3f} to {values[2]:.3f}) over {len(figures)} seeds")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
