"""The order of numbers in the C file: clip and scale of each input, then layers packed for the two kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import Contract, NetworkShape
from fledge_sim.policy import Float32, Policy
from numpy.typing import NDArray

PARTS = ("weight", "bias")
WIDE, NARROW = 16, 4
"""Outputs per pass of the two kernels; a layer is padded with zero rows to a multiple of NARROW."""


@dataclass(frozen=True)
class Layout:
    """All constants of a policy in one array, and where each layer starts."""

    values: Float32
    offsets: dict[str, int]
    """First element per layer. mlp: dense0..., output. gru: gates, candidate_input, candidate_hidden, output."""


def padded(outputs: int) -> int:
    """Outputs of a layer including its padding."""
    return -(-outputs // NARROW) * NARROW


def normaliser(policy: Policy) -> tuple[Float32, Float32]:
    """Clip [contract units] and scale of each input, (I,) each."""
    return clip_and_scale(policy.contract)


def clip_and_scale(contract: Contract) -> tuple[Float32, Float32]:
    """As `normaliser`, where there is no policy yet."""
    terms = contract.observation
    clip = np.concatenate([np.full(term.size, term.clip, np.float32) for term in terms])
    scale = np.concatenate([np.full(term.size, term.scale, np.float32) for term in terms])
    return clip, scale


def first_layer_ranges(contract: Contract) -> list[tuple[int, int]]:
    """Start and size of runs of inputs, in the order in which a first layer sums them: past actions, then the rest.

    Past actions change least from call to call: first in every sum, what they add up to can be kept.
    """
    total, sizes = contract.observation_size, [term.size for term in contract.observation]
    names = [term.name for term in contract.observation]
    if contract.network.kind == "gru" or "action_history" not in names:
        return [(0, total)]
    position = names.index("action_history")
    start, size = sum(sizes[:position]), sizes[position]
    ranges = [(start, size), (0, start), (start + size, total - start - size)]
    return [(first, count) for first, count in ranges if count]


def first_layer_order(contract: Contract) -> NDArray[np.intp]:
    """Indices of the inputs in that order."""
    return np.concatenate([np.arange(start, start + size) for start, size in first_layer_ranges(contract)])


def layers(policy: Policy) -> dict[str, tuple[Float32, Float32]]:
    """Weight (O, I) and bias (O,) of every dense map the C file evaluates, in file order.

    A gru's reset and update gates see input and state at once, W [x, h] + (b + d); its candidate keeps the two apart,
    because the reset gate multiplies only the part from the state.
    """
    w = policy.weights
    result: dict[str, tuple[Float32, Float32]] = {}
    if policy.contract.network.kind == "gru":
        gates = 2 * policy.contract.network.hidden[0]
        joint = np.hstack([w["gru.weight_input"][:gates], w["gru.weight_hidden"][:gates]])
        result["gates"] = (joint, w["gru.bias_input"][:gates] + w["gru.bias_hidden"][:gates])
        result["candidate_input"] = (w["gru.weight_input"][gates:], w["gru.bias_input"][gates:])
        result["candidate_hidden"] = (w["gru.weight_hidden"][gates:], w["gru.bias_hidden"][gates:])
    else:
        for index in range(len(policy.contract.network.hidden)):
            result[f"dense{index}"] = (w[f"dense{index}.weight"], w[f"dense{index}.bias"])
    result["output"] = (w["output.weight"], w["output.bias"])
    return result


def from_layers(network: NetworkShape, dense: Mapping[str, tuple[Float32, Float32]]) -> dict[str, Float32]:
    """The arrays of a policy file from its dense maps: the inverse of `layers`; a gate's bias goes to its input."""
    result = {f"{name}.{part}": array for name in dense for part, array in zip(PARTS, dense[name], strict=True)}
    if network.kind != "gru":
        return result
    hidden = network.hidden[0]
    joint, bias = dense["gates"]
    inputs = joint.shape[1] - hidden
    return {
        "gru.weight_input": np.vstack([joint[:, :inputs], dense["candidate_input"][0]]),
        "gru.weight_hidden": np.vstack([joint[:, inputs:], dense["candidate_hidden"][0]]),
        "gru.bias_input": np.concatenate([bias, dense["candidate_input"][1]]),
        "gru.bias_hidden": np.concatenate([np.zeros(2 * hidden, np.float32), dense["candidate_hidden"][1]]),
        "output.weight": result["output.weight"],
        "output.bias": result["output.bias"],
    }


def pack(policy: Policy) -> Layout:
    """Every constant in the order in which the C file reads it."""
    parts: list[Float32] = list(normaliser(policy))
    offsets: dict[str, int] = {}
    order = first_layer_order(policy.contract)
    for name, (weight, bias) in layers(policy).items():
        offsets[name] = sum(part.size for part in parts)
        parts.append(_pack_dense(weight[:, order] if name == "dense0" else weight, bias))
    return Layout(np.concatenate(parts).astype(np.float32), offsets)


def _pack_dense(weight: Float32, bias: Float32) -> Float32:
    """(blocks of [1 + I][16], then of [1 + I][4]): bias row, then one row per input."""
    outputs, inputs = weight.shape
    rows = np.zeros((1 + inputs, padded(outputs)), np.float32)
    rows[0, :outputs] = bias
    rows[1:, :outputs] = weight.T
    wide = padded(outputs) // WIDE * WIDE
    blocks = [rows[:, start : start + WIDE] for start in range(0, wide, WIDE)]
    blocks += [rows[:, start : start + NARROW] for start in range(wide, padded(outputs), NARROW)]
    return np.concatenate([np.ascontiguousarray(block).ravel() for block in blocks])
