"""Where an episode over the table begins: fingers down above a place in front of the arm, at rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fledge_sim.arm_kinematics import inverse
from fledge_sim.arm_task import first_of

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import Span
    from fledge_sim.arm_task import Float64

TRIES = 8
"""Places drawn per episode, of which the first that the arm can reach from above is taken."""


@dataclass(frozen=True)
class AboveStart:
    """The grip is turned a quarter about the fingers: pads close sideways, the arm's pitch turns about their axis."""

    azimuth: float = math.radians(35)
    """Half width of the place about straight ahead [rad]."""
    radius: Span = (0.17, 0.22)
    """Of the place, from the axis of the first joint [m]."""
    height: Span = (0.006, 0.012)
    """Of the held thing's lower end above the place [m]."""
    beside: float = 0.006
    """Half width of its distance beside the place, per horizontal axis [m]."""

    def draw(
        self, arm: Arm, unit: Float64, signed: Float64, level: float, reach: float
    ) -> tuple[Float64, Float64, Float64]:
        """Joints (m, J), place (m, 3) [m] and its azimuth (m,) [rad].

        Args:
            arm: with a gripper at its grip position.
            unit: (m, TRIES, 2) in [0, 1): azimuth and radius of the candidates.
            signed: (m, 3) in [-1, 1): where beside, and how high.
            level: height of the place [m].
            reach: of what is held, in front of the grip frame [m].
        """
        angle, (low, high) = (2 * unit[:, :, 0] - 1) * self.azimuth, self.radius
        radius, pan = low + (high - low) * unit[:, :, 1], arm.joints[0].point
        place = np.stack([pan[0] + radius * np.cos(angle), pan[1] + radius * np.sin(angle)], -1)
        low, high = self.height
        above = level + reach + low + (high - low) * (signed[:, 2] + 1) / 2
        beside = place + self.beside * signed[:, None, :2]
        over = np.concatenate([beside, np.broadcast_to(above[:, None, None], (*angle.shape, 1))], -1)
        azimuth = np.arctan2(over[:, :, 1] - pan[1], over[:, :, 0] - pan[0])
        roll = np.pi / 2 + azimuth - angle if len(arm.chain) == 5 else 0.0
        chain = inverse(arm, over, np.pi / 2, roll)
        good, gripper = np.isfinite(chain[..., 0]), np.full((*angle.shape, 1), arm.grip_position)
        q = first_of(np.concatenate([chain, gripper], -1), good)
        places = np.concatenate([first_of(place, good), np.full((len(q), 1), level)], -1)
        return q, places, first_of(angle[..., None], good)[:, 0]
