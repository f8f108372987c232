"""crazyflow: JAX on the CPU, its first-principles Crazyflie with RK4 at 100 Hz under rotor speed commands."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

PACKAGES = ("crazyflow", "jax")

jax: Any = importlib.import_module("jax")
crazyflow: Any = importlib.import_module("crazyflow")
control: Any = importlib.import_module("crazyflow.control")
dynamics: Any = importlib.import_module("crazyflow.dynamics")
integration: Any = importlib.import_module("crazyflow.sim.integration")


def step(batch: int, _threads: int) -> Callable[[], object]:
    """Command and step, as its own loop calls them; JAX is asynchronous, so wait for the result."""
    sim = crazyflow.Sim(
        n_worlds=batch,
        dynamics=dynamics.Dynamics.first_principles,
        control=control.Control.rotor_vel,
        integrator=integration.Integrator.rk4,
        freq=100,
        state_freq=100,
        attitude_freq=100,
        body_rate_freq=100,
        force_torque_freq=100,
    )
    sim.reset()
    command = jax.numpy.full((batch, 1, 4), 16000.0)

    def call() -> None:
        sim.rotor_vel_control(command)
        sim.step(1)
        jax.block_until_ready(sim.data.states.pos)

    return call


CASES = {"step": step}
