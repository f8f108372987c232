"""Measure a policy in simulation: survival, hover error, figure-eights, recovery, robustness.

The evaluation shares no text with the trainer's native code: numpy network, kernel physics, its own noise and delay.
Fixed seeds: the same policy gives the same figures. Also for ONNX models, in MuJoCo and PyBullet, and beside classical
controllers, which see the same noise and act through the same motors. An arm's policy is measured in its own task:
success, error, smoothness.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_train import evaluate, suite
from fledge_train.baselines import gains

from fledge_hil import arm_evaluation, evaluation, evaluation_tables, screen
from fledge_hil.evaluation import Candidate, Engine, Measured

KINDS: tuple[gains.Kind, ...] = ("pid", "geometric")


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path | None, tyro.conf.Positional] = None
    """Policy file as written by `fledge train` (runs/NAME/policy.npz), or an ONNX model."""
    contract: Path | None = None
    """For an ONNX model from elsewhere: what its numbers mean (`fledge import MODEL --draft FILE` writes one)."""
    robot: str | None = None
    """Robot name or .toml file; default: the one the policy was trained for, or crazyflie."""
    baseline: gains.Kind | None = None
    """Measure a classical controller instead of a policy: a PID cascade, or a geometric one with feed-forward."""
    baselines: bool = False
    """Put both classical controllers beside the policy."""
    thorough: bool = False
    """Every case, with a hundred figure-eights each (half a minute) instead of the ten cases that `train` reports."""
    engine: Literal["native", "mujoco", "pybullet", "all"] = "native"
    """Fly a selection of cases in another engine too, side by side with ours; an arm, whose own is MuJoCo: pybullet."""
    engine_episodes: int = 16
    """Episodes of each case with another engine: they step one world after the other."""
    episodes: int = 1000
    """Hover episodes of 5 s, the other cases have fewer, in proportion; of an arm, all."""
    seed: int = 1
    """Of initial states, parameters, noise and disturbances."""
    json: Path | None = None
    """Also write the figures, conditions and versions to this file."""


def run(options: Options) -> int:
    """Measure and print."""
    if options.policy is not None and (arm := arm_evaluation.load(options.policy, options.contract)):
        return _arm(options, arm)
    if min(options.episodes, options.engine_episodes) < 1:
        raise FledgeError("--episodes and --engine-episodes must be at least 1")
    candidates, robot = _candidates(options)
    contract = candidates[0].controller.contract
    if options.engine == "native":
        choose = suite.thorough if options.thorough else suite.quick
        cases = choose(contract, options.episodes, options.seed)
        measured = evaluation.measure(candidates, robot, cases, "native")
        _show(robot, cases, measured)
    else:
        cases = suite.elsewhere(options.engine_episodes, options.seed)
        measured = _elsewhere(options, candidates, robot, cases)
    if options.json:
        _write(options.json, evaluation.tree(robot, cases, measured))
    return 0


def _arm(options: Options, candidate: arm_evaluation.Candidate) -> int:
    """Fresh episodes of the task that the policy was trained for."""
    usual = Options()
    others = ("baseline", "baselines", "thorough")
    given = [name for name in others if getattr(options, name) != getattr(usual, name)]
    if given:
        raise FledgeError(
            f"--{given[0].replace('_', '-')} is for quadrotors; an arm's policy takes --robot, --episodes, --seed and "
            "--engine"
        )
    seed = arm_evaluation.SEED + options.seed
    if options.engine in ("pybullet", "all"):
        evaluation.require("pybullet")
        return _arm_in_both(options, candidate, seed)
    figures = arm_evaluation.measure_candidate(candidate, options.episodes, seed, options.robot)
    arm_evaluation.show([(candidate.name, figures)])
    if options.json:
        _write(options.json, dataclasses.asdict(figures))
    return 0


def _arm_in_both(options: Options, candidate: arm_evaluation.Candidate, seed: int) -> int:
    """The same episodes in MuJoCo, which is the arm's own engine, and in PyBullet."""
    measured = {
        f"{candidate.name}, {name}": arm_evaluation.measure_candidate(
            candidate, options.engine_episodes, seed, options.robot, in_bullet=in_bullet
        )
        for name, in_bullet in (("MuJoCo", False), ("PyBullet", True))
    }
    arm_evaluation.show(list(measured.items()))
    if options.json:
        _write(options.json, {name: dataclasses.asdict(figures) for name, figures in measured.items()})
    return 0


def _write(path: Path, tree: Mapping[str, Any]) -> None:
    """The unrounded figures."""
    write_atomically(path, json.dumps(tree, indent=2, allow_nan=False) + "\n")
    screen.say(f"figures: {path}")


def _candidates(options: Options) -> tuple[list[Candidate], Robot]:
    """What flies, and on which robot."""
    if (options.policy is None) == (options.baseline is None):
        raise FledgeError("give either a policy file or --baseline pid or --baseline geometric")
    if options.policy is None:
        robot = robots.load(options.robot or "crazyflie")
        chosen = [kind for kind in KINDS if options.baselines or kind == options.baseline]
        return [Candidate(kind, gains.controller(kind, robot)) for kind in chosen], robot
    candidate = evaluation.load(options.policy, options.contract)
    contract = candidate.controller.contract
    robot = robots.load(options.robot or contract.robot)
    evaluate.require_robot(contract, robot)
    baselines = [Candidate(kind, gains.controller(kind, robot)) for kind in KINDS if options.baselines]
    return [candidate, *baselines], robot


def _show(robot: Robot, cases: tuple[suite.Case, ...], measured: list[Measured]) -> None:
    for each in measured:
        screen.say(evaluation.describe(each.candidate))
    if len(measured) == 1:
        evaluation_tables.one(robot.name, cases, measured[0].figures)
    else:
        evaluation_tables.beside(cases, measured)
    seconds = sum(each.seconds for each in measured)
    screen.say(
        f"  seeds from {cases[0].conditions.seed} on; {seconds:.1f} s; `--thorough`, `--baselines`, `--engine all`"
    )


def _elsewhere(
    options: Options, candidates: list[Candidate], robot: Robot, cases: tuple[suite.Case, ...]
) -> list[Measured]:
    """Ours first, then the others, one table per candidate."""
    others: tuple[Engine, ...] = ("mujoco", "pybullet")
    chosen: list[Engine] = ["native", *(name for name in others if options.engine in (name, "all"))]
    for engine in chosen:
        evaluation.require(engine)
    measured = [each for engine in chosen for each in evaluation.measure(candidates, robot, cases, engine)]
    for candidate in candidates:
        evaluation_tables.engines(cases, [each for each in measured if each.candidate is candidate])
    return measured


def measure(policy: Policy, robot: str | None = None, episodes: int = 1000, seed: int = 1) -> evaluate.Evaluation:
    """The figures that `train` and `fly` keep with a run; a few seconds."""
    return evaluate.evaluate(policy, robots.load(robot or policy.contract.robot), episodes, seed)


def show(figures: evaluate.Evaluation) -> None:
    """Two tables."""
    flown = "as flown, 500 Hz"
    evaluation_tables.hovers(
        [
            ("nominal", figures.hover),
            ("parameters +-20 %", figures.hover_randomized),
            ("10 ms extra delay", figures.hover_delay_10_ms),
            ("20 ms extra delay", figures.hover_delay_20_ms),
            (flown, figures.hover_as_flown),
        ],
        figures.robot,
    )
    eights = [*figures.figure_eight, figures.figure_eight_randomized, figures.figure_eight_as_flown]
    labels = ["", "", "", ", parameters +-20 %", f", {flown}"]
    evaluation_tables.eights([(f"{t.period:g} s{label}", t) for t, label in zip(eights, labels, strict=True)])
