"""The microcontroller's touch (firmware/arm/touch.c) against the readable text, bit for bit, and frozen sums."""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path

import numpy as np
import pytest
from fledge_export.build import compile_host
from fledge_sim.tactile_sensor import SensorModel, TactileSensor, pool_counts, quantise

FIRMWARE = Path(__file__).parents[2] / "firmware"
DIGEST = "42866342817b6b790db4896fcf5848673ef8e8e1b5ce65b9202a3d42ad717cd2"
"""SHA-256 of the cells of `test_cells_are_still_exactly_those`."""


class Touch(ctypes.Structure):
    """struct touch"""

    _fields_ = (("zero", ctypes.c_int32 * 3000), ("frames", ctypes.c_int32))


@pytest.fixture(scope="module")
def touch_c(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("touch") / "touch.so"
    library = ctypes.CDLL(str(compile_host([FIRMWARE / "arm/touch.c"], [FIRMWARE / "arm"], path)))
    library.touch_quantise.restype = ctypes.c_int16
    library.touch_quantise.argtypes = [ctypes.c_float, ctypes.c_float, ctypes.c_int16]
    return library


def pool_c(library: ctypes.CDLL, counts: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    touch, pooled = Touch(), np.empty((2, 4, 4, 3), np.float32)
    if zero is not None:
        for frame in zero:
            library.touch_tare(ctypes.byref(touch), frame.ctypes.data_as(ctypes.c_void_p))
    arguments = (array.ctypes.data_as(ctypes.c_void_p) for array in (counts, scale, pooled))
    library.touch_pool(ctypes.byref(touch), *arguments)
    return pooled


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_cells_have_the_same_bits(touch_c: ctypes.CDLL, bits: int) -> None:
    generator = np.random.default_rng(bits)
    limit = 2 ** (bits - 1) - 1
    for _ in range(20):
        counts = generator.integers(-limit, limit + 1, (2, 20, 25, 3)).astype(np.int16)
        scale = generator.uniform(1e-5, 1e-3, 3).astype(np.float32)
        np.testing.assert_array_equal(pool_c(touch_c, counts, scale), pool_counts(counts, scale))


def test_counts_have_the_same_bits(touch_c: ctypes.CDLL) -> None:
    generator = np.random.default_rng(0)
    whole = np.arange(-1100, 1100, dtype=np.float32) / 2
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, -0.0], np.float32)
    force = np.concatenate([whole, odd, generator.normal(0, 300, 2000).astype(np.float32)])
    found = [touch_c.touch_quantise(ctypes.c_float(x), ctypes.c_float(1.0), 511) for x in force]
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, quantise(force, np.float32(1), 511))


def test_zero_point_is_taken_off_without_rounding(touch_c: ctypes.CDLL) -> None:
    generator = np.random.default_rng(1)
    counts = generator.integers(-500, 500, (2, 20, 25, 3)).astype(np.int16)
    frames = generator.integers(-30, 31, (16, 2, 20, 25, 3)).astype(np.int16)
    scale = np.array([2.0**-12, 2.0**-13, 2.0**-13], np.float32)
    found = pool_c(touch_c, counts, scale, frames)
    exact = 16 * counts.astype(np.int64) - frames.sum(0, dtype=np.int64)
    np.testing.assert_array_equal(found, pool_counts(exact, scale / 16))
    np.testing.assert_array_equal(pool_c(touch_c, counts, scale, frames[:15]), pool_counts(counts, scale))


def test_simulated_sensor_gives_the_boards_cells(touch_c: ctypes.CDLL) -> None:
    force = np.abs(np.random.default_rng(2).normal(0, 0.02, (1, 2, 20, 25, 3))).astype(np.float32)
    model = SensorModel(latency=(0.0, 0.0))
    sensor = TactileSensor(1, model=model)
    np.testing.assert_array_equal(sensor.sense(force)[0], pool_c(touch_c, sensor.counts[0], model.newton_per_count))


def test_cells_are_still_exactly_those(touch_c: ctypes.CDLL) -> None:
    counts = (np.arange(3000).reshape(2, 20, 25, 3) * 7919 % 1021 - 510).astype(np.int16)
    pooled = pool_c(touch_c, counts, np.array([2e-4, 1e-4, 1e-4], np.float32))
    assert hashlib.sha256(pooled.tobytes()).hexdigest() == DIGEST
