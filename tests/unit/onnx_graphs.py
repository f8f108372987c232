"""Small graphs in ONNX, written node by node over named constants, for the tests of the import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

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
GRU = {
    "w": GENERATOR.normal(0, 0.3, (1, 24, 18)),
    "r": GENERATOR.normal(0, 0.3, (1, 24, 8)),
    "b": GENERATOR.normal(0, 0.3, (1, 48)),
    "axes": np.array([0, 1]),
    "first": np.array([0]),
}
RECURRENT = {"x": [1, 18], "h": [1, 1, 8]}


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
    """The file."""
    path.write_bytes(tree.SerializeToString())
    return path


def gru(state: str = "h", **attributes: Any) -> list[tuple[Any, ...]]:
    """Nodes of a policy with a GRU over the constants GRU."""
    settings = {"hidden_size": 8, "linear_before_reset": 1} | attributes
    return [
        ("Unsqueeze", ["x", "first"], ["x3"]),
        ("GRU", ["x3", "w", "r", "b", "", state], ["y", "h_out"], settings),
        ("Squeeze", ["y", "axes"], ["h0"]),
        *LAST,
    ]
