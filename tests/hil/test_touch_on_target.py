"""The taxels' cells on the emulated Cortex-M4F: the bits of the readable text, and how long they take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bare_image import compile_bare
from fledge_export import timing
from fledge_hil.mcu import Mcu
from fledge_sim.tactile_sensor import pool_counts

FIRMWARE = Path(__file__).parents[2] / "firmware"
SOURCE = r"""
#include "touch.h"
extern uint32_t _estack;
void Reset_Handler(void);
void ready(void);
__attribute__((noinline)) void ready(void) { __asm__ volatile(""); }
static struct touch state;
__attribute__((used)) int16_t counts[TOUCH_COUNTS];
__attribute__((used)) float scale[TOUCH_COMPONENTS], cells[TOUCH_SIZE];
__attribute__((used, noinline)) static void sense(void) { touch_pool(&state, counts, scale, cells); }
__attribute__((used, noinline)) static int tare(void) { return touch_tare(&state, counts); }
void Reset_Handler(void) {
    touch_clear(&state);
    ready();
    for (;;) { }
}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("touch")
    return compile_bare(SOURCE, folder, [FIRMWARE / "arm/touch.c"], [FIRMWARE / "arm"], ram="64K")


@pytest.fixture
def mcu(image: Path) -> Mcu:
    return Mcu(image)


def test_cells_on_the_target_have_the_same_bits(mcu: Mcu) -> None:
    generator = np.random.default_rng(0)
    scale = np.array([1.957e-4, 9.785e-5, 9.785e-5], np.float32)
    mcu.write_floats("scale", scale)
    for _ in range(3):
        counts = generator.integers(-511, 512, (2, 20, 25, 3)).astype(np.int16)
        mcu.write("counts", counts.tobytes())
        mcu.call("sense")
        np.testing.assert_array_equal(mcu.read_floats("cells"), pool_counts(counts, scale).ravel())
    for frame in range(16):  # the last counts are zero from here on
        assert mcu.call("tare") == (frame == 15)
    mcu.call("sense")
    assert (mcu.read_floats("cells") == 0).all()


def test_cells_take_less_than_a_millisecond_whatever_is_felt(image: Path, mcu: Mcu) -> None:
    """Upper cycle model at 168 MHz, of a policy's period of 40 ms; the path does not depend on the counts."""
    times, paths = [], []
    for value in (0, 511):
        mcu.write("counts", np.full(3000, value, np.int16).tobytes())
        trace = mcu.trace("sense")
        found = timing.model(image, trace.blocks, trace.flash_reads)
        times.append(found.microseconds)
        paths.append([block for block, _ in trace.blocks])
    assert paths[0] == paths[1]
    print("lower/nominal/upper [us]", times[0])
    assert max(times[0]) < 1000
