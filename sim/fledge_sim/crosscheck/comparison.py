"""How far two texts of the physics differ: free flights under random commands, and accelerations at random states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim import frames, kernel
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization, sample_parameters
from fledge_sim.robot import Robot
from fledge_sim.rows import ROTORS, STATES, Parameter, State

Float64 = NDArray[np.float64]
Step = Callable[[Float64, Float64, Float64, float], Float64]
"""State, set-points, parameters, dt -> next state; arrays as fledge_sim.kernel."""

DT = 0.01
"""[s]"""
HELD = 5
"""Steps for which a random command is held."""


@dataclass(frozen=True)
class Flights:
    """Everything that determines n open-loop flights."""

    state: Float64
    """First state, (17, n)."""
    parameters: Float64
    """(51, n)"""
    setpoint: Float64
    """(steps, 4, n) [rad/s]."""


@dataclass(frozen=True)
class Spread:
    """Of one quantity over all flights and times."""

    rms: float
    max: float


@dataclass(frozen=True)
class Difference:
    """Between two sets of trajectories."""

    position: Spread
    """[m]"""
    attitude: Spread
    """Angle of the rotation between the two [rad]."""
    velocity: Spread
    """[m/s]"""
    angular_velocity: Spread
    """[rad/s]"""
    rotor_speed: Spread
    """[rad/s]"""


def thrown(robot: Robot, n: int, duration: float, seed: int = 0) -> Flights:
    """Thrown with any attitude high above the ground, every rotor driven by chance; everything randomized.

    Commands are uniform between 0.6 and 1.15 of the hover speed; the battery, half empty, cannot give the highest.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    state = _still(robot, n)
    state[State.POSITION : State.QUATERNION] = generator.uniform(-1, 1, (3, n))
    state[State.POSITION + 2] += 100
    state[State.QUATERNION : State.VELOCITY] = frames.sample_uniform(generator, n).T
    state[State.VELOCITY : State.ANGULAR_VELOCITY] = generator.uniform(-2, 2, (3, n))
    state[State.ANGULAR_VELOCITY : State.ROTOR_SPEED] = generator.uniform(-4, 4, (3, n))
    parameters = _randomized(robot, n, seed)
    parameters[Parameter.WIND : Parameter.WIND + 3] = generator.normal(0, 2, (3, n))
    parameters[Parameter.BATTERY_VOLTAGE] = 1.1 * robot.hover_rotor_speed / parameters[Parameter.SPEED_PER_VOLT]
    return Flights(state, parameters, _commands(robot, generator, n, duration, (0.6, 1.15)))


def taking_off(robot: Robot, n: int, duration: float, seed: int = 0) -> Flights:
    """Level, one to three rotor radii above the ground and rising: where the ground effect acts."""
    generator = np.random.Generator(np.random.PCG64(seed))
    state, parameters = _still(robot, n), _randomized(robot, n, seed)
    state[State.POSITION + 2] = robot.rotor_radius * generator.uniform(1, 3, n)
    state[State.VELOCITY + 2] = 0.2
    parameters[Parameter.DISTURBANCE_FORCE : Parameter.GRAVITY] = 0
    heavier = robot.mass * parameters[Parameter.MASS_INVERSE]
    flights = Flights(state, parameters, _commands(robot, generator, n, duration, (1.06, 1.08)))
    flights.setpoint[:] /= np.sqrt(heavier)
    return flights


def _still(robot: Robot, n: int) -> Float64:
    return kernel.hover_state(robot, n).astype(np.float64)


def _randomized(robot: Robot, n: int, seed: int) -> Float64:
    """Parameters in double precision, inverses to the last bit: the engines are given masses, not their inverses."""
    spread = Randomization(ground_effect=0.5, speed_per_volt=0.1, drive_power=0.2)
    parameters = sample_parameters(robot, spread, n, seed).astype(np.float64)
    inertia = parameters[Parameter.INERTIA : Parameter.INERTIA_INVERSE]
    parameters[Parameter.INERTIA_INVERSE : Parameter.ROTOR_X] = 1 / inertia
    return parameters


def _commands(
    robot: Robot, generator: np.random.Generator, n: int, duration: float, span: tuple[float, float]
) -> Float64:
    steps = round(duration / DT)
    held = generator.uniform(*span, (-(-steps // HELD), ROTORS, n)) * robot.hover_rotor_speed
    return np.repeat(held, HELD, axis=0)[:steps]


def fly(step: Step, flights: Flights) -> Float64:
    """Trajectories, (steps, 17, n), the state after each step."""
    state, trajectory = flights.state, np.empty((len(flights.setpoint), *flights.state.shape))
    for i, setpoint in enumerate(flights.setpoint):
        state = trajectory[i] = step(state, setpoint, flights.parameters, DT)
    return trajectory


def native(physics: Physics) -> Step:
    """The native kernel as it is used: single precision."""

    def step(state: Float64, setpoint: Float64, parameters: Float64, dt: float) -> Float64:
        x, u, rows = (np.ascontiguousarray(array, np.float32) for array in (state, setpoint, parameters))
        return kernel.step(x, u, rows, dt, physics=physics).astype(np.float64)

    return step


def native_double(physics: Physics) -> Step:
    """The native kernel's text in double precision, one environment after the other."""

    def step(state: Float64, setpoint: Float64, parameters: Float64, dt: float) -> Float64:
        following = np.empty_like(state)
        for i in range(state.shape[1]):
            x, u, rows = (np.ascontiguousarray(array[:, i]) for array in (state, setpoint, parameters))
            following[:, i] = kernel.step_double(x, u, rows, dt, physics=physics)
        return following

    return step


def extrapolated(coarse: Float64, fine: Float64) -> Float64:
    """Richardson's 2 fine - coarse: what an integrator of order 1 tends to, from timesteps h and h / 2."""
    q = slice(State.QUATERNION, State.VELOCITY)
    same = np.sign((coarse[:, q] * fine[:, q]).sum(axis=1, keepdims=True))
    result = 2 * fine - coarse
    result[:, q] = 2 * fine[:, q] - same * coarse[:, q]
    return result


def difference(trajectory: Float64, other: Float64) -> Difference:
    """Over all steps and flights; a quaternion and its negative are the same attitude."""

    def spread(first: int, last: int) -> Spread:
        return _spread(np.linalg.norm(trajectory[:, first:last] - other[:, first:last], axis=1))

    q, r = (np.moveaxis(x[:, State.QUATERNION : State.VELOCITY], 1, -1) for x in (trajectory, other))
    return Difference(
        position=spread(State.POSITION, State.QUATERNION),
        attitude=_spread(frames.angle_of(frames.multiply(frames.conjugate(q), r))),
        velocity=spread(State.VELOCITY, State.ANGULAR_VELOCITY),
        angular_velocity=spread(State.ANGULAR_VELOCITY, State.ROTOR_SPEED),
        rotor_speed=spread(State.ROTOR_SPEED, STATES),
    )


def _spread(distance: NDArray[np.floating]) -> Spread:
    return Spread(rms=float(np.sqrt((distance**2).mean())), max=float(distance.max()))


def acceleration(flights: Flights, physics: Physics) -> Float64:
    """Of the readable dynamics at the first states, double precision: linear [m/s^2, world], angular [rad/s^2, body].

    (6, n), as the engines give it.
    """
    import torch

    from fledge_sim import dynamics

    state, setpoint, parameters = (
        torch.from_numpy(array) for array in (flights.state, flights.setpoint[0], flights.parameters)
    )
    rate = dynamics.derivative(
        dynamics.state_from_rows(state), setpoint.T, dynamics.parameters_from_rows(parameters), physics
    )
    rows: Float64 = torch.cat([rate.velocity_world_dot, rate.angular_velocity_body_dot], dim=-1).T.numpy()
    return rows
