"""Folders of runs: runs/NAME/ with everything that came in and everything that came out.

    config.json      algorithm, code version and every number; `load_config` gives the configuration back
    policy.npz       weights and contract
    metrics.json     history, wall-clock, figures of the evaluation, why a run ended early
    checkpoint.npz   the whole state, while the run is unfinished
    events.out.*     scalars for TensorBoard

Every file but the last is written atomically.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fledge_sim
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically

from fledge_train import algorithms, typed_json

if TYPE_CHECKING:
    from fledge_train.trainer import Config, TrainResult

POLICY, CONFIG, METRICS, CHECKPOINT = "policy.npz", "config.json", "metrics.json", "checkpoint.npz"


@functools.cache
def code_version() -> str:
    """Version of fledge; in a checkout also the commit, with `+` after it when files were changed."""
    here = Path(__file__).resolve()
    if not any((parent / ".git").exists() for parent in here.parents):
        return fledge_sim.__version__
    try:
        describe = subprocess.run(
            ["git", "-C", str(here.parent), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return fledge_sim.__version__
    return f"{fledge_sim.__version__} {describe.stdout.strip()}"


def run_folder(root: Path, name: str) -> Path:
    """runs/NAME. Raises FledgeError for a name that would leave the folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise FledgeError(f"run name '{name}' may hold only letters, digits, dot, dash and underscore")
    return root / name


def save_config(folder: Path, config: Config) -> None:
    """config.json: every number, and what is needed to read them back."""
    record = {"algorithm": config.algorithm, "code_version": code_version(), "config": typed_json.to_tree(config)}
    write_atomically(folder / CONFIG, _json(record))


def load_config(folder: Path) -> Config:
    """The configuration of a run.

    Raises FledgeError naming the file, and the field that is unknown, missing or impossible.
    """
    path = folder / CONFIG
    try:
        record = json.loads(path.read_text())
        algorithm, tree = record["algorithm"], record["config"]
    except FileNotFoundError as error:
        raise FledgeError(f"{folder} holds no run: {CONFIG} does not exist there") from error
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise FledgeError(f"{path} is damaged ({error}); train anew") from error
    return typed_json.from_tree(algorithms.find(str(algorithm)).config, tree, f"{path}: config")


def save_run(folder: Path, config: Config, result: TrainResult, metrics: Any = None, ended: str = "") -> Path:
    """Write a run; returns the path of its policy file.

    Args:
        folder: of the run; made if missing.
        config: what was asked for.
        result: what training returned.
        metrics: a dataclass of figures (fledge_train.evaluate.Evaluation), or None.
        ended: why it ended before its time, if it did.
    """
    path = folder / POLICY
    policies.save(result.policy, path)
    save_config(folder, config)
    record = {
        "seconds": result.seconds,
        "interrupted": result.interrupted,
        "ended": ended,
        "code_version": code_version(),
        "history": [dataclasses.asdict(entry) for entry in result.history],
        "evaluation": None if metrics is None else dataclasses.asdict(metrics),
    }
    write_atomically(folder / METRICS, _json(record))
    return path


def load_result(folder: Path) -> TrainResult:
    """What `save_run` wrote. Raises FledgeError when it is missing or damaged."""
    from fledge_train.trainer import Progress, TrainResult

    path = folder / METRICS
    try:
        record = json.loads(path.read_text())
        history = tuple(Progress(**entry) for entry in record["history"])
        seconds, interrupted = float(record["seconds"]), bool(record["interrupted"] or record["ended"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise FledgeError(f"{path} cannot be read ({error}); train anew") from error
    return TrainResult(policies.load(folder / POLICY), seconds, history, interrupted)


def _json(tree: object) -> str:
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"
