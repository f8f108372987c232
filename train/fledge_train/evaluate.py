"""Measures a policy in simulation: hover, robustness, figure-eights (flights.py does the flying)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from fledge_sim import kernel, randomize, sensors, tasks
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.flights import DT, Dynamics, Scenario, fly, native_dynamics

WARM_UP = 2.0
"""[s], over which the figure-eight gathers speed before it is measured."""
FLOWN_LATENCY = 0.002
"""[s], from sensors to motors on the drone: one inference period."""


@dataclass(frozen=True)
class Hover:
    """Hover episodes of 5 s from the paper's initial states."""

    episodes: int
    survival: float
    """Share that never left 0.6 m on any axis."""
    error: float | None
    """Mean distance from the set-point over the last second, survivors [m]; None: there were none."""
    action_jerk: float | None
    """Mean distance between consecutive native actions over the last second, survivors."""


@dataclass(frozen=True)
class Tracking:
    """Figure-eight of 1 m half width, one round after the warm-up, with noise and disturbances."""

    period: float
    """[s]"""
    rmse: float | None
    """Root of the mean square 3-D position error, survivors [m]; None: there were none."""
    mean: float | None
    """Mean 3-D position error, survivors [m]."""
    worst: float | None
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
    hover_as_flown: Hover
    """Inference at the contract's rate inside native steps, with FLOWN_LATENCY: how the firmware flies."""
    figure_eight: tuple[Tracking, ...]
    figure_eight_randomized: Tracking
    """Period 5.5 s, parameters within +-20 %."""
    figure_eight_as_flown: Tracking
    """Period 5.5 s."""
    seconds: float
    """Wall-clock of the evaluation."""


@dataclass(frozen=True)
class Conditions:
    """Under which a policy is measured; the default is the paper's simulator."""

    spread: randomize.Randomization = field(default_factory=randomize.paper)
    """What differs between episodes; its delay and noise ranges are not used."""
    delay: float = 0.0
    """From observation to command [s]."""
    calls: int = 1
    """Inferences per native step."""
    seed: int = 1
    """Of the episodes."""
    dynamics: Dynamics = native_dynamics
    """What moves the body."""


def hover(policy: Policy, robot: Robot, conditions: Conditions, episodes: int = 1000) -> Hover:
    """Hover from the paper's initial states."""
    scenario = _scenario(
        robot,
        conditions,
        state=tasks.sample_initial_states(robot, tasks.paper_initial_state(), episodes, conditions.seed),
        target=hover_target(episodes),
        duration=5.0,
    )
    flight = fly(policy, robot, scenario, conditions.seed)
    last = round(1 / DT)
    change = np.linalg.norm(np.diff(flight.action[-last:], axis=0), axis=2)
    return Hover(
        episodes=episodes,
        survival=float(flight.alive.mean()),
        error=_mean(flight.distance[-last:, flight.alive]),
        action_jerk=_mean(change[:, flight.alive]),
    )


def track_figure_eight(
    policy: Policy, robot: Robot, period: float, conditions: Conditions, episodes: int = 48
) -> Tracking:
    """Figure-eight of `period` [s] from hover at its centre; the first 2 s gather speed and are not measured."""
    scenario = _scenario(
        robot,
        conditions,
        state=kernel.hover_state(robot, episodes),
        target=figure_eight_target(period, episodes),
        duration=WARM_UP + period,
    )
    flight = fly(policy, robot, scenario, conditions.seed)
    measured = flight.distance[round(WARM_UP / DT) :, flight.alive]
    square = (measured**2).mean(axis=0)
    return Tracking(
        period=period,
        rmse=_root(_mean(square)),
        mean=_mean(measured),
        worst=_root(float(square.max()) if square.size else None),
        survival=float(flight.alive.mean()),
    )


def hover_target(episodes: int) -> Callable[[float], sensors.Target]:
    """Stands still at the origin."""
    return moving_target(tasks.hovering(episodes), lambda time: time)


def figure_eight_target(period: float, episodes: int) -> Callable[[float], sensors.Target]:
    """Half width 1 m; starts at the centre and gathers speed over the warm-up."""
    ones = np.ones(episodes)
    return moving_target(tasks.figure_eight(period * ones, ones, np.pi / 2 * ones), _gathering_speed)


def _scenario(
    robot: Robot, conditions: Conditions, state: Float32, target: Callable[[float], sensors.Target], duration: float
) -> Scenario:
    return Scenario(
        state=state,
        parameters=randomize.sample_parameters(robot, conditions.spread, state.shape[1], conditions.seed),
        target=target,
        duration=duration,
        delay=conditions.delay,
        calls=conditions.calls,
        dynamics=conditions.dynamics,
    )


def _gathering_speed(time: float) -> float:
    """Time along the curve: speed grows linearly to 1 over the warm-up."""
    return time * time / (2 * WARM_UP) if time < WARM_UP else time - WARM_UP / 2


def moving_target(reference: tasks.Reference, clock: Callable[[float], float]) -> Callable[[float], sensors.Target]:
    """Set-points along a curve: r(c(t)) and its velocity dc/dt dr/dc, with the time c(t) along the curve [s]."""

    def at(time: float) -> sensors.Target:
        speed = (clock(time + DT / 2) - clock(time - DT / 2)) / DT if time > DT else 0.0
        along = clock(time)
        return sensors.Target(reference.position(along), speed * reference.velocity(along))

    return at


def _mean(values: NDArray[np.floating]) -> float | None:
    return float(values.mean()) if values.size else None


def _root(square: float | None) -> float | None:
    return None if square is None else square**0.5


def evaluate(policy: Policy, robot: Robot, episodes: int = 1000, seed: int = 1) -> Evaluation:
    """Every figure of a policy; a few seconds. Raises FledgeError when policy and robot do not belong together."""
    contract = policy.contract
    if contract.robot_sha256 != robot.sha256:
        raise FledgeError(
            f"the policy was trained for robot '{contract.robot}' with other parameters than '{robot.name}' has; "
            "train again or give its robot"
        )
    start = time.perf_counter()
    few = max(1, episodes // 2)
    as_flown = Conditions(delay=FLOWN_LATENCY, calls=contract.inference_rate // contract.native_rate, seed=seed + 4)
    randomized = Conditions(randomize.plus_minus(0.2), seed=seed + 1)
    eights = Conditions(seed=seed + 5)
    return Evaluation(
        robot=robot.name,
        hover=hover(policy, robot, Conditions(seed=seed), episodes),
        hover_randomized=hover(policy, robot, randomized, few),
        hover_delay_10_ms=hover(policy, robot, Conditions(delay=0.01, seed=seed + 2), few),
        hover_delay_20_ms=hover(policy, robot, Conditions(delay=0.02, seed=seed + 3), few),
        hover_as_flown=hover(policy, robot, as_flown, max(1, episodes // 4)),
        figure_eight=tuple(track_figure_eight(policy, robot, period, eights) for period in (15.0, 5.5, 3.5)),
        figure_eight_randomized=track_figure_eight(policy, robot, 5.5, randomized),
        figure_eight_as_flown=track_figure_eight(policy, robot, 5.5, as_flown),
        seconds=time.perf_counter() - start,
    )
