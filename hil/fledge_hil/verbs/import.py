"""Make a policy of an ONNX model trained elsewhere: torch, stable-baselines3, rsl_rl, or any MLP or GRU of their nodes.

The model brings the weights, a contract says what its numbers mean: which observations in which order and unit, which
robot, what an action does. Without one, --draft FILE writes a contract to begin with; look through it, correct it,
then give it with --contract. A model that `fledge export` wrote carries its own.
"""

# ruff: noqa: N999 - the file is named after its verb
from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from fledge_sim import policy as policy_file
from fledge_sim import quantity
from fledge_sim import robot as robots
from fledge_sim.contract import Contract, TrainingRecord
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically

from fledge_hil import screen

BASE = 18
"""Numbers that every drafted contract observes: position, rotation, velocity, angular velocity."""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    model: Annotated[Path, tyro.conf.Positional]
    """MODEL.onnx; weights kept in a file beside it are found."""
    contract: Path | None = None
    """Contract as JSON, or a policy file or exported model whose contract fits."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Policy file to write; default: the model's name with .npz."""
    draft: Path | None = None
    """Write a contract to this file instead: the usual terms for the model's width, scales of 1."""
    robot: str = "crazyflie"
    """For the draft: name of a robot, or a .toml file."""
    task: str = "reach"
    """For an arm's draft: reach, insertion, push ..., in which the policy will be measured and calibrated."""


def run(options: Options) -> int:
    """Import, or draft."""
    from fledge_export import onnx_import

    if options.draft is not None:
        return _draft(options, options.draft)
    contract = onnx_import.read_contract(options.contract) if options.contract else None
    policy = onnx_import.load(options.model, contract)
    path = options.output or options.model.with_suffix(".npz")
    policy_file.save(policy, path)
    network = onnx_import.describe(policy.contract.network)
    screen.say(f"{options.model}: {network}, {policy.parameter_count} weights, contract {policy.contract.sha256[:8]}")
    screen.say(f"policy: {path}")
    screen.say(f"next:   fledge eval {path}   or   fledge export {path}")
    return 0


def _draft(options: Options, path: Path) -> int:
    from fledge_export import onnx_import
    from fledge_export.onnx_errors import OnnxImportError

    if path.exists():
        raise FledgeError(f"{path} exists already; choose another name for the draft")
    model = onnx_import.read_model(options.model)
    try:
        width = onnx_import.observation_width(model)
        begun = (
            _of_arm(width, options) if quantity.kind_of_robot(options.robot) == "arm" else _usual(width, options.robot)
        )
        contract = onnx_import.with_network(begun, model)
    except OnnxImportError as error:
        raise OnnxImportError(f"{options.model}: {error}") from error
    tree = json.loads(contract.canonical_json())
    write_atomically(path, json.dumps(tree, indent=2) + "\n")
    screen.say(f"contract for {contract.robot}, {onnx_import.describe(contract.network)}: {path}")
    for term in contract.observation:
        screen.say(f"  {term.name:<18}{term.size:>4}  {term.unit:<6} {term.frame:<9} clip {term.clip:g}")
    screen.say(f"next:   correct it, then   fledge import {options.model} --contract {path}")
    return 0


def _of_arm(width: int, options: Options) -> Contract:
    from fledge_train.runs import code_version

    from fledge_hil import arm_draft

    return arm_draft.draft(width, options.robot, options.task, code_version())


def _usual(width: int, robot: str) -> Contract:
    """The terms that fledge's own policies see, unscaled; what is over is action history."""
    from fledge_train.config import ActorConfig, SensorConfig
    from fledge_train.networks import contract_of
    from fledge_train.runs import code_version

    history, over = divmod(width - BASE, 4)
    if history < 0 or over:
        raise FledgeError(
            f"the model observes {width} numbers, a drafted contract 18 and 4 for each past action; write the "
            "contract by hand (docs/import.md)"
        )
    scales: dict[str, Any] = {
        entry.name: 1.0 for entry in dataclasses.fields(SensorConfig) if entry.name.endswith("_scale")
    }
    record = TrainingRecord("imported", 0, code_version())
    return contract_of(robots.load(robot), ActorConfig(history=history), SensorConfig(**scales), record)
