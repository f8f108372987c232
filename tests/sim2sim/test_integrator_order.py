"""The order of the integrator, from the slope of its error against the step."""

from collections.abc import Callable
from typing import Any

import numpy as np
from fledge_sim import kernel
from fledge_sim.rows import State
from numpy.typing import NDArray

DURATION = 0.32


def fly(sample: Any, steps: int) -> NDArray[np.float64]:
    state, setpoint, parameters = (np.ascontiguousarray(rows[:, 0]) for rows in sample)
    for _ in range(steps):
        state = kernel.step_double(state, setpoint, parameters, DURATION / steps, physics=kernel.Physics(drag=True))
    return state


def test_error_falls_with_the_fourth_power_of_the_step(sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(4, 1)
    # smooth only while every rotor stays on one side of its setpoint: let all of them rise
    sample.state[State.ROTOR_SPEED :] = 2000
    sample.setpoint[:, 0] = [2300, 2310, 2320, 2305]
    exact = fly(sample, 4096)
    steps = np.array([16, 32, 64, 128])
    error = np.array([np.linalg.norm((fly(sample, count) - exact)[:13]) for count in steps])
    slope = np.polyfit(np.log(DURATION / steps), np.log(error), 1)[0]
    assert 3.8 < slope < 4.3
