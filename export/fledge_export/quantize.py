"""A float32 policy becomes a quantised one: weights on a grid, chosen so that the actions in flight change least.

Three choices need to know what the policy sees (fledge_export.calibrate). The multiplier of each input: fine enough for
what the input is worth, coarse enough to leave levels for the weights of the others. The rounding of each weight: up or
down so that the errors of a row cancel on inputs that occur together, such as past actions (optimal brain surgery as in
GPTQ, arXiv:2210.17323, own text). And the bias, which takes up what is left of the mean error.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import ActionMapping, Contract, JointMapping
from fledge_sim.policy import Float32, Policy, assemble, forward, scale_observation
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
    largest_sum,
    row_scale_name,
    row_scales,
    to_integers,
)

from fledge_export import exact_integer
from fledge_export.calibration import Calibration
from fledge_export.layout import from_layers, layers, normaliser
from fledge_export.quantized import Int64, check_supported, integers, units

DAMPING = 0.01
"""Share of the mean square input that is added to every input's own: what calibration did not see still counts."""
LEAST_AMPLITUDE = 255
"""Every input keeps at least this many levels to each side."""
CLIP_MARGIN, LEAST_CLIP = 2.0, 1e-3
"""An arm's input is clipped at so many times the largest that it was, and at no less than this share of its clip."""
BALANCES = (0.0, 0.25, 0.5, 0.75)
COARSENINGS = (1.0, 0.5)
"""Candidates of the multipliers, see `_multipliers`; measured, the best is kept."""
MEASURED_ROWS = 1500


@dataclass(frozen=True)
class Error:
    """|action - float64 reference of the float32 policy| on calibration rows, each from a common state."""

    mean: float
    p99: float
    largest: float


def quantize(policy: Policy, quantisation: str, calibration: Calibration) -> Policy:
    """The policy in integers, as a policy of its own: another contract, hence another hash.

    Args:
        policy: float32.
        quantisation: int16 or int8.
        calibration: what the policy sees in flight.
    Raises:
        QuantizationError: unsupported layers, an unknown format, or weights whose sums cannot be made to fit.
    """
    if policy.contract.quantisation != "float32":
        raise QuantizationError(f"the policy is {policy.contract.quantisation} already; quantise the float32 one")
    if quantisation not in GRIDS:
        raise QuantizationError(f"unknown format '{quantisation}'; choose {' or '.join(GRIDS)}")
    check_supported(policy)
    contract, clip = _contract(policy.contract, quantisation, calibration), _input_clip(policy, calibration)
    draft = _Draft(policy, contract, calibration, clip)
    candidates = [
        draft.with_multiplier(_multipliers(policy, calibration, clip, balance, coarsening))
        for balance in BALANCES
        for coarsening in COARSENINGS
    ]
    return min(candidates, key=lambda candidate: error(candidate, policy, calibration).mean)


def error(quantised: Policy, original: Policy, calibration: Calibration, rows: int = MEASURED_ROWS) -> Error:
    """How far the actions in integers are from those of the original, over `rows` rows of the calibration."""
    chosen = np.linspace(0, len(calibration.observations) - 1, rows).astype(int)
    observation, state = calibration.observations[chosen], calibration.states[chosen]
    action, _ = exact_integer.step(quantised.contract.network, integers(quantised), observation, state)
    expected, _ = forward(original, observation.astype(np.float64), state.astype(np.float64))
    difference = np.abs(action - expected)
    return Error(float(difference.mean()), float(np.quantile(difference, 0.99)), float(difference.max()))


def _contract(contract: Contract, quantisation: str, calibration: Calibration) -> Contract:
    config = {**contract.training.config, "calibration": calibration.record()}
    training = dataclasses.replace(contract.training, config=config)
    return dataclasses.replace(contract, quantisation=quantisation, training=training)


def _input_clip(policy: Policy, calibration: Calibration) -> Float32:
    """Of each input, (I,): the contract's; of an arm's at most CLIP_MARGIN times the largest that calibration saw."""
    clip, _ = normaliser(policy)
    if isinstance(policy.contract.action, ActionMapping):
        return clip
    largest = np.abs(np.nan_to_num(calibration.observations)).max(axis=0)
    return np.asarray(np.clip(CLIP_MARGIN * largest, LEAST_CLIP * clip, clip), np.float32)


def _multipliers(policy: Policy, calibration: Calibration, clip: Float32, balance: float, coarsening: float) -> Float32:
    """Integers per contract unit, (I,): proportional to weight^balance / size^(1 - balance).

    With balance 1/2, rounding of an input and rounding of its weights cost alike if a row's scale is given; towards 0
    inputs become alike, towards 1 weights. The largest amplitude is `coarsening` times what 16 bits hold: room in the
    accumulator is shared by inputs and weights.
    """
    _, scale = normaliser(policy)
    first = next(iter(layers(policy).values()))[0][:, : clip.size]
    weight = np.linalg.norm(first.astype(np.float64), axis=0) * scale
    limited = np.clip(np.nan_to_num(calibration.observations), -clip, clip)
    size = np.sqrt((limited.astype(np.float64) ** 2).mean(axis=0)) + 1e-3 * clip
    shape = np.maximum(weight, 1e-6 * weight.max() + 1e-30) ** balance / size ** (1 - balance)
    amplitude = np.clip(shape * clip / (shape * clip).max() * coarsening * AMPLITUDE, LEAST_AMPLITUDE, AMPLITUDE)
    return np.asarray(np.floor(amplitude) / clip, np.float32)


class _Draft:
    """A policy on its way to integers."""

    def __init__(self, policy: Policy, contract: Contract, calibration: Calibration, clip: Float32) -> None:
        self._clip = clip
        self._contract, self._grid, self._layers = contract, GRIDS[contract.quantisation], layers(policy)
        self._seen = layer_inputs(policy, calibration.observations, calibration.states)
        self._moments = {name: x.T @ x / len(x) for name, x in self._seen.items()}
        self._means = {name: x.mean(axis=0) for name, x in self._seen.items()}

    def with_multiplier(self, multiplier: Float32) -> Policy:
        """The quantised policy with given multipliers of the inputs."""
        arrays: dict[str, Float32] = {MULTIPLIER: multiplier}
        if isinstance(self._contract.action, JointMapping):
            arrays[INPUT_CLIP] = self._clip
        dense = {}
        for name, (unit, amplitude) in units(self._contract, multiplier, self._clip).items():
            weight, bias = (array.astype(np.float64) for array in self._layers[name])
            moment = self._moments[name] / np.outer(unit, unit)
            found, row_scale = _on_grid(name, weight, unit, amplitude, moment, self._grid)
            rounded = from_integers(found, unit, row_scale.astype(np.float64))
            bias += (weight - rounded) @ self._means[name]
            arrays[row_scale_name(name)] = row_scale
            dense[name] = rounded.astype(np.float32), bias.astype(np.float32)
        return assemble(self._contract, arrays | from_layers(self._contract.network, dense))


def layer_inputs(policy: Policy, observation: Float32, state: Float32) -> dict[str, Float64]:
    """What every dense map of the float network sees, (n, I) each, in float64."""
    network, wide = policy.contract.network, observation.astype(np.float64)
    x = np.asarray(scale_observation(policy.contract, np.nan_to_num(wide)), np.float64)
    maps = layers(policy)
    if network.kind == "gru":
        hidden = state.astype(np.float64)
        following = np.asarray(forward(policy, wide, hidden)[1], np.float64)
        joint = np.hstack([x, hidden])
        return {"gates": joint, "candidate_input": x, "candidate_hidden": hidden, "output": following}
    seen = {}
    for index in range(len(network.hidden)):
        weight, bias = maps[f"dense{index}"]
        seen[f"dense{index}"] = x
        x = np.tanh(x @ weight.T.astype(np.float64) + bias)
    return seen | {"output": x}


def _on_grid(
    name: str, weight: Float64, unit: Float64, amplitude: Int64, moment: Float64, grid: Grid
) -> tuple[Int64, Float32]:
    """Integers and row scales of one map whose sums are sure to fit."""
    row_scale = np.asarray(row_scales(weight, unit, amplitude, grid)).astype(np.float32)
    for _ in range(8):
        found = compensated(weight * unit, row_scale.astype(np.float64), moment, grid)
        excess = largest_sum(found, amplitude) / (ACCUMULATOR - 1)
        if (excess <= 1).all():
            return found, row_scale
        row_scale = (row_scale * np.maximum(1, 1.0001 * excess)).astype(np.float32)
    raise QuantizationError(f"layer {name}: no scale keeps its sums within 32 bits; export as c-float32")


def compensated(folded: Float64, row_scale: Float64, moment: Float64, grid: Grid) -> Int64:
    """Integers, column by column, the most important first; each error is made up for by the columns still free."""
    inputs = len(moment)
    damped = moment + (DAMPING * np.trace(moment) / inputs + 1e-12) * np.eye(inputs)
    order = np.argsort(-np.diag(moment), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    remaining, result = folded[:, order].copy(), np.zeros(folded.shape, np.int64)
    one = np.ones(1)
    for index in range(inputs):
        column = remaining[:, index : index + 1]
        integer = to_integers(column, one, row_scale, grid)
        error = (column - integer * row_scale[:, None]) / upper[index, index]
        remaining[:, index:] -= error * upper[index, index:]
        result[:, order[index]] = integer[:, 0]
    return result
