"""Turn a policy into C for a microcontroller (policy.c, policy.h), and into ONNX.

The C is self-contained C99: no libc, no heap, no double. It carries the contract hash, a checksum of the weights and
golden vectors that are checked at boot. The same policy gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim import policy as policy_file


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz)."""
    directory: Path | None = None
    """Where the files go; default: `export` beside the policy."""


def run(options: Options) -> int:
    """Export and say what was written."""
    from fledge_export import package

    policy = policy_file.load(options.policy)
    directory = options.directory or options.policy.parent / "export"
    manifest = package.export(policy, directory)
    print(f"contract {policy.contract.sha256[:8]} for robot {policy.contract.robot}: {policy.parameter_count} weights")
    for name, size in manifest.sizes.items():
        print(f"  {directory / name}  {size} bytes")
    return 0
