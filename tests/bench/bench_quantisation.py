"""What integers cost: error of the actions and of the flight, per format, for three policies; a table and a figure.

    python tests/bench/bench_quantisation.py docs/quantisation.svg

Trains the policies (a few seconds), quantises, fine-tunes, flies 200 drones for 10 s in three tasks with every format.
int4 is weights only: rounded by the same rule, evaluated in float; no C is emitted for it. Takes a few minutes.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from fledge_export import quantize
from fledge_export.calibrate import calibrate
from fledge_export.calibration import Calibration
from fledge_export.layout import from_layers, layers
from fledge_export.quantized import input_clip, units
from fledge_export.specification import stepper
from fledge_hil.finetuning import fine_tuned
from fledge_sim import robot as robots
from fledge_sim.policy import Policy, assemble, forward
from fledge_sim.quantization import (
    MULTIPLIER,
    Grid,
    from_integers,
    row_scale_name,
    row_scales,
    to_integers,
)
from fledge_train import closed_loop, config, shac
from fledge_train.executor import Step

matplotlib.use("svg")
from matplotlib import pyplot

FORMATS = ("int16", "int8 to nearest", "int8", "int8 fine-tuned", "int4")
TASKS = ("hover", "figure-eight", "recovery")
TEST_SEED = 5
COLOURS = ("#4c72b0", "#dd8452", "#55a868")


@dataclass(frozen=True)
class Row:
    """One policy in one format."""

    policy: str
    format: str
    mean: float
    largest: float
    growth: dict[str, float]
    kept: dict[str, int]


def wide() -> config.TrainConfig:
    """The network of "Learning to Fly in Seconds": 146-64-64-4."""
    base = config.robust(actor="mlp")
    return dataclasses.replace(base, actor=dataclasses.replace(base.actor, hidden=(64, 64), history=32))


def policies() -> dict[str, Policy]:
    """Trained here, seed 0."""
    configs = {
        "gru 18-16-4": config.robust(actor="gru"),
        "mlp 82-32-32-4": config.robust(actor="mlp"),
        "mlp 146-64-64-4": wide(),
    }
    return {name: shac.train(each).policy for name, each in configs.items()}


def to_nearest(original: Policy, quantised: Policy) -> Policy:
    """The original's weights rounded each by itself, on the multipliers that the exporter chose."""
    arrays = {MULTIPLIER: quantised.weights[MULTIPLIER]}
    dense = {}
    grid = quantize.GRIDS[quantised.contract.quantisation]
    for name, (unit, amplitude) in units(
        quantised.contract, quantised.weights[MULTIPLIER], input_clip(quantised)
    ).items():
        weight, bias = layers(original)[name]
        scale = np.asarray(row_scales(weight.astype(np.float64), unit, amplitude, grid)).astype(np.float32)
        integers = to_integers(weight.astype(np.float64), unit, scale.astype(np.float64), grid)
        arrays[row_scale_name(name)] = scale
        dense[name] = from_integers(integers, unit, scale.astype(np.float64)).astype(np.float32), bias
    return assemble(quantised.contract, arrays | from_layers(original.contract.network, dense))


def in_four_bits(original: Policy, int8: Policy, calibration: Calibration) -> Policy:
    """Weights of 15 levels, errors compensated as the exporter does; a float32 policy."""
    grid, dense = Grid("int4", 7, 14), {}
    seen = quantize.layer_inputs(original, calibration.observations, calibration.states)
    for name, (unit, amplitude) in units(int8.contract, int8.weights[MULTIPLIER], input_clip(int8)).items():
        weight, bias = (array.astype(np.float64) for array in layers(original)[name])
        moment = seen[name].T @ seen[name] / len(seen[name]) / np.outer(unit, unit)
        scale = np.asarray(row_scales(weight, unit, amplitude, grid))
        rounded = from_integers(quantize.compensated(weight * unit, scale, moment, grid), unit, scale)
        bias += (weight - rounded) @ seen[name].mean(axis=0)
        dense[name] = rounded.astype(np.float32), bias.astype(np.float32)
    return assemble(original.contract, from_layers(original.contract.network, dense))


def networks(original: Policy) -> dict[str, Step]:
    """Every format's specification."""
    calibration = calibrate(original)
    int8 = quantize.quantize(original, "int8", calibration)
    return {
        "int16": stepper(quantize.quantize(original, "int16", calibration)),
        "int8 to nearest": stepper(to_nearest(original, int8)),
        "int8": stepper(int8),
        "int8 fine-tuned": stepper(fine_tuned(original, "int8").policy),
        "int4": partial(forward, in_four_bits(original, int8, calibration)),
    }


def measure(name: str, policy: Policy) -> list[Row]:
    """All formats of one policy."""
    steps = networks(policy)
    flights = calibrate(policy, seed=TEST_SEED)
    expected, _ = forward(policy, flights.observations.astype(np.float64), flights.states.astype(np.float64))
    costs = closed_loop.measure(policy, robots.load(policy.contract.robot), steps)
    rows = []
    for form in FORMATS:
        error = np.abs(steps[form](flights.observations, flights.states)[0] - expected)
        growth = {task: costs[task].growth(form) for task in TASKS}
        kept = {task: costs[task].kept[form] for task in TASKS}
        rows.append(Row(name, form, float(error.mean()), float(error.max()), growth, kept))
    reference = ", ".join(
        f"{task} {100 * costs[task].rmse['float32']:.2f} cm ({costs[task].kept['float32']} of 200 kept)"
        for task in TASKS
    )
    print(f"{name}, float32: {reference}")
    return rows


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| policy | weights | mean action error | largest | hover | figure-eight | recovery | drones kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        growth = " | ".join(f"{100 * row.growth[task]:+.2f} %" for task in TASKS)
        kept = " / ".join(str(row.kept[task]) for task in TASKS)
        lines.append(f"| {row.policy} | {row.format} | {row.mean:.1e} | {row.largest:.1e} | {growth} | {kept} |")
    return "\n".join(lines)


def draw(rows: list[Row], path: Path) -> None:
    """Two panels over the formats: action error, and the worst growth of the RMSE over the tasks."""
    pyplot.rcParams |= {"svg.hashsalt": "fledge", "svg.fonttype": "none", "font.family": "sans-serif"}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    places = np.arange(len(FORMATS))
    for index, (name, colour) in enumerate(zip(dict.fromkeys(row.policy for row in rows), COLOURS, strict=True)):
        of_policy = {row.format: row for row in rows if row.policy == name}
        x = places + 0.26 * (index - 1)
        left.bar(x, [of_policy[form].mean for form in FORMATS], 0.24, color=colour, label=name)
        worst = [100 * max(of_policy[form].growth.values()) for form in FORMATS]
        right.bar(x, worst, 0.24, color=colour)
    left.set(yscale="log", title="mean |action - float32|, flights never seen")
    right.set(title="largest growth of the RMSE over three tasks [%]")
    right.set_yscale("symlog", linthresh=1)
    right.axhline(0, color="grey", linewidth=0.6)
    for axes, bounds in ((left, ((1e-3, 0, "int16"), (1e-2, 1, "int8"))), (right, ((1, 0, "int16"), (3, 1, "int8")))):
        for bound, first, text in bounds:
            last = 0 if text == "int16" else 3
            axes.plot((first - 0.42, last + 0.42), (bound, bound), color="black", linewidth=1)
            place = {"xytext": (0, 2), "textcoords": "offset points", "ha": "right", "fontsize": 8}
            axes.annotate(f"allowed, {text}", (last + 0.42, bound), **place)
        axes.set_xticks(places, [form.replace(" ", "\n", 1) for form in FORMATS])
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    left.legend(frameon=False, loc="upper left")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    rows = [row for name, policy in policies().items() for row in measure(name, policy)]
    print(table(rows))
    if len(sys.argv) > 1:
        draw(rows, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
