"""The same equations in torch: fledge's row-wise step, eager and under torch.compile, and its gradient by autograd."""

from __future__ import annotations

from collections.abc import Callable

import torch
from fledge_sim import kernel, presets, robot, torch_step
from fledge_sim.torch_env import TorchEnv

PACKAGES = ("torch",)
DT = 0.01
"""[s]"""
Call = Callable[[], object]
Step = Callable[..., torch.Tensor]


def _batch(n: int, threads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.set_num_threads(threads)
    crazyflie = robot.load("crazyflie")
    setpoint = torch.full((4, n), crazyflie.hover_rotor_speed)
    return (
        torch.from_numpy(kernel.hover_state(crazyflie, n)),
        setpoint,
        torch.from_numpy(kernel.parameter_rows(crazyflie, n)),
    )


def _forward(step: Step, batch: int, threads: int) -> Call:
    state, setpoint, parameters = _batch(batch, threads)

    def call() -> torch.Tensor:
        with torch.no_grad():
            return step(state, setpoint, parameters, DT)

    return call


def _gradient(step: Step, batch: int, threads: int) -> Call:
    state, setpoint, parameters = _batch(batch, threads)
    state.requires_grad_(), setpoint.requires_grad_()
    adjoint = torch.ones_like(state)

    def call() -> object:
        following = step(state, setpoint, parameters, DT)
        return torch.autograd.grad(following, (state, setpoint), adjoint)

    return call


def _environment(batch: int, threads: int) -> Call:
    """The torch environment on the CPU, hover, compiled."""
    torch.set_num_threads(threads)
    config = presets.hover(robot.load("crazyflie"))
    env = TorchEnv(config, batch, compiled=True)
    env.reset()
    action = torch.full((batch, 4), config.robot.hover_action)
    return lambda: env.step(action)


CASES = {
    "environment_compiled": _environment,
    "step": lambda batch, threads: _forward(torch_step.step, batch, threads),
    "step_compiled": lambda batch, threads: _forward(torch_step.compiled_step(), batch, threads),
    "step_and_adjoint": lambda batch, threads: _gradient(torch_step.step, batch, threads),
    "step_and_adjoint_compiled": lambda batch, threads: _gradient(torch_step.compiled_step(), batch, threads),
}
