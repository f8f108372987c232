"""Turn a policy into C for a microcontroller (float32, int16 or int8), and into ONNX.

The C is self-contained C99: no libc, no heap, no double. It carries the contract hash, a checksum of the weights and
golden vectors that are checked at boot. The same policy gives the same bytes. int16 and int8 are policies of their own,
with their own contract hash and a policy file (int8/policy.npz) that `fledge sim`, `fledge hil` and `fledge check`
take; they are calibrated on what the policy sees when it flies, or moves its arm, in the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_export.bare import Target
from fledge_export.package import Format
from fledge_sim import policy as policy_file


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz)."""
    format: tuple[Format, ...] = ()
    """One or more. c-float32: exact. c-int16: half the size, faster. c-int8: a quarter of the size, less exact. onnx:
    for other tools. Default: c-float32 and onnx."""
    target: Target | None = None
    """Compile the C as well: policy-cortex-m4f.o to link into a firmware, or policy-host.so for this machine."""
    robot: str | None = None
    """Robot on which integers are calibrated, if its file is your own; default: the one that the policy names."""
    directory: Path | None = None
    """Where the files go; default: `export` beside the policy."""


def run(options: Options) -> int:
    """Export and say what was written."""
    from fledge_export import package
    from fledge_export.calibrate import calibrate_on

    policy = policy_file.load(options.policy)
    directory = options.directory or options.policy.parent / "export"
    calibration = calibrate_on(policy, options.robot) if options.robot else None
    manifest = package.export(policy, directory, options.format, target=options.target, calibration=calibration)
    print(f"{policy.parameter_count} weights for robot {policy.contract.robot}")
    for name, digest in manifest.contracts.items():
        print(f"  contract {digest[:8]}  {name}")
    for name, size in manifest.sizes.items():
        print(f"  {directory / name}  {size} bytes")
    return 0
