"""Random numbers of the environments as a pure function of (seed, world, episode, step, channel).

No generator state: world i draws the same numbers whatever its neighbours, their number and the number of threads are,
and every backend (native, torch, numpy) can compute any of them alone. All arithmetic is on 32-bit unsigned integers,
modulo 2^32, so that it vectorises everywhere; ^ is exclusive or, >> a logical shift:

    mix(x):  x ^= x >> 16;  x *= 0x7feb352d;  x ^= x >> 15;  x *= 0x846ca68b;  x ^= x >> 16
    root            = mix(mix(0x243f6a88 ^ low half of seed) ^ high half of seed)
    identity a, b   = mix(root ^ world), mix((root + 0x9e3779b9) ^ world)               one pair per world
    key             = mix(mix(mix(a ^ episode) ^ step) ^ mix(b ^ episode))              one per world and step
    word            = mix(key ^ (channel * 0x9e3779b9))                                 32 random bits

    uniform  = (word >> 8) / 2^24                       in [0, 1), exact in float32
    normal   = (sum of the four bytes of word - 510) / sqrt(21845)

`normal` has mean 0 and deviation 1 exactly, excess kurtosis -0.3 and ends at +-3.45: for sensor noise and disturbances
bounded tails are welcome. Two worlds share a stream only if both halves of their identities collide, 64 bits in all.
The constants of `mix` are Chris Wellons' lowbias32 (public domain).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError

UInt32 = NDArray[np.uint32]
Float32 = NDArray[np.float32]

GOLDEN = 0x9E3779B9
ROOT = 0x243F6A88
NORMAL_MEAN = 510.0
"""Of the sum of four bytes."""
NORMAL_SCALE = np.float32(21845**-0.5)
"""1 / deviation of the sum of four bytes: the variance of one is (256^2 - 1) / 12."""


class Channel(IntEnum):
    """First channel of each quantity. `step` is the age of the episode: 0 for what is drawn at its start."""

    SENSOR_NOISE = 0
    """One per element of the observation, in its order; every step, the first observation included."""
    DROPOUT = 1000
    """Whether this step's position update arrives."""
    GUST = 1001
    """3, world axes."""
    DRAW = 2000
    """One per entry of the table of draws (fledge_sim.environment_rows); step 0."""
    INITIAL = 3000
    """Kind, position, attitude, ... of the first state; step 0."""
    REFERENCE = 4000
    """Of the episode's reference, in the order of its distribution's draws; step 0."""
    TOUCH_NOISE = 1_000_000
    """One per component of every taxel, pads 12000 apart; every step. The next three likewise, step 0."""
    TOUCH_GAIN = 1_100_000
    TOUCH_OFFSET = 1_200_000
    TOUCH_DEAD = 1_300_000
    """One per taxel."""
    TOUCH_PAD = 1_400_000
    """Cross-talk, latency, then the gain of each pad; step 0."""


def mix(x: UInt32) -> UInt32:
    """The hash of one word."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def identities(seed: int, worlds: UInt32) -> UInt32:
    """a and b, (2, n), of world numbers (n,)."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise FledgeError(f"seed is {seed!r}, it must be a whole number from 0 to 2^64 - 1")
    root = mix(mix(_words(ROOT ^ (int(seed) & 0xFFFFFFFF))) ^ _words(int(seed) >> 32))
    return np.stack([mix(root ^ worlds), mix((root + np.uint32(GOLDEN)) ^ worlds)])


def keys(identity: UInt32, episode: UInt32 | int, step: UInt32 | int) -> UInt32:
    """Key (n,) of one step of one episode per world; identity (2, n)."""
    a, b = identity
    return mix(mix(mix(a ^ _words(episode)) ^ _words(step)) ^ mix(b ^ _words(episode)))


def words(key: UInt32, channel: int) -> UInt32:
    """32 random bits per world, (n,)."""
    return mix(key ^ _words(channel * GOLDEN & 0xFFFFFFFF))


def uniform(word: UInt32) -> Float32:
    """Uniform in [0, 1)."""
    return (word >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def normal(word: UInt32) -> Float32:
    """Nearly Gaussian, mean 0, deviation 1."""
    total = sum((word >> np.uint32(shift)) & np.uint32(255) for shift in (0, 8, 16, 24))
    return (np.asarray(total).astype(np.float32) - np.float32(NORMAL_MEAN)) * NORMAL_SCALE


def _words(value: UInt32 | int) -> UInt32:
    return np.atleast_1d(np.asarray(value, dtype=np.uint32))
