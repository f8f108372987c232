"""Train a policy for a robot, in seconds, through the native differentiable simulator.

Writes runs/NAME/policy.npz (weights and contract), config.json and metrics.json. Ctrl-C keeps the policy so far. The
same seed gives the same weights on the same machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from fledge_sim import policy as policy_file
from fledge_sim import randomize
from fledge_sim import robot as robots
from fledge_sim.randomize import Randomization
from fledge_train import config, runs, shac, trainer

from fledge_hil import screen

PRESETS: Mapping[str, Callable[..., config.TrainConfig]] = {"robust": config.robust, "fast": config.fast}
SPREADS: Mapping[str, Callable[[], Randomization]] = {
    "around": Randomization,
    "none": randomize.none,
    "paper": randomize.paper,
    "published": randomize.any_published_crazyflie,
}


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    preset: Literal["robust", "fast"] = "robust"
    """robust: about 2 s on one core. fast: about 0.3 s, less precise. Sets the defaults of what follows."""
    actor: Literal["gru", "mlp"] = "gru"
    """gru: recurrent, 16 units. mlp: dense layers over the observation and past actions."""
    spread: Literal["around", "none", "paper", "published"] = "around"
    """around: robots like the nominal one. none: exactly it. paper: it, pushed. published: any published Crazyflie.
    Sets the defaults of --randomization.*"""
    name: str | None = None
    """Of the run; default: ROBOT-ACTOR-SEED."""
    directory: Path = Path("runs")
    """Where runs are kept."""
    evaluate: bool = True
    """Measure the policy afterwards (about 3 s) and keep the figures with the run."""
    config: Annotated[config.TrainConfig, tyro.conf.arg(name="")] = field(default_factory=config.robust)
    """Every hyper-parameter."""


def parse(arguments: Sequence[str], prog: str) -> Options:
    """Options with the defaults of the preset, actor and spread that the arguments name."""
    preset, actor = _peek(arguments, "--preset", "robust"), _peek(arguments, "--actor", "gru")
    spread = _peek(arguments, "--spread", "around")
    default = Options()
    if preset in PRESETS and actor in ("gru", "mlp") and spread in SPREADS:
        default = Options(config=replace(PRESETS[preset](actor=actor), randomization=SPREADS[spread]()))
    return tyro.cli(Options, args=arguments, prog=prog, description=__doc__, default=default)


def _peek(arguments: Sequence[str], flag: str, default: str) -> str:
    for here, following in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        if here == flag:
            return following
        if here.startswith(f"{flag}="):
            return here.partition("=")[2]
    return default


def run(options: Options) -> int:
    """Train, save, report."""
    settings = options.config
    name = options.name or f"{robots.load(settings.robot).name}-{options.actor}-{settings.seed}"
    folder = runs.run_folder(options.directory, name)
    try:
        result = train_with_bar(settings)
    except trainer.Diverged as error:
        policy_file.save(error.policy, folder / "policy.npz")
        raise trainer.Diverged(f"{error} (in {folder / 'policy.npz'})", error.policy) from error
    path = runs.save_run(folder, settings, result)
    contract = result.policy.contract
    screen.say(
        f"{'interrupted' if result.interrupted else 'trained'} in {result.seconds:.2f} s: "
        f"{result.policy.parameter_count} weights for {contract.robot}, contract {contract.sha256[:8]}"
    )
    if options.evaluate and not result.interrupted:
        from fledge_hil.verbs import eval as evaluation

        figures = evaluation.measure(result.policy, settings.robot)
        runs.save_run(folder, settings, result, figures)
        evaluation.show(figures)
    screen.say(f"policy: {path}")
    screen.say(f"next:   fledge export {path}   or   fledge fly --policy {path}")
    return 0


def train_with_bar(settings: config.TrainConfig) -> trainer.TrainResult:
    """shac.train with a progress bar."""
    with screen.bar("training") as bar:

        def progress(report: trainer.Progress) -> None:
            figures = f"error {screen.centimetres(report.position_error)}, {report.failures:.2f} lost per 1000 steps"
            bar.show(report.iteration / report.iterations, figures)

        return shac.train(settings, progress)
