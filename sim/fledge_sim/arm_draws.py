"""Random numbers of the arm's worlds: functions of (seed, world, episode, step, channel), as in counter_random.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fledge_sim import counter_random
from fledge_sim.counter_random import GOLDEN, UInt32

Float64 = NDArray[np.float64]


class Channel(IntEnum):
    """First channel of each quantity; see counter_random.Channel for what `step` is."""

    NOISE = 0
    """Of positions and velocities, one per joint each; every step."""
    STEP = 500
    """Period, missed frame, push: when, on which joint, how much; every step."""
    SENSOR_STEP = 600
    """Of the tactile sensor; every step."""
    PARAMETER = 2000
    """Of the robot, in the order of arm_randomize; step 0."""
    SENSOR = 2500
    """Bias and delay; step 0."""
    TASK = 3000
    """Of the task, in its own order; step 0."""


@dataclass(frozen=True)
class Draws:
    """Keys of some worlds at one step of an episode each."""

    key: UInt32
    """(n,)"""

    def words(self, channel: int, count: int) -> UInt32:
        """32 random bits for each of `count` channels from `channel` on, (n, count)."""
        numbers = (np.arange(channel, channel + count, dtype=np.uint64) * GOLDEN & 0xFFFFFFFF).astype(np.uint32)
        return counter_random.mix(self.key[:, None] ^ numbers)

    def uniform(self, channel: int, count: int, low: float = 0.0, high: float = 1.0) -> Float64:
        """(n, count), uniform in [low, high)."""
        return low + (high - low) * counter_random.uniform(self.words(channel, count)).astype(np.float64)

    def normal(self, channel: int, count: int) -> Float64:
        """(n, count), mean 0, deviation 1, bounded."""
        return counter_random.normal(self.words(channel, count)).astype(np.float64)


def draws(identity: UInt32, episode: UInt32, step: UInt32 | int) -> Draws:
    """For worlds with identities (2, n)."""
    return Draws(counter_random.keys(identity, episode, step))
