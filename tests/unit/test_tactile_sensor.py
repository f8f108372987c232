"""The sensors under the taxels: counts, faults, randomness, latency."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fledge_sim import counter_random
from fledge_sim.counter_random import Channel
from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Pad, pool
from fledge_sim.tactile_sensor import IDEAL, SensorModel, TactileSensor, pool_counts, quantise

FULL = SensorModel()


def forces(n: int, seed: int = 0, pad: Pad | None = None) -> np.ndarray:
    pad = pad or Pad()
    random = np.random.default_rng(seed).normal(0, 0.01, (n, 2, pad.rows, pad.columns, 3))
    return random.astype(np.float32)


def test_ideal_sensor_rounds_to_counts_and_sums_over_cells() -> None:
    force, sensor = forces(2), TactileSensor(2, model=IDEAL)
    touch = sensor.sense(force)
    step = IDEAL.newton_per_count
    np.testing.assert_array_equal(sensor.counts, quantise(force, step, 511))
    np.testing.assert_array_equal(touch, pool_counts(sensor.counts, step))
    assert np.abs(touch - pool(force)).max() < 31.25 * step.max() / 2  # half a count per taxel
    assert np.abs(pool(force)).max() > 0.1


def test_counts_end_at_full_scale() -> None:
    force = np.zeros((1, 2, 20, 25, 3), np.float32)
    force[0, 0, 0, 0], force[0, 0, 0, 1] = (0.2, 0.2, -0.2), (0.1, 0.05, -0.025)
    sensor = TactileSensor(1, model=replace(IDEAL, bits=8))
    sensor.sense(force)
    np.testing.assert_array_equal(sensor.counts[0, 0, 0, :2], [[127, 127, -127], [127, 127, -64]])  # 63.5 to even


def test_cells_of_any_grid_keep_the_sum() -> None:
    pad = Pad(rows=7, columns=11)
    sensor = TactileSensor(1, pad, replace(IDEAL, cells=3))
    touch = sensor.sense(forces(1, pad=pad))
    np.testing.assert_array_equal(touch, pool_counts(sensor.counts, IDEAL.newton_per_count, 3))
    total = sensor.counts.sum((2, 3)) * IDEAL.newton_per_count
    np.testing.assert_allclose(touch.sum((2, 3)), total, atol=1e-6)


def test_every_fault_follows_its_formula() -> None:
    """Against the formulas of docs/tactile.md in numpy: at most one count off, where a sum lies next to a half."""
    n, seed, force = 3, 7, forces(3)
    sensor = TactileSensor(n, seed=seed)
    for _ in range(2):
        sensor.sense(force)
    identity = counter_random.identities(seed, np.arange(n, dtype=np.uint32))
    at_start, now = (counter_random.keys(identity, 0, step) for step in (0, 1))
    element = np.arange(1500)

    def words(key: np.ndarray, first: int, pad: int, index: np.ndarray) -> np.ndarray:
        return np.stack([counter_random.words(key, first + 12000 * pad + int(e)) for e in index], axis=1)

    share = FULL.cross_talk * counter_random.uniform(counter_random.words(at_start, Channel.TOUCH_PAD))
    around = np.pad(force, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    mean = (around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1] + around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:]) / 4
    blurred = force + share[:, None, None, None, None] * (mean - force)
    for pad in range(2):
        gain = counter_random.uniform(counter_random.words(at_start, Channel.TOUCH_PAD + 2 + pad))
        expected = blurred[:, pad].reshape(n, -1) * (1 + FULL.pad_gain * (2 * gain - 1))[:, None]
        expected = expected * (1 + FULL.gain * counter_random.normal(words(at_start, Channel.TOUCH_GAIN, pad, element)))
        expected += FULL.offset * counter_random.normal(words(at_start, Channel.TOUCH_OFFSET, pad, element))
        expected += FULL.noise * counter_random.normal(words(now, Channel.TOUCH_NOISE, pad, element))
        dead = counter_random.uniform(words(at_start, Channel.TOUCH_DEAD, pad, element // 3)) < FULL.dead
        assert 5 < dead.sum() / 3 < 30  # of 1500
        expected[dead] = 0
        counts = quantise(expected.reshape(-1, 3).astype(np.float32), FULL.newton_per_count, 511).reshape(n, -1)
        wrong = sensor.counts[:, pad].reshape(n, -1).astype(int) - counts
        assert np.abs(wrong).max() <= 1
        assert (wrong != 0).mean() < 1e-3


def test_faults_have_the_sizes_that_the_model_says() -> None:
    zero = np.zeros((40, 2, 20, 25, 3), np.float32)
    sensor = TactileSensor(40, model=replace(FULL, bits=16, dead=0.0))
    first, second = (sensor.sense(zero) is None or sensor.counts * FULL.newton_per_count * 511 / 32767 for _ in "ab")
    assert np.std(second - first) == pytest.approx(FULL.noise * np.sqrt(2), rel=0.03)
    assert np.std(first) == pytest.approx(np.hypot(FULL.noise, FULL.offset), rel=0.03)


def test_cross_talk_moves_force_to_the_neighbours_only() -> None:
    force = np.zeros((1, 2, 20, 25, 3), np.float32)
    force[0, :, 0, 10, 0] = force[0, :, 9, 24, 0] = 0.09
    sensor = TactileSensor(1, model=replace(IDEAL, cross_talk=1.0, bits=16))
    sensor.sense(force)
    share = sensor._cross_talk[0]
    counts = sensor.counts[0, 0, ..., 0] * IDEAL.newton_per_count[0] * 511 / 32767
    expected = np.zeros((20, 25))
    expected[0, 10] = expected[9, 24] = 0.09 * (1 - 0.75 * share)  # three neighbours each
    for row, column in ((0, 9), (0, 11), (1, 10), (8, 24), (10, 24), (9, 23)):
        expected[row, column] = 0.09 * share / 4
    np.testing.assert_allclose(counts, expected, atol=4e-6)
    assert 0.1 < share < 1


def test_latency_between_samples_is_interpolated() -> None:
    sensor = TactileSensor(1, model=replace(IDEAL, latency=(0.06, 0.06), period=0.04))
    force = forces(1)
    seen = [sensor.sense(force * scale) for scale in np.array([1, 0, 0, 0], np.float32)]
    np.testing.assert_array_equal(seen[1], seen[0])  # nothing older than the first
    np.testing.assert_allclose(seen[2], seen[0] / 2, atol=1e-7)  # 1.5 samples ago, between 1 and 0
    assert (seen[3] == 0).all()


def test_world_depends_on_seed_number_and_episode_alone() -> None:
    force = forces(6)
    many, few = TactileSensor(6, seed=3, threads=3), TactileSensor(2, seed=3)
    for _ in range(3):
        a, b = many.sense(force), few.sense(force[:2])
    np.testing.assert_array_equal(a[:2], b)
    few.begin(np.array([False, True]))
    again = few.sense(force[:2])
    many.begin()
    whole = many.sense(force)
    np.testing.assert_array_equal(again[1], whole[1])  # both in their second episode
    assert (again[0] != whole[0]).any()
    assert (TactileSensor(2, seed=4).sense(force[:2]) != TactileSensor(2, seed=3).sense(force[:2])).any()


def test_state_continues_with_the_same_bytes() -> None:
    force, sensor = forces(2), TactileSensor(2, seed=1)
    sensor.sense(force)
    state = sensor.get_state()
    expected = [sensor.sense(force * np.float32(0.5)) for _ in range(2)]
    other = TactileSensor(2, seed=1)
    other.begin()
    other.set_state(state)
    for one in expected:
        np.testing.assert_array_equal(other.sense(force * np.float32(0.5)), one)


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 2},
        {"latency": (0.02, 0.01)},
        {"noise": -1.0},
        {"dead": 1.5},
        {"full_scale": (0.0, 1.0)},
        {"pad_gain": 1.0},
        {"period": 0.0},
    ],
)
def test_impossible_model_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(FledgeError):
        replace(FULL, **change)


def test_bad_input_is_refused() -> None:
    sensor = TactileSensor(2)
    with pytest.raises(FledgeError, match="float32 array"):
        sensor.sense(forces(3))
    with pytest.raises(FledgeError, match="contiguous"):
        sensor.sense(np.asfortranarray(forces(2)))
    with pytest.raises(FledgeError, match="mask"):
        sensor.begin(np.ones(3, bool))
    with pytest.raises(FledgeError, match="other touch sensors"):
        sensor.set_state(TactileSensor(3).get_state())
