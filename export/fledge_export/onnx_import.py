"""A policy from an ONNX model made elsewhere: torch, stable-baselines3, rsl_rl, or anything that writes their nodes.

The contract says what the numbers mean; the model brings the weights. A normaliser in the graph is folded into the
first layer, everything between the layers vanishes, and what is left must be an MLP or one GRU with a dense layer. The
policy clips observations as the contract says and bounds actions to [-1, 1]; inside these clips it equals the model.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy, Weights, assemble

from fledge_export import onnx as own
from fledge_export.affine import Float64, Form, Variables
from fledge_export.onnx_errors import OnnxImportError
from fledge_export.onnx_forms import Graph
from fledge_export.recognise import Recognised, recognise

OLDEST_OPSET = 9
MAX_INPUT = 4096
"""Numbers of one input; a policy has a few hundred."""


def load(path: Path, contract: Contract | None = None) -> Policy:
    """The policy in an ONNX file.

    Args:
        path: of the model.
        contract: what its inputs and outputs mean; not needed for a model that `fledge export` wrote. Its weights'
            checksum is filled in.
    Raises:
        OnnxImportError: no model, or one that is no policy under this contract; names the node.
    """
    model = read_model(path)
    try:
        if any(entry.key == "contract" for entry in model.metadata_props):
            return _own(path, contract)
        if contract is None:
            raise OnnxImportError(
                "the model carries no contract; say what its inputs and outputs mean with --contract FILE "
                "(`fledge import MODEL --draft FILE` writes one to begin with)"
            )
        shape, weights = translate(model, contract)
    except OnnxImportError as error:
        raise OnnxImportError(f"{path}: {error}") from error
    if shape != contract.network:
        raise OnnxImportError(
            f"{path}: the model is {describe(shape)}, the contract says {describe(contract.network)}; correct the "
            "contract's network"
        )
    return assemble(contract, weights)


def read_model(path: Path) -> Any:
    """onnx.ModelProto with all its weights. Raises OnnxImportError."""
    try:
        model = onnx.load(path)
    except Exception as error:  # the file system's errors, and protobuf's own classes
        if path.is_file() and "should be stored in" in str(error):
            raise OnnxImportError(f"{path} keeps its weights in another file; copy that file beside it") from error
        raise OnnxImportError(f"{path} cannot be read as ONNX ({_first_line(error)}); export it again") from error
    opset = _opset(model)
    if not model.graph.node or opset < OLDEST_OPSET:
        what = f"operator set {opset}" if model.graph.node else "no node"
        raise OnnxImportError(f"{path} has {what}; export the model again with operator set 13 or newer")
    return model


def translate(model: Any, contract: Contract) -> tuple[NetworkShape, Weights]:
    """Network and weights of a policy with the contract's observation and outputs. Raises OnnxImportError."""
    try:
        found, scales = _recognised(model, contract)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise OnnxImportError(f"the model is damaged ({_first_line(error)}); export it again") from error
    first = "gru.weight_input" if found.network.kind == "gru" else "dense0.weight"
    weights = {**found.weights, first: found.weights[first] / scales}
    with np.errstate(over="ignore"):
        arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    bad = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if bad:
        raise OnnxImportError(
            f"{bad} is not finite once the normaliser is folded in; a standard deviation is too small"
        )
    return found.network, arrays


def describe(network: NetworkShape) -> str:
    """mlp (64, 64) with relu, actions by clip"""
    activation = "" if network.kind == "gru" else f" with {network.activation}"
    sizes = ", ".join(map(str, network.hidden))
    return f"{network.kind} ({sizes}){activation}, actions by {network.squash}"


def observation_width(model: Any) -> int:
    """Numbers that the model observes, for a contract yet to be written: of the input called obs..., else the first."""
    widths = {str(entry.name): int(np.prod(_shape(entry))) for entry in _inputs(model)}
    if not widths:
        raise OnnxImportError("the model has no input")
    named = [name for name in widths if name.startswith("obs")]
    return widths[named[0] if named else next(iter(widths))]


def _own(path: Path, contract: Contract | None) -> Policy:
    """A model that carries its contract; one given beside it must be the same."""
    policy = own.load(path)
    if contract and contract.sha256 != policy.contract.sha256:
        raise OnnxImportError("the model carries another contract than the one given; leave --contract away")
    return policy


def _recognised(model: Any, contract: Contract) -> tuple[Recognised, Float64]:
    terms = contract.observation
    _check_order(model, [term.name for term in terms])
    variables = Variables()
    inputs = {entry.name: _input(entry, variables) for entry in _inputs(model)}
    observation = _observation(inputs, terms)
    clip, scales = (
        np.concatenate([np.full(term.size, np.float32(getattr(term, name)), np.float64) for term in terms])
        for name in ("clip", "scale")
    )
    variables.low[observation], variables.high[observation] = -clip, clip
    graph = Graph(model.graph, _opset(model), inputs, variables)
    names = [entry.name for entry in model.graph.output]
    chosen = next((name for name in ("action", "actions") if name in names), names[0])
    try:
        action = graph.form(chosen).flat()
        others = _others(graph, [name for name in names if name != chosen])
    except RecursionError as error:
        raise OnnxImportError("the model is too deep to be a policy") from error
    if action.offset.size != contract.outputs:
        rotors = isinstance(contract.action, ActionMapping)
        wanted = "a quadrotor has four motors" if rotors else f"the contract moves {contract.outputs} joints"
        raise OnnxImportError(f"output '{chosen}' has {action.offset.size} numbers; {wanted}")
    return recognise(action, others, observation, variables), scales


def _others(graph: Graph, names: Sequence[str]) -> list[Form]:
    """The outputs beside the action that can be read; a value or a log-probability need not be."""
    forms = []
    for name in names:
        try:
            forms.append(graph.form(name).flat())
        except (OnnxImportError, ValueError, TypeError):
            continue
    return forms


def _inputs(model: Any) -> list[Any]:
    """Without the weights, which old files list too."""
    constants = {entry.name for entry in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in constants]


def _input(entry: Any, variables: Variables) -> Form:
    shape = _shape(entry)
    if not 0 < np.prod(shape) <= MAX_INPUT:
        raise OnnxImportError(f"input '{entry.name}' has shape {shape}; a policy sees up to {MAX_INPUT} numbers")
    return variables.add("input", f"input '{entry.name}'", shape)


def _shape(entry: Any) -> tuple[int, ...]:
    """Of one sample: unknown sizes are the batch or the time, hence 1; so is a first size that was fixed."""
    dimensions = entry.type.tensor_type.shape.dim
    if not dimensions or not dimensions[-1].HasField("dim_value"):
        raise OnnxImportError(f"input '{entry.name}' does not say how many numbers it takes; export with a fixed width")
    shape = [size.dim_value if size.HasField("dim_value") else 1 for size in dimensions]
    if len(shape) == 2:
        shape[0] = 1
    return tuple(shape)


def _observation(inputs: Mapping[str, Form], terms: Sequence[ObservationTerm]) -> Float64:
    """Index of the variable of each observation element, in the contract's order."""
    width = sum(term.size for term in terms)
    by_term = [inputs[term.name] for term in terms if term.name in inputs]
    if len(by_term) == len(terms):
        for term, form in zip(terms, by_term, strict=True):
            if form.offset.size != term.size:
                raise OnnxImportError(f"input '{term.name}' takes {form.offset.size} numbers, the contract {term.size}")
        return np.concatenate([_indices(form) for form in by_term])
    fitting = [name for name, form in inputs.items() if form.offset.size == width]
    named = [name for name in fitting if name.startswith("obs")] or fitting
    if not fitting:
        sizes = ", ".join(f"'{name}' takes {form.offset.size}" for name, form in inputs.items()) or "there is none"
        order = ", ".join(f"{term.name} {term.size}" for term in terms)
        raise OnnxImportError(f"no input takes the contract's {width} numbers ({order}): {sizes}")
    if len(named) > 1:
        raise OnnxImportError(f"inputs {', '.join(named)} all take {width} numbers; name the observation 'observation'")
    return _indices(inputs[named[0]])


def _indices(form: Form) -> Float64:
    indices: Float64 = form.flat().linear.argmax(axis=1)
    return indices


def _check_order(model: Any, expected: Sequence[str]) -> None:
    """A model that lists its observation in `observation_names`, by the contract's names, must list it in its order."""
    for entry in model.metadata_props:
        if entry.key == "observation_names":
            try:
                names = json.loads(entry.value)
            except ValueError:
                names = [name.strip() for name in entry.value.split(",")]
            if isinstance(names, list) and sorted(map(str, names)) == sorted(expected) and names != list(expected):
                raise OnnxImportError(
                    f"the model observes {', '.join(names)}, the contract {', '.join(expected)}; put them in one order"
                )


def _opset(model: Any) -> int:
    return int(next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def with_network(contract: Contract, model: Any) -> Contract:
    """The contract with the network that the model turns out to have. Raises OnnxImportError."""
    shape, _ = translate(model, contract)
    return dataclasses.replace(contract, network=shape)


def read_contract(path: Path) -> Contract:
    """Contract from a JSON file, or out of a policy file or an exported model. Raises FledgeError."""
    from fledge_sim import policy as policies
    from fledge_sim.contract import ContractError, parse

    if path.suffix == ".npz":
        return policies.load(path).contract
    if path.suffix == ".onnx":
        return own.load_contract(path)
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise FledgeError(f"contract {path} cannot be read ({error.strerror or error}); --draft writes one") from error
    except ContractError as error:
        raise ContractError(f"{path}: {error}") from error
