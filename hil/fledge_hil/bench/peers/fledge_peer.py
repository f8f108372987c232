"""fledge itself, timed by the same text as its peers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fledge_sim import kernel, robot
from fledge_sim.rows import Float32

PACKAGES = ("fledge", "numpy")
DT = 0.01
"""[s]"""
Call = Callable[[], object]


def _batch(n: int) -> tuple[Float32, Float32, Float32]:
    """Hovering Crazyflies, every parameter per environment."""
    crazyflie = robot.load("crazyflie")
    setpoint = kernel.setpoint_from_action(crazyflie, np.full((4, n), crazyflie.hover_action))
    return kernel.hover_state(crazyflie, n), setpoint, kernel.parameter_rows(crazyflie, n)


def step(batch: int, threads: int) -> Call:
    """The native kernel, RK4, in place."""
    state, setpoint, parameters = _batch(batch)
    return lambda: kernel.step(state, setpoint, parameters, DT, threads=threads, out=state)


def step_and_adjoint(batch: int, threads: int) -> Call:
    """A step, and the reverse sweep of that step."""
    state, setpoint, parameters = _batch(batch)
    adjoint, following = np.ones_like(state), np.empty_like(state)

    def call() -> None:
        kernel.step(state, setpoint, parameters, DT, threads=threads, out=following)
        kernel.step_adjoint(state, setpoint, parameters, DT, adjoint, threads=threads)

    return call


CASES = {"step": step, "step_and_adjoint": step_and_adjoint}
