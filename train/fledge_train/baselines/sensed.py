"""What the baselines observe: a policy's four sensed terms, and two future references to differentiate."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any

import numpy as np
from fledge_sim.contract import Contract, ObservationTerm, TrainingRecord
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of

Float64 = NDArray[np.float64]

SPACING = 0.05
"""[s] between the references that feed-forward takes its derivatives from."""


def contract(robot: Robot, name: str) -> Contract:
    """Noise and terms as a policy's own, then two references ahead; what it says of a network means nothing."""
    plain = contract_of(robot, ActorConfig("mlp", (8,)), SensorConfig(), TrainingRecord(name, 0, ""))
    ahead = ObservationTerm("look_ahead", 12, "m, m/s", "heading", clip=1e3, scale=1.0, noise=0.0)
    return Contract(
        robot=plain.robot,
        robot_sha256=plain.robot_sha256,
        device_type=plain.device_type,
        observation=(*plain.observation, ahead),
        action=plain.action,
        network=plain.network,
        training=plain.training,
        look_ahead_spacing=SPACING,
    )


@dataclass(frozen=True)
class Sensed:
    """One observation of `contract`, taken apart; world and heading frame agree."""

    position_error: Float64
    """p - r, (n, 3) [m], world."""
    rotation: Float64
    """(n, 3, 3), world from body."""
    velocity_error: Float64
    """v - dr/dt, (n, 3) [m/s], world."""
    angular_velocity: Float64
    """(n, 3) [rad/s], body."""
    reference_acceleration: Float64
    """(n, 3) [m/s^2], half a spacing ahead."""
    reference_jerk: Float64
    """(n, 3) [m/s^3], one spacing ahead."""


def take_apart(observation: Float32) -> Sensed:
    """With v(t) sensed, v_r(t + h) - v_r(t) = (v_r(t + h) - v) + (v - v_r(t)): differences are free of noise."""
    x = observation.astype(np.float64)
    first, second = x[:, 21:24], x[:, 27:30]
    near, far = (first + x[:, 12:15]) / SPACING, (second - first) / SPACING
    return Sensed(
        position_error=x[:, :3],
        rotation=x[:, 3:12].reshape(-1, 3, 3),
        velocity_error=x[:, 12:15],
        angular_velocity=x[:, 15:18],
        reference_acceleration=near,
        reference_jerk=(far - near) / SPACING,
    )


def columns(gains: Any, n: int) -> SimpleNamespace:
    """Every gain of a dataclass, one number or one per episode (n,), as (n, 1)."""
    named = ((entry.name, getattr(gains, entry.name)) for entry in fields(gains))
    return SimpleNamespace(**{name: np.broadcast_to(np.asarray(gain, float), (n,))[:, None] for name, gain in named})
