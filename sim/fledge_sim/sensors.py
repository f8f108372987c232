"""What the actor sees: the contract's observation from the true state, and what sensors make of the truth before.

The plain text on numpy arrays, for evaluation and tests; environments, learner and firmware have their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fledge_sim import frames
from fledge_sim.arrays import Float32
from fledge_sim.contract import Contract
from fledge_sim.environment import Sensors
from fledge_sim.rows import State

Floating = NDArray[np.floating]


@dataclass(frozen=True)
class Target:
    """What the set-point says now."""

    position_world: Floating
    """(3, n) [m]"""
    velocity_world: Floating
    """(3, n) [m/s]"""


def observe(
    contract: Contract, state: Float32, target: Target, history: Floating, look_ahead: Floating | None = None
) -> Float32:
    """Noise-free observation in contract units and order, not yet clipped or scaled.

    The yaw held at take-over is 0 here: world and heading frame agree.

    Args:
        contract: names the terms.
        state: (17, n), rows of fledge_sim.rows.
        target: set-point.
        history: (n, 4 H) past actions, oldest first.
        look_ahead: (n, 6 k) future references, if the contract has them; fledge_sim.trajectories.look_ahead.
    Returns:
        (n, I).
    """
    rotation = frames.rotation_matrix(state[State.QUATERNION : State.QUATERNION + 4].T)
    terms: dict[str, Floating] = {
        "position_error": (state[State.POSITION : State.POSITION + 3] - target.position_world).T,
        "rotation": rotation.reshape(-1, 9),
        "velocity_error": (state[State.VELOCITY : State.VELOCITY + 3] - target.velocity_world).T,
        "angular_velocity": state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3].T,
        "action_history": history,
    }
    if look_ahead is not None:
        terms["look_ahead"] = look_ahead
    return np.concatenate([terms[term.name] for term in contract.observation], axis=1).astype(np.float32)


def look_ahead(
    contract: Contract, state: Float32, target: Callable[[float], Target], time: float, noise: Float32
) -> Float32 | None:
    """The term look_ahead, (n, 6 k): r(t + i spacing) - p and dr/dt(t + i spacing) - v, i = 1 to k; None: no such term.

    p and v are the sensed ones, the truth plus the noise that the terms position_error and velocity_error have.
    """
    places, size = {}, 0
    for term in contract.observation:
        places[term.name] = slice(size, size + term.size)
        size += term.size
    if "look_ahead" not in places:
        return None
    count = (places["look_ahead"].stop - places["look_ahead"].start) // 6
    sensed = np.concatenate([state[row : row + 3] for row in (State.POSITION, State.VELOCITY)])
    for first, name in ((0, "position_error"), (3, "velocity_error")):
        if name in places:
            sensed[first : first + 3] += noise[:, places[name]].T
    future = [target(time + (i + 1) * contract.look_ahead_spacing) for i in range(count)]
    parts = [np.concatenate([at.position_world, at.velocity_world]) - sensed for at in future]
    return np.concatenate(parts).T.astype(np.float32)


def noise_deviation(contract: Contract) -> Float32:
    """Standard deviation per element of the observation, (I,)."""
    return np.concatenate([np.full(term.size, term.noise, np.float32) for term in contract.observation])


class Sensed(IntEnum):
    """First row of each quantity on its way through the sensors, 18 rows."""

    POSITION = 0
    """3 rows [m], world."""
    ROTATION = 3
    """9 rows, row-major, world from body."""
    VELOCITY = 12
    """3 rows [m/s], world."""
    ANGULAR_VELOCITY = 15
    """3 rows [rad/s], body."""


SENSED = 18


def truth(state: Float32) -> Floating:
    """What perfect sensors would say, (18, n), of states (17, n)."""
    rotation = frames.rotation_matrix(state[State.QUATERNION : State.QUATERNION + 4].T.astype(np.float64))
    position, velocity = (state[row : row + 3] for row in (State.POSITION, State.VELOCITY))
    spin = state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3]
    return np.concatenate([position, rotation.reshape(-1, 9).T, velocity, spin])


@dataclass(frozen=True)
class Episode:
    """What is drawn once per episode for `n` worlds, see fledge_sim.environment.Sensors; None: absent."""

    delay: Floating | None = None
    """(n,) [steps], 0 to 2."""
    bias: Floating | None = None
    """(9, n): position [m], velocity [m/s], angular velocity [rad/s]."""
    gyro_cutoff: Floating | None = None
    """(n,) [Hz]."""
    dropout: Floating | None = None
    """(n,), probability that a step brings no position."""


class Senses:
    """The path from truth to what is sensed, with its memory. Effects in the order of the methods."""

    def __init__(self, sensors: Sensors, episode: Episode, first: Floating, step: float) -> None:
        """An episode that begins with the truth `first`, (18, n); its memory is as if that had always been so."""
        self.sensors, self.episode, self.step = sensors, episode, step
        self._past = [first, first]
        self._gyro: Floating | None = None
        self._position: Floating | None = None

    def look(self, now: Floating, noise: Floating, luck: Floating) -> Floating:
        """One step.

        Args:
            now: truth, (18, n).
            noise: error to add, (18, n).
            luck: uniform in [0, 1), (n,); below the drop-out probability no position arrives.
        Returns:
            sensed, (18, n).
        """
        x = self._low_pass(self._offset(self._delayed(now))) + noise
        return self._hold(self._rounded(x), luck)

    def _delayed(self, now: Floating) -> Floating:
        """x(t - d steps), linear between steps: sum_k max(0, 1 - |d - k|) x_t-k."""
        steps = [now, *self._past]
        self._past = steps[:2]
        delay = self.episode.delay
        if delay is None:
            return now
        return np.asarray(sum(np.maximum(0.0, 1 - np.abs(delay - k)) * x for k, x in enumerate(steps)))

    def _offset(self, x: Floating) -> Floating:
        if self.episode.bias is None:
            return x
        x = x.copy()
        for i, row in enumerate((Sensed.POSITION, Sensed.VELOCITY, Sensed.ANGULAR_VELOCITY)):
            x[row : row + 3] += self.episode.bias[3 * i : 3 * i + 3]
        return x

    def _low_pass(self, x: Floating) -> Floating:
        """w <- w + (1 - exp(-2 pi f step)) (gyro - w), exact for an input held over the step."""
        if self.episode.gyro_cutoff is None:
            return x
        x, rows = x.copy(), slice(Sensed.ANGULAR_VELOCITY, Sensed.ANGULAR_VELOCITY + 3)
        last = x[rows] if self._gyro is None else self._gyro
        x[rows] = last + (1 - np.exp(-2 * math.pi * self.episode.gyro_cutoff * self.step)) * (x[rows] - last)
        self._gyro = x[rows]
        return x

    def _rounded(self, x: Floating) -> Floating:
        sensors, x = self.sensors, x.copy()
        for row, quantum in (
            (Sensed.POSITION, sensors.quantisation_position),
            (Sensed.VELOCITY, sensors.quantisation_velocity),
            (Sensed.ANGULAR_VELOCITY, sensors.quantisation_angular_velocity),
        ):
            if quantum > 0:
                x[row : row + 3] = quantum * np.round(x[row : row + 3] / quantum)
        return x

    def _hold(self, x: Floating, luck: Floating) -> Floating:
        """A lost position update leaves the last one that arrived; the first always arrives."""
        if self.episode.dropout is None:
            return x
        x, rows = x.copy(), slice(Sensed.POSITION, Sensed.POSITION + 3)
        if self._position is not None:
            x[rows] = np.where(luck < self.episode.dropout, self._position, x[rows])
        self._position = x[rows]
        return x
