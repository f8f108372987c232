"""Importing ONNX: what is no policy is refused in one sentence that names the culprit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import pytest
from fledge_export import onnx_import
from fledge_export.onnx_errors import OnnxImportError
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy
from onnx import helper
from onnx_graphs import EXTRA, FIRST, GRU, LAST, PLAIN, RECURRENT, gru, model, written

MakePolicy = Callable[..., Policy]


@pytest.fixture(scope="module")
def contract(make_policy: MakePolicy) -> Contract:
    return make_policy("mlp", (8,)).contract


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
