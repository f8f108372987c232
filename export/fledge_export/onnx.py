"""Policy <-> ONNX: the interchange form, and with onnxruntime an independent oracle for the emitted C.

Graph: observation (batch, I) in contract units and, for a recurrent network, state (batch, S) -> action (batch, O) and
next_state (batch, S). NaN to 0, clip and scale are part of the graph: it means the same as the C for every observation.
The canonical contract travels in `metadata_props`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fledge_sim.contract import Contract, parse
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy, PolicyFileError, weight_shapes
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fledge_export.layout import normaliser

OPSET, IR_VERSION = 13, 8
"""Old enough for every runtime of the last years; nothing newer is needed."""


class OnnxFileError(FledgeError):
    """A file that is no ONNX model, or one that does not come from fledge."""


class _Graph:
    """Nodes and constants in order of use; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=f"make_{name}", **attributes))
        return name

    def dense(self, policy: Policy, x: str, weight: str, bias: str, name: str) -> str:
        """x W^T + b; weights keep their names from the policy file."""
        constants = (self.constant(key, policy.weights[key]) for key in (weight, bias))
        return self.node("Gemm", x, *constants, name=name, transB=1)

    def split(self, x: str, sizes: str, *names: str) -> tuple[str, ...]:
        """Columns of x apart; `sizes` names a constant."""
        self.nodes.append(helper.make_node("Split", [x, sizes], list(names), name=f"split_{x}", axis=1))
        return names


def to_model(policy: Policy) -> Any:
    """Checked onnx.ModelProto."""
    contract, graph = policy.contract, _Graph()
    clip, scale = normaliser(policy)
    missing = graph.node("IsNaN", "observation", name="missing")
    zero = graph.constant("zero", np.zeros(1, np.float32))
    number = graph.node("Where", missing, zero, "observation", name="number")
    above = graph.node("Max", number, graph.constant("clip_low", -clip), name="above")
    within = graph.node("Min", above, graph.constant("clip_high", clip), name="within")
    x = graph.node("Mul", within, graph.constant("scale", scale), name="normalised")
    x = _gru(graph, policy, x) if contract.network.kind == "gru" else _mlp(graph, policy, x)
    x = graph.dense(policy, x, "output.weight", "output.bias", name="output")
    if contract.network.squash == "tanh":
        x = graph.node("Tanh", x, name="squashed")
    one = np.ones(1, np.float32)  # onnxruntime's tanh reaches 1.0000001
    x = graph.node("Max", x, graph.constant("action_low", -one), name="action_above")
    graph.node("Min", x, graph.constant("action_high", one), name="action")
    sizes_in, sizes_out = {"observation": contract.observation_size}, {"action": contract.outputs}
    if contract.recurrent_size:
        sizes_in["state"] = sizes_out["next_state"] = contract.recurrent_size
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in sizes.items()]
        for sizes in (sizes_in, sizes_out)
    ]
    body = helper.make_graph(graph.nodes, "policy", *values, initializer=graph.constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, producer_name="fledge", ir_version=IR_VERSION, opset_imports=opset)
    helper.set_model_props(model, _metadata(contract))
    onnx.checker.check_model(model, full_check=True)
    return model


def to_bytes(policy: Policy) -> bytes:
    """The file's bytes; the same for the same policy."""
    data: bytes = to_model(policy).SerializeToString(deterministic=True)
    return data


def save(policy: Policy, path: Path) -> None:
    """Write `path` atomically."""
    write_atomically(path, to_bytes(policy))


def load_contract(path: Path) -> Contract:
    """Contract of an exported model whose weights are the ones it was made with.

    Raises:
        OnnxFileError: no model, not one of ours, or contract and weights do not belong together.
        ContractError: the contract is damaged.
    """
    return load(path).contract


def load(path: Path) -> Policy:
    """The policy in an exported model; raises as `load_contract`."""
    try:
        model = onnx.load(path)
        arrays = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    except Exception as error:  # the file system's errors, and protobuf's own classes
        raise OnnxFileError(f"{path} cannot be read as ONNX ({error}); export the policy again") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if "contract" not in properties:
        raise OnnxFileError(f"{path} holds no contract; it was not written by `fledge export`")
    contract = parse(properties["contract"])
    if contract.sha256 != properties.get("contract_sha256"):
        raise OnnxFileError(f"{path}: the contract does not match its checksum; export the policy again")
    names = weight_shapes(contract.network, contract.observation_size, contract.outputs)
    try:
        return Policy(contract, {name: arrays[name] for name in names if name in arrays})
    except PolicyFileError as error:
        raise OnnxFileError(f"{path}: {error}; export the policy again") from error


def _mlp(graph: _Graph, policy: Policy, x: str) -> str:
    for index in range(len(policy.contract.network.hidden)):
        total = graph.dense(policy, x, f"dense{index}.weight", f"dense{index}.bias", name=f"dense{index}")
        x = graph.node(policy.contract.network.activation.capitalize(), total, name=f"hidden{index}")
    return x


def _gru(graph: _Graph, policy: Policy, x: str) -> str:
    """As in fledge_sim.policy: gates reset, update, candidate; h' = (1 - z) c + z h = c + z (h - c)."""
    hidden = policy.contract.network.hidden[0]
    parts = graph.constant("parts", np.array([2 * hidden, hidden], np.int64))
    halves = graph.constant("halves", np.array([hidden, hidden], np.int64))
    from_input = graph.dense(policy, x, "gru.weight_input", "gru.bias_input", name="from_input")
    from_state = graph.dense(policy, "state", "gru.weight_hidden", "gru.bias_hidden", name="from_state")
    gates_input, candidate_input = graph.split(from_input, parts, "gates_from_input", "candidate_from_input")
    gates_state, candidate_state = graph.split(from_state, parts, "gates_from_state", "candidate_from_state")
    gates = graph.node("Sigmoid", graph.node("Add", gates_input, gates_state, name="gates_sum"), name="gates")
    reset, update = graph.split(gates, halves, "reset", "update")
    kept = graph.node("Mul", reset, candidate_state, name="candidate_kept")
    candidate = graph.node("Tanh", graph.node("Add", candidate_input, kept, name="candidate_sum"), name="candidate")
    change = graph.node("Sub", "state", candidate, name="change")
    return graph.node("Add", candidate, graph.node("Mul", update, change, name="change_kept"), name="next_state")


def _metadata(contract: Contract) -> dict[str, str]:
    """The contract, and in key order what a reader wants to see without parsing it; lists are JSON."""
    terms = contract.observation
    return {
        "action": json.dumps(asdict(contract.action), sort_keys=True),
        "contract": contract.canonical_json(),
        "contract_sha256": contract.sha256,
        "inference_rate_hz": str(contract.inference_rate),
        "native_rate_hz": str(contract.native_rate),
        "observation_clips": json.dumps([term.clip for term in terms]),
        "observation_names": json.dumps([term.name for term in terms]),
        "observation_scales": json.dumps([term.scale for term in terms]),
        "observation_sizes": json.dumps([term.size for term in terms]),
        "observation_units": json.dumps([term.unit for term in terms]),
        "robot": contract.robot,
    }
