"""Flies a controller through many episodes at once, by a text that shares only the physics kernel with the learner.

A policy runs through the numpy reference, sensors are written out again here, and the command delay acts inside a
step: the old command first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from fledge_sim import kernel, randomize, sensors
from fledge_sim.contract import Contract
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, Parameter, State
from numpy.typing import NDArray

from fledge_train.executor import Controller, Network

DT = 0.01
"""[s], native step."""
PHYSICS = Physics(drag=True)
LIMIT = 0.6
"""[m], any axis: an episode that leaves it has crashed."""
GUST_TIME = 0.5
"""[s], correlation time of gusts."""
SENSED = {"position_error": 0, "rotation": 3, "velocity_error": 12, "angular_velocity": 15}
"""Terms that a sensor disturbs, and their first place among its 18 numbers (fledge_sim.sensors.Sensed)."""


Dynamics = Callable[[Float32, Float32, Float32, float], Float32]
"""The body: state (17, n), set-points (4, n), parameters (51, n), duration [s] -> next state."""


def native_dynamics(state: Float32, setpoint: Float32, parameters: Float32, duration: float) -> Float32:
    """The native kernel with drag."""
    return kernel.step(state, setpoint, parameters, duration, physics=PHYSICS)


@dataclass(frozen=True)
class Scenario:
    """Everything outside the policy, for n episodes."""

    state: Float32
    """First state, (17, n)."""
    parameters: Float32
    """(51, n)"""
    target: Callable[[float], sensors.Target]
    """Set-point at a time [s]."""
    duration: float
    """[s]"""
    delay: float = 0.0
    """From observation to command [s]."""
    noise_scale: float = 1.0
    """Factor on the contract's sensor noise."""
    calls: int = 1
    """Inferences per native step; 5 is how the firmware flies (500 Hz)."""
    dynamics: Dynamics = native_dynamics
    """Or another engine's (fledge_sim.crosscheck)."""
    gust_force: float = 0.0
    """Standard deviation per axis of a force that comes and goes with GUST_TIME [N]."""
    limit: float = LIMIT
    """[m], any axis: an episode that is farther from its set-point has crashed."""


@dataclass(frozen=True)
class Flight:
    """What happened, per native step and episode."""

    distance: NDArray[np.float64]
    """From the set-point after each step, (steps, n) [m]."""
    action: Float32
    """Last action of each step, (steps, n, 4)."""
    state: Float32
    """After each step, (steps, 17, n)."""
    alive: NDArray[np.bool_]
    """(n,), never left the limit."""


def sense(
    contract: Contract,
    state: Float32,
    target: Callable[[float], sensors.Target],
    time: float,
    history: Float32,
    noise: Float32,
) -> Float32:
    """What the network sees at `time` [s], (n, I) in contract units, unscaled.

    The future references of a look-ahead are where `target` will really be, seen from the noisy position and velocity.

    Args:
        contract: names the terms.
        state: (17, n).
        target: set-point at a time.
        time: now [s].
        history: (n, 4 H), past actions.
        noise: error of the sensors, (n, I) in contract units.
    """
    ahead = sensors.look_ahead(contract, state, target, time, noise)
    return sensors.observe(contract, state, target(time), history, ahead) + noise


def draw_noise(contract: Contract, generator: np.random.Generator, n: int, scale: float) -> Float32:
    """Errors of the sensors, (n, I) in contract units: normal, by the contract's deviations times `scale`.

    Always drawn for all that is sensed, in one order: two contracts that observe differently get the same errors. What
    is known rather than sensed, past actions and the reference, has none.
    """
    normal = generator.standard_normal((n, sensors.SENSED), np.float32)
    noise = np.zeros((n, contract.observation_size), np.float32)
    place = 0
    for term in contract.observation:
        if term.name in SENSED:
            first = SENSED[term.name]
            noise[:, place : place + term.size] = np.float32(scale * term.noise) * normal[:, first : first + term.size]
        place += term.size
    return noise


class Gusts:
    """A force that comes and goes, per world axis (Ornstein-Uhlenbeck): f <- d f + s sqrt(1 - d^2) e, d = exp(-h/T)."""

    def __init__(self, deviation: float, n: int, seed: int, period: float) -> None:
        """Deviation s [N] of the stationary process, which it starts in; period h [s] between two calls."""
        self._generator = randomize.stream(seed, "gusts")
        self._decay, self._deviation = math.exp(-period / GUST_TIME), deviation
        self._force = deviation * self._generator.standard_normal((3, n))

    def blow(self, parameters: Float32) -> Float32:
        """Parameters (51, n) with the next force on top of the constant one."""
        if not self._deviation:
            return parameters
        kick = self._deviation * math.sqrt(1 - self._decay**2) * self._generator.standard_normal(self._force.shape)
        self._force = self._decay * self._force + kick
        pushed = parameters.copy()
        pushed[Parameter.DISTURBANCE_FORCE : Parameter.DISTURBANCE_FORCE + 3] += self._force
        return pushed


def fly(flown: Policy | Controller, robot: Robot, scenario: Scenario, seed: int = 0) -> Flight:
    """Run every episode to its end; an episode that crashes is held at its first state and no longer counts.

    Args:
        flown: what flies.
        robot: the body.
        scenario: everything else.
        seed: of the sensor noise and the gusts.
    """
    controller: Controller = Network(flown) if isinstance(flown, Policy) else flown
    contract, generator = controller.contract, np.random.Generator(np.random.PCG64(seed))
    state, n = scenario.state.copy(), scenario.state.shape[1]
    execution = controller.begin(n, scenario.calls)
    period = DT / scenario.calls
    gusts = Gusts(scenario.gust_force, n, seed, period)
    whole, part = divmod(scenario.delay / period, 1.0)
    commands = [np.full((n, 4), contract.rotor_action.hover, np.float32)] * (int(whole) + 1)
    alive = np.ones(n, bool)
    distances, actions, states = [], [], []
    for tick in range(round(scenario.duration / period)):
        noise = draw_noise(contract, generator, n, scenario.noise_scale)
        seen = sense(contract, state, scenario.target, tick * period, execution.history, noise)
        native = tick % scenario.calls == 0
        commands.append(execution.native(seen) if native else execution.intermediate(seen))
        commands = commands[-int(whole) - 2 :]
        pushed = replace(scenario, parameters=gusts.blow(scenario.parameters))
        state = _advance(robot, state, pushed, (commands[0], part * period), (commands[1], period))
        error = state[State.POSITION : State.POSITION + 3] - scenario.target((tick + 1) * period).position_world
        alive &= (np.abs(error) <= scenario.limit).all(axis=0)
        state[:, ~alive] = scenario.state[:, ~alive]
        if (tick + 1) % scenario.calls == 0:
            distances.append(np.linalg.norm(error, axis=0))
            actions.append(commands[-1])
            states.append(state)
    return Flight(np.array(distances), np.array(actions), np.array(states), alive)


def _advance(robot: Robot, state: Float32, scenario: Scenario, *commands: tuple[Float32, float]) -> Float32:
    """Each command, an action (n, 4), acts until its time [s] within the step."""
    now = 0.0
    for action, until in commands:
        if until - now > 1e-9:
            setpoint = kernel.setpoint_from_action(robot, action.T)
            state = scenario.dynamics(state, setpoint, scenario.parameters, until - now)
            now = until
    return state
