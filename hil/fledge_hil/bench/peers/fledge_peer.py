"""fledge itself, timed by the same text as its peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from fledge_sim import kernel, presets, robot
from fledge_sim.arrays import empty
from fledge_sim.environment import Actuation, EnvConfig, Gusts, Sensors
from fledge_sim.physics import Physics
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.rows import Float32

PACKAGES = ("fledge", "numpy", "torch")
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


def prepared_step(batch: int, threads: int) -> Call:
    """The same, arguments checked once."""
    return kernel.PreparedStep(*_batch(batch), DT, threads=threads)


def step_and_adjoint(batch: int, threads: int) -> Call:
    """A step, and the reverse sweep of that step."""
    state, setpoint, parameters = _batch(batch)
    adjoint, following = empty(*state.shape), empty(*state.shape)
    adjoint[:] = 1

    def call() -> None:
        kernel.step(state, setpoint, parameters, DT, threads=threads, out=following)
        kernel.step_adjoint(state, setpoint, parameters, DT, adjoint, threads=threads)

    return call


def environment(batch: int, threads: int) -> Call:
    """Hover with randomized robots, delay, noise, reward and new episodes; near-hover actions, so that many crash."""
    return _environment(presets.hover(robot.load("crazyflie")), batch, threads)


def environment_complete(batch: int, threads: int) -> Call:
    """Every effect of the physics, the sensors and the actuation at once, tracking, with the critic's observation."""
    config = replace(
        presets.track(robot.load("crazyflie")),
        physics=Physics(drag=True, ground_effect=True, battery=True),
        sensors=SENSORS,
        gusts=Gusts(mean=1.0, intensity=(0.1, 1.0)),
        actuation=Actuation(dead_zone=True, quantisation=True, compensation=True),
        privileged=True,
    )
    return _environment(config, batch, threads)


SENSORS = Sensors(
    delay=(0.0, 1.0),
    bias_position=0.01,
    bias_velocity=0.01,
    bias_angular_velocity=0.01,
    gyro_cutoff=(40.0, 80.0),
    quantisation_position=0.001,
    quantisation_velocity=0.001,
    quantisation_angular_velocity=0.001,
    position_dropout=(0.0, 0.2),
)


def _environment(config: EnvConfig, batch: int, threads: int) -> Call:
    torch.set_num_threads(threads)
    env = QuadrotorEnv(config, batch, threads=threads)
    env.reset()
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn((batch, 4), generator=generator)
    action = (config.robot.hover_action + noise).clamp(-1, 1)
    return lambda: env.step(action)


CASES = {
    "step": step,
    "prepared_step": prepared_step,
    "step_and_adjoint": step_and_adjoint,
    "environment": environment,
    "environment_complete": environment_complete,
}
