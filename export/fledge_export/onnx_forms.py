"""Reads an ONNX graph as affine forms (affine.py), one inference of batch one; what it cannot read it names.

Rearranging nodes (reshape, slice, transpose, ...) are run by onnx's own reference implementation on the indices of the
elements, so every operator set has its own meaning. Nodes of constants are run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from fledge_export import onnx_gru
from fledge_export.affine import Form, Variables, add, broadcast, constant, matrix_product, scale
from fledge_export.onnx_errors import POLICY, OnnxImportError, label, unsupported

Value = Form | NDArray[Any]
REARRANGE = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Split", "Expand", "Tile")
PASS = ("Identity", "Dropout")
ACTIVATIONS = {"Tanh": ("tanh", -1.0, 1.0), "Sigmoid": ("sigmoid", 0.0, 1.0), "Relu": ("relu", 0.0, np.inf)}
OPERATORS = (
    *("Concat", "Add", "Sub", "Neg", "Mul", "Div", "MatMul", "Gemm", "BatchNormalization", "Tanh", "Sigmoid", "Relu"),
    *("Elu", "Where", "Clip", "Max", "Min"),
)
"""Each is a method of Graph of the same name."""
ELEMENTWISE = (
    *("Exp", "Log", "Sqrt", "Abs", "Sign", "Reciprocal", "Softplus", "Softsign", "LeakyRelu", "Selu", "Celu", "Gelu"),
    *("HardSigmoid", "HardSwish", "Mish", "Erf", "Sin", "Cos", "Floor", "Ceil", "Round"),
)
"""Of one argument, and no part of a policy: harmless where only a shape is taken of them, refused where a value is."""
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
ROUNDING = 1e-6
"""Relative: a bound that the normaliser's rounding misses by this much is not a bound."""


class Graph:
    """Values of a graph by name, computed when asked for; only what an output needs is looked at."""

    def __init__(self, graph: Any, opset: int, inputs: Mapping[str, Form], variables: Variables) -> None:
        """`inputs` are the forms of the graph's inputs."""
        self.variables, self._opset = variables, opset
        self._producer = {name: node for node in graph.node for name in node.output if name}
        self._values: dict[str, Value] = dict(inputs)
        self._missing: dict[str, str] = {}
        for entry in graph.initializer:
            self._values[entry.name] = _finite(entry.name, numpy_helper.to_array(entry))

    def value(self, name: str) -> Value:
        """Raises OnnxImportError naming the first node on the way that cannot be read."""
        if name not in self._values:
            if name not in self._producer:
                raise OnnxImportError(f"nothing in the model makes '{name}'; it is damaged, export it again")
            self._run(self._producer[name])
        return self._values[name]

    def form(self, name: str) -> Form:
        """The same, constants as forms."""
        value = self.value(name)
        return value if isinstance(value, Form) else constant(value.astype(np.float64), self.variables)

    def _run(self, node: Any) -> None:
        if node.domain not in ("", "ai.onnx"):
            raise unsupported(node, f"operators of domain '{node.domain}' are unknown")
        if node.op_type == "IsNaN":
            self._missing[node.output[0]] = node.input[0]
            self._values[node.output[0]] = np.zeros(0, bool)
            return
        if node.op_type == "Shape" and isinstance(self.value(node.input[0]), Form):
            results: list[Value] = [self._shape(node)]
        else:
            inputs = [self.value(name) if name else None for name in node.input]
            if any(isinstance(value, Form) for value in inputs):
                results = self._checked_forms(node, inputs)
            else:
                results = self._evaluate(node, inputs)
        for name, result in zip(node.output, results, strict=False):
            self._values[name] = result

    def _checked_forms(self, node: Any, inputs: list[Value | None]) -> list[Value]:
        try:
            return self._forms(node, inputs)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise unsupported(node, f"its inputs do not fit together ({error})") from error

    def _forms(self, node: Any, inputs: list[Value | None]) -> list[Value]:
        kind = node.op_type
        if kind in PASS or (kind == "Cast" and _attributes(node)["to"] in FLOATS):
            return [_form(inputs[0])]
        if kind in REARRANGE and isinstance(inputs[0], Form):
            return self._rearrange(node, inputs[0], inputs[1:])
        if kind == "GRU":
            return list(onnx_gru.run(self.variables, node, inputs, _attributes(node)))
        if kind in ELEMENTWISE:
            return [self.variables.add("foreign", label(node), _form(inputs[0]).shape)]
        if kind not in OPERATORS:
            raise unsupported(node, POLICY)
        operator: Callable[[Any, list[Any]], Form] = getattr(self, f"_{kind.lower()}")
        return [operator(node, inputs)]

    def _shape(self, node: Any) -> NDArray[np.int64]:
        attributes = _attributes(node)
        shape = np.array(self.form(node.input[0]).shape, np.int64)
        return shape[attributes.get("start", 0) : attributes.get("end", None)]

    def _evaluate(self, node: Any, inputs: list[Any]) -> list[Any]:
        names = [name for name in node.input if name]
        try:
            with np.errstate(all="ignore"):
                evaluator = ReferenceEvaluator(node, opsets={"": self._opset})
                present = [value for value in inputs if value is not None]
                return list(evaluator.run(None, dict(zip(names, present, strict=True))))
        except Exception as error:  # whatever the reference implementation raises for a node that it cannot run
            raise unsupported(node, f"it cannot be evaluated: {str(error).splitlines()[0]}") from error

    def _rearrange(self, node: Any, x: Form, rest: list[Value | None]) -> list[Value]:
        if any(isinstance(value, Form) for value in rest):
            raise unsupported(node, "it depends on the observation")
        indices = np.arange(x.offset.size, dtype=np.int64).reshape(x.shape)
        return [x.take(index) for index in self._evaluate(node, [indices, *rest])]

    def _concat(self, node: Any, inputs: list[Value]) -> Form:
        forms = [_as_form(value, self.variables) for value in inputs]
        axis, count = _attributes(node)["axis"], self.variables.count
        axis += forms[0].offset.ndim if axis < 0 else 0
        linear = np.concatenate([form.over(count) for form in forms], axis=axis)
        return Form(linear, np.concatenate([form.offset for form in forms], axis=axis))

    def _add(self, _: Any, inputs: list[Value]) -> Form:
        a, b = (_as_form(value, self.variables) for value in inputs)
        return add(a, b)

    def _sub(self, _: Any, inputs: list[Value]) -> Form:
        a, b = (_as_form(value, self.variables) for value in inputs)
        return add(a, b, -1.0)

    def _neg(self, _: Any, inputs: list[Form]) -> Form:
        return scale(inputs[0], np.array(-1.0))

    def _mul(self, node: Any, inputs: list[Value]) -> Form:
        a, b = inputs
        if isinstance(a, Form) and isinstance(b, Form):
            shape = np.broadcast_shapes(a.shape, b.shape)
            return self.variables.multiply(broadcast(a, shape), broadcast(b, shape), label(node))
        form, factor = (a, b) if isinstance(a, Form) else (b, a)
        return scale(_form(form), np.asarray(factor, np.float64))

    def _div(self, node: Any, inputs: list[Value]) -> Form:
        divisor = inputs[1]
        if isinstance(divisor, Form) or not np.all(divisor):
            raise unsupported(node, "it divides by something that is not a constant, or is zero")
        return scale(_form(inputs[0]), 1.0 / divisor.astype(np.float64))

    def _matmul(self, node: Any, inputs: list[Value]) -> Form:
        x, matrix = inputs
        if isinstance(matrix, Form) or matrix.ndim != 2:
            raise unsupported(node, "only observation times a constant matrix is a dense layer")
        return matrix_product(_form(x), matrix.astype(np.float64))

    def _gemm(self, node: Any, inputs: list[Value]) -> Form:
        attributes = _attributes(node)
        x, matrix = inputs[:2]
        if isinstance(matrix, Form) or attributes.get("transA", 0):
            raise unsupported(node, "only observation times a constant matrix is a dense layer")
        matrix = attributes.get("alpha", 1.0) * matrix.astype(np.float64)
        product = matrix_product(_form(x), matrix.T if attributes.get("transB", 0) else matrix)
        if len(inputs) < 3 or inputs[2] is None:
            return product
        return add(product, scale(_as_form(inputs[2], self.variables), np.array(attributes.get("beta", 1.0))))

    def _batchnormalization(self, node: Any, inputs: list[Any]) -> Form:
        x, gain, bias, mean, variance = inputs
        if _attributes(node).get("training_mode", 0) or x.offset.ndim != 2:
            raise unsupported(node, "only batch normalisation of a row of numbers, in inference mode, is a scale")
        factor = gain.astype(np.float64) / np.sqrt(variance.astype(np.float64) + _attributes(node).get("epsilon", 1e-5))
        return add(scale(x, factor), constant(bias - mean * factor, self.variables))

    def _tanh(self, node: Any, inputs: list[Form]) -> Form:
        kind, low, high = ACTIVATIONS[node.op_type]
        return self.variables.add(kind, label(node), inputs[0].shape, inputs[0], bounds=(low, high))

    _sigmoid = _relu = _tanh

    def _elu(self, node: Any, inputs: list[Form]) -> Form:
        if _attributes(node).get("alpha", 1.0) != 1.0:
            raise unsupported(node, "alpha is not 1")
        return self.variables.add("elu", label(node), inputs[0].shape, inputs[0], bounds=(-1.0, np.inf))

    def _where(self, node: Any, inputs: list[Value]) -> Form:
        """NaN to zero, which a policy does anyway."""
        if self._missing.get(node.input[0]) != node.input[2] or isinstance(inputs[1], Form) or np.any(inputs[1]):
            raise unsupported(node, "the only choice between values that a policy knows is NaN to 0")
        return _form(inputs[2])

    def _clip(self, node: Any, inputs: list[Any]) -> Form:
        attributes = _attributes(node)
        low = inputs[1] if len(inputs) > 1 and inputs[1] is not None else attributes.get("min", -np.inf)
        high = inputs[2] if len(inputs) > 2 and inputs[2] is not None else attributes.get("max", np.inf)
        return self._limit(node, inputs[0], np.asarray(low, np.float64), np.asarray(high, np.float64))

    def _max(self, node: Any, inputs: list[Value]) -> Form:
        x, bound = _bounded(node, inputs)
        return self._limit(node, x, bound, np.array(np.inf))

    def _min(self, node: Any, inputs: list[Value]) -> Form:
        x, bound = _bounded(node, inputs)
        return self._limit(node, x, np.array(-np.inf), bound)

    def _limit(self, node: Any, x: Form, low: NDArray[np.float64], high: NDArray[np.float64]) -> Form:
        """Nothing, where the bounds lie outside what x can be; relu; or a clip, which a policy has at its end only."""
        least, most = self.variables.range(x)
        if (least >= low - ROUNDING * (1 + np.abs(low))).all() and (most <= high + ROUNDING * (1 + np.abs(high))).all():
            return x
        if (low == 0).all() and np.isinf(high).all():
            return self.variables.add("relu", label(node), x.shape, x, bounds=(0.0, np.inf))
        limits = (np.broadcast_to(low, x.shape).ravel(), np.broadcast_to(high, x.shape).ravel())
        x, limits = self._merged(x, limits)
        return self.variables.add("clip", label(node), x.shape, x, limits=limits, bounds=limits)

    def _merged(self, x: Form, limits: tuple[Any, Any]) -> tuple[Form, tuple[Any, Any]]:
        """Max, then Min: one clip."""
        last = self.variables.blocks[-1]
        if last.kind != "clip" or last.limits is None or last.size != x.offset.size:
            return x, limits
        if not np.array_equal(x.flat().over(self.variables.count)[:, last.slice], np.eye(last.size)):
            return x, limits
        before = Form(last.operands[0].linear.reshape(*x.shape, -1), last.operands[0].offset.reshape(x.shape))
        return before, (np.maximum(limits[0], last.limits[0]), np.minimum(limits[1], last.limits[1]))


def _finite(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Scalars may be infinite: bounds of a clip that has none."""
    if array.dtype.kind == "f" and (np.isnan(array).any() or (array.ndim and array.size > 1 and np.isinf(array).any())):
        raise OnnxImportError(f"initializer '{name}' holds a NaN or infinite number; the training run diverged")
    return array


def _attributes(node: Any) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def _form(value: Value | None) -> Form:
    if not isinstance(value, Form):
        raise TypeError("one of them is missing or constant")
    return value


def _as_form(value: Value, variables: Variables) -> Form:
    return value if isinstance(value, Form) else constant(value.astype(np.float64), variables)


def _bounded(node: Any, inputs: list[Value]) -> tuple[Form, NDArray[np.float64]]:
    forms = [value for value in inputs if isinstance(value, Form)]
    constants = [value for value in inputs if not isinstance(value, Form)]
    if len(forms) != 1 or len(constants) != 1:
        raise unsupported(node, "it compares two things that both depend on the observation")
    return forms[0], constants[0].astype(np.float64)
