"""Networks in integers: the grid of the weights, the one rule that both fine-tuning and the exporter follow.

A layer sees integers x_q, where x = unit * x_q per column, and has integer weights w_q with one scale per row:

    W[o, i] x[i]  =  w_q[o, i] * row_scale[o] / unit[i] * (unit[i] * x_q[i]),   w_q = round(W unit / row_scale)

so that the sum over i of w_q x_q is an integer and is multiplied by row_scale once. It must fit 32 bits for every
input: with |x_q[i]| <= amplitude[i], sum over i of |w_q[o, i]| amplitude[i] < 2^31. The row scale is the smallest that
lets the largest weight of the row fit the grid and the sum fit the accumulator.

Observations become x_q = round(clip(observation) * multiplier), one multiplier per input, because positions and rates
and past actions share neither unit nor range. An arm's inputs also have a clip each, within the contract's: a joint
that the task holds still, or a cell of a pad that is hardly touched, would otherwise claim room for what it never does.
The outputs of tanh become integers of `hidden_bits` fractional bits.
A quantised policy is a policy file whose float weights lie on this grid; row scales and multipliers travel with them
(`array_shapes`), so that the integers follow from the file alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.contract import NetworkShape
from fledge_sim.errors import FledgeError

Float64 = NDArray[np.float64]
ACCUMULATOR = 2**31
"""Sums stay below this in magnitude."""
AMPLITUDE = 32767
"""Largest integer input."""
MULTIPLIER = "input.multiplier"
"""Array (I,): integers per unit of the contract, of each input."""


INPUT_CLIP = "input.clip"
"""Array (I,) of an arm's policy: bound on each input [contract units], at most the contract's."""


class QuantizationError(FledgeError):
    """A network that does not fit the integers."""


@dataclass(frozen=True)
class Grid:
    """Of one format."""

    name: str
    levels: int
    """Weights are integers in [-levels, levels]."""
    hidden_bits: int
    """Fractional bits of the outputs of tanh as the next layer sees them."""


GRIDS: Mapping[str, Grid] = {
    # 64 inputs in [-1, 1]: at 13 bits the rounding of activations and that of weights, which share 31 bits, are alike.
    # A gru's gates see states and inputs with one scale per row: finer states would leave the weights fewer levels.
    "int16": Grid("int16", 32767, 13),
    "int8": Grid("int8", 127, 13),
}
"""By the name in the contract's field `quantisation`."""


def array_shapes(
    network: NetworkShape, inputs: int, quantisation: str, outputs: int = 4, *, own_clip: bool = False
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a quantised policy file holds besides its weights; nothing for float32.

    `own_clip`: inputs have a clip each, as an arm's do.
    """
    if quantisation == "float32":
        return {}
    if quantisation not in GRIDS:
        raise QuantizationError(f"unknown format '{quantisation}'; choose float32, {', '.join(GRIDS)}")
    rows: dict[str, int] = {"output": outputs}
    if network.kind == "gru":
        hidden = network.hidden[0]
        rows |= {"gates": 2 * hidden, "candidate_input": hidden, "candidate_hidden": hidden}
    else:
        rows |= {f"dense{index}": size for index, size in enumerate(network.hidden)}
    shapes: dict[str, tuple[int, ...]] = {row_scale_name(name): (size,) for name, size in rows.items()}
    return {MULTIPLIER: (inputs,), **({INPUT_CLIP: (inputs,)} if own_clip else {}), **shapes}


def row_scale_name(layer: str) -> str:
    """Array with one scale per row of a layer: dense0, ..., output; gates, candidate_input, candidate_hidden."""
    return f"{layer}.row_scale"


def row_scales(weight: Any, unit: Any, amplitude: Any, grid: Grid) -> Any:
    """Smallest scale per row whose integers fit the grid, and their sum of products the accumulator.

    Args:
        weight: W, (O, I).
        unit: of the integer inputs, (I,): x = unit x_q.
        amplitude: (I,), |x_q| <= amplitude.
        grid: levels of the weights.
    Returns:
        (O,), float64 (numpy) or the dtype of `weight` (torch: every operation here has the same name there).
    """
    integers = abs(weight * unit)
    rounding = float(amplitude.sum()) / 2  # each weight may grow by half a level
    largest = integers.max(-1)
    largest = largest if isinstance(largest, np.ndarray) else getattr(largest, "values", largest)
    from_grid = largest / grid.levels
    from_sum = (integers * amplitude).sum(-1) / (ACCUMULATOR - 1 - rounding)
    return from_grid + (from_sum - from_grid) * (from_sum > from_grid)


def to_integers(weight: Float64, unit: Float64, row_scale: Float64, grid: Grid) -> NDArray[np.int64]:
    """w_q, (O, I): nearest on the grid, half to even. Rows of scale 0 hold zeros."""
    divisor = np.where(row_scale > 0, row_scale, 1.0)[:, None]
    return np.clip(np.rint(weight * unit / divisor), -grid.levels, grid.levels).astype(np.int64)


def from_integers(integers: NDArray[np.int64], unit: Float64, row_scale: Float64) -> Float64:
    """W on the grid, (O, I): what the integers stand for."""
    return integers * row_scale[:, None] / unit


def largest_sum(integers: NDArray[np.int64], amplitude: NDArray[np.int64]) -> NDArray[np.int64]:
    """Largest |sum w_q x_q| per row over all inputs, (O,): the L1 bound, attained."""
    return np.asarray(np.abs(integers) @ amplitude)


def input_amplitude(clip: NDArray[np.float32], multiplier: NDArray[np.float32]) -> NDArray[np.int64]:
    """Largest |x_q| per input: rounding and the float32 product are monotone, so it is that of the clip."""
    return np.rint(clip.astype(np.float32) * multiplier.astype(np.float32)).astype(np.int64)
