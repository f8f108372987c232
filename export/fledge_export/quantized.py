"""A quantised policy as the integers that the C file holds, with the proof that no sum overflows.

Sums of products become the argument of tanh in one fixed-point format for the whole network, z / 2^fraction times
`exact_integer.TANH_RANGE`: z = offset + floor(sum * factor / 2^32). Every bound here is over all inputs, not over some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import Contract
from fledge_sim.policy import Float32, Policy
from fledge_sim.quantization import (
    ACCUMULATOR,
    AMPLITUDE,
    GRIDS,
    INPUT_CLIP,
    MULTIPLIER,
    Float64,
    Grid,
    QuantizationError,
    from_integers,
    input_amplitude,
    largest_sum,
    row_scale_name,
    to_integers,
)
from numpy.typing import NDArray

from fledge_export.layout import clip_and_scale, layers

Int64 = NDArray[np.int64]
TANH_RANGE = 32 / (2 * np.log2(np.e)) * 31 / 32
"""|argument of tanh| at which z saturates: 10.7."""
FRACTIONS = range(24, 11, -1)
"""Fractional bits of z, the finest that fits is taken."""
OFF_GRID = 1e-2
"""Largest distance of a weight in the file from its integer, in levels; float32 keeps 65536 times less."""


@dataclass(frozen=True)
class IntegerLayer:
    """One dense map."""

    weight: Int64
    """w_q, (O, I)"""
    factor: Int64
    """(O,), 0 <= factor < 2^31"""
    offset: Int64
    """(O,), the bias in the format of z"""
    largest_sum: Int64
    """(O,), largest |sum w_q x_q| over all inputs; below 2^31."""
    amplitude: Int64
    """(I,), largest |x_q|"""


@dataclass(frozen=True)
class Quantized:
    """Everything that the integer network consists of."""

    grid: Grid
    clip: Float32
    """(I,) of the observation [contract units]"""
    multiplier: Float32
    """(I,): x_q = round(clip(observation) * multiplier)"""
    layers: Mapping[str, IntegerLayer]
    """By the names of fledge_export.layout.layers, in file order."""
    fraction: int
    """Fractional bits of z."""


def is_quantised(policy: Policy) -> bool:
    """The policy's weights are on a grid, and its C computes in integers."""
    return policy.contract.quantisation != "float32"


def units(contract: Contract, multiplier: Float32, clip: Float32) -> dict[str, tuple[Float64, Int64]]:
    """Unit and amplitude of the integer inputs of every dense map, (I,) each: x = unit x_q, |x_q| <= amplitude.

    `clip`: of each input, (I,) [contract units].
    """
    grid, network = GRIDS[contract.quantisation], contract.network
    _, scale = clip_and_scale(contract)
    observed = scale.astype(np.float64) / multiplier, input_amplitude(clip, multiplier)

    def hidden(size: int) -> tuple[Float64, Int64]:
        return np.full(size, 2.0**-grid.hidden_bits), np.full(size, 1 << grid.hidden_bits, np.int64)

    inner = hidden(network.hidden[0])
    if network.kind == "gru":
        joint = np.concatenate([observed[0], inner[0]]), np.concatenate([observed[1], inner[1]])
        return {"gates": joint, "candidate_input": observed, "candidate_hidden": inner, "output": inner}
    widths = {f"dense{index + 1}": hidden(size) for index, size in enumerate(network.hidden[:-1])}
    return {"dense0": observed, **widths, "output": hidden(network.hidden[-1])}


def integers(policy: Policy) -> Quantized:
    """The integers of a quantised policy file.

    Raises:
        QuantizationError: unsupported layers, weights off the grid, or a scale that would let a sum overflow.
    """
    check_supported(policy)
    grid, multiplier = GRIDS[policy.contract.quantisation], policy.weights[MULTIPLIER]
    if not (multiplier > 0).all():
        raise QuantizationError(f"'{MULTIPLIER}' must be positive; quantise the policy again")
    clip, every = input_clip(policy), units(policy.contract, multiplier, input_clip(policy))
    found = {name: _integer_weights(policy, grid, name, *unit) for name, unit in every.items()}
    for fraction in FRACTIONS:
        result = {name: _fixed_point(policy, name, *found[name], fraction) for name in found}
        if _fits(policy, result):
            return Quantized(grid, clip, multiplier, {name: result[name] for name in layers(policy)}, fraction)
    raise QuantizationError(
        "the sums of a layer are too large for 32 bits with 12 fractional bits; the training run diverged, or the "
        "clip of an observation term is far too wide: export as c-float32, or train again"
    )


def input_clip(policy: Policy) -> Float32:
    """Of each input, (I,) [contract units]: its own where it has one. Raises QuantizationError."""
    clip, _ = clip_and_scale(policy.contract)
    own = policy.weights.get(INPUT_CLIP, clip)
    if not ((own > 0) & (own <= clip)).all():
        raise QuantizationError(f"'{INPUT_CLIP}' must be positive and at most the contract's clip; quantise again")
    return own


def check_supported(policy: Policy) -> None:
    """Raises QuantizationError for a network that has no integer form."""
    network = policy.contract.network
    if network.kind == "mlp" and network.activation != "tanh":
        raise QuantizationError(
            f"activation '{network.activation}' is unbounded and has no integer form; export as c-float32"
        )
    if network.squash != "tanh":
        raise QuantizationError(f"output '{network.squash}' has no integer form; export as c-float32")


def gain(name: str) -> float:
    """Of a sum, into the argument of the tanh behind the layer: a gate is sigmoid(a) = (1 + tanh(a / 2)) / 2."""
    return (0.5 if name == "gates" else 1.0) / float(TANH_RANGE)


def _integer_weights(
    policy: Policy, grid: Grid, name: str, unit: Float64, amplitude: Int64
) -> tuple[Int64, Float64, Int64]:
    """w_q, row scales, amplitudes; the sums of products are proved to fit."""
    weight = layers(policy)[name][0].astype(np.float64)
    row_scale = policy.weights[row_scale_name(name)].astype(np.float64)
    if not (row_scale >= 0).all() or amplitude.max(initial=0) > AMPLITUDE:
        raise QuantizationError(f"layer {name}: a scale is negative or an input exceeds 16 bits; quantise again")
    found = to_integers(weight, unit, row_scale, grid)
    step = np.maximum(row_scale, np.finfo(np.float64).tiny)[:, None] / unit
    distance = np.abs(weight - from_integers(found, unit, row_scale)) / step
    if distance.max(initial=0) > OFF_GRID:
        raise QuantizationError(f"layer {name}: weights are not on the {grid.name} grid; quantise the policy again")
    largest = largest_sum(found, amplitude)
    if largest.max(initial=0) >= ACCUMULATOR:
        row = int(largest.argmax())
        raise QuantizationError(
            f"layer {name}: the sum of row {row} reaches {largest[row]}, more than 32 bits hold; quantise again"
        )
    return found, row_scale, amplitude


def _fixed_point(
    policy: Policy, name: str, weight: Int64, row_scale: Float64, amplitude: Int64, fraction: int
) -> IntegerLayer:
    bias = layers(policy)[name][1].astype(np.float64)
    unit = gain(name) * 2.0**fraction
    factor = np.rint(np.minimum(row_scale * unit * 2.0**32, 2.0**32)).astype(np.int64)
    offset = np.rint(np.clip(bias * unit, -(2.0**40), 2.0**40)).astype(np.int64)
    return IntegerLayer(weight, factor, offset, largest_sum(weight, amplitude), amplitude)


def _fits(policy: Policy, found: Mapping[str, IntegerLayer]) -> bool:
    """Every factor and every z fits 32 bits for every input; the two halves of a gru's candidate also when added."""
    if any(layer.factor.max(initial=0) >= ACCUMULATOR for layer in found.values()):
        return False
    bounds = {name: largest_z(layer) for name, layer in found.items()}
    if policy.contract.network.kind == "gru":
        bounds["candidate"] = largest_candidate_z(found)
    return all(int(bound.max(initial=0)) < ACCUMULATOR for bound in bounds.values())


def largest_z(layer: IntegerLayer) -> Int64:
    """Bound on |z| per row."""
    scaled = [int(total) * int(factor) >> 32 for total, factor in zip(layer.largest_sum, layer.factor, strict=True)]
    return np.abs(layer.offset) + np.array(scaled, np.int64) + 1


def largest_candidate_z(found: Mapping[str, IntegerLayer]) -> Int64:
    """Bound on |z| of a gru's candidate: the reset gate lies in (0, 1), rounding down its product costs at most 2."""
    return largest_z(found["candidate_input"]) + largest_z(found["candidate_hidden"]) + 2
