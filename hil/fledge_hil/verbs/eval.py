"""Measure a policy in simulation: survival, hover error, figure-eights, robustness to parameters and delay.

The evaluation shares no text with the trainer's native code: numpy network, kernel physics, its own noise and delay.
Fixed seeds: the same policy gives the same figures.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim import policy as policy_file
from fledge_sim import robot as robots
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy
from fledge_train import evaluate

from fledge_hil import screen


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz)."""
    robot: str | None = None
    """Robot name or .toml file; default: the one the policy was trained for."""
    episodes: int = 1000
    """Hover episodes of 5 s."""
    seed: int = 1
    """Of initial states, noise and disturbances."""
    json: Path | None = None
    """Also write the figures to this file."""


def run(options: Options) -> int:
    """Measure and print."""
    if options.episodes < 1:
        raise policy_file.PolicyFileError(f"--episodes {options.episodes} must be at least 1")
    policy = policy_file.load(options.policy)
    figures = measure(policy, options.robot, options.episodes, options.seed)
    show(figures)
    if options.json:
        write_atomically(options.json, json.dumps(dataclasses.asdict(figures), indent=2) + "\n")
        screen.say(f"figures: {options.json}")
    return 0


def measure(policy: Policy, robot: str | None = None, episodes: int = 1000, seed: int = 1) -> evaluate.Evaluation:
    """Every figure; a few seconds."""
    return evaluate.evaluate(policy, robots.load(robot or policy.contract.robot), episodes, seed)


def show(figures: evaluate.Evaluation) -> None:
    """Two tables."""
    hovers = [
        ("nominal", figures.hover),
        ("parameters +-20 %", figures.hover_randomized),
        ("10 ms extra delay", figures.hover_delay_10_ms),
        ("20 ms extra delay", figures.hover_delay_20_ms),
        ("as flown, 500 Hz", figures.hover_as_flown),
    ]
    screen.table(
        f"hover of {figures.robot}: 5 s from thrown starts, noise and disturbances on",
        ("case", "episodes", "survival", "error, last second", "action jerk"),
        (
            (name, str(h.episodes), screen.percent(h.survival), screen.centimetres(h.error), _number(h.action_jerk))
            for name, h in hovers
        ),
    )
    eights = [*figures.figure_eight, figures.figure_eight_randomized, figures.figure_eight_as_flown]
    labels = ["", "", "", ", parameters +-20 %", ", as flown, 500 Hz"]
    screen.table(
        "figure-eight of 2 m x 1 m, noise and disturbances on",
        ("period", "survival", "RMSE", "mean error", "worst RMSE"),
        (
            (
                f"{t.period:g} s{label}",
                screen.percent(t.survival),
                *(screen.centimetres(value) for value in (t.rmse, t.mean, t.worst)),
            )
            for t, label in zip(eights, labels, strict=True)
        ),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
