"""Fine-tuning of a quantised policy: flights by the exporter's calibration, learning by the trainer, proof by both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fledge_export import quantize
from fledge_export.calibrate import calibrate_on
from fledge_export.calibration import Calibration
from fledge_export.layout import from_layers, layers
from fledge_export.package import quantised
from fledge_export.quantized import input_clip, integers, units
from fledge_sim.policy import Float32, Policy, assemble, forward, scale_observation
from fledge_sim.quantization import (
    ACCUMULATOR,
    GRIDS,
    INPUT_CLIP,
    MULTIPLIER,
    QuantizationError,
    from_integers,
    largest_sum,
    row_scale_name,
    to_integers,
)
from fledge_train.finetune import FinetuneConfig, Map, Rows, finetune

TRAINING_SEEDS, HELD_OUT_SEED, TEST_SEED = (0, 1, 2, 3), 4, 5
"""Of the flights; the error that is reported comes from flights that neither training nor selection saw."""


@dataclass(frozen=True)
class Result:
    """A policy in integers, and what fine-tuning was worth."""

    policy: Policy
    before: quantize.Error
    """Of the policy rounded only, on flights that fine-tuning never saw."""
    after: quantize.Error


def fine_tuned(
    original: Policy, quantisation: str, config: FinetuneConfig | None = None, robot: str | None = None
) -> Result:
    """Quantise a float32 policy and fine-tune it, on its robot or on that of a name or file.

    Raises QuantizationError for what has no integer form.
    """
    rounded = quantised(original, quantisation, calibrate_on(original, robot) if robot else None)
    if rounded is original:
        raise QuantizationError(f"the policy is {quantisation} already; give the float32 one")
    flights = [calibrate_on(rounded, robot, seed=seed) for seed in (*TRAINING_SEEDS, HELD_OUT_SEED)]
    seen = [_rows(original, flight) for flight in flights]
    settings = config or FinetuneConfig()
    found = finetune(original.contract.network.kind, _maps(rounded), _joined(seen[:-1]), seen[-1], settings)
    test = calibrate_on(original, robot, seed=TEST_SEED)
    before = quantize.error(rounded, original, test)
    if found.after >= found.before:
        return Result(rounded, before, before)
    tuned = _assembled(rounded, found.maps, settings)
    integers(tuned)  # the proof that no sum overflows
    after = quantize.error(tuned, original, test)
    return Result(tuned, before, after)


def _maps(policy: Policy) -> dict[str, Map]:
    levels = GRIDS[policy.contract.quantisation].levels
    found = {}
    for name, (unit, _) in units(policy.contract, policy.weights[MULTIPLIER], input_clip(policy)).items():
        weight, bias = (array.astype(np.float64) for array in layers(policy)[name])
        scale = policy.weights[row_scale_name(name)].astype(np.float64)
        found[name] = Map(weight, bias, scale[:, None] / unit, levels)
    return {name: found[name] for name in layers(policy)}


def _rows(original: Policy, flight: Calibration) -> Rows:
    """What was met in a flight, with the float network's answers."""
    wide, state = flight.observations.astype(np.float64), flight.states.astype(np.float64)
    action, following = forward(original, wide, state)
    x = np.asarray(scale_observation(original.contract, np.nan_to_num(wide)), np.float32)
    return Rows(x, flight.states, np.asarray(action, np.float64), np.asarray(following, np.float64))


def _joined(parts: list[Rows]) -> Rows:
    names = [entry.name for entry in dataclasses.fields(Rows)]
    return Rows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _assembled(rounded: Policy, maps: Mapping[str, tuple[np.ndarray, np.ndarray]], config: FinetuneConfig) -> Policy:
    """The tuned weights as a policy; a row whose sum would no longer fit the accumulator keeps its old weights."""
    grid, dense = GRIDS[rounded.contract.quantisation], {}
    for name, (unit, amplitude) in units(rounded.contract, rounded.weights[MULTIPLIER], input_clip(rounded)).items():
        old_weight, old_bias = (array.astype(np.float64) for array in layers(rounded)[name])
        scale = rounded.weights[row_scale_name(name)].astype(np.float64)
        found = to_integers(maps[name][0], unit, scale, grid)
        fits = largest_sum(found, amplitude) < ACCUMULATOR
        weight = np.where(fits[:, None], from_integers(found, unit, scale), old_weight)
        bias = np.where(fits, maps[name][1], old_bias)
        dense[name] = weight.astype(np.float32), bias.astype(np.float32)
    arrays: dict[str, Float32] = {
        name: array
        for name, array in rounded.weights.items()
        if name in (MULTIPLIER, INPUT_CLIP) or name.endswith(".row_scale")
    }
    record = {**rounded.contract.training.config, "finetune": dataclasses.asdict(config)}
    training = dataclasses.replace(rounded.contract.training, config=record)
    contract = dataclasses.replace(rounded.contract, training=training)
    return assemble(contract, arrays | from_layers(contract.network, dense))
