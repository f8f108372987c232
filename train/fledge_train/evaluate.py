"""Measures a controller in simulation: hover, robustness, figure-eights, recovery (flights.py does the flying)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from fledge_sim import frames, kernel, randomize, sensors, tasks
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, State
from numpy.typing import NDArray

from fledge_train.executor import Controller
from fledge_train.flights import DT, Dynamics, Scenario, fly, native_dynamics

WARM_UP = 2.0
"""[s], over which the figure-eight gathers speed before it is measured."""
FLOWN_LATENCY = 0.002
"""[s], from sensors to motors on the drone: one inference period."""
SETTLED = 0.1
"""[m] from the set-point: a hover that stays within has settled."""
RECOVERY_TIME = 8.0
"""[s]"""
RECOVERY_LIMIT = 10.0
"""[m], any axis."""


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
    settling_time: float | None
    """Median over survivors of the time after which they stay within SETTLED [s]; None: fewer than half of them do."""


@dataclass(frozen=True)
class Tracking:
    """Figure-eight of 1 m half width, one round after the warm-up, with noise and disturbances."""

    episodes: int
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
class Recovery:
    """Thrown or tumbling, every second one upside down, as tasks.thrown_initial_state; RECOVERY_TIME to hover again."""

    episodes: int
    recovered: float
    """Share that hovers at the set-point at the end, upright and still (tasks.Settled)."""
    recovered_upside_down: float | None
    """Likewise of those that began with their belly up; None: there were none."""
    upright_time: float | None
    """Median over the recovered of the time after which the tilt stays below 45 degrees [s]; None: there were none."""
    height_lost: float | None
    """Median over the recovered of the deepest fall below the start [m]."""


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
    gusts: float = 0.0
    """Standard deviation per axis of a force that comes and goes with flights.GUST_TIME [weights]."""


def hover(flown: Policy | Controller, robot: Robot, conditions: Conditions, episodes: int = 1000) -> Hover:
    """Hover from the paper's initial states."""
    scenario = _scenario(
        robot,
        conditions,
        state=tasks.sample_initial_states(robot, tasks.paper_initial_state(), episodes, conditions.seed),
        target=hover_target(1),
        duration=5.0,
    )
    flight = fly(flown, robot, scenario, conditions.seed)
    last = round(1 / DT)
    change = np.linalg.norm(np.diff(flight.action[-last:], axis=0), axis=2)
    return Hover(
        episodes=episodes,
        survival=float(flight.alive.mean()),
        error=_mean(flight.distance[-last:, flight.alive]),
        action_jerk=_mean(change[:, flight.alive]),
        settling_time=_median(_time_of_last(flight.distance[:, flight.alive] > SETTLED), at_most=5.0 - DT),
    )


def track_figure_eight(
    flown: Policy | Controller, robot: Robot, period: float, conditions: Conditions, episodes: int = 48
) -> Tracking:
    """Figure-eight of `period` [s] from hover at its centre; the first 2 s gather speed and are not measured."""
    scenario = _scenario(
        robot,
        conditions,
        state=kernel.hover_state(robot, episodes),
        target=figure_eight_target(period, 1),
        duration=WARM_UP + period,
    )
    flight = fly(flown, robot, scenario, conditions.seed)
    measured = flight.distance[round(WARM_UP / DT) :, flight.alive]
    square = (measured**2).mean(axis=0)
    return Tracking(
        episodes=episodes,
        period=period,
        rmse=_root(_mean(square)),
        mean=_mean(measured),
        worst=_root(float(square.max()) if square.size else None),
        survival=float(flight.alive.mean()),
    )


def recover(flown: Policy | Controller, robot: Robot, conditions: Conditions, episodes: int = 200) -> Recovery:
    """Throws of any attitude, up to 2 m/s and 10 rad/s per axis, rotors anywhere in their range."""
    start = tasks.sample_initial_states(robot, tasks.thrown_initial_state(), episodes, conditions.seed)
    scenario = _scenario(robot, conditions, start, hover_target(1), RECOVERY_TIME)
    flight = fly(flown, robot, replace(scenario, limit=RECOVERY_LIMIT), conditions.seed)
    none = np.zeros((3, 1))
    recovered = flight.alive & tasks.settled(tasks.Settled(), flight.state[-1], none, none)
    upside_down = _up(start[None])[0] < 0
    tilted = _up(flight.state[:, :, recovered]) < np.cos(np.pi / 4)
    height = flight.state[:, State.POSITION + 2, recovered] - start[State.POSITION + 2, recovered]
    return Recovery(
        episodes=episodes,
        recovered=float(recovered.mean()),
        recovered_upside_down=_mean(recovered[upside_down].astype(float)),
        upright_time=_median(_time_of_last(tilted)),
        height_lost=_median(-np.minimum(height.min(axis=0, initial=0.0), 0.0)),
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
        gust_force=conditions.gusts * robot.mass * robot.gravity,
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


def _median(values: NDArray[np.floating], at_most: float = np.inf) -> float | None:
    """None without values, and if the median is above what can be told."""
    return float(np.median(values)) if values.size and np.median(values) <= at_most else None


def _time_of_last(outside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """When each episode was outside for the last time, (n,) [s], of (steps, n); 0: never."""
    steps = len(outside)
    return np.where(outside.any(axis=0), steps - outside[::-1].argmax(axis=0), 0) * DT


def _up(state: Float32) -> NDArray[np.floating]:
    """Cosine of the tilt, (steps, n), of states (steps, 17, n)."""
    q = np.moveaxis(state[:, State.QUATERNION : State.QUATERNION + 4], 1, -1)
    return np.asarray(frames.rotation_matrix(q)[..., 2, 2])


def _root(square: float | None) -> float | None:
    return None if square is None else square**0.5


def require_robot(contract: Contract, robot: Robot) -> None:
    """Raise FledgeError when policy and robot do not belong together."""
    if contract.robot_sha256 != robot.sha256:
        raise FledgeError(
            f"the policy was trained for robot '{contract.robot}' with other parameters than '{robot.name}' has; "
            "train again or give its robot"
        )


def evaluate(policy: Policy, robot: Robot, episodes: int = 1000, seed: int = 1) -> Evaluation:
    """Every figure of a policy; a few seconds. Raises FledgeError when policy and robot do not belong together."""
    contract = policy.contract
    require_robot(contract, robot)
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
