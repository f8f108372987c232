"""How long training takes and what it gives, over seeds: `python tests/bench/bench_training.py --seeds 10`.

One line per robot, actor and preset: CPU seconds of training (one thread), microseconds per iteration, the mean over
the seeds of every figure and its worst. Asserts nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from fledge_sim import robot
from fledge_train import config, learner, shac
from fledge_train.evaluate import Evaluation, evaluate

FIGURES: dict[str, Callable[[Evaluation], float | None]] = {
    "survival": lambda e: e.hover.survival,
    "hover cm": lambda e: _cm(e.hover.error),
    "jerk": lambda e: e.hover.action_jerk,
    "surv +-20%": lambda e: e.hover_randomized.survival,
    "surv 10 ms": lambda e: e.hover_delay_10_ms.survival,
    "hover flown": lambda e: _cm(e.hover_as_flown.error),
    "8 15 s": lambda e: _cm(e.figure_eight[0].rmse),
    "8 5.5 s": lambda e: _cm(e.figure_eight[1].rmse),
    "8 3.5 s": lambda e: _cm(e.figure_eight[2].rmse),
    "8 +-20%": lambda e: _cm(e.figure_eight_randomized.rmse),
    "8 flown": lambda e: _cm(e.figure_eight_as_flown.rmse),
    "8 lost": lambda e: 1 - min(t.survival for t in (*e.figure_eight[:2], e.figure_eight_as_flown)),
}
SMALL_IS_BAD = ("surv",)


def _cm(metres: float | None) -> float | None:
    return None if metres is None else 100 * metres


def measure(cfg: config.TrainConfig) -> tuple[float, Evaluation]:
    """CPU seconds of one training run, and its evaluation."""
    start = time.process_time()
    result = shac.train(cfg)
    seconds = time.process_time() - start
    return seconds, evaluate(result.policy, robot.load(cfg.robot))


def line(label: str, preset: Callable[[int], config.TrainConfig], seeds: range) -> str:
    runs = [measure(preset(seed)) for seed in seeds]
    seconds = np.array([run[0] for run in runs])
    cells = [f"{label:28s} {seconds.mean():5.2f} s {1e6 * seconds.mean() / preset(0).iterations:4.0f} us"]
    for name, figure in FIGURES.items():
        values = np.array([np.nan if (v := figure(run[1])) is None else v for run in runs])
        worst = values.min() if name.startswith(SMALL_IS_BAD) else values.max()
        cells.append(f"{values.mean():.3g} ({worst:.3g})")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1000, help="first seed")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    print(f"{learner.variants()[-1]}, {len(seeds)} seeds, mean (worst)")
    print(" | ".join(["robot actor preset, CPU time", *FIGURES]))
    for name in ("crazyflie", "crazyflie_paper"):
        for actor in ("gru", "mlp"):
            for preset in (config.robust, config.fast):
                label = f"{name} {actor} {preset.__name__}"
                print(line(label, lambda seed, p=preset, n=name, a=actor: p(n, a, seed), seeds), flush=True)


if __name__ == "__main__":
    main()
