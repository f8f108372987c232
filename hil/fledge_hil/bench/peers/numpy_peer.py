"""What one writes first: a vectorised environment in numpy with gymnasium's interface and the same physics.

float32, one contiguous row per quantity, no Python loop over environments; RK4, 18 noisy observations, reward,
same-step autoreset.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

PACKAGES = ("numpy",)
DT = np.float32(0.01)
MASS, GRAVITY, ARM, TORQUE_PER_THRUST = np.float32(0.0319), np.float32(9.81), np.float32(0.0325), np.float32(0.00699)
INERTIA = np.array([[16.8e-6], [16.8e-6], [29.8e-6]], np.float32)
SLOPE, CURVATURE, LAG = np.float32(-3.457e-6), np.float32(1.4645e-8), np.float32(1 / 0.11)
SPEED_MAX, EPISODE = np.float32(2990.0), 500
X, Y, SPIN = (np.array(signs, np.float32)[:, None] for signs in ((1, -1, -1, 1), (-1, -1, 1, 1), (-1, 1, -1, 1)))
Rows = NDArray[np.float32]


def derivative(x: Rows, setpoint: Rows) -> Rows:
    """dx/dt of (17, n): position, quaternion, velocity, angular velocity, rotor speeds."""
    qw, qx, qy, qz = x[3:7]
    p, q, r = x[10:13]
    thrust = x[13:] * (SLOPE + CURVATURE * x[13:])
    lift = thrust.sum(0) / MASS
    out = np.empty_like(x)
    out[:3] = x[7:10]
    out[3] = -0.5 * (qx * p + qy * q + qz * r)
    out[4] = 0.5 * (qw * p + qy * r - qz * q)
    out[5] = 0.5 * (qw * q + qz * p - qx * r)
    out[6] = 0.5 * (qw * r + qx * q - qy * p)
    out[7] = 2 * (qx * qz + qw * qy) * lift
    out[8] = 2 * (qy * qz - qw * qx) * lift
    out[9] = (1 - 2 * (qx * qx + qy * qy)) * lift - GRAVITY
    jx, jy, jz = INERTIA[:, 0]
    out[10] = (ARM * (Y * thrust).sum(0) + (jy - jz) * q * r) / jx
    out[11] = (-ARM * (X * thrust).sum(0) + (jz - jx) * r * p) / jy
    out[12] = (TORQUE_PER_THRUST * (SPIN * thrust).sum(0) + (jx - jy) * p * q) / jz
    out[13:] = LAG * (setpoint - x[13:])
    return out


def advance(x: Rows, setpoint: Rows) -> Rows:
    """One step of RK4."""
    k1 = derivative(x, setpoint)
    k2 = derivative(x + DT / 2 * k1, setpoint)
    k3 = derivative(x + DT / 2 * k2, setpoint)
    k4 = derivative(x + DT * k3, setpoint)
    following: Rows = x + DT / 6 * (k1 + 2 * (k2 + k3) + k4)
    following[3:7] /= np.sqrt((following[3:7] ** 2).sum(0))
    return following


class HoverEnv:
    """`step(action)` as gymnasium.vector.VectorEnv with same-step autoreset."""

    def __init__(self, n: int) -> None:
        self._random = np.random.default_rng(0)
        self._time = self._random.integers(0, EPISODE, n)
        self._state = self._first(n)

    def step(self, action: Rows) -> tuple[Rows, Rows, NDArray[np.bool_], NDArray[np.bool_]]:
        """Action (n, 4) in [-1, 1]; observation (n, 18), reward, terminated, truncated (n,)."""
        setpoint: Rows = SPEED_MAX / 2 * (np.clip(action.T, -1, 1) + np.float32(1))
        x = self._state = advance(self._state, setpoint)
        self._time += 1
        terminated: NDArray[np.bool_] = np.abs(x[:3]).max(axis=0) > 0.6
        truncated = self._time >= EPISODE
        position, attitude, velocity = (x[:3] ** 2).sum(0), (x[4:7] ** 2).sum(0), (x[7:10] ** 2).sum(0)
        reward = 2 - 0.5 * (5 * position + 5 * attitude + 0.01 * velocity + 0.01 * ((action - 0.3) ** 2).sum(1))
        ended = np.flatnonzero(terminated | truncated)
        if ended.size:
            x[:, ended], self._time[ended] = self._first(ended.size), 0
        return self._observe(), np.where(terminated, np.float32(0), reward), terminated, truncated

    def _first(self, n: int) -> Rows:
        x = np.zeros((17, n), np.float32)
        x[:3], x[7:13] = self._random.uniform(-0.2, 0.2, (3, n)), self._random.uniform(-1, 1, (6, n))
        x[3:7] = self._random.normal([[3], [0], [0], [0]], 1, (4, n))
        x[3:7] /= np.sqrt((x[3:7] ** 2).sum(0))
        x[13:] = SPEED_MAX / 2
        return x

    def _observe(self) -> Rows:
        w, x, y, z = self._state[3:7]
        seen = np.empty((18, w.size), np.float32)
        seen[:3], seen[12:] = self._state[:3], self._state[7:13]
        seen[3], seen[4], seen[5] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
        seen[6], seen[7], seen[8] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
        seen[9], seen[10], seen[11] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
        return (seen + np.float32(0.001) * self._random.standard_normal(seen.shape, np.float32)).T


def step(batch: int, _threads: int) -> Callable[[], object]:
    """Physics only."""
    state, setpoint = HoverEnv(batch)._state, np.full((4, batch), SPEED_MAX / 2, np.float32)
    return lambda: advance(state, setpoint)


def environment(batch: int, _threads: int) -> Callable[[], object]:
    """Everything."""
    env, action = HoverEnv(batch), np.full((batch, 4), 0.3, np.float32)
    return lambda: env.step(action)


CASES = {"step": step, "environment": environment}
