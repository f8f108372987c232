"""The order of the integrators, from the slope of their error against the step, while nothing has a kink."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fledge_sim import frames, kernel
from fledge_sim.physics import Integrator, Physics
from fledge_sim.rows import Parameter, State
from numpy.typing import NDArray

FLYING = Physics(drag=True, ground_effect=True, battery=True)
"""In wind, low over the ground, the setpoints capped by the battery."""
STANDING = Physics(floor=True, ground_effect=True)
"""All feet pressed into the floor and sliding."""
STEPS = np.array([16, 32, 64, 128])


def fly(sample: Any, duration: float, steps: int, physics: Physics) -> NDArray[np.float64]:
    state, setpoint, parameters = (np.ascontiguousarray(rows[:, 0]) for rows in sample)
    for _ in range(steps):
        state = kernel.step_double(state, setpoint, parameters, duration / steps, physics=physics)
    return state


def start(sample_quadrotor: Callable[..., Any], *, standing: bool) -> Any:
    """Every rotor rises, so that none passes its setpoint; flying, all are above the kink of the ground effect."""
    sample = sample_quadrotor(4, 1, near_floor=True)
    sample.state[State.POSITION + 2] = sample.parameters[Parameter.LEG_HEIGHT] - 2e-3 if standing else 0.1
    sample.state[State.QUATERNION : State.VELOCITY, 0] = frames.normalise(np.array([1, 0.001, -0.002, 0.3]))
    sample.state[State.VELOCITY : State.ROTOR_SPEED, 0] = (
        [0.3, -0.2, 0, 0.1, -0.1, 0.2] if standing else [1, 2, 1, 1, 2, 3]
    )
    sample.state[State.ROTOR_SPEED :] = 1200 if standing else 1600
    sample.setpoint[:, 0] = [2700, 2710, 2720, 2705]
    sample.parameters[Parameter.BATTERY_VOLTAGE] = 2650 / sample.parameters[Parameter.SPEED_PER_VOLT]
    return sample


@pytest.mark.parametrize(("integrator", "order"), [("rk4", 4), ("semi_implicit_euler", 1)])
@pytest.mark.parametrize(("physics", "duration"), [(FLYING, 0.1), (STANDING, 0.005)], ids=["flying", "standing"])
def test_error_falls_with_the_step_to_the_power_of_the_order(
    physics: Physics, duration: float, integrator: Integrator, order: int, sample_quadrotor: Callable[..., Any]
) -> None:
    sample = start(sample_quadrotor, standing=physics.floor)
    exact = fly(sample, duration, 4096, physics)
    chosen = dataclasses.replace(physics, integrator=integrator)
    error = np.array([np.linalg.norm((fly(sample, duration, count, chosen) - exact)[:13]) for count in STEPS])
    slope = np.polyfit(np.log(duration / STEPS), np.log(error), 1)[0]
    assert order - 0.2 < slope < order + 0.3


@pytest.mark.parametrize("integrator", ["rk4", "semi_implicit_euler"])
def test_substeps_are_short_steps(integrator: Integrator, sample_quadrotor: Callable[..., Any]) -> None:
    sample = start(sample_quadrotor, standing=False)
    physics = dataclasses.replace(FLYING, integrator=integrator)
    together = fly(sample, 0.01, 1, dataclasses.replace(physics, substeps=4))
    assert np.allclose(together, fly(sample, 0.01, 4, physics), rtol=1e-14, atol=1e-15)
