"""What a flight starts from and what it should follow: initial states and moving references.

Row i of a sample does not depend on how many rows are drawn (fledge_sim.randomize.stream).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim import frames
from fledge_sim.arrays import Float32
from fledge_sim.randomize import stream
from fledge_sim.robot import Robot
from fledge_sim.rows import STATES, State, setpoint_from_action

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class InitialState:
    """Distribution of the first state of an episode, relative to the reference; uniform unless stated."""

    position: float = 0.2
    """Half width per axis [m]."""
    angle_deg: float = 90.0
    """Attitude uniform over all rotations by at most this."""
    velocity: float = 1.0
    """Half width per axis [m/s]."""
    angular_velocity: float = 1.0
    """Half width per axis [rad/s]."""
    rotor_action: tuple[float, float] = (0.0, 0.0)
    """Range of the action whose rotor speed all four rotors start with."""
    guided_share: float = 0.1
    """Share of episodes that start at the reference and level, with velocities as above."""
    rest_share: float = 0.0
    """Share of episodes that start at the reference, level and at rest with slow rotors, as after a hand-over."""
    rest_rotor: tuple[float, float] = (0.0, 1.0)
    """Range of the rotors' speed in those, as a share of hover: slow as after a hand-over, or stopped (0, 0)."""


def paper_initial_state() -> InitialState:
    """As in "Learning to Fly in Seconds"; its evaluation has no guided episodes."""
    return InitialState(guided_share=0.0)


def thrown_initial_state() -> InitialState:
    """Thrown or tumbling: any attitude, upside down included, fast, spinning, rotors anywhere in their range."""
    return InitialState(0.3, 180.0, 2.0, 10.0, rotor_action=(-1.0, 1.0), guided_share=0.0)


def standing_initial_state() -> InitialState:
    """On its feet at the reference, rotors stopped."""
    return InitialState(rest_share=1.0, guided_share=0.0, rest_rotor=(0.0, 0.0))


def sample_initial_states(robot: Robot, spec: InitialState, n: int, seed: int) -> Float32:
    """States (17, n), rows as in fledge_sim.rows; positions and velocities relative to the reference."""

    def uniform(name: str, count: int) -> Float64:
        return np.asarray(2 * stream(seed, name).random((n, count)).T - 1)

    kind = stream(seed, "kind").random(n)
    rest = kind < spec.rest_share
    free = np.where(kind < spec.rest_share + spec.guided_share, 0.0, 1.0)
    state = np.zeros((STATES, n))
    state[State.POSITION : State.POSITION + 3] = spec.position * uniform("position", 3) * free
    state[State.QUATERNION : State.QUATERNION + 4] = _rotations(math.radians(spec.angle_deg) * free, n, seed).T
    moving = np.where(rest, 0.0, 1.0)
    state[State.VELOCITY : State.VELOCITY + 3] = spec.velocity * uniform("velocity", 3) * moving
    spin = spec.angular_velocity * uniform("angular_velocity", 3) * moving
    state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3] = spin
    low, high = spec.rotor_action
    action = low + (high - low) * stream(seed, "rotor").random(n)
    slowest, fastest = (robot.hover_rotor_speed * share for share in spec.rest_rotor)
    slow = slowest + (fastest - slowest) * stream(seed, "slow_rotor").random(n)
    speed = setpoint_from_action(robot, np.tile(action, (4, 1)))
    state[State.ROTOR_SPEED :] = np.where(rest, slow, speed)
    return np.ascontiguousarray(state, dtype=np.float32)


def _rotations(angle_max: Float64, n: int, seed: int) -> Float64:
    """Quaternions (n, 4) uniform over rotations by at most angle_max (n,) [rad].

    The angle's distribution function is (a - sin a) / (m - sin m), inverted by interpolation in a table.
    """
    normal = stream(seed, "axis").standard_normal((n, 3))
    axis = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    table = np.linspace(0.0, math.pi, 4097)
    reach = np.maximum(angle_max - np.sin(angle_max), 0.0)
    angle = np.interp(stream(seed, "angle").random(n) * reach, table - np.sin(table), table)
    return np.asarray(frames.from_axis_angle(axis, np.where(angle_max > 0, angle, 0.0)))


@dataclass(frozen=True)
class Reference:
    """Lissajous curves, one per episode: r = A cos(phase + w t) per axis; A = 0 hovers."""

    amplitude: Float64
    """A, (3, n) [m]."""
    frequency: Float64
    """w, (3, n) [rad/s]."""
    phase: Float64
    """(3, n) [rad]."""

    def position(self, time: float) -> Float64:
        """r(t), (3, n) [m]."""
        return np.asarray(self.amplitude * np.cos(self.phase + self.frequency * time))

    def velocity(self, time: float) -> Float64:
        """dr/dt, (3, n) [m/s]."""
        return np.asarray(-self.amplitude * self.frequency * np.sin(self.phase + self.frequency * time))


@dataclass(frozen=True)
class ReferenceDistribution:
    """Mixture of hovering, figure-eights and free Lissajous curves."""

    figure_eight_share: float = 0.5
    """Share of figure-eights of random period, size and direction."""
    lissajous_share: float = 0.2
    """Share of curves with independent axes; the rest hovers."""
    period: tuple[float, float] = (3.5, 9.0)
    """Period of a figure-eight [s]."""
    half_width: tuple[float, float] = (0.4, 1.1)
    """Half width of a figure-eight [m]."""
    frequency: tuple[float, float] = (0.5, 3.0)
    """Angular frequency of an axis of a Lissajous curve [rad/s]."""
    acceleration: float = 7.0
    """Largest peak acceleration per axis of any curve [m/s^2]; the amplitude shrinks to fit."""


def hovering(n: int) -> Reference:
    """References that stand still at the origin."""
    return Reference(np.zeros((3, n)), np.zeros((3, n)), np.zeros((3, n)))


def figure_eight(period: Float64, half_width: Float64, phase: Float64) -> Reference:
    """x = s cos p, y = s/2 sin 2p, p = phase + 2 pi t / period, as the firmware flies it; arguments (n,)."""
    w = 2 * np.pi / period
    none = np.zeros_like(w)
    return Reference(
        amplitude=np.stack([half_width, half_width / 2, none]),
        frequency=np.stack([w, 2 * w, none]),
        phase=np.stack([phase, 2 * phase - np.pi / 2, none]),
    )


def sample_references(spec: ReferenceDistribution, n: int, seed: int) -> Reference:
    """References of `n` episodes."""

    def between(name: str, low: float, high: float, count: int) -> Float64:
        return np.asarray(low + (high - low) * stream(seed, name).random((n, count)).T)

    eight = figure_eight(
        between("period", *spec.period, 1)[0],
        between("half_width", *spec.half_width, 1)[0],
        between("eight_phase", 0.0, 2 * np.pi, 1)[0],
    )
    peak = (eight.amplitude * eight.frequency**2).max(axis=0)
    eight_amplitude = eight.amplitude * np.minimum(1.0, spec.acceleration / np.maximum(peak, 1e-9))
    frequency = between("frequency", *spec.frequency, 3)
    amplitude = np.minimum(between("acceleration", 0.0, spec.acceleration, 3) / frequency**2, spec.half_width[1])
    kind = stream(seed, "reference_kind").random(n)
    is_eight = kind < spec.figure_eight_share
    is_free = ~is_eight & (kind < spec.figure_eight_share + spec.lissajous_share)
    swap = stream(seed, "direction").random(n) < 0.5
    order = np.where(swap, np.array([[1], [0], [2]]), np.array([[0], [1], [2]]))
    phase = between("phase", 0.0, 2 * np.pi, 3)
    return Reference(
        amplitude=np.take_along_axis(np.where(is_eight, eight_amplitude, amplitude * is_free), order, axis=0),
        frequency=np.take_along_axis(np.where(is_eight, eight.frequency, frequency * is_free), order, axis=0),
        phase=np.take_along_axis(np.where(is_eight, eight.phase, phase * is_free), order, axis=0),
    )


@dataclass(frozen=True)
class Settled:
    """When a flight counts as a success at its end: all of these at once."""

    position: float = 0.15
    """Distance from the reference [m]."""
    velocity: float = 0.3
    """Relative to the reference [m/s]."""
    angular_velocity: float = 1.0
    """[rad/s]"""
    tilt_deg: float = 15.0
    """Angle between body z and world z."""


def settled(limits: Settled, state: Float32, position: Float64, velocity: Float64) -> NDArray[np.bool_]:
    """Which of the flights, (n,), stand or hover where they should, upright and still.

    Args:
        limits: what counts.
        state: (17, n), rows as in fledge_sim.rows.
        position: of the reference, (3, n) or (3, 1) [m], world.
        velocity: likewise [m/s].
    """
    distance = np.linalg.norm(state[State.POSITION : State.POSITION + 3] - position, axis=0)
    speed = np.linalg.norm(state[State.VELOCITY : State.VELOCITY + 3] - velocity, axis=0)
    spin = np.linalg.norm(state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3], axis=0)
    upright = frames.rotation_matrix(state[State.QUATERNION : State.QUATERNION + 4].T)[:, 2, 2]
    still = (speed <= limits.velocity) & (spin <= limits.angular_velocity)
    return np.asarray((distance <= limits.position) & still & (upright >= math.cos(math.radians(limits.tilt_deg))))
