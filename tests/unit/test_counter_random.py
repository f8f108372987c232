"""Counter-based random numbers: the definition, its moments and tails, and independence of what must be independent."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim import counter_random
from fledge_sim.errors import FledgeError

WORLDS = np.arange(200_000, dtype=np.uint32)


def _mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def test_definition_in_plain_integers() -> None:
    seed, world, episode, step, channel = 5 + 7 * 2**32, 12, 3, 41, 1002
    root = _mix(_mix(0x243F6A88 ^ 5) ^ 7)
    a, b = _mix(root ^ world), _mix((root + 0x9E3779B9) % 2**32 ^ world)
    key = _mix(_mix(_mix(a ^ episode) ^ step) ^ _mix(b ^ episode))
    word = _mix(key ^ channel * 0x9E3779B9 % 2**32)
    identity = counter_random.identities(seed, WORLDS[:20])
    keys = counter_random.keys(identity, episode, step)
    words = counter_random.words(keys, channel)
    assert words[12] == word
    assert counter_random.uniform(words)[12] == np.float32((word >> 8) / 2**24)
    total = sum(word.to_bytes(4, "little"))
    assert counter_random.normal(words)[12] == pytest.approx((total - 510) / 21845**0.5, rel=1e-6)


def test_moments_and_tails() -> None:
    """Of n samples: mean within 5/sqrt(n); variance of x^2 is kurtosis - 1 = 1.7, so 5 sqrt(1.7/n) around 1."""
    words = counter_random.words(counter_random.keys(counter_random.identities(0, WORLDS), 0, 1), 3)
    normal, uniform = counter_random.normal(words).astype(float), counter_random.uniform(words).astype(float)
    n = WORLDS.size
    assert abs(normal.mean()) < 5 / n**0.5
    assert abs((normal**2).mean() - 1) < 5 * (1.7 / n) ** 0.5
    assert (normal**4).mean() == pytest.approx(2.7, abs=0.06)
    assert abs(normal).max() <= 3.4507
    # 1 - Phi(2) = 2.28 % for a Gaussian; the sum of four bytes has 2.19 %
    assert (normal > 2).mean() == pytest.approx(0.0219, abs=0.002)
    assert abs(uniform.mean() - 0.5) < 5 * (1 / 12 / n) ** 0.5
    assert uniform.min() >= 0
    assert uniform.max() < 1
    counts = np.bincount((uniform * 64).astype(int), minlength=64)
    assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 120  # chi-square with 63 degrees of freedom: 1e-5


def test_neighbours_in_every_argument_are_uncorrelated() -> None:
    identity = counter_random.identities(0, WORLDS)
    base = counter_random.normal(counter_random.words(counter_random.keys(identity, 0, 1), 3))
    others = {
        "world": np.roll(base, 1),
        "seed": counter_random.normal(
            counter_random.words(counter_random.keys(counter_random.identities(1, WORLDS), 0, 1), 3)
        ),
        "episode": counter_random.normal(counter_random.words(counter_random.keys(identity, 1, 1), 3)),
        "step": counter_random.normal(counter_random.words(counter_random.keys(identity, 0, 2), 3)),
        "channel": counter_random.normal(counter_random.words(counter_random.keys(identity, 0, 1), 4)),
    }
    for name, other in others.items():
        for power in (1, 2):
            correlation = np.corrcoef(base**power, other**power)[0, 1]
            assert abs(correlation) < 5 / WORLDS.size**0.5, (name, power)


def test_no_two_of_many_worlds_share_an_identity() -> None:
    a, b = counter_random.identities(0, np.arange(1_000_000, dtype=np.uint32)).astype(np.uint64)
    assert np.unique(a << np.uint64(32) | b).size == 1_000_000


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True])
def test_seed_out_of_range(seed: object) -> None:
    with pytest.raises(FledgeError, match=r"seed is .* whole number from 0"):
        counter_random.identities(seed, WORLDS[:1])  # type: ignore[arg-type]
