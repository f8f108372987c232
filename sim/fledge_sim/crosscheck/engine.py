"""The arrays of fledge_sim.kernel in another engine: one world per environment, stepped one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fledge_sim.crosscheck.airframe import Body, Drive, of_column
from fledge_sim.crosscheck.loads import RotorPath, Vector
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.rows import PARAMETERS, ROTORS, STATES, State

Floating = NDArray[np.floating]
Array = TypeVar("Array", NDArray[np.float32], NDArray[np.float64])


class World(Protocol):
    """One body in an engine. A pose is rows 0 to 12 of the state: position, quaternion, velocity, angular velocity."""

    def put(self, pose: Vector) -> None:
        """Set the state."""

    def get(self) -> Vector:
        """Read it, (13,)."""

    def advance(self, drive: Drive, rotors: RotorPath, duration: float) -> None:
        """Pass `duration` [s]."""

    def acceleration(self, drive: Drive, rotors: RotorPath) -> Vector:
        """Now: of the centre of mass [m/s^2], world, and angular [rad/s^2], body; (6,)."""

    def close(self) -> None:
        """Free the engine's memory."""


MakeWorld = Callable[[Body, Physics, float], World]


class Engine:
    """Steps environments like fledge_sim.kernel. Worlds are kept between calls and built anew when a body changes."""

    def __init__(self, make_world: MakeWorld, physics: Physics, timestep: float) -> None:
        if not 0 < timestep <= 0.1:
            raise FledgeError(f"timestep is {timestep} s, it must be above 0 and at most 0.1")
        self._make, self._physics, self._timestep = make_world, physics, timestep
        self._worlds: dict[int, tuple[Body, World]] = {}
        self._last: dict[int, Floating] = {}

    def step(self, state: Array, rotor_speed_setpoint: Floating, parameters: Floating, dt: float) -> Array:
        """Advance by dt [s] with the setpoint held.

        Args:
            state: (17, n), rows as in fledge_sim.rows.State; float32 or float64.
            rotor_speed_setpoint: (4, n) [rad/s].
            parameters: (51, n), rows as in fledge_sim.rows.Parameter; those of the floor's spring are not used.
            dt: step [s]; the engine takes equal steps of its own, none longer than its timestep.
        Returns:
            The next state (17, n), of the dtype of `state`.
        """
        n = _check(state, rotor_speed_setpoint, parameters)
        if not math.isfinite(dt) or dt <= 0:
            raise FledgeError(f"dt is {dt} s, it must be a positive number")
        following = np.empty_like(state)
        for i in range(n):
            world, drive, rotors = self._prepare(i, state, rotor_speed_setpoint, parameters, dt)
            world.advance(drive, rotors, dt)
            following[:, i] = np.concatenate([_same_half(world.get(), state[:, i]), rotors.at(dt)])
            self._last[i] = following[:, i].copy()
        return following

    def acceleration(self, state: Floating, rotor_speed_setpoint: Floating, parameters: Floating) -> Vector:
        """Of the centre of mass [m/s^2], world, then angular [rad/s^2], body: (6, n). No integration takes part."""
        columns = []
        for i in range(_check(state, rotor_speed_setpoint, parameters)):
            world, drive, rotors = self._prepare(i, state, rotor_speed_setpoint, parameters, self._timestep)
            columns.append(world.acceleration(drive, rotors))
            self._last.pop(i, None)
        return np.stack(columns, axis=1)

    def close(self) -> None:
        """Free all worlds."""
        for _, world in self._worlds.values():
            world.close()
        self._worlds.clear()
        self._last.clear()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(
        self, i: int, state: Floating, setpoint: Floating, parameters: Floating, duration: float
    ) -> tuple[World, Drive, RotorPath]:
        """World `i` in the given state. A state that the world itself gave is not set again: contacts persist."""
        body, drive = of_column(parameters[:, i])
        column = state[:, i].astype(np.float64)
        if i not in self._worlds or self._worlds[i][0] != body:
            if i in self._worlds:
                self._worlds[i][1].close()
            self._worlds[i] = body, self._make(body, self._physics, self._timestep)
            self._last.pop(i, None)
        world = self._worlds[i][1]
        if i not in self._last or not np.array_equal(self._last[i], state[:, i]):
            world.put(column[: State.ROTOR_SPEED])
        command = setpoint[:, i].astype(np.float64)
        return world, drive, RotorPath(drive, column[State.ROTOR_SPEED :], command, duration, self._physics.battery)


def _same_half(pose: Vector, before: Floating) -> Vector:
    """The pose with the sign of its quaternion, which has no meaning, chosen near that of before."""
    q = slice(State.QUATERNION, State.VELOCITY)
    pose[q] *= 1.0 if pose[q] @ before[q] >= 0 else -1.0
    return pose


def _check(state: Floating, setpoint: Floating, parameters: Floating) -> int:
    n = state.shape[-1] if state.ndim == 2 else 0
    for name, array, rows in (
        ("state", state, STATES),
        ("rotor_speed_setpoint", setpoint, ROTORS),
        ("parameters", parameters, PARAMETERS),
    ):
        if array.shape != (rows, n) or n == 0:
            raise FledgeError(f"{name} has shape {array.shape}, it must be ({rows}, n) with n of at least 1")
        if not np.isfinite(array).all():
            raise FledgeError(f"{name} holds a number that is not finite; the engines need finite ones")
    return n
