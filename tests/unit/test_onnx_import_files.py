"""Importing ONNX: every spelling of the same network is read, everything else is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest
from fledge_export import onnx as own
from fledge_export import onnx_import
from fledge_export.onnx_errors import OnnxImportError
from fledge_hil import cli
from fledge_sim import policy as policies
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy, forward
from onnx import TensorProto, helper, numpy_helper

MakePolicy = Callable[..., Policy]
Node = Any
GENERATOR = np.random.default_rng(0)
WEIGHTS = {
    "w0": GENERATOR.normal(0, 0.3, (18, 8)),
    "b0": GENERATOR.normal(0, 0.3, 8),
    "w1": GENERATOR.normal(0, 0.3, (8, 4)),
    "b1": GENERATOR.normal(0, 0.3, 4),
    "mean": GENERATOR.normal(0, 1, 18),
    "deviation": GENERATOR.uniform(0.5, 2, 18),
    "ten": np.array(10.0),
    "minus_ten": np.array(-10.0),
    "one": np.array(1.0),
    "minus_one": np.array(-1.0),
}
FIRST = [("MatMul", ["x", "w0"], ["m0"]), ("Add", ["m0", "b0"], ["s0"]), ("Tanh", ["s0"], ["h0"])]
LAST = [("MatMul", ["h0", "w1"], ["m1"]), ("Add", ["b1", "m1"], ["s1"]), ("Tanh", ["s1"], ["action"])]
PLAIN = [*FIRST, *LAST]


@pytest.fixture(scope="module")
def contract(make_policy: MakePolicy) -> Contract:
    return make_policy("mlp", (8,)).contract


def model(
    *nodes: tuple[Any, ...],
    inputs: dict[str, list[Any]] | None = None,
    outputs: tuple[str, ...] = ("action",),
    opset: int = 17,
    constants: dict[str, Any] | None = None,
    domain: str = "",
) -> Any:
    """A graph of (operator, inputs, outputs[, attributes]) over WEIGHTS."""
    arrays = WEIGHTS | (constants or {})
    made = [
        helper.make_node(kind, ins, outs, name=f"n_{outs[0]}", domain=domain if kind == "Strange" else "", **attributes)
        for kind, ins, outs, attributes in ((*node, {})[:4] for node in nodes)
    ]
    used = {name for node in made for name in node.input}
    initializers = [
        numpy_helper.from_array(np.asarray(array, array.dtype if array.dtype.kind == "i" else np.float32), name)
        for name, array in ((name, np.asarray(array)) for name, array in arrays.items())
        if name in used
    ]
    graph = helper.make_graph(
        made,
        "g",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (inputs or {"x": ["n", 18]}).items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        initializer=initializers,
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def written(tree: Any, path: Path) -> Path:
    path.write_bytes(tree.SerializeToString())
    return path


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
EXTRA = {
    "shape": np.array([1, 3, 6]),
    "row": np.array([1, 18]),
    "parts": np.array([7, 11]),
    "square": GENERATOR.normal(0, 0.5, (8, 8)),
    "hundred": np.array(100.0),
    "minus_hundred": np.array(-100.0),
    "nothing": np.array(0.0),
    "half": np.array(0.5),
    "minus_half": np.array(-0.5),
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


GRU = {
    "w": GENERATOR.normal(0, 0.3, (1, 24, 18)),
    "r": GENERATOR.normal(0, 0.3, (1, 24, 8)),
    "b": GENERATOR.normal(0, 0.3, (1, 48)),
    "axes": np.array([0, 1]),
    "first": np.array([0]),
}


def gru(state: str = "h", **attributes: Any) -> list[tuple[Any, ...]]:
    settings = {"hidden_size": 8, "linear_before_reset": 1} | attributes
    return [
        ("Unsqueeze", ["x", "first"], ["x3"]),
        ("GRU", ["x3", "w", "r", "b", "", state], ["y", "h_out"], settings),
        ("Squeeze", ["y", "axes"], ["h0"]),
        *LAST,
    ]


RECURRENT = {"x": [1, 18], "h": [1, 1, 8]}
REFUSALS: dict[str, tuple[Any, str]] = {
    "another function": (
        model(*FIRST[:2], ("Softplus", ["s0"], ["h0"]), *LAST),
        r"node 'n_h0' \(Softplus\) cannot become part of a policy: a policy is made of dense layers",
    ),
    "sigmoid layer": (model(*FIRST[:2], ("Sigmoid", ["s0"], ["h0"]), *LAST), r"'n_h0' \(Sigmoid\).*in a GRU only"),
    "scaled elu": (model(*FIRST[:2], ("Elu", ["s0"], ["h0"], {"alpha": 0.5}), *LAST), r"'n_h0' \(Elu\).*alpha"),
    "layer norm": (
        model(*FIRST[:2], ("LayerNormalization", ["s0", "b0"], ["k"]), ("Tanh", ["k"], ["h0"]), *LAST),
        r"node 'n_k' \(LayerNormalization\)",
    ),
    "short cut": (
        model(
            *FIRST,
            ("MatMul", ["h0", "square"], ["m2"]),
            ("Tanh", ["m2"], ["h2"]),
            ("Add", ["h0", "h2"], ["both"]),
            ("MatMul", ["both", "w1"], ["m1"]),
            *LAST[1:],
            constants=EXTRA,
        ),
        r"'n_h0' \(Tanh\) and node 'n_h2' \(Tanh\) meet in one layer",
    ),
    "mixed functions": (
        model(
            *FIRST,
            ("MatMul", ["h0", "square"], ["m2"]),
            ("Relu", ["m2"], ["h2"]),
            ("MatMul", ["h2", "w1"], ["m1"]),
            *LAST[1:],
            constants=EXTRA,
        ),
        r"'n_h2' \(Relu\) and node 'n_h0' \(Tanh\)",
    ),
    "product of inputs": (
        model(("Mul", ["x", "x"], ["q"]), ("MatMul", ["q", "w0"], ["m0"]), *FIRST[1:], *LAST),
        r"n_q",
    ),
    "clip that acts": (
        model(("Clip", ["x", "minus_ten", "ten"], ["k"]), ("MatMul", ["k", "w0"], ["m0"]), *FIRST[1:], *LAST),
        r"'n_k' \(Clip\).*clips to -10..10 in between; if it bounds the observation, let the contract's clip",
    ),
    "actions clipped elsewhere": (
        model(*FIRST, *LAST[:2], ("Clip", ["s1", "minus_half", "half"], ["action"]), constants=EXTRA),
        r"'n_action' \(Clip\) clips to -0.5..0.5; actions are clipped to -1..1",
    ),
    "no hidden layer": (
        model(("MatMul", ["x", "direct"], ["m"]), ("Tanh", ["m"], ["action"]), constants={"direct": np.ones((18, 4))}),
        "no hidden layer",
    ),
    "three actions": (
        model(*FIRST, ("MatMul", ["h0", "three"], ["action"]), constants={"three": np.ones((8, 3))}),
        "output 'action' has 3 numbers; a quadrotor has four motors",
    ),
    "width": (
        model(
            ("MatMul", ["x", "wide"], ["s0"]),
            FIRST[2],
            *LAST,
            inputs={"x": ["n", 20]},
            constants={"wide": np.ones((20, 8))},
        ),
        r"no input takes the contract's 18 numbers \(position_error 3, rotation 9, .*\): 'x' takes 20",
    ),
    "unknown width": (model(*PLAIN, inputs={"x": ["n", "m"]}), "input 'x' does not say how many numbers it takes"),
    "strange domain": (
        model(*FIRST[:2], ("Strange", ["s0"], ["h0"]), *LAST, domain="com.example"),
        r"node 'n_h0' \(Strange\).*domain 'com.example'",
    ),
    "lstm": (
        model(
            ("Unsqueeze", ["x", "first"], ["x3"]),
            ("LSTM", ["x3", "w", "r"], ["y", "h_out"], {"hidden_size": 6}),
            ("Squeeze", ["y", "axes"], ["h0"]),
            *LAST,
            constants=GRU | {"w": np.ones((1, 24, 18)), "r": np.ones((1, 24, 6)), "w1": np.ones((6, 4))},
        ),
        r"node 'n_y' \(LSTM\)",
    ),
    "gru that forgets": (model(*gru(state=""), constants=GRU), r"'n_y' \(GRU\).*forget at every call"),
    "gru of the other kind": (
        model(*gru(linear_before_reset=0), inputs=RECURRENT, outputs=("action", "h_out"), constants=GRU),
        r"'n_y' \(GRU\).*linear_before_reset is 0",
    ),
    "gru whose state is not handed back": (
        model(*gru(), inputs=RECURRENT, constants=GRU),
        r"input 'h' is neither the observation nor the state of a GRU whose next value is an output|multiplies two",
    ),
    "gru behind a layer": (
        model(
            *FIRST,
            ("Unsqueeze", ["h0", "first"], ["x3"]),
            ("GRU", ["x3", "w", "r", "b", "", "h"], ["y", "h_out"], {"hidden_size": 8, "linear_before_reset": 1}),
            ("Squeeze", ["y", "axes"], ["h1"]),
            ("MatMul", ["h1", "w1"], ["m1"]),
            *LAST[1:],
            inputs=RECURRENT,
            outputs=("action", "h_out"),
            constants=GRU | {"w": np.ones((1, 24, 8))},
        ),
        r"'n_h0' \(Tanh\) stands before the GRU",
    ),
    "layer behind a gru": (
        model(
            *gru()[:-3],
            ("MatMul", ["h0", "square"], ["m2"]),
            ("Elu", ["m2"], ["h2"]),
            ("MatMul", ["h2", "w1"], ["m1"]),
            *LAST[1:],
            inputs=RECURRENT,
            outputs=("action", "h_out"),
            constants=GRU | EXTRA,
        ),
        r"'n_h2' \(Elu\) stands beside or behind the GRU",
    ),
    "nan": (model(*PLAIN, constants={"w0": np.full((18, 8), np.nan)}), "initializer 'w0' holds a NaN or infinite"),
    "tiny deviation": (
        model(
            ("Div", ["x", "deviation"], ["z"]),
            ("MatMul", ["z", "w0"], ["m0"]),
            *FIRST[1:],
            *LAST,
            constants={"deviation": np.full(18, 1e-38), "w0": np.full((18, 8), 1e3)},
        ),
        "dense0.weight is not finite once the normaliser is folded in",
    ),
    "old": (model(*PLAIN, opset=6), "operator set 6; export the model again with operator set 13 or newer"),
    "empty": (onnx_library.ModelProto(), "no node"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_policy_is_refused_naming_the_culprit(contract: Contract, tmp_path: Path, name: str) -> None:
    tree, sentence = REFUSALS[name]
    path = written(tree, tmp_path / "m.onnx")
    with pytest.raises(OnnxImportError, match=sentence) as refused:
        onnx_import.load(path, onnx_import.with_network(contract, onnx_import.read_model(path)))
    assert "\n" not in str(refused.value)


def test_another_network_than_the_contracts_is_refused(make_policy: MakePolicy, tmp_path: Path) -> None:
    path = written(model(*PLAIN), tmp_path / "m.onnx")
    with pytest.raises(
        OnnxImportError, match=r"the model is mlp \(8\) with tanh.*the contract says mlp \(16\) with tanh"
    ):
        onnx_import.load(path, make_policy("mlp", (16,)).contract)


def test_another_order_of_observations_is_refused(contract: Contract, tmp_path: Path) -> None:
    tree = model(*PLAIN)
    helper.set_model_props(tree, {"observation_names": "rotation,position_error,velocity_error,angular_velocity"})
    with pytest.raises(OnnxImportError, match=r"the model observes rotation, .*the contract position_error, "):
        onnx_import.load(written(tree, tmp_path / "m.onnx"), contract)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 64, b"\x08\x07\x12"])
def test_a_file_that_is_no_model_is_refused(contract: Contract, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(OnnxImportError, match=r"m\.onnx (cannot be read as ONNX|has no node)"):
        onnx_import.load(tmp_path / "m.onnx", contract)


def test_weights_in_a_file_that_was_left_behind_are_missed(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx_library.save(model(*PLAIN), path, save_as_external_data=True, location="m.data", size_threshold=0)
    assert onnx_import.load(path, contract).contract.network.hidden == (8,)
    (tmp_path / "m.data").unlink()
    with pytest.raises(OnnxImportError, match="keeps its weights in another file"):
        onnx_import.load(path, contract)


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
