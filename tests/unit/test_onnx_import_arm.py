"""A model of an arm made elsewhere: its contract is drafted, it is measured, and becomes a policy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fledge_export import package
from fledge_export.calibrate import calibrate
from fledge_hil import arm_draft, arm_evaluation, cli
from fledge_sim import policy as policies
from fledge_sim.contract import Contract, NetworkShape
from fledge_sim.errors import FledgeError
from onnx import TensorProto, helper, numpy_helper

GENERATOR = np.random.default_rng(2)


def model(path: Path, width: int = 29, outputs: int = 5, short_cut: bool = False) -> Path:
    """tanh(W1 tanh(W0 x + b0)), with a short cut over the hidden layer that no policy has, if asked for."""
    arrays = {
        "w0": GENERATOR.normal(0, 0.1, (width, 8)),
        "b0": GENERATOR.normal(0, 0.1, 8),
        "w1": GENERATOR.normal(0, 0.3, (8, outputs)),
        "w2": GENERATOR.normal(0, 0.1, (width, outputs)),
    }
    last: list[tuple[str, list[str], str]] = [("Tanh", ["m1"], "action")]
    if short_cut:
        last = [("MatMul", ["obs", "w2"], "m2"), ("Add", ["m1", "m2"], "s1"), ("Tanh", ["s1"], "action")]
    first = [("MatMul", ["obs", "w0"], "m0"), ("Add", ["m0", "b0"], "s0"), ("Tanh", ["s0"], "h0")]
    nodes = [helper.make_node(kind, ins, [out]) for kind, ins, out in (*first, ("MatMul", ["h0", "w1"], "m1"), *last)]
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("obs", width), ("action", outputs))
    ]
    made: Any = helper.make_graph(nodes, "actor", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def terms(contract: Contract) -> list[tuple[str, int]]:
    return [(term.name, term.size) for term in contract.observation]


def test_from_the_model_to_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, draft, made = model(tmp_path / "m.onnx"), tmp_path / "c.json", tmp_path / "p.npz"
    assert cli.run(["import", str(path), "--draft", str(draft), "--robot", "so101"]) == 0
    tree = json.loads(draft.read_text())
    assert [term["name"] for term in tree["observation"]][-2:] == ["goal", "action_history"]
    assert all(term["scale"] == 1 for term in tree["observation"])
    assert tree["training"]["config"] == {"robot": "so101", "task": "reach", "difficulty": 1.0}
    assert cli.run(["import", str(path), "--contract", str(draft), "-o", str(made)]) == 0
    assert policies.load(made).contract.network.hidden == (8,)
    as_policy, as_model = (arm_evaluation.load(each, given) for each, given in ((made, None), (path, draft)))
    assert as_policy is not None
    assert as_model is not None
    assert arm_evaluation.measure_candidate(as_policy, 3, 1) == arm_evaluation.measure_candidate(as_model, 3, 1)
    assert cli.run(["eval", str(path), "--contract", str(draft), "--episodes", "2"]) == 0
    seen = calibrate(policies.load(made), flights=2, steps=3)
    assert package.quantised(policies.load(made), "int16", seen).contract.quantisation == "int16"
    assert cli.run(["eval", str(made), "--contract", str(draft)]) == 2
    assert "brings its own contract" in capsys.readouterr().err


def test_a_model_that_no_policy_can_be_is_measured_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, draft = model(tmp_path / "m.onnx", short_cut=True), tmp_path / "c.json"
    contract = arm_draft.draft(29, "so101", "reach", "test")
    draft.write_bytes(contract.canonical_json().encode())
    assert cli.run(["import", str(path), "--contract", str(draft)]) == 2
    assert cli.run(["eval", str(path), "--contract", str(draft), "--episodes", "2"]) == 0
    assert "it cannot be exported" in capsys.readouterr().out
    narrow = model(tmp_path / "narrow.onnx", outputs=4, short_cut=True)
    assert cli.run(["eval", str(narrow), "--contract", str(draft), "--episodes", "2"]) == 2
    assert "to 5 actions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("width", "robot", "task", "last"),
    [
        (24, "so101", "reach", ("goal", 3)),
        (39, "so101", "reach", ("action_history", 15)),
        (125, "so101", "insertion", ("action_history", 5)),
        (121, "open_manipulator_x", "insertion", ("action_history", 4)),
    ],
)
def test_the_width_says_what_is_seen(width: int, robot: str, task: str, last: tuple[str, int]) -> None:
    contract = arm_draft.draft(width, robot, task, "test")
    assert contract.observation_size == width
    assert terms(contract)[-1] == last
    assert ("touch", 96) in terms(contract) if width > 100 else ("touch", 96) not in terms(contract)


def test_a_width_that_fits_nothing_is_refused() -> None:
    with pytest.raises(FledgeError, match=r"observes 30 numbers, a drafted contract of reach with so101 24 and 5 for"):
        arm_draft.draft(30, "so101", "reach", "test")
    with pytest.raises(FledgeError, match=r"of insertion with so101 24, 96 more with touch and 5 for each"):
        arm_draft.draft(23, "so101", "insertion", "test")


def test_a_task_of_another_rate_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, draft = model(tmp_path / "m.onnx"), tmp_path / "c.json"
    contract = dataclasses.replace(
        arm_draft.draft(29, "so101", "reach", "test"),
        network=NetworkShape("mlp", (8,)),
        native_rate=100,
        inference_rate=100,
    )
    draft.write_bytes(contract.canonical_json().encode())
    assert cli.run(["eval", str(path), "--contract", str(draft)]) == 2
    assert "100 Hz, its task at 50 Hz" in capsys.readouterr().err
