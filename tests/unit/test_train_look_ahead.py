"""The future references that an evaluated policy sees are those that the reference will take."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fledge_sim import kernel, robot, tasks, trajectories
from fledge_sim.contract import Contract, ObservationTerm, TrainingRecord
from fledge_sim.policy import Policy, assemble
from fledge_sim.rows import State
from fledge_train import config, evaluate, flights, networks
from numpy.typing import NDArray

CRAZYFLIE = robot.load("crazyflie")
N = 3


def contract_with(count: int, spacing: float, history: int = 0) -> Contract:
    cfg = config.robust()
    plain = networks.contract_of(CRAZYFLIE, cfg.actor, cfg.sensors, TrainingRecord("none", 0, "test"))
    ahead = ObservationTerm("look_ahead", 6 * count, "m, m/s", "heading", clip=9.0, scale=1.0, noise=0.0)
    past = ObservationTerm("action_history", 4 * history, "1", "actuator", 1.0, 0.1, 0.0)
    terms = (*plain.observation, ahead, *((past,) if history else ()))
    return dataclasses.replace(plain, observation=terms, look_ahead_spacing=spacing)


def thrown_states(seed: int = 0) -> NDArray[np.float32]:
    return tasks.sample_initial_states(CRAZYFLIE, tasks.paper_initial_state(), N, seed)


def seen(contract: Contract, time: float, noise: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Observation of the figure-eight of 5.5 s at a time from `thrown_states`."""
    history = np.zeros((N, 4 * contract.history_length), np.float32)
    quiet = np.zeros((N, contract.observation_size), np.float32)
    target = evaluate.figure_eight_target(5.5, N)
    return flights.sense(contract, thrown_states(), target, time, history, quiet if noise is None else noise)


def test_without_a_clock_of_its_own_it_is_the_term_of_the_environments() -> None:
    curve = tasks.figure_eight(np.full(N, 4.0), np.ones(N), np.zeros(N))
    contract, state = contract_with(4, 0.05, history=2), thrown_states()
    past = np.ones((N, 8), np.float32)
    observation = flights.sense(
        contract,
        state,
        evaluate.moving_target(curve, lambda time: time),
        1.3,
        past,
        np.zeros((N, contract.observation_size), np.float32),
    )
    position, velocity = (state[row : row + 3] for row in (State.POSITION, State.VELOCITY))
    expected = trajectories.look_ahead(curve, 1.3, 4, 0.05, position, velocity)  # type: ignore[arg-type]
    assert np.allclose(observation[:, 18:42], expected, atol=1e-5)
    assert (observation[:, 42:] == 1).all()


def test_during_the_warm_up_the_future_runs_slower_too() -> None:
    """At t = 0 the reference after 1 s has covered 1^2 / (2 * 2) = 0.25 s of the curve, at half its speed."""
    ahead = seen(contract_with(2, 1.0), 0.0)[:, 18:30].reshape(N, 2, 6)
    state = thrown_states()
    for index, (along, speed) in enumerate(((0.25, 0.5), (1.0, 1.0))):
        phase = np.pi / 2 + 2 * np.pi * along / 5.5
        place = np.array([np.cos(phase), np.sin(2 * phase) / 2, 0.0])
        slope = 2 * np.pi / 5.5 * np.array([-np.sin(phase), np.cos(2 * phase), 0.0])
        assert np.allclose(ahead[:, index, :3], place - state[:3].T, atol=1e-6)
        velocity = state[State.VELOCITY : State.VELOCITY + 3].T
        assert np.allclose(ahead[:, index, 3:], speed * slope - velocity, atol=6e-3)  # the clock's corner is at 2 s


@pytest.mark.parametrize("time", [0.3, 1.99, 4.0])
def test_the_future_of_now_is_the_present_of_later(time: float) -> None:
    state = thrown_states()
    later = evaluate.figure_eight_target(5.5, N)(time + 0.1)
    ahead = seen(contract_with(1, 0.1), time)[:, 18:]
    now = np.concatenate([state[:3], state[State.VELOCITY : State.VELOCITY + 3]])
    assert np.allclose(ahead.T + now, np.concatenate([later.position_world, later.velocity_world]), atol=1e-6)


def test_noise_moves_present_and_future_alike() -> None:
    """Both are seen from one sensed position, so their sum is the way of the reference, free of noise."""
    contract = contract_with(2, 0.2)
    noise = np.random.default_rng(0).normal(0, 0.1, (N, contract.observation_size)).astype(np.float32)
    noise[:, 18:] = 0
    quiet, noisy = seen(contract, 3.0), seen(contract, 3.0, noise)
    assert np.abs(noisy[:, 18:] - quiet[:, 18:]).max() > 0.05
    for start in (18, 24):
        assert np.allclose(noisy[:, start : start + 3] + noisy[:, :3], quiet[:, start : start + 3] + quiet[:, :3])
        velocity = slice(start + 3, start + 6)
        assert np.allclose(noisy[:, velocity] + noisy[:, 12:15], quiet[:, velocity] + quiet[:, 12:15], atol=1e-6)


def policy_that_reads(contract: Contract, element: int) -> Policy:
    """Rolls by the observation's `element`, in a straight line."""
    shape = dataclasses.replace(contract.network, kind="mlp", hidden=(8,))
    network = dataclasses.replace(contract, network=shape, inference_rate=100)
    hidden, output = np.zeros((8, contract.observation_size)), np.zeros((4, 8))
    hidden[0, element], output[:, 0] = 1e-2, (1, 1, -1, -1)
    bias = np.full(4, np.arctanh(contract.action.hover))
    weights = {"dense0.weight": hidden, "dense0.bias": np.zeros(8), "output.weight": output, "output.bias": bias}
    return assemble(network, {name: array.astype(np.float32) for name, array in weights.items()})


def test_a_flown_policy_sees_the_future() -> None:
    """From rest at the centre, noise off: it answers to y of the reference 0.5 s later, 0.0625 s along the curve."""
    contract = contract_with(1, 0.5)
    policy = policy_that_reads(contract, element=19)
    scenario = flights.Scenario(
        state=kernel.hover_state(CRAZYFLIE, N),
        parameters=kernel.parameter_rows(CRAZYFLIE, N),
        target=evaluate.figure_eight_target(5.5, N),
        duration=0.01,
        noise_scale=0.0,
    )
    action = flights.fly(policy, CRAZYFLIE, scenario).action[0]
    phase = np.pi / 2 + 2 * np.pi * 0.0625 / 5.5
    hidden = np.tanh(1e-2 * np.sin(2 * phase) / 2)
    expected = np.tanh(np.arctanh(contract.action.hover) + hidden * np.array([1, 1, -1, -1]))
    assert np.allclose(action, expected, atol=1e-6)
    assert hidden < -5e-4
