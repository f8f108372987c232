"""counter_random.py on torch tensors of any device: the same words from the same (seed, world, episode, step, channel).

A word is an int32 tensor whose bits are the 32 random ones: torch has few operations on unsigned integers, and addition
and multiplication wrap to the same bits. Only the right shift has to be told not to carry the sign along.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fledge_sim import counter_random
from fledge_sim.errors import FledgeError


def identities(seed: int | Sequence[int], n: int, first_world: int, device: torch.device) -> Tensor:
    """a and b of `n` worlds from first_world on, or of world 0 with each of n seeds, (2, n) int32."""
    if isinstance(seed, int | np.integer):
        pair = counter_random.identities(int(seed), np.arange(first_world, first_world + n, dtype=np.uint32))
    elif len(seed) != n:
        raise FledgeError(f"there are {len(seed)} seeds for {n} worlds; give one number, or one per world")
    else:
        alone = [counter_random.identities(int(each), np.zeros(1, np.uint32)) for each in seed]
        pair = np.concatenate(alone, axis=1)
    return torch.from_numpy(pair.view(np.int32)).to(device)


def key(identity: Tensor, episode: Tensor, age: Tensor | int) -> Tensor:
    """Key (n,) of one step of one episode per world; identity (2, n), episode and age (n,) int32."""
    a, b = identity.unbind(0)
    return mix(mix(mix(a ^ episode) ^ age) ^ mix(b ^ episode))


def word(key: Tensor, channel: int) -> Tensor:
    """32 random bits per world, (n,) int32."""
    return mix(key ^ signed(channel * counter_random.GOLDEN))


def words(key: Tensor, first: int, count: int) -> Tensor:
    """Words of neighbouring channels, (count, n) int32: one long operation instead of many short ones."""
    channel = torch.arange(first, first + count, dtype=torch.int32, device=key.device)
    return mix(key ^ (channel * signed(counter_random.GOLDEN))[:, None])


def uniforms(key: Tensor, first: int, count: int) -> tuple[Tensor, ...]:
    """Uniform numbers of neighbouring channels, a row (n,) each."""
    return uniform(words(key, first, count)).unbind(0)


def normals(key: Tensor, first: int, count: int) -> tuple[Tensor, ...]:
    """Nearly Gaussian numbers of neighbouring channels, a row (n,) each."""
    return normal(words(key, first, count)).unbind(0)


def mix(x: Tensor) -> Tensor:
    """The hash of one word."""
    x = x ^ _shift(x, 16)
    x = x * signed(0x7FEB352D)
    x = x ^ _shift(x, 15)
    x = x * signed(0x846CA68B)
    return x ^ _shift(x, 16)


def uniform(word: Tensor) -> Tensor:
    """Uniform in [0, 1), float32."""
    return _shift(word, 8).to(torch.float32) * 2.0**-24


def normal(word: Tensor) -> Tensor:
    """Nearly Gaussian, mean 0, deviation 1, float32."""
    total = (word & 255) + (_shift(word, 8) & 255) + (_shift(word, 16) & 255) + _shift(word, 24)
    return (total.to(torch.float32) - counter_random.NORMAL_MEAN) * float(counter_random.NORMAL_SCALE)


def _shift(x: Tensor, by: int) -> Tensor:
    return (x >> by) & (0xFFFFFFFF >> by)


def signed(bits: int) -> int:
    """The int32 with the low 32 bits of a number."""
    return (bits + 2**31) % 2**32 - 2**31
