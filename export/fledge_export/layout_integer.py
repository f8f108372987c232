"""The order of the words in the C file of a quantised policy, packed for the four-row kernels.

Clip and multiplier of each input as float32; then per layer and block of four rows: the weights, four words (one per
row) for each 2 (int16) or 4 (int8) inputs, then four factors, then four offsets. Rows are padded to a multiple of 4 and
inputs to one of 8, with zeros. A gru's recurrent inputs begin at a multiple of 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import NetworkShape
from numpy.typing import NDArray

from fledge_export.quantized import Int64, IntegerLayer, Quantized

ROWS, OCTET = 4, 8
"""Rows and inputs of one pass of the kernel."""
Words = NDArray[np.uint32]


@dataclass(frozen=True)
class IntegerLayout:
    """All constants of a quantised policy, and where each layer starts."""

    words: Words
    offsets: dict[str, int]
    """First word per layer."""


def octets(size: int) -> int:
    """Passes over `size` inputs."""
    return -(-size // OCTET)


def padded_rows(size: int) -> int:
    """Rows of a layer including its padding."""
    return -(-size // ROWS) * ROWS


def pack(network: NetworkShape, quantized: Quantized) -> IntegerLayout:
    """Every constant in the order in which the C file reads it."""
    inputs = len(quantized.clip)
    parts: list[Words] = [quantized.clip.view(np.uint32), quantized.multiplier.view(np.uint32)]
    offsets: dict[str, int] = {}
    for name, layer in quantized.layers.items():
        offsets[name] = sum(part.size for part in parts)
        boundary = inputs if name == "gates" else layer.weight.shape[1]
        parts.append(_pack_layer(layer, boundary, quantized.grid.name))
    return IntegerLayout(np.concatenate(parts).astype(np.uint32), offsets)


def _pack_layer(layer: IntegerLayer, boundary: int, form: str) -> Words:
    """`boundary`: the inputs before it and those behind it are padded apart."""
    halves = [part for part in np.split(layer.weight, [boundary], axis=1) if part.shape[1]]
    weight = np.hstack([_padded(part, OCTET, axis=1) for part in halves])
    weight = _padded(weight, ROWS, axis=0)
    ends = [_padded(each[:, None], ROWS, axis=0)[:, 0] for each in (layer.factor, layer.offset)]
    words = _words_int16(weight) if form == "int16" else _words_int8(weight)
    blocks = []
    for start in range(0, len(weight), ROWS):
        rows = slice(start, start + ROWS)
        blocks += [words[rows].T.ravel(), *(each[rows].astype(np.int32).view(np.uint32) for each in ends)]
    return np.concatenate(blocks)


def _padded(array: Int64, multiple: int, axis: int) -> Int64:
    missing = -array.shape[axis] % multiple
    return np.pad(array, [(0, missing) if each == axis else (0, 0) for each in range(array.ndim)])


def _words_int16(weight: Int64) -> Words:
    """(rows, inputs / 2): the earlier input in the lower half."""
    return np.ascontiguousarray(weight.astype("<i2")).view("<u4").astype(np.uint32)


def _words_int8(weight: Int64) -> Words:
    """(rows, inputs / 4): bytes 0, 2, 1, 3, because SXTB16 takes every other byte."""
    groups = weight.reshape(len(weight), -1, 4)[:, :, [0, 2, 1, 3]]
    return np.ascontiguousarray(groups.astype("i1")).view("<u4")[:, :, 0].astype(np.uint32)
