"""What the firmware's estimator would say: truth with the errors of a Kalman filter that lives on its decks.

The filter itself is not run. Its error is: per axis, an error e [m] and the filter's own variance P of it, which grow
with what the sensors leave unobserved and are corrected by every measurement z of the position p,

    K = P / (P + R),  e <- e + K (z - p - e),  P <- (1 - K) P

and likewise for the yaw. A flow deck measures height and velocity, so that x and y wander; a positioning system or
positions sent by a client hold them; with neither, the velocity wanders too. Everything slow runs at 100 Hz, as in the
firmware; noise, delay and gyro filter at 1 kHz.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fledge_sim.rows import State

from fledge_hil.estimate import Estimate, SensorNoise

PERIOD = 0.01
"""[s] between corrections."""
INITIAL_VARIANCE = (100.0, 100.0, 1.0)
"""[m^2], after a reset: x and y unknown, up to the filter's own bound, z about right."""
VARIANCE_MAX, VARIANCE_MIN = 100.0, 1e-6
INITIAL_YAW_VARIANCE = 1e-4
"""[rad^2]"""
QUEUE = 20
"""Measurements the firmware keeps between two corrections; more are dropped."""
FLOW_HEIGHT_MAX = 4.0
"""[m], range of the flow deck's distance sensor."""
VELOCITY_FADES = 0.9
"""[1], what is left of an error of the velocity after one correction by a deck that sees it."""
_BLOCK = 64
FLOW_DECKS = frozenset({"bcFlow2", "bcFlow"})
RANGE_DECKS = FLOW_DECKS | {"bcZRanger2", "bcZRanger"}
POSITION_DECKS = frozenset({"bcLighthouse4", "bcDWM1000"})


@dataclass(frozen=True)
class EstimateErrors:
    """How wrong it is. Chosen, not identified: sizes that users of flow decks and positioning systems report."""

    flow_drift: float = 2e-3
    """Random walk of x and y that a flow deck alone leaves [m/sqrt(s)]: 1.5 cm after a minute."""
    yaw_drift: float = 1e-3
    """Random walk of the yaw without a positioning system [rad/sqrt(s)]: 0.4 deg after a minute."""
    position_bias: float = 2e-3
    """Standard deviation of what a positioning system and the distance sensor are wrong by, slowly changing [m]."""
    position_noise: float = 1e-3
    """Standard deviation of one of their measurements [m]."""
    tilt_bias_deg: float = 0.2
    """Standard deviation of the slow error of roll and of pitch [deg]."""
    bias_time: float = 10.0
    """Correlation time of the slow errors [s]."""
    gyro_bias_deg_s: float = 0.05
    """Standard deviation of what calibration leaves, constant [deg/s]."""
    blind_drift: float = 0.1
    """Random walk of the velocity while no deck sees it [m/s/sqrt(s)]."""
    delay_ms: int = 2
    """Of position and velocity; the filter predicts, but not all of it."""
    gyro_cutoff: float = 80.0
    """Of the firmware's low-pass on the gyro [Hz]."""


PERFECT = EstimateErrors(0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0, 1e9)
"""Truth plus white noise."""


class Wandering:
    """Slow errors, Ornstein-Uhlenbeck, one per standard deviation."""

    def __init__(self, deviations: Sequence[float], time: float, start: Sequence[float]) -> None:
        keep = math.exp(-PERIOD / time)
        self._keep, kick = keep, math.sqrt(1 - keep * keep)
        self._kicks = [deviation * kick for deviation in deviations]
        self.values = [deviation * n for deviation, n in zip(deviations, start, strict=True)]

    def update(self, normal: Sequence[float]) -> None:
        """One PERIOD with as many standard normal numbers as there are errors."""
        keep = self._keep
        self.values = [keep * v + k * n for v, k, n in zip(self.values, self._kicks, normal, strict=False)]


class Estimator:
    """See the module's docstring."""

    def __init__(self, noise: SensorNoise, errors: EstimateErrors, decks: Sequence[str], seed: int) -> None:
        self.noise, self.errors = noise, errors
        self.estimate = Estimate()
        self.initial_pose = (0.0, 0.0, 0.0, 0.0)
        """x, y, z [m] and yaw [rad] that a reset starts from."""
        self.rejected = 0
        """Measurements dropped because too many came at once."""
        owned = set(decks)
        self._flow, self._range = bool(owned & FLOW_DECKS), bool(owned & RANGE_DECKS)
        self._positioning = bool(owned & POSITION_DECKS)
        self._random = np.random.default_rng((seed, 2))
        self._white = np.random.default_rng(seed)
        self._pool: list[list[float]] = []
        self._noise: list[list[float]] = []
        first = self._normal()
        b, t = errors.position_bias, math.radians(errors.tilt_bias_deg)
        self._slow = Wandering((b, b, b, t, t, b), errors.bias_time, first[:6])
        self._gyro_bias = [math.radians(errors.gyro_bias_deg_s) * n for n in first[6:9]]
        self._gyro = [0.0] * 3
        self._gyro_share = 1 - math.exp(-2 * math.pi * errors.gyro_cutoff * 1e-3)
        self._past: deque[list[float]] = deque(maxlen=errors.delay_ms + 1)
        self._queue: list[tuple[tuple[float, ...], float, float | None, float]] = []
        self.position_error = [0.0] * 3
        self.velocity_error = [0.0] * 3
        self.yaw_error = 0.0
        self._variance = list(INITIAL_VARIANCE)
        self._velocity_variance = [0.0] * 3
        self._yaw_variance = INITIAL_YAW_VARIANCE
        self._turn = (1.0, 0.0)

    def _normal(self) -> list[float]:
        if not self._pool:
            self._pool = self._random.standard_normal((_BLOCK, 16)).tolist()
        return self._pool.pop()

    def reset(self, truth: Sequence[float]) -> None:
        """Start again from `initial_pose`, as unsure as the firmware is then; truth: rows of fledge_sim.rows.State."""
        self._queue.clear()
        for axis in range(3):
            self.position_error[axis] = self.initial_pose[axis] - truth[axis]
        self.velocity_error = [0.0] * 3
        self.yaw_error = math.remainder(self.initial_pose[3] - _yaw(truth), 2 * math.pi)
        self._variance, self._velocity_variance = list(INITIAL_VARIANCE), [0.0] * 3
        self._yaw_variance = INITIAL_YAW_VARIANCE
        self.update(truth)

    def measure(self, position: tuple[float, ...], deviation: float, yaw: float | None, yaw_deviation: float) -> None:
        """A position [m, world] and perhaps a yaw [rad] that a client sent, with standard deviations."""
        if len(self._queue) >= QUEUE:
            self.rejected += 1
        else:
            self._queue.append((position, deviation**2, yaw, yaw_deviation**2))

    # ---- 100 Hz ------------------------------------------------------------------------------------------------------

    def update(self, truth: Sequence[float]) -> None:
        """Predict and correct; truth as in `reset`."""
        normal = self._normal()
        self._slow.update(normal[:6])
        self._predict(truth, normal)
        slow, noise = self._slow.values, self.errors.position_noise
        own = noise * noise + self.errors.position_bias**2 + VARIANCE_MIN
        if self._positioning:
            for axis in range(3):
                self._correct(axis, slow[axis] + noise * normal[9 + axis], own)
            self._correct_yaw(0.0, own)
        elif self._range and truth[2] < FLOW_HEIGHT_MAX:
            self._correct(2, slow[5] + noise * normal[11], own)
        for position, variance, yaw, yaw_variance in self._queue:
            for axis in range(3):
                self._correct(axis, position[axis] - truth[axis], variance)
            if yaw is not None:
                self._correct_yaw(math.remainder(yaw - _yaw(truth), 2 * math.pi), yaw_variance)
        self._queue.clear()
        self.estimate.variance = list(self._variance)
        self.estimate.yaw_variance = self._yaw_variance
        self._turn = (math.cos(self.yaw_error / 2), math.sin(self.yaw_error / 2))

    def _predict(self, truth: Sequence[float], normal: Sequence[float]) -> None:
        """Grow errors and variances by one PERIOD; a wrong yaw turns the velocity that is integrated."""
        errors, root = self.errors, math.sqrt(PERIOD)
        sees = (self._flow and truth[2] < FLOW_HEIGHT_MAX) or self._positioning
        walk = errors.flow_drift if self._flow or self._positioning else 0.0
        for axis in range(3):
            if sees or (axis == 2 and self._range and truth[2] < FLOW_HEIGHT_MAX):
                self.velocity_error[axis] *= VELOCITY_FADES
                self._velocity_variance[axis] *= VELOCITY_FADES
            else:
                self.velocity_error[axis] += errors.blind_drift * root * normal[12 + axis]
                self._velocity_variance[axis] += errors.blind_drift**2 * PERIOD
            self.position_error[axis] += self.velocity_error[axis] * PERIOD + walk * root * normal[6 + axis]
            deviation = math.sqrt(self._variance[axis]) + math.sqrt(self._velocity_variance[axis]) * PERIOD
            self._variance[axis] = min(VARIANCE_MAX, deviation**2 + walk * walk * PERIOD)
        if not self._positioning:
            cosine, sine = math.cos(self.yaw_error) - 1, math.sin(self.yaw_error)
            vx, vy = truth[State.VELOCITY], truth[State.VELOCITY + 1]
            self.position_error[0] += (cosine * vx - sine * vy) * PERIOD
            self.position_error[1] += (sine * vx + cosine * vy) * PERIOD
        self.yaw_error += errors.yaw_drift * root * normal[15]
        self._yaw_variance = min(VARIANCE_MAX, self._yaw_variance + errors.yaw_drift**2 * PERIOD)

    def _correct(self, axis: int, measured_error: float, variance: float) -> None:
        gain = self._variance[axis] / (self._variance[axis] + variance + 1e-12)
        self.position_error[axis] += gain * (measured_error - self.position_error[axis])
        self._variance[axis] = max(VARIANCE_MIN, (1 - gain) * self._variance[axis])
        self.velocity_error[axis] *= 1 - gain
        self._velocity_variance[axis] *= 1 - gain

    def _correct_yaw(self, measured_error: float, variance: float) -> None:
        gain = self._yaw_variance / (self._yaw_variance + variance + 1e-12)
        self.yaw_error += gain * math.remainder(measured_error - self.yaw_error, 2 * math.pi)
        self._yaw_variance = max(VARIANCE_MIN, (1 - gain) * self._yaw_variance)

    # ---- 1 kHz -------------------------------------------------------------------------------------------------------

    def sense(self, truth: list[float]) -> None:
        """Estimate = truth, delayed, filtered, seen in the estimator's own frame, plus noise."""
        if not self._noise:
            self._noise = self._white.standard_normal((512, 12)).tolist()
        n, noise, estimate = self._noise.pop(), self.noise, self.estimate
        self._past.append(truth)
        old = self._past[0]
        p, v, e, ev = noise.position, noise.velocity, self.position_error, self.velocity_error
        cosine, sine = self._turn
        c, s = cosine * cosine - sine * sine, 2 * cosine * sine
        estimate.position_world = [old[0] + e[0] + p * n[0], old[1] + e[1] + p * n[1], old[2] + e[2] + p * n[2]]
        vx, vy = old[7], old[8]
        estimate.velocity_world = [
            c * vx - s * vy + ev[0] + v * n[3],
            s * vx + c * vy + ev[1] + v * n[4],
            old[9] + ev[2] + v * n[5],
        ]
        self._sense_rotation(truth, n, cosine, sine)

    def _sense_rotation(self, truth: list[float], n: list[float], cosine: float, sine: float) -> None:
        """Gyro through its filter; attitude turned about the world's z, then by a small rotation in body axes."""
        estimate, noise, g, b, k = self.estimate, self.noise, self._gyro, self._gyro_bias, self._gyro_share
        g[0] += k * (truth[10] + b[0] - g[0])
        g[1] += k * (truth[11] + b[1] - g[1])
        g[2] += k * (truth[12] + b[2] - g[2])
        a, r = noise.angular_velocity, 57.29577951308232
        estimate.gyro_deg_s = [(g[0] + a * n[6]) * r, (g[1] + a * n[7]) * r, (g[2] + a * n[8]) * r]
        w, x, y, z = truth[3], truth[4], truth[5], truth[6]
        w, x, y, z = cosine * w - sine * z, cosine * x - sine * y, cosine * y + sine * x, cosine * z + sine * w
        h, slow = noise.attitude / 2, self._slow.values
        ex, ey, ez = h * n[9] + slow[3] / 2, h * n[10] + slow[4] / 2, h * n[11]
        qw, qx = w - x * ex - y * ey - z * ez, x + w * ex + y * ez - z * ey
        qy, qz = y + w * ey + z * ex - x * ez, z + w * ez + x * ey - y * ex
        scale = 1 / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
        estimate.quaternion_xyzw = [qx * scale, qy * scale, qz * scale, qw * scale]


def _yaw(truth: Sequence[float]) -> float:
    w, x, y, z = truth[State.QUATERNION : State.QUATERNION + 4]
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
