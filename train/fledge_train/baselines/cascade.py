"""A PID cascade as most flight controllers have it: position P, velocity PID, attitude P, rate PID.

    v_sp     = v_r - K_p (p - r)                                          position
    a_sp     = K_v e + K_i int e + K_d de/dt, e = v_sp - v                velocity
    w_sp     = K_a x (rotation that turns body z to a_sp + g, and yaw to 0)   attitude
    dw/dt_sp = K_w e + K_wi int e - K_wd dw/dt, e = w_sp - w              rate
    thrust   = m (a_sp + g) . body z,  torque = J dw/dt_sp + w x J w

It follows a moving reference by its velocity, as the stock controller of the Crazyflie does; there is no acceleration
in the loop. Gains are in units of motion, so that mass, inertia and thrust curve of the robot make them fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from fledge_sim import frames
from fledge_sim.contract import Contract
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.baselines import sensed
from fledge_train.baselines.allocation import Allocation
from fledge_train.baselines.sensed import Sensed, columns
from fledge_train.executor import Execution
from fledge_train.flights import DT

Float64 = NDArray[np.float64]
Gain = float | Float64
"""One number, or one per episode, (n,)."""

INTEGRAL_MAX = 4.0
"""[m/s^2], bound on the integral part of the acceleration."""
SPIN_INTEGRAL_MAX = 20.0
"""[rad/s^2], likewise of the angular acceleration."""


@dataclass(frozen=True)
class CascadeGains:
    """See the module's equations."""

    position: Gain = 2.0
    """K_p [1/s]."""
    velocity_max: Gain = 1.5
    """Bound on the speed that a position error asks for, per axis [m/s]."""
    velocity: Gain = 4.0
    """K_v [1/s]."""
    velocity_integral: Gain = 2.0
    """K_i [1/s^2]."""
    velocity_derivative: Gain = 0.05
    """K_d [1]."""
    tilt_max: Gain = 0.9
    """Largest tilt of the wanted thrust, tangent [1]."""
    attitude: Gain = 7.0
    """K_a of roll and pitch [1/s]."""
    yaw: Gain = 3.0
    """K_a of yaw [1/s]."""
    rate: Gain = 20.0
    """K_w [1/s]."""
    rate_integral: Gain = 5.0
    """K_wi [1/s^2]."""
    rate_derivative: Gain = 0.2
    """K_wd [1]."""
    derivative_time: Gain = 0.01
    """Of the low-pass behind both derivatives [s]."""
    lift_min: Gain = 1.0
    """Thrust while tilted by more than 45 degrees is at least this [weights]: rotors lag, and it is needed soon."""
    lead: Gain = 2.0
    """Against the rotors' lag (allocation.Allocation)."""


@dataclass(frozen=True)
class Cascade:
    """The controller for a robot; fledge_train.executor.Controller."""

    robot: Robot
    gains: CascadeGains

    @property
    def contract(self) -> Contract:
        """What it observes."""
        return sensed.contract(self.robot, "PID cascade")

    def begin(self, episodes: int, calls: int) -> Execution:
        """Runs whole at every call."""
        return CascadeExecution(self.robot, self.gains, episodes, DT / calls)


class CascadeExecution:
    """n episodes; the integrals and the last values are all that it remembers."""

    def __init__(self, robot: Robot, gains: CascadeGains, n: int, period: float) -> None:
        self.history = np.zeros((n, 0), np.float32)
        self._robot, self._gains, self._period = robot, columns(gains, n), period
        self._allocation = Allocation(robot, gains.lead, n, period)
        keep = np.exp(-period / self._gains.derivative_time)
        self._turning = np.concatenate([self._gains.attitude, self._gains.attitude, self._gains.yaw], axis=1)
        self._drift, self._spin = np.zeros((n, 3)), np.zeros((n, 3))
        self._velocity, self._rate = _Derivative(keep, period), _Derivative(keep, period)

    def native(self, observation: Float32) -> Float32:
        """See Execution."""
        seen = sensed.take_apart(observation)
        acceleration = self._acceleration(seen)
        rate = attitude_error(seen.rotation, acceleration) * self._turning
        angular_acceleration = self._angular_acceleration(rate, seen.angular_velocity)
        return act(self._allocation, self._robot, seen, acceleration, angular_acceleration, self._gains.lift_min[:, 0])

    intermediate = native

    def _acceleration(self, seen: Sensed) -> Float64:
        """a_sp + g, (n, 3) [m/s^2]: what thrust must give, with bounded tilt."""
        g = self._gains
        error = np.clip(-g.position * seen.position_error, -g.velocity_max, g.velocity_max) - seen.velocity_error
        self._drift += self._period * g.velocity_integral * np.clip(error, -0.5, 0.5)
        self._drift = np.clip(self._drift, -INTEGRAL_MAX, INTEGRAL_MAX)
        change = g.velocity_derivative * self._velocity.of(error)
        wanted = g.velocity * error + self._drift + change
        return within_tilt(self._robot, wanted, g.tilt_max)

    def _angular_acceleration(self, wanted: Float64, rate: Float64) -> Float64:
        g = self._gains
        error = wanted - rate
        self._spin += self._period * g.rate_integral * np.clip(error, -2.0, 2.0)
        self._spin = np.clip(self._spin, -SPIN_INTEGRAL_MAX, SPIN_INTEGRAL_MAX)
        slowing = g.rate_derivative * self._rate.of(rate)
        return np.asarray(g.rate * error + self._spin - slowing)


class _Derivative:
    """Of a signal, through a low-pass; the first value has none."""

    def __init__(self, keep: Float64, period: float) -> None:
        self._keep, self._period = keep, period
        self._last: Float64 | None = None
        self._value: Float64 | float = 0.0

    def of(self, signal: Float64) -> Float64:
        last = signal if self._last is None else self._last
        self._value = self._keep * self._value + (1 - self._keep) * (signal - last) / self._period
        self._last = signal
        return np.asarray(self._value)


def within_tilt(robot: Robot, wanted: Float64, tilt_max: Float64) -> Float64:
    """Specific thrust (n, 3) [m/s^2] for an acceleration: upwards at least g / 3, tilted by at most atan(tilt_max)."""
    up = np.clip(wanted[:, 2] + robot.gravity, robot.gravity / 3, None)[:, None]
    flat = wanted[:, :2]
    size = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.concatenate([flat * np.minimum(1.0, tilt_max * up / np.maximum(size, 1e-9)), up], axis=1)


def attitude_error(rotation: Float64, thrust: Float64) -> Float64:
    """Rotation vector (n, 3) [rad], body: the shortest turn of body z to `thrust`; its z turns the heading to 0."""
    wanted = thrust / np.linalg.norm(thrust, axis=1, keepdims=True)
    body = np.einsum("nij,ni->nj", rotation, wanted)
    sine = np.linalg.norm(body[:, :2], axis=1)
    angle = np.arctan2(sine, body[:, 2])
    scale = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1.0)
    upside_down = (sine <= 1e-6) & (body[:, 2] < 0)
    roll = np.where(upside_down, np.pi, -scale * body[:, 1])
    heading = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return np.stack([roll, scale * body[:, 0], -heading], axis=1)


def act(
    allocation: Allocation,
    robot: Robot,
    seen: Sensed,
    specific_thrust: Float64,
    angular_acceleration: Float64,
    lift_min: Gain,
) -> Float32:
    """Actions: m a . body z, or lift_min m g when tilted, and J dw/dt + w x J w."""
    inertia, rate = np.asarray(robot.inertia), seen.angular_velocity
    least = np.where(seen.rotation[:, 2, 2] < math.cos(math.pi / 4), lift_min, 0.0) * robot.gravity
    collective = robot.mass * np.maximum((specific_thrust * seen.rotation[:, :, 2]).sum(axis=1), least)
    torque = inertia * angular_acceleration + frames.cross(rate, inertia * rate)
    return allocation.action(collective, torque)
