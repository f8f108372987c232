"""The estimate that the firmware flies by, and the white noise on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from fledge_sim.contract import Contract


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
    variance: list[float] = field(default_factory=lambda: [0.0] * 3)
    """[m^2], the estimator's own account of its position, per axis."""
    yaw_variance: float = 0.0
    """[rad^2]"""

    @property
    def position_variance(self) -> float:
        """The largest of the three [m^2]."""
        return max(self.variance)

    @property
    def acceleration_world_g(self) -> tuple[float, float, float]:
        """Without gravity, world axes [g]: R f - e_z."""
        x, y, z, w = self.quaternion_xyzw
        fx, fy, fz = self.acceleration_g
        return (
            (1 - 2 * (y * y + z * z)) * fx + 2 * (x * y - w * z) * fy + 2 * (x * z + w * y) * fz,
            2 * (x * y + w * z) * fx + (1 - 2 * (x * x + z * z)) * fy + 2 * (y * z - w * x) * fz,
            2 * (x * z - w * y) * fx + 2 * (y * z + w * x) * fy + (1 - 2 * (x * x + y * y)) * fz - 1.0,
        )

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
