"""Quantise a float32 policy with fine-tuning: the integers learn in the simulator to act like the float network.

Writes a policy file in integers, which export, check, sim, hil and fly take like any other. Takes seconds. Plain
`fledge export --format c-int8` rounds without learning; docs/quantisation.md says what either costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from fledge_sim import policy as policy_file

from fledge_hil import screen
from fledge_hil.check_report import allowed


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """float32 policy file, as written by `fledge train` (runs/NAME/policy.npz)."""
    format: Literal["int8", "int16"] = "int8"
    """Of the weights."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Policy file to write; default: policy-int8.npz or policy-int16.npz beside the policy."""
    steps: int = 600
    """Of gradient descent."""
    seed: int = 0
    """Of its batches."""
    robot: str | None = None
    """Robot or arm that it flies or moves, if its file is your own; default: the one that the policy names."""


def run(options: Options) -> int:
    """Fine-tune, report, save."""
    from fledge_sim.quantization import QuantizationError
    from fledge_train.finetune import FinetuneConfig

    from fledge_hil.finetuning import fine_tuned

    if options.steps < 1 or options.seed < 0:
        raise QuantizationError(f"--steps {options.steps} must be at least 1 and --seed {options.seed} at least 0")
    policy = policy_file.load(options.policy)
    config = FinetuneConfig(steps=options.steps, seed=options.seed)
    result = fine_tuned(policy, options.format, config, options.robot)
    path = options.output or options.policy.with_name(f"policy-{options.format}.npz")
    policy_file.save(result.policy, path)
    rows = [
        (name, f"{error.mean:.1e}", f"{error.p99:.1e}", f"{error.largest:.1e}")
        for name, error in (("rounded", result.before), ("fine-tuned", result.after))
    ]
    screen.table(
        f"{options.format}: |action - float32| {allowed(policy.contract).moving} that fine-tuning never saw",
        ("weights", "mean", "99 %", "largest"),
        rows,
    )
    screen.say(f"policy: {path}")
    screen.say(f"next:   fledge export {path}   or   fledge check {path}")
    return 0
