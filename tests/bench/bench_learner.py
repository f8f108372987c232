"""What an iteration of the native learner costs: `python tests/bench/bench_learner.py`, one thread, CPU time.

Per configuration and instruction set (those of the processor, or the one in FLEDGE_ISA): the fastest of many short
blocks at the preset's final horizon, what its matrix products make of it in GFLOP/s (forward, reverse and weight
gradient, one multiply-add each per weight, environment and step), and the share of what a large sgemm of the same
numpy reaches on this core in the same minute. Prints a Markdown table; asserts nothing.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from itertools import pairwise

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `fledge train` does

import numpy as np
from fledge_train import config, learner, shac
from fledge_train.config import TrainConfig

BLOCKS, BLOCK, WARM_UP = 120, 4, 100
SGEMM = 768
"""Rows and columns of the yardstick's matrices."""


def configurations() -> dict[str, TrainConfig]:
    """By name: both actors, and both with three future references."""
    table = {}
    for kind in ("gru", "mlp"):
        base = config.robust("crazyflie_paper", kind)
        actor = dataclasses.replace(base.actor, look_ahead=3)
        table[kind], table[f"{kind}, look-ahead"] = base, dataclasses.replace(base, actor=actor)
    return table


def fastest(work: Callable[[], object], blocks: int = BLOCKS, block: int = BLOCK) -> float:
    """CPU seconds of one call, in the quickest block."""
    best = float("inf")
    for _ in range(blocks):
        start = time.thread_time()
        for _ in range(block):
            work()
        best = min(best, (time.thread_time() - start) / block)
    return best


def products(native: learner.Learner) -> float:
    """Floating point operations of the matrix products of one iteration."""
    n = native.problem.network
    hidden, inputs = list(n.hidden[: n.layers]), 18 + 6 * n.look_ahead + 4 * n.history
    gates = 3 if n.kind else 1
    weights = gates * hidden[0] * (inputs + (hidden[0] if n.kind else 0)) + 4 * hidden[-1]
    weights += sum(below * size for below, size in pairwise(hidden))
    return 2.0 * 3 * weights * native.problem.environments * native.problem.horizon


def main() -> None:
    """The table."""
    a, b = np.random.default_rng(0).random((2, SGEMM, SGEMM), np.float32)
    yardstick = 2 * SGEMM**3 / fastest(lambda: a @ b, 20, 1)
    print(f"sgemm {SGEMM}: {yardstick / 1e9:.0f} GFLOP/s\n")
    print("| actor | instructions | us | GFLOP/s | of sgemm |\n|---|---|---|---|---|")
    chosen = os.environ.get("FLEDGE_ISA")
    for isa in [chosen] if chosen else learner.variants()[::-1]:
        os.environ["FLEDGE_ISA"] = isa
        for name, cfg in configurations().items():
            trainer = shac.Shac(cfg)
            native = trainer._learner
            for _ in range(WARM_UP // shac.CHUNK):
                trainer.advance()
            native.problem.horizon = round(cfg.horizon.end)
            seconds = fastest(native.iterate)
            rate = products(native) / seconds
            print(f"| {name} | {isa} | {1e6 * seconds:.0f} | {rate / 1e9:.0f} | {rate / yardstick:.0%} |", flush=True)


if __name__ == "__main__":
    main()
