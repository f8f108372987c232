"""The drone's body: motors, battery, rigid body on a floor, and what its estimator would say.

Truth is the native kernel at 1 kHz. A motor command goes the way of the firmware: fraction -> rotor speed the nominal
robot needs for it -> battery-compensated duty, quantised -> what that duty gives at the real voltage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from fledge_sim import kernel
from fledge_sim.contract import Contract
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization, sample_parameters
from fledge_sim.robot import Robot, rotor_speed_from_thrust
from fledge_sim.rows import FLOOR_COMPRESSION, Float32, Parameter, State, hover_state, parameter_rows

TICK = 1e-3
"""[s], one step of the plant and of the firmware's stabilizer loop."""
LOW_POWER_MARGIN = 0.2
"""[V] above empty."""
_NOISE_BLOCK = 512
_DEAD_ZONE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Battery:
    """One lithium-polymer cell, as simple as it can be while the firmware's compensation still has work to do."""

    voltage_full: float = 4.1
    """[V], at rest, just off the charger; nominal full charge of the chemistry is 4.2 V."""
    voltage_empty: float = 3.0
    """[V], where the firmware reports an empty battery."""
    flight_time: float = 420.0
    """[s] from full to empty at hover; the maker states up to seven minutes."""
    voltage_at_top_speed: float = 3.08
    """[V] across a motor at the robot's rotor_speed_max; from the firmware's thrust curve of the 2.1+ at 0.12 N."""


@dataclass(frozen=True)
class SensorNoise:
    """Standard deviations of white noise on the estimate, drawn anew every millisecond."""

    position: float = 0.0
    """[m]"""
    attitude: float = 0.0
    """[rad], about each body axis"""
    velocity: float = 0.0
    """[m/s]"""
    angular_velocity: float = 0.0
    """[rad/s]"""


def noise_of(contract: Contract, scale: float = 1.0) -> SensorNoise:
    """The noise that the policy was trained with, times `scale`."""
    noise = {term.name: term.noise * scale for term in contract.observation}
    return SensorNoise(
        noise.get("position_error", 0.0),
        noise.get("rotation", 0.0),
        noise.get("velocity_error", 0.0),
        noise.get("angular_velocity", 0.0),
    )


@dataclass
class Estimate:
    """What the firmware knows, in its own units and order (flight.h)."""

    position_world: list[float] = field(default_factory=lambda: [0.0] * 3)
    velocity_world: list[float] = field(default_factory=lambda: [0.0] * 3)
    quaternion_xyzw: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 1.0])
    gyro_deg_s: list[float] = field(default_factory=lambda: [0.0] * 3)
    acceleration_g: list[float] = field(default_factory=lambda: [0.0, 0.0, 1.0])
    """Specific force in body axes."""
    position_variance: float = 1e-6
    """[m^2], the estimator's own account; below the threshold that cflib waits for."""

    @property
    def yaw(self) -> float:
        """Heading [rad]."""
        x, y, z, w = self.quaternion_xyzw
        return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))

    @property
    def euler_deg(self) -> tuple[float, float, float]:
        """Roll, pitch, yaw; pitch with the firmware's legacy sign (nose up positive)."""
        x, y, z, w = self.quaternion_xyzw
        roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        sine = 2 * (w * y - z * x)
        pitch = -math.asin(max(-1.0, min(1.0, sine)))
        return math.degrees(roll), math.degrees(pitch), math.degrees(self.yaw)


class Plant:
    """See the module's docstring. Same seed and same commands give the same bits."""

    def __init__(
        self, robot: Robot, noise: SensorNoise, battery: Battery, seed: int, spread: Randomization | None = None
    ) -> None:
        """`spread`: how far this body differs from its robot file, drawn with `seed`; None: not at all."""
        self.robot, self.noise, self.battery = robot, noise, battery
        self.parameters = sample_parameters(robot, spread, 1, seed) if spread else parameter_rows(robot, 1)
        self.state: Float32 = hover_state(robot, 1)
        self.state[State.ROTOR_SPEED :] = 0
        self.state[State.POSITION + 2] = robot.leg_height - FLOOR_COMPRESSION
        self.truth: list[float] = self.state[:, 0].tolist()
        self.voltage = battery.voltage_full
        self.duty: list[float] = [0.0] * 4
        self.estimate = Estimate()
        self._setpoint = np.zeros((4, 1), np.float32)
        self._random = np.random.default_rng(seed)
        self._noise: list[list[float]] = []
        drag = bool(self.parameters[Parameter.DRAG : Parameter.DRAG + 3].any())
        self._physics = Physics(drag=drag, floor=True)
        self._volts_per_speed = battery.voltage_at_top_speed / robot.rotor_speed_max
        self._sag = (battery.voltage_full - battery.voltage_empty) / battery.flight_time * TICK
        self._lowest = robot.fraction_low * (1 - _DEAD_ZONE_TOLERANCE)
        self.sense()

    def push(self, force_world: Sequence[float]) -> None:
        """Constant force on the body from now on [N, world]."""
        rows = slice(Parameter.DISTURBANCE_FORCE, Parameter.DISTURBANCE_FORCE + 3)
        self.parameters[rows, 0] = force_world

    def step(self, fraction: Sequence[float]) -> None:
        """One millisecond with a motor command, fraction 0..1 of what the robot's actuation names, M1..M4."""
        turning = False
        for motor, speed in enumerate(self._speeds(fraction)):
            self._setpoint[motor, 0] = speed
            turning = turning or speed > 0
        if turning:
            self.voltage = max(self.battery.voltage_empty, self.voltage - self._sag)
        before = self.truth[State.VELOCITY : State.VELOCITY + 3]
        kernel.step(self.state, self._setpoint, self.parameters, TICK, physics=self._physics, out=self.state)
        self.truth = self.state[:, 0].tolist()
        self._accelerate(before)
        self.sense()

    @property
    def battery_low(self) -> bool:
        """What the firmware calls low power."""
        return self.voltage <= self.battery.voltage_empty + LOW_POWER_MARGIN

    def _speeds(self, fraction: Sequence[float]) -> list[float]:
        """Rotor speed set-points [rad/s] after compensation, cap and quantisation."""
        levels, top = self.robot.pwm_levels, self.robot.rotor_speed_max
        wanted = [self._duty(min(1.0, value)) if value >= self._lowest else 0.0 for value in fraction]
        excess = max(0.0, max(wanted) - 1.0)
        self.duty = [
            min(levels - 1.0, math.floor(max(0.0, value - excess) * levels)) / (levels - 1.0) for value in wanted
        ]
        if self.robot.actuation == "rotor_speed_fraction":
            return [duty * top for duty in self.duty]
        if self.robot.actuation == "duty":
            return [duty * self.voltage * self.robot.speed_per_volt for duty in self.duty]
        return [duty * self.voltage / self._volts_per_speed for duty in self.duty]

    def _duty(self, fraction: float) -> float:
        if self.robot.actuation != "thrust_fraction":
            return fraction
        speed = rotor_speed_from_thrust(self.robot.thrust_curve, fraction * self.robot.thrust_max)
        return speed * self._volts_per_speed / self.voltage

    def _accelerate(self, before: list[float]) -> None:
        """Specific force of the last millisecond, turned into body axes by the rows of R^T."""
        w, x, y, z = self.truth[State.QUATERNION : State.QUATERNION + 4]
        after = self.truth[State.VELOCITY : State.VELOCITY + 3]
        g = self.robot.gravity
        ax, ay, az = ((after[k] - before[k]) / (TICK * g) for k in range(3))
        az += 1.0
        self.estimate.acceleration_g = [
            (1 - 2 * (y * y + z * z)) * ax + 2 * (x * y + w * z) * ay + 2 * (x * z - w * y) * az,
            2 * (x * y - w * z) * ax + (1 - 2 * (x * x + z * z)) * ay + 2 * (y * z + w * x) * az,
            2 * (x * z + w * y) * ax + 2 * (y * z - w * x) * ay + (1 - 2 * (x * x + y * y)) * az,
        ]

    def sense(self) -> None:
        """Estimate = truth + noise; attitude noise is a small rotation in body axes, to first order."""
        if not self._noise:
            self._noise = self._random.standard_normal((_NOISE_BLOCK, 12)).tolist()
        n, truth, noise = self._noise.pop(), self.truth, self.noise
        estimate = self.estimate
        p, v, r, h = noise.position, noise.velocity, 57.29577951308232, noise.attitude / 2
        estimate.position_world = [truth[0] + p * n[0], truth[1] + p * n[1], truth[2] + p * n[2]]
        estimate.velocity_world = [truth[7] + v * n[3], truth[8] + v * n[4], truth[9] + v * n[5]]
        a = noise.angular_velocity
        estimate.gyro_deg_s = [(truth[10] + a * n[6]) * r, (truth[11] + a * n[7]) * r, (truth[12] + a * n[8]) * r]
        w, x, y, z = truth[3:7]
        ex, ey, ez = h * n[9], h * n[10], h * n[11]
        qw, qx = w - x * ex - y * ey - z * ez, x + w * ex + y * ez - z * ey
        qy, qz = y + w * ey + z * ex - x * ez, z + w * ez + x * ey - y * ex
        s = 1 / math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
        estimate.quaternion_xyzw = [qx * s, qy * s, qz * s, qw * s]
