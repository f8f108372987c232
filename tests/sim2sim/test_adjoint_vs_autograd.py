"""The hand-written reverse sweep of the kernel against autograd of the readable reference in double precision."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import differentiable, dynamics, kernel, torch_step
from fledge_sim.physics import Physics
from numpy.typing import NDArray

DRAG = Physics(drag=True)
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def autograd(sample: Any, dt: float, adjoint_next: NDArray[np.float64], physics: Physics) -> Pair:
    """dL/dstate (17, n) and dL/dsetpoint (4, n) of L = adjoint_next : step(state, setpoint)."""
    state, setpoint = (torch.from_numpy(rows).requires_grad_() for rows in (sample.state, sample.setpoint))
    parameters = dynamics.parameters_from_rows(torch.from_numpy(sample.parameters))
    following = dynamics.step(dynamics.state_from_rows(state), setpoint.T, parameters, dt, physics)
    loss = (dynamics.state_to_rows(following) * torch.from_numpy(adjoint_next)).sum()
    state_bar, setpoint_bar = torch.autograd.grad(loss, (state, setpoint))
    return state_bar.numpy(), setpoint_bar.numpy()


def relative_error(found: NDArray[Any], expected: NDArray[np.float64]) -> float:
    """Largest difference in a row, relative to the largest gradient in that row: rows differ in unit."""
    return float((abs(found - expected) / abs(expected).max(axis=1, keepdims=True)).max())


def test_adjoint_in_double_precision_equals_autograd(physics: Physics, sample_quadrotor: Callable[..., Any]) -> None:
    n, dt = 100, 0.001 if physics.floor else 0.01
    sample = sample_quadrotor(1, n, near_floor=physics.floor or physics.ground_effect)
    adjoint_next = np.random.default_rng(2).standard_normal((17, n))
    expected = autograd(sample, dt, adjoint_next, physics)
    columns = [[np.ascontiguousarray(rows[:, i]) for rows in sample] for i in range(n)]
    found = [
        kernel.step_adjoint_double(*column, dt, np.ascontiguousarray(adjoint_next[:, i]), physics=physics)
        for i, column in enumerate(columns)
    ]
    assert relative_error(np.stack([state for state, _ in found], axis=1), expected[0]) < 1e-12
    assert relative_error(np.stack([setpoint for _, setpoint in found], axis=1), expected[1]) < 1e-12


def test_gradient_of_the_torch_step_in_rows_equals_that_of_the_reference(
    physics: Physics, sample_quadrotor: Callable[..., Any]
) -> None:
    sample = sample_quadrotor(4, 60, near_floor=physics.floor or physics.ground_effect)
    adjoint_next = np.random.default_rng(4).standard_normal((17, 60))
    expected = autograd(sample, 0.001, adjoint_next, physics)
    leaves = [torch.from_numpy(rows).requires_grad_() for rows in (sample.state, sample.setpoint)]
    following = torch_step.step(*leaves, torch.from_numpy(sample.parameters), 0.001, physics)
    found = torch.autograd.grad((following * torch.from_numpy(adjoint_next)).sum(), leaves)
    assert max(relative_error(a.numpy(), b) for a, b in zip(found, expected, strict=True)) < 1e-12


@pytest.mark.parametrize("n", [3, 17, 1000])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_adjoint_in_single_precision_equals_autograd(
    n: int,
    physics: Physics,
    instruction_set: str,
    sample_quadrotor: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEDGE_ISA", instruction_set)
    if kernel.instruction_set() != instruction_set:
        pytest.skip(f"this processor does not run {instruction_set}")
    dt = 0.001 if physics.floor else 0.01
    sample = sample_quadrotor(n, n, near_floor=physics.floor or physics.ground_effect)
    adjoint_next = np.random.default_rng(n).standard_normal((17, n)).astype(np.float32)
    expected = autograd(sample, dt, adjoint_next.astype(np.float64), physics)
    found = kernel.step_adjoint(*(rows.astype(np.float32) for rows in sample), dt, adjoint_next, physics=physics)
    assert max(relative_error(a, b) for a, b in zip(found, expected, strict=True)) < 1e-4


def test_torch_function_backpropagates_through_many_steps(sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(5, 8)
    weights = torch.from_numpy(np.random.default_rng(6).standard_normal((17, 8)))
    leaf = torch.from_numpy(sample.setpoint).requires_grad_()
    parameters = dynamics.parameters_from_rows(torch.from_numpy(sample.parameters))
    reference = dynamics.state_from_rows(torch.from_numpy(sample.state))
    for _ in range(20):
        reference = dynamics.step(reference, leaf.T, parameters, 0.01, DRAG)
    (dynamics.state_to_rows(reference) * weights).sum().backward()

    state, setpoint, rows = (torch.from_numpy(array).float() for array in sample)
    setpoint.requires_grad_()
    for _ in range(20):
        state = differentiable.step(state, setpoint, rows, 0.01, physics=DRAG)
    (state * weights.float()).sum().backward()
    assert setpoint.grad is not None
    assert leaf.grad is not None
    assert relative_error(setpoint.grad.numpy(), leaf.grad.numpy()) < 1e-4
