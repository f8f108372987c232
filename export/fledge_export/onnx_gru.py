"""One step of an ONNX GRU node, spelled out in affine forms.

Gate order in the file: update, reset, candidate, `z, r, h`. Only the form in which the reset gate multiplies the
state's part after the matrix (linear_before_reset = 1; torch writes it) is a policy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fledge_export.affine import Float64, Form, Variables, add, constant, matrix_product
from fledge_export.onnx_errors import label, unsupported


def run(variables: Variables, node: Any, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> tuple[Form, Form]:
    """Y and Y_h of one step, in the node's own layout; inputs are forms, constants, or None where there is none."""
    _check(node, inputs, attributes)
    x, weight, recurrence, bias, _, state = (*inputs, *[None] * 6)[:6]
    size = int(attributes["hidden_size"])
    halves = np.split((np.zeros(6 * size) if bias is None else bias[0]).astype(np.float64), 2)
    hidden = _row(state)
    from_input = _gates(variables, _row(x), weight[0], halves[0])
    from_state = _gates(variables, hidden, recurrence[0], halves[1])
    update, reset = (
        _function(variables, node, "sigmoid", add(from_input[gate], from_state[gate]), 0.0) for gate in (0, 1)
    )
    kept = variables.multiply(reset, from_state[2], label(node))
    candidate = _function(variables, node, "tanh", add(from_input[2], kept), -1.0)
    rest = add(constant(np.ones((1, size)), variables), update, -1.0)
    fresh = variables.multiply(rest, candidate, label(node))
    following = add(fresh, variables.multiply(update, hidden, label(node)))
    return _shaped(following, (1, 1, 1, size)), _shaped(following, (1, 1, size))


def _check(node: Any, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> None:
    x, state = inputs[0], inputs[5] if len(inputs) > 5 else None
    if any(isinstance(value, Form) for value in inputs[1:5]):
        raise unsupported(node, "its weights depend on the observation")
    if not isinstance(x, Form) or x.offset.size != x.shape[-1]:
        raise unsupported(node, "it sees more than one time step; export one step, with the state as input and output")
    if not isinstance(state, Form):
        raise unsupported(
            node, "its initial state is no input, so it would forget at every call; export with the state as input"
        )
    if not attributes.get("linear_before_reset", 0):
        raise unsupported(node, "linear_before_reset is 0: the reset gate acts before the matrix; torch writes 1")
    functions = [name.lower() for name in attributes.get("activations", [b"Sigmoid", b"Tanh"])]
    if attributes.get("direction", b"forward") != b"forward" or functions != [b"sigmoid", b"tanh"]:
        raise unsupported(node, "only the forward direction with sigmoid and tanh")
    if "clip" in attributes:
        raise unsupported(node, "its gates are clipped")


def _gates(variables: Variables, x: Form, matrix: Float64, bias: Float64) -> list[Form]:
    """update, reset, candidate"""
    offset = constant(bias[None], variables)
    total = add(matrix_product(x, matrix.astype(np.float64).T), offset)
    size = bias.size // 3
    columns = np.arange(bias.size).reshape(1, 3, size)
    return [total.take(columns[:, gate]) for gate in range(3)]


def _function(variables: Variables, node: Any, kind: str, x: Form, low: float) -> Form:
    return variables.add(kind, label(node), x.shape, x, bounds=(low, 1.0))


def _row(form: Any) -> Form:
    return _shaped(form, (1, form.offset.size))


def _shaped(form: Form, shape: tuple[int, ...]) -> Form:
    return Form(form.linear.reshape(*shape, -1), form.offset.reshape(shape))
