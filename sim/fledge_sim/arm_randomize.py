"""One episode's arm: every randomized number as a column of unit draws, and what each means.

A world remembers only its draws u in [0, 1); a value is low + (high - low) u. The critic sees 2 u - 1 of those that
can vary.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arm_draws import Channel, Draws

if TYPE_CHECKING:
    from fledge_sim.arm_config import ArmConfig, Span

Float64 = NDArray[np.float64]

STIFFNESS_PER_JOINT = 0.1
"""Share of the stiffness' half width that a joint has of its own."""


@dataclass(frozen=True)
class ArmParameters:
    """Of n worlds; (n, J) per joint, (n,) otherwise. Factors on the arm's own values unless a unit is given."""

    stiffness: Float64
    stiffness_joint: Float64
    damping: Float64
    armature: Float64
    coulomb: Float64
    load_friction: Float64
    """[1]"""
    torque: Float64
    setpoint_speed: Float64
    backlash: Float64
    """(n, J) [rad]"""
    link_mass: Float64
    com: Float64
    """(n, 3 J) [m]"""
    payload: Float64
    """[kg]"""
    command_delay: Float64
    """[s]"""
    sensor_delay: Float64
    """[s]"""
    bias: Float64
    """(n, J) [rad]"""


class ArmDistribution:
    """Columns of the draws, in the order of ArmParameters' fields."""

    def __init__(self, config: ArmConfig) -> None:
        joints, spans, sensors = len(config.arm.joints), config.randomization, config.sensors
        low, high = spans.stiffness
        own = STIFFNESS_PER_JOINT * (high - low) / 2
        columns: dict[str, tuple[int, Span]] = {
            "stiffness": (1, spans.stiffness),
            "stiffness_joint": (joints, (1 - own, 1 + own)),
            "damping": (joints, spans.damping),
            "armature": (joints, spans.armature),
            "coulomb": (joints, spans.coulomb),
            "load_friction": (1, spans.load_friction),
            "torque": (1, spans.torque),
            "setpoint_speed": (1, spans.setpoint_speed),
            "backlash": (joints, spans.backlash),
            "link_mass": (joints, spans.link_mass),
            "com": (3 * joints, (-spans.com, spans.com)),
            "payload": (1, spans.payload),
            "command_delay": (1, spans.command_delay),
            "sensor_delay": (1, sensors.delay),
            "bias": (joints, (-sensors.bias, sensors.bias)),
        }
        self._slices: dict[str, slice] = {}
        first = 0
        for name, (count, _) in columns.items():
            self._slices[name] = slice(first, first + count)
            first += count
        self.size = first
        """Columns."""
        self._low = np.concatenate([np.full(count, span[0]) for count, span in columns.values()])
        self._width = np.concatenate([np.full(count, span[1] - span[0]) for count, span in columns.values()])
        seen = self._width > 0
        seen[self._slices["com"]] = False
        self.seen: NDArray[np.intp] = np.flatnonzero(seen)
        """Columns that the critic sees: what varies, but for the centres of mass."""

    def draw(self, draws: Draws) -> Float64:
        """Unit draws (n, size)."""
        return draws.uniform(Channel.PARAMETER, self.size)

    def values(self, unit: Float64) -> ArmParameters:
        """What unit draws (n, size) mean."""
        scaled = self._low + self._width * unit
        parts = {entry.name: scaled[:, self._slices[entry.name]] for entry in fields(ArmParameters)}
        return ArmParameters(**{name: part[:, 0] if part.shape[1] == 1 else part for name, part in parts.items()})
