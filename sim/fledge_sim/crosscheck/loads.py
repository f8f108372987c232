"""What acts on the body from outside the engines, written for them alone: rotors, battery, air.

Scalars and small vectors of one environment in double precision. The engines' own rotation matrices and positions come
in, so that no other text of fledge takes part.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from fledge_sim.crosscheck.airframe import Drive

Vector = NDArray[np.float64]
BATTERY_INTERVALS = 32
"""Into which a step is cut where the battery couples the rotors."""
HEIGHT_MIN = 1e-3
"""[m], lowest rotor height that the ground effect sees."""


class RotorPath:
    """Rotor speeds over a step with held set-points.

    A first-order lag approaches its set-point without crossing it, so rise or fall is settled at the start and the
    solution is closed: n(t) = n_sp + (n_0 - n_sp) exp(-t / tau). Under a sagging battery the set-point moves; then the
    same solution holds over short intervals, each with the voltage of its middle.
    """

    def __init__(self, drive: Drive, speed: Vector, setpoint: Vector, duration: float, battery: bool) -> None:
        self._drive = drive
        self._knots, self._speeds, self._targets = [0.0], [speed], [setpoint]
        if battery:
            self._sag(setpoint, duration)

    def at(self, time: float) -> Vector:
        """Speeds [rad/s], (4,), `time` [s] after the start."""
        last = bisect_right(self._knots, time) - 1
        return self._approach(self._speeds[last], self._targets[last], time - self._knots[last])

    def _approach(self, speed: Vector, target: Vector, time: float) -> Vector:
        rise, fall = math.exp(-time / self._drive.time_constant_rise), math.exp(-time / self._drive.time_constant_fall)
        pairs = zip(speed.tolist(), target.tolist(), strict=True)
        return np.array([to + (now - to) * (rise if to > now else fall) for now, to in pairs])

    def _sag(self, setpoint: Vector, duration: float) -> None:
        interval = duration / BATTERY_INTERVALS
        speeds, targets = [self._speeds[0]], []
        for _ in range(BATTERY_INTERVALS):
            now = speeds[-1]
            middle = self._approach(now, self._reachable(now, setpoint), interval / 2)
            targets.append(self._reachable(middle, setpoint))
            speeds.append(self._approach(now, targets[-1], interval))
        self._knots = [interval * i for i in range(BATTERY_INTERVALS)]
        self._speeds, self._targets = speeds[:-1], targets

    def _reachable(self, speed: Vector, setpoint: Vector) -> Vector:
        """Full duty is all that the voltage under load gives."""
        drive = self._drive
        power = drive.drive_power * float(thrust(drive, speed) @ speed)
        voltage = drive.battery_voltage - drive.battery_resistance * (power / drive.battery_voltage)
        return np.minimum(setpoint, drive.speed_per_volt * voltage)


def thrust(drive: Drive, speed: Vector) -> Vector:
    """Of each rotor away from the ground [N], (4,)."""
    c0, c1, c2 = drive.thrust_curve
    return np.array([s * (c0 + c1 * n + c2 * n**2) for s, n in zip(drive.thrust_scale, speed.tolist(), strict=True)])


def ground_effect(drive: Drive, height: Vector) -> Vector:
    """Factor on the thrust of rotors at these heights [m] above z = 0, (4,): 1 far away, at most 4/3."""
    area = drive.ground_effect_area
    seen = np.maximum(height, max(2 * math.sqrt(area), HEIGHT_MIN))
    return 1 / (1 - area / seen**2)


def force_world(drive: Drive, rotation: Vector, velocity: Vector, drag: bool) -> Vector:
    """Disturbance and drag [N], (3,).

    Args:
        drive: coefficients.
        rotation: rotation_world_from_body, (3, 3).
        velocity: of the centre of mass, (3,) [m/s], world.
        drag: with drag against the wind.
    """
    force = np.array(drive.disturbance_force)
    if drag:
        force -= rotation @ (drive.drag * (rotation.T @ (velocity - drive.wind)))
    return force


def torque_world(drive: Drive, rotation: Vector) -> Vector:
    """Disturbance torque [N m], (3,), world axes."""
    torque: Vector = rotation @ np.array(drive.disturbance_torque)
    return torque
