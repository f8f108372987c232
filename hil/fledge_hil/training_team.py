"""`fledge train --seeds N`: several seeds side by side, how many succeeded, and how far they lie apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_train import runs, seeds, seeds_summary
from fledge_train.criterion import Criterion
from fledge_train.seeds import Outcome, Team
from fledge_train.seeds_summary import Summary
from fledge_train.trainer import Config

from fledge_hil import screen
from fledge_hil.verbs.train import INTERRUPTED, TEAM

LINES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "survival": ("survival", screen.percent),
    "survival_randomized": ("survival, parameters +-20 %", screen.percent),
    "survival_delay_10_ms": ("survival, 10 ms extra delay", screen.percent),
    "survival_delay_20_ms": ("survival, 20 ms extra delay", screen.percent),
    "hover_error": ("hover error", screen.centimetres),
    "hover_error_randomized": ("hover error, parameters +-20 %", screen.centimetres),
    "action_jerk": ("action jerk", lambda value: f"{value:.3f}"),
    "figure_eight_15_s": ("figure-eight in 15 s, RMSE", screen.centimetres),
    "figure_eight_5.5_s": ("figure-eight in 5.5 s, RMSE", screen.centimetres),
    "figure_eight_3.5_s": ("figure-eight in 3.5 s, RMSE", screen.centimetres),
    "training_seconds": ("training", lambda value: f"{value:.2f} s"),
    "training_cpu_seconds": ("training, CPU time", lambda value: f"{value:.2f} s"),
}


def begin(root: Path, config: Config, count: int, evaluate: bool) -> Team:
    """A team that has not begun, kept in its folder so that it can be resumed. Raises FledgeError if `count` < 1."""
    if count < 1:
        raise FledgeError(f"--seeds {count} must be at least 1")
    team = seeds.team(root, config, count, evaluate)
    runs.save_config(root, config)
    return team


def reopened(root: Path, config: Config, evaluate: bool) -> Team:
    """The team whose folder this is. Raises FledgeError when its record cannot be read."""
    path = root / TEAM
    try:
        count = int(json.loads(path.read_text())["summary"]["seeds"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise FledgeError(f"{path} is damaged ({error}); train anew") from error
    return seeds.team(root, config, count, evaluate, resume=True)


def train(team: Team, criterion: Criterion, processes: int | None) -> int:
    """Train, report, record; exit code: 0 when every seed is a success, 130 when interrupted, else 1."""
    if processes is not None and processes < 1:
        raise FledgeError(f"--processes {processes} must be at least 1")
    _record(team, [Outcome(seed, team.folder(seed), "not begun") for seed in team.configs], criterion)
    with screen.bar("training", threaded=False) as bar:
        count = len(team.configs)
        outcomes = seeds.train(
            team, processes or seeds.cores(), lambda share, ended: bar.show(share, f"{ended} of {count} seeds ended")
        )
    summary = _record(team, outcomes, criterion)
    show(outcomes, criterion, summary)
    screen.say(f"figures: {team.root / TEAM}")
    if any(outcome.end in ("interrupted", "not begun") for outcome in outcomes):
        screen.say(f"next:    fledge train --resume {team.root}")
        return INTERRUPTED
    successes = summary.trained if summary.succeeded is None else summary.succeeded
    return 0 if successes == summary.seeds else 1


def _record(team: Team, outcomes: Sequence[Outcome], criterion: Criterion) -> Summary:
    summary = seeds_summary.summarise(outcomes, criterion)
    tree = seeds_summary.to_tree(outcomes, criterion, summary)
    write_atomically(team.root / TEAM, json.dumps(tree, indent=2, sort_keys=True) + "\n")
    return summary


def show(outcomes: Sequence[Outcome], criterion: Criterion, summary: Summary) -> None:
    """Who did not make it, a table of figures, and the count."""
    for outcome in outcomes:
        if outcome.end != "done":
            screen.say(f"seed {outcome.seed}: {outcome.end}{': ' if outcome.reason else ''}{outcome.reason}")
        elif outcome.evaluation is not None and not criterion.met(outcome.evaluation):
            hover = outcome.evaluation.hover
            figures = f"survival {screen.percent(hover.survival)}, hover error {screen.centimetres(hover.error)}"
            screen.say(f"seed {outcome.seed}: below the criterion: {figures}")
    rows = [(label, text, summary.spread[name]) for name, (label, text) in LINES.items() if name in summary.spread]
    if rows:
        screen.table(
            f"{summary.trained} of {summary.seeds} seeds trained",
            ("figure", "mean", "min", "max", "deviation", "n"),
            ((name, *map(text, (s.mean, s.min, s.max, s.deviation)), str(s.count)) for name, text, s in rows),
        )
    if summary.succeeded is not None:
        wanted = (
            f"survival >= {screen.percent(criterion.survival)}, hover error <= {screen.centimetres(criterion.error)}"
        )
        screen.say(f"success: {summary.succeeded} of {summary.seeds} seeds ({wanted})")
