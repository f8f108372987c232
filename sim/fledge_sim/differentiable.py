"""The native kernel as a torch function: forward is `kernel.step`, backward is `kernel.step_adjoint` (CPU, float32)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fledge_sim import kernel
from fledge_sim.arrays import Float32
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        state: Tensor,
        setpoint: Tensor,
        parameters: Tensor,
        dt: float,
        physics: Physics,
        threads: int,
    ) -> Tensor:
        ctx.save_for_backward(state, setpoint, parameters)
        ctx.dt, ctx.options = dt, {"physics": physics, "threads": threads}
        arrays = (_array(state), _array(setpoint), _array(parameters))
        return torch.from_numpy(kernel.step(*arrays, dt, **ctx.options))

    @staticmethod
    def backward(ctx: Any, *adjoints: Tensor) -> tuple[Tensor | None, ...]:
        state, setpoint, parameters = (_array(tensor) for tensor in ctx.saved_tensors)
        adjoint_next = _array(adjoints[0].contiguous())
        state_bar, setpoint_bar = kernel.step_adjoint(state, setpoint, parameters, ctx.dt, adjoint_next, **ctx.options)
        return torch.from_numpy(state_bar), torch.from_numpy(setpoint_bar), None, None, None, None


def step(
    state: Tensor,
    rotor_speed_setpoint: Tensor,
    parameters: Tensor,
    dt: float,
    *,
    physics: Physics = kernel.BARE,
    threads: int = 1,
) -> Tensor:
    """`kernel.step` with gradients with respect to state and setpoint.

    Args:
        state: (17, n), float32, CPU, rows as in rows.State.
        rotor_speed_setpoint: (4, n) [rad/s].
        parameters: (51, n), rows as in rows.Parameter; they get no gradient (dynamics.py gives one).
        dt: step [s].
        physics: effects and integrator.
        threads: as in `kernel.step`.
    Returns:
        The next state (17, n).
    Raises:
        FledgeError: parameters that require a gradient; otherwise as `kernel.step`.
    """
    if parameters.requires_grad:
        raise FledgeError("parameters require a gradient, which the kernel does not give; use fledge_sim.dynamics.step")
    next_state: Tensor = _Step.apply(  # type: ignore[no-untyped-call]
        state.contiguous(), rotor_speed_setpoint.contiguous(), parameters.contiguous(), dt, physics, threads
    )
    return next_state


def _array(tensor: Tensor) -> Float32:
    """The tensor's own memory as an array; the kernel checks shape and dtype."""
    if tensor.device.type != "cpu":
        raise FledgeError(
            f"the kernel needs tensors on the CPU, got {tensor.device}; use fledge_sim.dynamics.step there"
        )
    array: Float32 = tensor.detach().numpy()
    return array
