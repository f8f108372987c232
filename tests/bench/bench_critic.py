"""Does a critic help? `python tests/bench/bench_critic.py --seconds 2.5 10`: every variant for the same CPU time.

Seconds are those of the pure gradient: 7500 iterations of it are 2.5 s. A variant gets as many iterations as
take the same CPU time on this machine, found by short runs of both in turn. Prints a Markdown table; asserts nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `fledge train` does

import numpy as np
from fledge_sim import robot
from fledge_train import config, shac
from fledge_train.config import CriticConfig, TrainConfig
from fledge_train.curriculum import Ramp, constant
from fledge_train.evaluate import Conditions, hover, track_figure_eight

PRESET_SECONDS, PRESET_ITERATIONS = 2.5, 7500
LONG = Ramp(40.0, 96.0, 0.3)
Kind = Literal["none", "mlp", "quadratic"]


def variant(
    critic: Kind, horizon: Ramp = LONG, environments: int = 16, discount: float = 0.995, **numbers: Any
) -> Callable[[TrainConfig], TrainConfig]:
    """What differs from the preset; `numbers` are those of CriticConfig."""

    def change(base: TrainConfig) -> TrainConfig:
        own = dataclasses.replace(CriticConfig(begin=0.0), **numbers)
        return dataclasses.replace(
            base, critic=critic, horizon=horizon, environments=environments, discount=discount, critic_config=own
        )

    return change


VARIANTS: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "none, 40 to 96": variant("none"),
    "quadratic, 40 to 96": variant("quadratic"),
    "quadratic, 40 to 96, trusted everywhere": variant("quadratic", trust=0.0),
    "quadratic, 40 to 96, second half only": variant("quadratic", begin=0.5),
    "mlp, 40 to 96": variant("mlp"),
    "mlp, 40 to 96, second half only": variant("mlp", begin=0.5),
    "none, 32": variant("none", constant(32.0)),
    "quadratic, 32": variant("quadratic", constant(32.0)),
    "mlp, 32": variant("mlp", constant(32.0)),
    "none, 16": variant("none", constant(16.0)),
    "quadratic, 16": variant("quadratic", constant(16.0), discount=0.98, trust=0.0),
    "mlp, 16": variant("mlp", constant(16.0), discount=0.98, trust=0.0),
    "quadratic, 4": variant("quadratic", constant(4.0), environments=64, discount=0.98, trust=0.0),
    "mlp, 4": variant("mlp", constant(4.0), environments=64, discount=0.98, trust=0.0),
}
"""By critic and horizon in steps of 10 ms."""


def seconds_of(cfg: TrainConfig) -> float:
    """CPU time of a run."""
    start = time.process_time()
    shac.train(cfg)
    return time.process_time() - start


def relative_cost(change: Callable[[TrainConfig], TrainConfig], pairs: int = 3, iterations: int = 300) -> float:
    """CPU time of an iteration, relative to that of the preset: the median over pairs of short runs."""
    plain = dataclasses.replace(config.robust("crazyflie_paper"), iterations=iterations, pool=64)
    return float(np.median([seconds_of(change(plain)) / seconds_of(plain) for _ in range(pairs)]))


def measure(cfg: TrainConfig) -> tuple[float, ...]:
    """CPU seconds, survival, hover error [cm], RMSE of a figure-eight in 5.5 s [cm]; nan where nothing flies."""
    start = time.process_time()
    policy, body = shac.train(cfg).policy, robot.load(cfg.robot)
    seconds = time.process_time() - start
    still = hover(policy, body, Conditions(seed=1), 300)
    eight = track_figure_eight(policy, body, 5.5, Conditions(seed=6), 16)
    return seconds, still.survival, 100 * (still.error or np.nan), 100 * (eight.rmse or np.nan)


def row(name: str, robot_name: str, iterations: int, seeds: Sequence[int]) -> str:
    """One line of the table: mean over the seeds, and the worst."""
    runs = [VARIANTS[name](config.robust(robot_name, seed=seed)) for seed in seeds]
    figures = np.array([measure(dataclasses.replace(run, iterations=iterations)) for run in runs])
    mean, low, high = figures.mean(axis=0), figures.min(axis=0), figures.max(axis=0)
    cells = [f"{mean[1]:.3f} ({low[1]:.3f})", *(f"{mean[i]:.2f} ({high[i]:.2f})" for i in (2, 3))]
    return (
        " | ".join([f"| {name}", robot_name, f"{iterations}", f"{mean[0]:.1f}", *cells]).replace("nan (nan)", "-")
        + " |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--robots", nargs="+", default=["crazyflie_paper", "crazyflie"])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    options = parser.parse_args()
    print("| critic, horizon | robot | iterations | CPU s | survival | hover cm | 8 in 5.5 s, cm |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in options.variants:
        cost = relative_cost(VARIANTS[name])
        for seconds in options.seconds:
            iterations = round(PRESET_ITERATIONS * seconds / PRESET_SECONDS / cost)
            for robot_name in options.robots:
                print(row(name, robot_name, iterations, range(1000, 1000 + options.seeds)), flush=True)


if __name__ == "__main__":
    main()
