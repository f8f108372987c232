"""Check an exported policy on the very instructions that will run, before it flies.

Exports to C, compiles for this machine and for the Cortex-M4F, and compares: numpy, onnxruntime, host C and the
emulated processor over random, recurrent and edge inputs; self-test; flipped weight bits; one path over all of them
(observed, not proved); alignment; stack; symbol lint; instruction count and modelled time. Exit code 1 if one fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim import policy as policy_file
from fledge_sim.files import write_atomically
from rich.console import Console

from fledge_hil import check, screen


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz)."""
    directory: Path | None = None
    """Where export and builds go; default: `export` beside the policy."""


def run(options: Options) -> int:
    """Check and print; check.json beside the export holds the same."""
    policy = policy_file.load(options.policy)
    directory = options.directory or options.policy.parent / "export"
    with screen.bar("checking"):
        report = check.check(policy, directory)
    write_atomically(directory / "check.json", report.to_json())
    Console(highlight=False).print(check.render(report))
    screen.say(f"{'PASSED' if report.passed else 'FAILED'}; written to {directory / 'check.json'}")
    return 0 if report.passed else 1
