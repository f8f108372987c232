"""Flies controllers through the cases of an evaluation, in one engine or several, and says it to machines."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fledge_sim import policy as policy_file
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_train import suite
from fledge_train.config import SensorConfig
from fledge_train.executor import Controller, Network
from fledge_train.flights import PHYSICS, Dynamics
from fledge_train.networks import observation_terms
from fledge_train.runs import code_version
from fledge_train.suite import Case, Figures

from fledge_hil import screen
from fledge_hil.bench.report import this_machine

Engine = Literal["native", "mujoco", "pybullet"]
LABELS: Mapping[Engine, str] = {"native": "fledge", "mujoco": "MuJoCo", "pybullet": "PyBullet"}
TIMESTEPS: Mapping[Engine, float] = {"native": 1e-2, "mujoco": 5e-3, "pybullet": 1e-3}
"""[s]"""


@dataclass(frozen=True)
class Candidate:
    """Something to measure."""

    name: str
    """Of its column."""
    controller: Controller
    policy: Policy | None = None
    """None: a baseline, or a model that cannot become a policy."""


@dataclass(frozen=True)
class Measured:
    """One candidate in one engine."""

    candidate: Candidate
    engine: Engine
    figures: Mapping[str, Figures]
    """By the case's name."""
    seconds: float
    """Wall-clock."""


def load(path: Path, contract: Path | None) -> Candidate:
    """A policy file, or an ONNX model: one that fledge exported, or any other under a contract."""
    name = path.parent.name if path.name == "policy.npz" and path.parent.name else path.name
    if path.suffix == ".onnx":
        return _of_model(path, contract, name)
    if contract is not None:
        raise FledgeError(f"{path} brings its own contract; --contract is for ONNX models, leave it out")
    return of_policy(policy_file.load(path), name)


def _of_model(path: Path, contract: Path | None, name: str) -> Candidate:
    """As the policy that it becomes; a graph that cannot become one is run as it is."""
    from fledge_export import onnx_import
    from fledge_export.onnx_errors import OnnxImportError

    from fledge_hil import onnx_controller

    given = onnx_import.read_contract(contract) if contract else None
    model = onnx_import.read_model(path)
    if given is not None and not any(entry.key == "contract" for entry in model.metadata_props):
        try:
            onnx_import.translate(model, given)
        except OnnxImportError as reason:
            controller = onnx_controller.load(path, given)
            screen.say(f"{path}: {reason}; onnxruntime runs it as it is, it cannot be exported")
            return Candidate(name, controller)
    return of_policy(onnx_import.load(path, given), name)


def of_policy(policy: Policy, name: str) -> Candidate:
    """A policy flies in its own arithmetic: float32 in numpy, integers by the specification of their C."""
    if policy.contract.quantisation == "float32":
        return Candidate(name, Network(policy), policy)
    from fledge_export.specification import stepper

    return Candidate(name, Network(policy, stepper(policy)), policy)


def measure(candidates: Sequence[Candidate], robot: Robot, cases: Sequence[Case], engine: Engine) -> list[Measured]:
    """Every candidate through every case."""
    measured, done = [], 0
    with screen.bar("flying") as bar, _dynamics(engine) as dynamics:
        for candidate in candidates:
            start, figures = time.perf_counter(), {}
            for case in cases:
                where = f"{candidate.name} in {LABELS[engine]}: {case.task}, {case.label}"
                bar.show(done / (len(cases) * len(candidates)), where)
                figures[case.name] = case.measure(candidate.controller, robot, dynamics)
                done += 1
            measured.append(Measured(candidate, engine, figures, time.perf_counter() - start))
    return measured


def require(engine: Engine) -> None:
    """Raise FledgeError unless the engine can be used."""
    if engine != "native" and importlib.util.find_spec(engine) is None:
        raise FledgeError(f"{LABELS[engine]} is not installed; pip install 'fledge[crosscheck]'")


@contextmanager
def _dynamics(engine: Engine) -> Iterator[Dynamics | None]:
    """None is our own."""
    require(engine)
    if engine == "native":
        yield None
        return
    module = importlib.import_module(f"fledge_sim.crosscheck.{engine}")
    with module.engine(Physics(drag=PHYSICS.drag), timestep=TIMESTEPS[engine]) as opened:
        yield opened.step


def tree(robot: Robot, cases: Sequence[Case], measured: Sequence[Measured]) -> dict[str, Any]:
    """Everything for the JSON output: who flew what, where, under which conditions, with which seeds."""
    return {
        "fledge": code_version(),
        "machine": dataclasses.asdict(this_machine(("numpy", "mujoco", "pybullet", "onnxruntime"))),
        "robot": {"name": robot.name, "sha256": robot.sha256},
        "cases": {case.name: case.describe() for case in cases},
        "flown": [
            {
                "name": each.candidate.name,
                "contract": _contract(each.candidate),
                "engine": each.engine,
                "step_s": TIMESTEPS[each.engine],
                "seconds": each.seconds,
                "figures": suite.results(each.figures),
            }
            for each in measured
        ],
    }


def describe(candidate: Candidate) -> str:
    """One line for a person."""
    contract, policy = candidate.controller.contract, candidate.policy
    if policy is None:
        return f"{candidate.name}: {contract.training.algorithm}, for {contract.robot}{_odd_noise(contract)}"
    network, training = contract.network, contract.training
    return (
        f"{candidate.name}: {network.kind} {'-'.join(map(str, network.hidden))}, {policy.parameter_count} weights, "
        f"{contract.quantisation}, {training.algorithm} seed {training.seed}, "
        f"contract {contract.sha256[:8]}{_odd_noise(contract)}"
    )


def _odd_noise(contract: Contract) -> str:
    """Noise is the contract's: one that was trained with another amount is not comparable, and that is said."""
    usual = {term.name: term.noise for term in observation_terms(SensorConfig(), 0)}
    odd = [f"{t.name} {t.noise:g} {t.unit}" for t in contract.observation if usual.get(t.name, t.noise) != t.noise]
    return f"; its own sensor noise: {', '.join(odd)}" if odd else ""


def _contract(candidate: Candidate) -> dict[str, Any]:
    contract: Contract = candidate.controller.contract
    observation = {
        term.name: {"size": term.size, "noise": term.noise, "unit": term.unit} for term in contract.observation
    }
    common = {"algorithm": contract.training.algorithm, "observation": observation}
    if candidate.policy is None:
        gains = getattr(candidate.controller, "gains", None)
        return {**common, "gains": vars(gains)} if gains else common
    network = contract.network
    return {
        **common,
        "sha256": contract.sha256,
        "network": f"{network.kind} {'-'.join(map(str, network.hidden))}",
        "weights": candidate.policy.parameter_count,
        "quantisation": contract.quantisation,
        "training_seed": contract.training.seed,
        "trained_by": contract.training.code_version,
    }
