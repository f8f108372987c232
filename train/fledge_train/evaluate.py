"""Measures a policy in simulation, by a text that shares nothing with the learner's C but the physics kernel.

The policy runs through the numpy reference, sensors and command delay are written out again here: delay acts inside a
step, the old command first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fledge_sim import kernel, randomize, sensors, tasks
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy, forward
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, State
from numpy.typing import NDArray

DT = 0.01
"""[s], native step."""
LIMIT = 0.6
"""[m], any axis: an episode that leaves it has crashed."""
WARM_UP = 2.0
"""[s], over which the figure-eight gathers speed before it is measured."""

Float64 = NDArray[np.float64]
Path3 = Callable[[float], sensors.Target]


@dataclass(frozen=True)
class Hover:
    """Hover episodes of 5 s from the paper's initial states."""

    episodes: int
    survival: float
    """Share that never left 0.6 m on any axis."""
    error: float
    """Mean distance from the set-point over the last second, survivors [m]."""
    action_jerk: float
    """Mean distance between consecutive actions over the last second, survivors."""


@dataclass(frozen=True)
class Tracking:
    """Figure-eight of 1 m half width, two rounds after the warm-up, with noise and disturbances."""

    period: float
    """[s]"""
    rmse: float
    """Root of the mean square 3-D position error, survivors [m]."""
    mean: float
    """Mean 3-D position error, survivors [m]."""
    worst: float
    """Largest RMSE of an episode [m]."""
    survival: float
    """Share that stayed within 0.6 m of the reference."""


@dataclass(frozen=True)
class Evaluation:
    """All figures of one policy."""

    robot: str
    hover: Hover
    hover_randomized: Hover
    """Parameters within +-20 %."""
    hover_delay_10_ms: Hover
    hover_delay_20_ms: Hover
    figure_eight: tuple[Tracking, ...]
    seconds: float
    """Wall-clock of the evaluation."""


@dataclass(frozen=True)
class Scenario:
    """Everything outside the policy, for n episodes."""

    state: Float32
    """First state, (17, n)."""
    parameters: Float32
    """(42, n)"""
    target: Path3
    """Set-point at a time [s]."""
    duration: float
    """[s]"""
    delay: float = 0.0
    """From observation to command [s]."""
    noise_scale: float = 1.0


@dataclass(frozen=True)
class Flight:
    """What happened, per step and episode."""

    distance: Float64
    """From the set-point after each step, (steps, n) [m]."""
    action: Float32
    """(steps, n, 4)"""
    alive: NDArray[np.bool_]
    """(n,), never left the limit."""


def fly(policy: Policy, robot: Robot, scenario: Scenario, seed: int = 0) -> Flight:
    """Run every episode to its end; an episode that crashes is parked at the set-point and no longer counts."""
    generator = np.random.Generator(np.random.PCG64(seed))
    contract, state, n = policy.contract, scenario.state.copy(), scenario.state.shape[1]
    deviation = scenario.noise_scale * sensors.noise_deviation(contract)
    memory = np.zeros((n, contract.recurrent_size), np.float32)
    history = np.full((n, 4 * contract.history_length), contract.action.hover, np.float32)
    whole, part = divmod(scenario.delay / DT, 1.0)
    past = [np.full((n, 4), contract.action.hover, np.float32)] * (int(whole) + 1)
    alive = np.ones(n, bool)
    distances, actions = [], []
    for step in range(round(scenario.duration / DT)):
        target = scenario.target(step * DT)
        seen = sensors.observe(contract, state, target, history)
        seen += deviation * generator.standard_normal(seen.shape, np.float32)
        output, memory = forward(policy, seen, memory)
        past = [*past[-int(whole) - 1 :], output.astype(np.float32)]
        state = _advance(robot, state, scenario.parameters, past[0], past[1], part)
        history = np.concatenate([history[:, 4:], past[-1]], axis=1) if history.size else history
        error = state[State.POSITION : State.POSITION + 3] - scenario.target((step + 1) * DT).position_world
        alive &= (np.abs(error) <= LIMIT).all(axis=0)
        state[:, ~alive] = scenario.state[:, ~alive]
        distances.append(np.linalg.norm(error, axis=0))
        actions.append(past[-1])
    return Flight(np.array(distances), np.array(actions), alive)


def _advance(robot: Robot, state: Float32, parameters: Float32, old: Float32, new: Float32, part: float) -> Float32:
    """One native step: the old command for `part` of it, then the new one; actions (n, 4)."""
    for action, share in ((old, part), (new, 1 - part)):
        if share > 1e-9:
            setpoint = kernel.setpoint_from_action(robot, action.T)
            state = kernel.step(state, setpoint, parameters, share * DT, drag=True)
    return state


def hover(
    policy: Policy,
    robot: Robot,
    spread: randomize.Randomization,
    delay: float = 0.0,
    episodes: int = 1000,
    seed: int = 1,
) -> Hover:
    """Hover from the paper's initial states.

    Args:
        policy: to be measured.
        robot: nominal robot.
        spread: what differs between episodes; its delay and noise ranges are not used.
        delay: [s].
        episodes: how many.
        seed: of the episodes.
    """
    still = tasks.hovering(episodes)
    scenario = Scenario(
        state=tasks.sample_initial_states(robot, tasks.paper_initial_state(), episodes, seed),
        parameters=randomize.sample_parameters(robot, spread, episodes, seed),
        target=_target(still, lambda time: time),
        duration=5.0,
        delay=delay,
    )
    flight = fly(policy, robot, scenario, seed)
    last = round(1 / DT)
    change = np.linalg.norm(np.diff(flight.action[-last:], axis=0), axis=2)
    return Hover(
        episodes=episodes,
        survival=float(flight.alive.mean()),
        error=_mean(flight.distance[-last:, flight.alive]),
        action_jerk=_mean(change[:, flight.alive]),
    )


def track_figure_eight(
    policy: Policy,
    robot: Robot,
    period: float,
    spread: randomize.Randomization,
    episodes: int = 48,
    seed: int = 2,
) -> Tracking:
    """Figure-eight from hover at its centre; the first 2 s gather speed unmeasured. Arguments as in `hover`."""
    ones = np.ones(episodes)
    eight = tasks.figure_eight(period * ones, ones, np.pi / 2 * ones)
    scenario = Scenario(
        state=kernel.hover_state(robot, episodes),
        parameters=randomize.sample_parameters(robot, spread, episodes, seed),
        target=_target(eight, _gathering_speed),
        duration=WARM_UP + 2 * period,
    )
    flight = fly(policy, robot, scenario, seed)
    measured = flight.distance[round(WARM_UP / DT) :, flight.alive]
    square = np.sqrt((measured**2).mean(axis=0)) if flight.alive.any() else np.array([np.inf])
    return Tracking(
        period=period,
        rmse=float(np.sqrt((square**2).mean())),
        mean=_mean(measured),
        worst=float(square.max()),
        survival=float(flight.alive.mean()),
    )


def _gathering_speed(time: float) -> float:
    """Time along the curve: speed grows linearly to 1 over the warm-up."""
    return time * time / (2 * WARM_UP) if time < WARM_UP else time - WARM_UP / 2


def _target(reference: tasks.Reference, clock: Callable[[float], float]) -> Path3:
    def at(time: float) -> sensors.Target:
        speed = (clock(time + DT / 2) - clock(time - DT / 2)) / DT if time > DT else 0.0
        along = clock(time)
        return sensors.Target(reference.position(along), speed * reference.velocity(along))

    return at


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else float("inf")


def evaluate(policy: Policy, robot: Robot, episodes: int = 1000, seed: int = 1) -> Evaluation:
    """Every figure of a policy; a few seconds. Raises FledgeError when policy and robot do not belong together."""
    if policy.contract.robot_sha256 != robot.sha256:
        raise FledgeError(
            f"the policy was trained for robot '{policy.contract.robot}' with other parameters than '{robot.name}'; "
            "train again or give its robot"
        )
    start = time.perf_counter()
    nominal = randomize.paper()
    few = max(1, episodes // 2)
    return Evaluation(
        robot=robot.name,
        hover=hover(policy, robot, nominal, episodes=episodes, seed=seed),
        hover_randomized=hover(policy, robot, randomize.plus_minus(0.2), episodes=few, seed=seed + 1),
        hover_delay_10_ms=hover(policy, robot, nominal, 0.01, few, seed + 2),
        hover_delay_20_ms=hover(policy, robot, nominal, 0.02, few, seed + 3),
        figure_eight=tuple(
            track_figure_eight(policy, robot, period, nominal, seed=seed + 4) for period in (15.0, 5.5, 3.5)
        ),
        seconds=time.perf_counter() - start,
    )
