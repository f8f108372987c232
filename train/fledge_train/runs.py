"""Folders of runs: runs/NAME/ with policy.npz, config.json and metrics.json, each written atomically."""

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

if TYPE_CHECKING:
    from fledge_train.config import TrainConfig
    from fledge_train.trainer import TrainResult


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


def save_run(folder: Path, config: TrainConfig, result: TrainResult, metrics: Any = None) -> Path:
    """Write a run; returns the path of its policy file.

    Args:
        folder: of the run; made if missing.
        config: what was asked for.
        result: what training returned.
        metrics: a dataclass of figures (fledge_train.evaluate.Evaluation), or None.
    """
    path = folder / "policy.npz"
    policies.save(result.policy, path)
    write_atomically(folder / "config.json", _json(dataclasses.asdict(config)))
    record = {
        "seconds": result.seconds,
        "interrupted": result.interrupted,
        "code_version": code_version(),
        "history": [dataclasses.asdict(entry) for entry in result.history],
        "evaluation": None if metrics is None else dataclasses.asdict(metrics),
    }
    write_atomically(folder / "metrics.json", _json(record))
    return path


def _json(tree: object) -> str:
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"
