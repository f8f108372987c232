"""Flies a policy through many episodes at once, by a text that shares only the physics kernel with the learner.

The policy runs through the numpy reference, sensors are written out again here, and the command delay acts inside a
step: the old command first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from fledge_sim import kernel, sensors
from fledge_sim.contract import Contract
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy, forward
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, State
from numpy.typing import NDArray

DT = 0.01
"""[s], native step."""
PHYSICS = Physics(drag=True)
ROWS = 256
"""Episodes per call of the network: products this small stay on one thread, where BLAS is several times faster."""
LIMIT = 0.6
"""[m], any axis: an episode that leaves it has crashed."""


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


@dataclass(frozen=True)
class Flight:
    """What happened, per native step and episode."""

    distance: NDArray[np.float64]
    """From the set-point after each step, (steps, n) [m]."""
    action: Float32
    """Last action of each step, (steps, n, 4)."""
    alive: NDArray[np.bool_]
    """(n,), never left the limit."""


Step = Callable[[Float32, Float32], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""A network: observation (n, I) in contract units, state (n, S) -> action (n, 4), next state (n, S)."""


class Executor:
    """Runs the network as the firmware does: native calls advance memory, calls between them see a temporary copy.

    Past actions shift on native calls; the newest is the mean over the calls since.
    """

    def __init__(self, policy: Policy, n: int, step: Step | None = None) -> None:
        """`step` computes the network instead of the policy's float reference: another format's specification."""
        contract = policy.contract
        self._step = step or partial(forward, policy)
        self._memory = np.zeros((n, contract.recurrent_size), np.float32)
        self._actions = 0
        self.history = np.full((n, 4 * contract.history_length), contract.action.hover, np.float32)

    def native(self, observation: Float32) -> Float32:
        """Action (n, 4) of a native call; observation (n, I) without clip and scale."""
        action, self._memory = self._forward(observation)
        self._actions = 1
        if self.history.size:
            self.history = np.concatenate([self.history[:, 4:], action], axis=1)
        return action

    def intermediate(self, observation: Float32) -> Float32:
        """Action (n, 4) of a call between two native ones."""
        action, _ = self._forward(observation)
        self._actions += 1
        if self.history.size:
            self.history[:, -4:] += (action - self.history[:, -4:]) / self._actions
        return action

    def _forward(self, observation: Float32) -> tuple[Float32, Float32]:
        parts = [
            self._step(observation[first : first + ROWS], self._memory[first : first + ROWS])
            for first in range(0, len(observation), ROWS)
        ]
        action, memory = (np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True))
        return action, memory


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


def fly(policy: Policy, robot: Robot, scenario: Scenario, seed: int = 0, step: Step | None = None) -> Flight:
    """Run every episode to its end; an episode that crashes is held at its first state and no longer counts.

    Args:
        policy: what flies.
        robot: the body.
        scenario: everything else.
        seed: of the sensor noise.
        step: computes the network in the policy's place.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    state, n = scenario.state.copy(), scenario.state.shape[1]
    deviation = np.float32(scenario.noise_scale) * sensors.noise_deviation(policy.contract)
    executor = Executor(policy, n, step)
    period = DT / scenario.calls
    whole, part = divmod(scenario.delay / period, 1.0)
    commands = [np.full((n, 4), policy.contract.action.hover, np.float32)] * (int(whole) + 1)
    alive = np.ones(n, bool)
    distances, actions = [], []
    for tick in range(round(scenario.duration / period)):
        noise = deviation * generator.standard_normal((n, len(deviation)), np.float32)
        seen = sense(policy.contract, state, scenario.target, tick * period, executor.history, noise)
        native = tick % scenario.calls == 0
        commands.append(executor.native(seen) if native else executor.intermediate(seen))
        commands = commands[-int(whole) - 2 :]
        state = _advance(robot, state, scenario, (commands[0], part * period), (commands[1], period))
        error = state[State.POSITION : State.POSITION + 3] - scenario.target((tick + 1) * period).position_world
        alive &= (np.abs(error) <= LIMIT).all(axis=0)
        state[:, ~alive] = scenario.state[:, ~alive]
        if (tick + 1) % scenario.calls == 0:
            distances.append(np.linalg.norm(error, axis=0))
            actions.append(commands[-1])
    return Flight(np.array(distances), np.array(actions), alive)


def _advance(robot: Robot, state: Float32, scenario: Scenario, *commands: tuple[Float32, float]) -> Float32:
    """Each command, an action (n, 4), acts until its time [s] within the step."""
    now = 0.0
    for action, until in commands:
        if until - now > 1e-9:
            setpoint = kernel.setpoint_from_action(robot, action.T)
            state = scenario.dynamics(state, setpoint, scenario.parameters, until - now)
            now = until
    return state
