"""How fast the native kernel is: steps per second of one core's time, and the cost of a call with one environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fledge_sim import kernel
from fledge_sim.robot import Robot

STEP = 0.01
"""[s]"""


@dataclass(frozen=True)
class KernelTiming:
    """One row of the table."""

    instruction_set: str
    environments: int
    step_rate: float
    """Steps of one environment per second of processor time [1/s]."""
    adjoint_rate: float
    """Reverse sweeps likewise [1/s]."""


def time_kernel(robot: Robot, environments: tuple[int, ...] = (1, 1024, 65536)) -> list[KernelTiming]:
    """Time `kernel.step` and `kernel.step_adjoint` on one thread, at hover; medians over seven repetitions."""
    return [_time(robot, n) for n in environments]


def _time(robot: Robot, n: int) -> KernelTiming:
    state, parameters = kernel.hover_state(robot, n), kernel.parameter_rows(robot, n)
    setpoint = kernel.setpoint_from_action(robot, np.full((4, n), robot.hover_action))
    adjoint = np.ones_like(state)
    return KernelTiming(
        kernel.instruction_set(),
        n,
        n * _calls_per_second(lambda: kernel.step(state, setpoint, parameters, STEP, out=state)),
        n * _calls_per_second(lambda: kernel.step_adjoint(state, setpoint, parameters, STEP, adjoint)),
    )


def _calls_per_second(call: Callable[[], object], repetitions: int = 7, duration: float = 0.05) -> float:
    """Median over repetitions of about `duration` seconds of processor time each."""
    call()
    start = time.process_time()
    call()
    count = max(1, round(duration / max(time.process_time() - start, 1e-6)))
    rates = []
    for _ in range(repetitions):
        start = time.process_time()
        for _ in range(count):
            call()
        rates.append(count / (time.process_time() - start))
    return float(np.median(rates))
