"""Measures policies of arms and shows it; what `fledge train` and `fledge eval` say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fledge_sim import policy as policies
from fledge_sim.contract import Contract, JointMapping
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import screen

if TYPE_CHECKING:
    from fledge_train.arm_evaluate import ArmFigures, Step

SEED = 1_000_003
"""Of the episodes: none that training has seen."""


@dataclass(frozen=True)
class Candidate:
    """Something to measure that moves an arm."""

    name: str
    contract: Contract
    policy: Policy | None
    """None: a model that cannot become one."""
    step: Step | None = None
    """How it acts; None: as the policy."""


def arm_policy(path: Path) -> Policy | None:
    """The policy in a file if it moves an arm; None for anything else. Raises FledgeError for a damaged file."""
    if path.suffix == ".onnx":
        return None
    policy = policies.load(path)
    return policy if isinstance(policy.contract.action, JointMapping) else None


def load(path: Path, contract: Path | None) -> Candidate | None:
    """What moves an arm in a policy file, or in an ONNX model with its own contract or under one; else None.

    Raises FledgeError for a damaged file, and for a model that does not fit its contract.
    """
    name = path.parent.name if path.name == "policy.npz" and path.parent.name else path.name
    if path.suffix == ".onnx":
        return _of_model(path, contract, name)
    policy = arm_policy(path)
    if policy is not None and contract is not None:
        raise FledgeError(f"{path} brings its own contract; --contract is for ONNX models, leave it out")
    return None if policy is None else Candidate(name, policy.contract, policy)


def _of_model(path: Path, contract: Path | None, name: str) -> Candidate | None:
    """As the policy that it becomes; a graph that cannot become one is run as it is."""
    from fledge_export import onnx_import
    from fledge_export.onnx_errors import OnnxImportError

    given = onnx_import.read_contract(contract) if contract else None
    model = onnx_import.read_model(path)
    is_own = any(entry.key == "contract" for entry in model.metadata_props)
    if not is_own and (given is None or not isinstance(given.action, JointMapping)):
        return None
    if not is_own and given is not None:
        try:
            onnx_import.translate(model, given)
        except OnnxImportError as reason:
            from fledge_hil import onnx_controller

            controller = onnx_controller.load(path, given)
            screen.say(f"{path}: {reason}; onnxruntime runs it as it is, it cannot be exported")
            return Candidate(name, given, None, controller.step)
    policy = onnx_import.load(path, given)
    return Candidate(name, policy.contract, policy) if isinstance(policy.contract.action, JointMapping) else None


def measure(policy: Policy, episodes: int = 1000, seed: int = SEED, robot: str | None = None) -> ArmFigures:
    """The figures that `train` keeps with a run; some ten seconds. MuJoCo is imported here and not before."""
    return measure_candidate(Candidate("", policy.contract, policy), episodes, seed, robot)


def measure_candidate(
    candidate: Candidate, episodes: int, seed: int, robot: str | None = None, *, in_bullet: bool = False
) -> ArmFigures:
    """As `measure`; in_bullet: the same episodes with PyBullet's physics, some seconds for each.

    A policy in integers moves by its C, compiled for this machine: the bits of the target.
    """
    from fledge_train import arm_evaluate

    policy, step = candidate.policy, candidate.step
    if policy is not None and policy.contract.quantisation != "float32":
        from fledge_export.parity import host_engine

        step = host_engine(policy)
    if step is None:
        assert policy is not None
        step = partial(policies.forward, policy)
    mover = arm_evaluate.Mover(step, candidate.contract.recurrent_size)
    if in_bullet:
        from fledge_sim.crosscheck import arm_bullet

        return arm_evaluate.measure_mover(mover, candidate.contract, episodes, seed, None, robot, arm_bullet.env)
    return arm_evaluate.measure_mover(mover, candidate.contract, episodes, seed, None, robot)


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
