"""Check an exported policy on the very instructions that will run, before it flies.

Exports to C in float32, int16 and int8, compiles for this machine and for the Cortex-M4F, and compares: torch,
onnxruntime, host C and the emulated processor over random, recurrent and edge inputs; self-test; flipped weight bits;
proof that no input changes the time; stack; memory; symbols; instruction count and modelled cycles. Exit code 1 if a
check fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim import policy as policy_file
from fledge_sim.files import write_atomically
from rich.console import Console

from fledge_hil import screen
from fledge_hil.formats import Quantisation


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz) or `fledge export` (export/int8/policy.npz)."""
    format: tuple[Quantisation, ...] = ()
    """One or more; default: all that the policy can take."""
    robot: str | None = None
    """Robot on which integers are calibrated, if its file is your own; default: the one that the policy names."""
    against: Path | None = None
    """float32 policy that a quantised one came from, to measure against; default: its own weights in floats."""
    directory: Path | None = None
    """Where exports and builds go; default: `export` beside the policy."""


def run(options: Options) -> int:
    """Check and print; check.json beside the export holds the same in full."""
    from fledge_hil import check_formats

    policy = policy_file.load(options.policy)
    original = policy_file.load(options.against) if options.against else None
    directory = options.directory or options.policy.parent / "export"
    with screen.bar("checking"):
        proof = check_formats.check_formats(policy, directory, options.format, options.robot, original)
    write_atomically(directory / "check.json", proof.to_json())
    Console(highlight=False, markup=False).print(check_formats.render(proof))
    screen.say(f"{'PASSED' if proof.passed else 'FAILED'}; in full: {directory / 'check.json'}")
    return 0 if proof.passed else 1
