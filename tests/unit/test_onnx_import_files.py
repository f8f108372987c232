"""Importing ONNX: every spelling of the same network is read, and the verb makes a policy of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from fledge_export import onnx as own
from fledge_export import onnx_import
from fledge_export.onnx_errors import OnnxImportError
from fledge_hil import cli
from fledge_sim import policy as policies
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy, forward
from onnx import TensorProto
from onnx_graphs import EXTRA, FIRST, GENERATOR, LAST, PLAIN, model, written

MakePolicy = Callable[..., Policy]


@pytest.fixture(scope="module")
def contract(make_policy: MakePolicy) -> Contract:
    return make_policy("mlp", (8,)).contract


VARIANTS: dict[str, list[tuple[Any, ...]]] = {
    "matmul and add": PLAIN,
    "gemm": [("Gemm", ["x", "w0", "b0"], ["s0"]), FIRST[2], *LAST],
    "gemm with factors": [("Gemm", ["x", "w0", "b0"], ["s0"], {"alpha": 0.5, "beta": 2.0}), FIRST[2], *LAST],
    "normaliser": [
        ("Sub", ["x", "mean"], ["c"]),
        ("Div", ["c", "deviation"], ["z"]),
        ("MatMul", ["z", "w0"], ["m0"]),
        *FIRST[1:],
        *LAST,
    ],
    "no-ops": [
        ("Identity", ["x"], ["i"]),
        ("Cast", ["i"], ["f"], {"to": TensorProto.FLOAT}),
        ("Flatten", ["f"], ["l"]),
        ("Dropout", ["l"], ["d"]),
        ("MatMul", ["d", "w0"], ["m0"]),
        *FIRST[1:],
        *LAST,
    ],
    "reshapes": [
        ("Reshape", ["x", "shape"], ["r"]),
        ("Transpose", ["r"], ["t"], {"perm": [0, 2, 1]}),
        ("Transpose", ["t"], ["u"], {"perm": [0, 2, 1]}),
        ("Reshape", ["u", "row"], ["v"]),
        ("MatMul", ["v", "w0"], ["m0"]),
        *FIRST[1:],
        *LAST,
    ],
    "slices put together": [
        ("Split", ["x", "parts"], ["p", "q"], {"axis": 1}),
        ("Neg", ["p"], ["minus"]),
        ("Concat", ["minus", "q"], ["j"], {"axis": -1}),
        ("MatMul", ["j", "w0"], ["m0"]),
        *FIRST[1:],
        *LAST,
    ],
    "batch normalisation": [
        ("BatchNormalization", ["x", "deviation", "mean", "mean", "deviation"], ["z"]),
        ("MatMul", ["z", "w0"], ["m0"]),
        *FIRST[1:],
        *LAST,
    ],
    "two layers in a row": [*FIRST[:2], ("MatMul", ["s0", "square"], ["m2"]), ("Tanh", ["m2"], ["h0"]), *LAST],
    "a clip that never acts": [
        ("Div", ["x", "deviation"], ["z"]),
        ("Clip", ["z", "minus_hundred", "hundred"], ["k"]),
        ("MatMul", ["k", "w0"], ["m0"]),
        *FIRST[1:],
        *LAST,
    ],
    "clipped actions": [*FIRST, *LAST[:2], ("Clip", ["s1", "minus_one", "one"], ["action"])],
    "clipped actions by max and min": [
        *FIRST,
        *LAST[:2],
        ("Max", ["s1", "minus_one"], ["above"]),
        ("Min", ["above", "one"], ["action"]),
    ],
    "actions without a bound": [*FIRST, LAST[0], ("Add", ["b1", "m1"], ["action"])],
    "relu by clip": [*FIRST[:2], ("Max", ["s0", "nothing"], ["h0"]), *LAST],
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_spelling_of_a_network_is_read(contract: Contract, tmp_path: Path, name: str) -> None:
    path = written(model(*VARIANTS[name], constants=EXTRA), tmp_path / "m.onnx")
    policy = onnx_import.load(path, onnx_import.with_network(contract, onnx_import.read_model(path)))
    assert policy.contract.network.hidden == (8,)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    clip = np.concatenate([np.full(term.size, term.clip) for term in contract.observation])
    for row in GENERATOR.uniform(-clip, clip, (20, 18)).astype(np.float32):
        expected = np.clip(session.run(None, {"x": row[None]})[0], -1, 1)
        np.testing.assert_allclose(forward(policy, row[None].astype(float), np.zeros((1, 0)))[0], expected, atol=5e-6)


def test_inputs_named_as_the_terms_come_in_any_order(contract: Contract, tmp_path: Path) -> None:
    sizes = {"angular_velocity": [1, 3], "position_error": [1, 3], "velocity_error": [1, 3], "rotation": [1, 9]}
    joined = ("Concat", list(sizes), ["x"], {"axis": 1})
    path = written(model(joined, *PLAIN, inputs=sizes), tmp_path / "m.onnx")
    policy = onnx_import.load(path, contract)
    row = GENERATOR.uniform(-0.5, 0.5, (1, 18))
    split = np.split(row, [3, 12, 15], axis=1)  # position 3, rotation 9, velocity 3, angular velocity 3
    rows = dict(zip(("position_error", "rotation", "velocity_error", "angular_velocity"), split, strict=True))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {name: part.astype(np.float32) for name, part in rows.items()})
    np.testing.assert_allclose(forward(policy, row, np.zeros((1, 0)))[0], expected, atol=5e-6)


def test_a_model_of_ours_brings_its_own_contract(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy("gru", (5,))
    own.save(policy, tmp_path / "p.onnx")
    assert onnx_import.load(tmp_path / "p.onnx").contract == policy.contract
    with pytest.raises(OnnxImportError, match="carries another contract than the one given"):
        onnx_import.load(tmp_path / "p.onnx", make_policy("mlp", (8,)).contract)


def test_the_verb_drafts_a_contract_and_imports_under_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, draft, made = (tmp_path / name for name in ("m.onnx", "c.json", "p.npz"))
    written(model(*PLAIN), path)
    assert cli.run(["import", str(path)]) == 2
    assert "carries no contract" in capsys.readouterr().err
    assert cli.run(["import", str(path), "--draft", str(draft)]) == 0
    tree = json.loads(draft.read_text())
    assert [term["size"] for term in tree["observation"]] == [3, 9, 3, 3]
    assert cli.run(["import", str(path), "--contract", str(draft), "-o", str(made)]) == 0
    assert policies.load(made).contract.robot == "crazyflie"
    assert cli.run(["export", str(path)]) == 2
    assert "make one of it with `fledge import" in capsys.readouterr().err
    assert cli.run(["import", str(path), "--draft", str(draft)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"format": 1}'])
def test_the_verb_refuses_a_bad_contract_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    written(model(*PLAIN), tmp_path / "m.onnx")
    if content is not None:
        (tmp_path / "c.json").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert cli.run(["import", str(tmp_path / "m.onnx"), "--contract", str(tmp_path / "c.json")]) == 2
    assert "c.json" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
