"""The frame that a board of finger pads sends every 10 ms; firmware/arm/pads.h says what its bytes mean."""

from __future__ import annotations

import binascii

import numpy as np
from fledge_sim.arm_config import TAXELS_POOLED
from numpy.typing import NDArray

HEAD = b"\xa5\x5a"
FRAME = len(HEAD) + 2 + 2 * TAXELS_POOLED + 2
"""Bytes."""
PERIOD_MS = 10
NEWTON = 1e-4
"""Of a unit."""
LIMIT = 32767
NO_READING = -32768
CRC_START = 0xFFFF


def to_units(touch: NDArray[np.floating]) -> NDArray[np.int16]:
    """Forces on the cells [N] as they travel; what is no number has no reading."""
    units = np.clip(np.rint(np.nan_to_num(touch / NEWTON)), -LIMIT, LIMIT)
    return np.where(np.isnan(touch), NO_READING, units).astype(np.int16)


def encode(sequence: int, units: NDArray[np.int16]) -> bytes:
    """One frame.

    Args:
        sequence: of its last eight bits.
        units: (96,) in the contract's order.
    """
    body = bytes([TAXELS_POOLED, sequence & 0xFF]) + units.astype("<i2").tobytes()
    return HEAD + body + binascii.crc_hqx(body, CRC_START).to_bytes(2, "little")
