"""Measures policies of arms and shows it; what `fledge train` and `fledge eval` say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fledge_sim import policy as policies
from fledge_sim.contract import JointMapping
from fledge_sim.policy import Policy

from fledge_hil import screen

if TYPE_CHECKING:
    from fledge_train.arm_evaluate import ArmFigures

SEED = 1_000_003
"""Of the episodes: none that training has seen."""


def arm_policy(path: Path) -> Policy | None:
    """The policy in a file if it moves an arm; None for anything else. Raises FledgeError for a damaged file."""
    if path.suffix == ".onnx":
        return None
    policy = policies.load(path)
    return policy if isinstance(policy.contract.action, JointMapping) else None


def measure(policy: Policy, episodes: int = 1000, seed: int = SEED) -> ArmFigures:
    """The figures that `train` keeps with a run; some ten seconds. MuJoCo is imported here and not before.

    A policy in integers moves by its C, compiled for this machine: the bits of the target.
    """
    from fledge_train import arm_evaluate

    if policy.contract.quantisation == "float32":
        return arm_evaluate.measure(policy, episodes, seed)
    from fledge_export.parity import host_engine

    return arm_evaluate.measure(policy, episodes, seed, step=host_engine(policy))


def show(measured: Sequence[tuple[str, ArmFigures]]) -> None:
    """One table, a row each."""
    rows = [
        (
            name,
            screen.percent(figures.success),
            f"{1e3 * figures.error:.2f}",
            f"{1e3 * figures.error_95:.2f}",
            f"{figures.smoothness:.3f}",
            f"{figures.reward:.3f}",
        )
        for name, figures in measured
    ]
    first = measured[0][1]
    title = f"{first.task} with {first.robot}, actor with {first.senses}: {first.episodes} fresh episodes"
    screen.table(title, ("policy", "success", "error mm", "95 % mm", "change of action", "reward"), rows)
