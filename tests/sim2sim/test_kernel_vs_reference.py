"""The native kernel and the two torch texts are three texts of docs/dynamics.md: they must agree to rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import dynamics, kernel, torch_step
from fledge_sim import robot as robots
from fledge_sim.physics import Physics
from numpy.typing import NDArray

VARIANTS = ("baseline", "avx2", "avx512")
SCALE = np.repeat([1.0, 1.0, 2.0, 10.0, 2000.0], [3, 4, 3, 3, 4])[:, None]
"""Typical magnitude of each row of the state."""
DRAG = Physics(drag=True)
ALL = Physics(drag=True, floor=True, ground_effect=True, battery=True)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test with one instruction set, if this processor has it."""
    monkeypatch.setenv("FLEDGE_ISA", request.param)
    if kernel.instruction_set() != request.param:
        pytest.skip(f"this processor does not run {request.param}")
    return str(request.param)


def low(physics: Physics) -> bool:
    """Whether an effect acts only near the floor."""
    return physics.floor or physics.ground_effect


def reference_step(sample: Any, dt: float, physics: Physics) -> NDArray[np.float64]:
    following = dynamics.step(
        dynamics.state_from_rows(torch.from_numpy(sample.state)),
        torch.from_numpy(sample.setpoint).T,
        dynamics.parameters_from_rows(torch.from_numpy(sample.parameters)),
        dt,
        physics,
    )
    rows: NDArray[np.float64] = dynamics.state_to_rows(following).numpy()
    return rows


def relative_error(found: NDArray[Any], expected: NDArray[np.float64]) -> float:
    return float((abs(found - expected) / np.maximum(abs(expected), SCALE)).max())


@pytest.mark.parametrize("n", [1, 3, 17, 1000])
@pytest.mark.usefixtures("variant")
def test_float32_kernel_equals_reference(n: int, physics: Physics, sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(n, n, near_floor=low(physics))
    dt = 0.001 if physics.floor else 0.01
    following = kernel.step(*(rows.astype(np.float32) for rows in sample), dt, physics=physics)
    # 1e-6 is 8 half-units in the last place; the depth of a foot is a difference of two heights, so it loses more
    assert relative_error(following, reference_step(sample, dt, physics)) < (4e-6 if physics.floor else 1e-6)


def test_double_kernel_equals_reference(physics: Physics, sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(7, 50, near_floor=low(physics))
    columns = [[np.ascontiguousarray(rows[:, i]) for rows in sample] for i in range(50)]
    following = np.stack([kernel.step_double(*column, 0.002, physics=physics) for column in columns], axis=1)
    assert relative_error(following, reference_step(sample, 0.002, physics)) < 1e-13


def test_torch_step_in_rows_equals_reference(physics: Physics, sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(8, 300, near_floor=low(physics))
    following = torch_step.step(*(torch.from_numpy(rows) for rows in sample), 0.002, physics).numpy()
    assert relative_error(following, reference_step(sample, 0.002, physics)) < 1e-13


@pytest.mark.parametrize("effect", ["drag", "floor", "ground_effect", "battery"])
def test_every_effect_acts_on_the_samples_compared(effect: str, sample_quadrotor: Callable[..., Any]) -> None:
    """Without this, texts could agree by leaving out the same thing."""
    sample = sample_quadrotor(7, 50, near_floor=True)
    arguments = (
        dynamics.state_from_rows(torch.from_numpy(sample.state)),
        torch.from_numpy(sample.setpoint).T,
        dynamics.parameters_from_rows(torch.from_numpy(sample.parameters)),
    )
    without = dynamics.derivative(*arguments)
    alone = dynamics.derivative(*arguments, Physics(**{effect: True}))
    pairs = zip(vars(without).values(), vars(alone).values(), strict=True)
    changed = torch.stack([(a != b).any(-1) for a, b in pairs]).any(0)
    assert int(changed.sum()) >= 12  # of 50
    upside_down = torch.arange(50) % 3 == 2
    assert bool(changed[upside_down].any())


def test_a_second_of_flight_stays_with_the_reference(sample_quadrotor: Callable[..., Any]) -> None:
    sample = sample_quadrotor(3, 64)
    state, setpoint, parameters = (rows.astype(np.float32) for rows in sample)
    expected = sample
    for _ in range(100):
        kernel.step(state, setpoint, parameters, 0.01, physics=DRAG, out=state)
        expected = expected._replace(state=reference_step(expected, 0.01, DRAG))
    # unequal rotors spin these up to some 500 rad/s, which magnifies each rounding about a hundredfold
    assert relative_error(state, expected.state) < 1e-3


@pytest.mark.parametrize("n", [1, 17, 5000, 20011])
@pytest.mark.usefixtures("variant")
def test_threads_do_not_change_a_bit(n: int, sample_quadrotor: Callable[..., Any]) -> None:
    arrays = [rows.astype(np.float32) for rows in sample_quadrotor(n, n, near_floor=True)]
    adjoint_next = np.random.default_rng(n).standard_normal((17, n)).astype(np.float32)
    alone = kernel.step(*arrays, 0.001, physics=ALL)
    alone_adjoints = kernel.step_adjoint(*arrays, 0.001, adjoint_next, physics=ALL)
    for threads in (2, 3):
        assert kernel.step(*arrays, 0.001, physics=ALL, threads=threads).tobytes() == alone.tobytes()
        adjoints = kernel.step_adjoint(*arrays, 0.001, adjoint_next, physics=ALL, threads=threads)
        assert [a.tobytes() for a in adjoints] == [a.tobytes() for a in alone_adjoints]


def test_a_step_may_overwrite_its_own_state(sample_quadrotor: Callable[..., Any]) -> None:
    state, setpoint, parameters = (rows.astype(np.float32) for rows in sample_quadrotor(11, 37))
    apart = kernel.step(state, setpoint, parameters, 0.01)
    kernel.step(state, setpoint, parameters, 0.01, out=state)
    assert state.tobytes() == apart.tobytes()


def test_parameters_of_a_robot_are_the_same_in_both_texts() -> None:
    crazyflie = robots.load("crazyflie")
    rows = dynamics.parameters_to_rows(dynamics.nominal_parameters(crazyflie, 3))
    np.testing.assert_allclose(rows, kernel.parameter_rows(crazyflie, 3), rtol=1e-6)
