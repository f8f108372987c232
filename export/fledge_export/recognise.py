"""From what a graph computes (affine.py) to the layers of a policy, or to the node that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from fledge_sim.contract import NetworkShape

from fledge_export.affine import Block, Float64, Form, Variables
from fledge_export.onnx_errors import POLICY, OnnxImportError

ACTIVATIONS = ("tanh", "relu", "elu")
SAME = 1e-9
"""Coefficients closer than this are equal: float32 weights composed in float64."""


@dataclass(frozen=True)
class Recognised:
    """A policy network over raw observations."""

    network: NetworkShape
    weights: dict[str, Float64]
    """As in fledge_sim.policy, for observations that are not scaled."""
    next_state: Form | None = None
    """Of a gru: what must be handed back at the next call."""


@dataclass(frozen=True)
class Gates:
    """One GRU step over raw observation x and state h; all blocks have the state's size."""

    reset: Block
    update: Block
    update_sign: float
    """-1: the graph's update gate is one minus a policy's."""
    candidate: Block
    product: Block
    """reset * (what comes from the state)"""


def recognise(action: Form, others: Sequence[Form], observation: Float64, variables: Variables) -> Recognised:
    """The network behind `action`.

    Args:
        action: (O,) forms.
        others: flat forms of the graph's other outputs, among them the next state of a gru.
        observation: index of the variable of each observation element, contract order.
        variables: all of them.
    Raises:
        OnnxImportError: naming the node that is no part of such a network.
    """
    squash, total = _squashed(action, variables)
    for state in _inputs(variables, observation):
        for following in others:
            if following.offset.size == state.size and (gates := _gates(following, state, variables)):
                return _gru(squash, total, following, gates, state, observation, variables)
    return _mlp(squash, total, observation, variables)


def _squashed(action: Form, variables: Variables) -> tuple[Literal["tanh", "clip"], Form]:
    """How the graph bounds its actions, and the sums before; sums without a bound are clipped as every action is."""
    sources = variables.sources(action)
    if len(sources) == 1 and sources[0].kind in ("tanh", "clip"):
        block = sources[0]
        rows = action.over(variables.count)[:, block.slice]
        if np.isin(rows, (0.0, 1.0)).all() and (rows.sum(axis=1) == 1).all() and not action.offset.any():
            chosen = rows.argmax(axis=1)
            if block.limits is not None:
                _check_limits(block, chosen)
            operand = block.operands[0]
            return "clip" if block.limits is not None else "tanh", operand.take(chosen)
    return "clip", action


def _check_limits(block: Block, chosen: Float64) -> None:
    assert block.limits is not None
    if not (np.allclose(block.limits[0][chosen], -1) and np.allclose(block.limits[1][chosen], 1)):
        low, high = block.limits[0].min(), block.limits[1].max()
        raise OnnxImportError(f"{block.node} clips to {low:g}..{high:g}; actions are clipped to -1..1, nothing else is")


def _mlp(squash: Literal["tanh", "clip"], total: Form, observation: Float64, variables: Variables) -> Recognised:
    layers: list[tuple[Float64, Float64]] = []
    kinds: list[str] = []
    nodes: list[str] = []
    while (block := _only_source(total, observation, variables)) is not None:
        layers.append((total.over(variables.count)[:, block.slice], total.offset))
        kinds.append(block.kind)
        nodes.append(block.node)
        total = block.operands[0]
    layers.append((total.over(variables.count)[:, observation], total.offset))
    if not kinds:
        raise OnnxImportError("the model has no hidden layer; a policy has at least one, with tanh, relu or elu")
    if len(set(kinds)) > 1:
        raise OnnxImportError(f"hidden layers end in {' and '.join(nodes)}; a policy has the same function behind each")
    weights = {}
    for index, (weight, bias) in enumerate(reversed(layers)):
        name = f"dense{index}" if index < len(kinds) else "output"
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight, bias
    hidden = tuple(int(weight.shape[1]) for weight, _ in reversed(layers[:-1]))
    activation: Literal["tanh", "relu", "elu"] = kinds[0]  # type: ignore[assignment]
    return Recognised(NetworkShape("mlp", hidden, activation, squash), weights)


def _only_source(total: Form, observation: Float64, variables: Variables) -> Block | None:
    """The hidden layer that `total` is a linear map of; None: of the observation."""
    sources = variables.sources(total)
    beside = [block for block in sources if block.kind == "input" and not np.isin(block.start, observation)]
    if beside:
        raise OnnxImportError(
            f"{beside[0].node} is neither the observation nor the state of a GRU whose next value is an output; "
            "export a model of observation and state only"
        )
    hidden = [block for block in sources if block.kind != "input"]
    if not hidden:
        return None
    strange = next((block for block in hidden if block.kind not in ACTIVATIONS), None)
    if strange is not None:
        raise OnnxImportError(f"{strange.node} cannot become part of a policy: {_reason(strange)}")
    if len(sources) > 1:
        names = " and ".join(block.node for block in sources[-2:])
        raise OnnxImportError(f"{names} meet in one layer; a policy's layers follow one another, without a short cut")
    return hidden[0]


def _reason(block: Block) -> str:
    if block.kind == "clip" and block.limits is not None:
        bounds = f"{block.limits[0].min():g}..{block.limits[1].max():g}"
        return (
            f"it clips to {bounds} in between; if it bounds the observation, let the contract's clip be as narrow, and "
            "it vanishes"
        )
    if block.kind == "foreign":
        return POLICY
    if block.kind == "sigmoid":
        return "sigmoid exists in a GRU only; use tanh, relu or elu"
    return "it multiplies two things that both depend on the input, outside of one GRU with its state as output"


def _inputs(variables: Variables, observation: Float64) -> list[Block]:
    """Inputs that are not the observation."""
    return [block for block in variables.blocks if block.kind == "input" and block.start not in observation]


def _gates(following: Form, state: Block, variables: Variables) -> Gates | None:
    """The gates, if `following` is (1 - z) c + z h with h the state, element by element."""
    blocks = variables.sources(following)
    candidates = [block for block in blocks if block.kind == "tanh" and block.size == state.size]
    updates = [block for block in variables.blocks if block.kind == "sigmoid" and block.size >= state.size]
    for candidate in candidates:
        for update in updates:
            for shift in range(0, update.size - state.size + 1, state.size):
                sign = _update_sign(following, state, candidate, update.start + shift, variables)
                if sign:
                    part = _part(update, shift, state.size)
                    return _with_reset(part, sign, candidate, variables)
    return None


def _update_sign(following: Form, state: Block, candidate: Block, update: int, variables: Variables) -> float:
    """1: c + z (h - c). -1: h + z (c - h). 0: neither."""
    linear = following.over(variables.count)
    for sign in (1.0, -1.0):
        kept, fresh = (state.start, candidate.start) if sign > 0 else (candidate.start, state.start)
        expected = np.zeros_like(linear)
        for row in range(state.size):
            with_kept = variables.monomial(update + row, kept + row)
            with_fresh = variables.monomial(update + row, fresh + row)
            if with_kept is None or with_fresh is None:
                return 0.0
            expected[row, fresh + row] += 1
            expected[row, with_kept] += 1
            expected[row, with_fresh] -= 1
        if np.abs(linear - expected).max() < SAME and np.abs(following.offset).max() < SAME:
            return sign
    return 0.0


def _part(block: Block, shift: int, size: int) -> Block:
    """`size` variables of a block, with their operands."""
    rows = np.arange(shift, shift + size)
    return Block(block.kind, block.node, block.start + shift, size, tuple(form.take(rows) for form in block.operands))


def _with_reset(update: Block, sign: float, candidate: Block, variables: Variables) -> Gates:
    """Reset gate and its product out of the candidate's sum."""
    total = candidate.operands[0]
    products = [block for block in variables.sources(total) if block.kind == "product"]
    if len(products) != 1 or products[0].size != candidate.size:
        raise OnnxImportError(
            f"{candidate.node}: the reset gate of this GRU does not multiply W h + b as a whole (linear_before_reset "
            "= 1), the only kind a policy knows"
        )
    product = products[0]
    if not np.array_equal(total.over(variables.count)[:, product.slice], np.eye(product.size)):
        raise OnnxImportError(f"{product.node} is scaled on its way into the GRU's candidate; a policy cannot")
    for gate in product.operands:
        sources = variables.sources(gate)
        if len(sources) == 1 and sources[0].kind == "sigmoid" and not gate.offset.any():
            rows = gate.over(variables.count)[:, sources[0].slice]
            shift = int(rows[0].argmax())
            if np.array_equal(rows[:, shift : shift + candidate.size], np.eye(candidate.size)):
                return Gates(_part(sources[0], shift, candidate.size), update, sign, candidate, product)
    raise OnnxImportError(f"{product.node} is no product with a sigmoid gate; a policy's GRU has one")


def _gru(
    squash: Literal["tanh", "clip"],
    total: Form,
    following: Form,
    gates: Gates,
    state: Block,
    observation: Float64,
    variables: Variables,
) -> Recognised:
    fresh = gates.candidate.slice if gates.update_sign > 0 else state.slice
    output = total.over(variables.count)[:, fresh]
    rest = total.over(variables.count) - output @ following.over(variables.count)
    for block in variables.blocks:
        if np.abs(rest[:, block.slice]).max(initial=0.0) > SAME:
            raise OnnxImportError(
                f"{block.node} stands beside or behind the GRU; a recurrent policy has one dense layer behind its state"
            )
    reset, update = gates.reset.operands[0], gates.update.operands[0]
    kept = next(form for form in gates.product.operands if gates.reset.start not in _used(form, variables))
    sums = [(reset, 1.0), (update, gates.update_sign), (gates.candidate.operands[0], 1.0)]
    for form, _ in (*sums, (kept, 1.0)):
        _check_inputs(form, gates, state, observation, variables)
    from_input = [sign * form.over(variables.count)[:, observation] for form, sign in sums]
    from_state = [sign * form.over(variables.count)[:, state.slice] for form, sign in (*sums[:2], (kept, 1.0))]
    if np.abs(gates.candidate.operands[0].over(variables.count)[:, state.slice]).max() > SAME:
        raise OnnxImportError(f"{gates.candidate.node} sees the state past its reset gate; a policy's GRU does not")
    if np.abs(kept.over(variables.count)[:, observation]).max() > SAME:
        raise OnnxImportError(f"{gates.product.node}: the reset gate also multiplies the observation's part")
    weights = {
        "gru.weight_input": np.concatenate(from_input),
        "gru.weight_hidden": np.concatenate(from_state),
        "gru.bias_input": np.concatenate([sign * form.offset for form, sign in sums]),
        "gru.bias_hidden": np.concatenate([np.zeros(2 * state.size), kept.offset]),
        "output.weight": output,
        "output.bias": total.offset,
    }
    return Recognised(NetworkShape("gru", (state.size,), "tanh", squash), weights, following)


def _used(form: Form, variables: Variables) -> list[int]:
    return [index for block in variables.sources(form) for index in range(block.start, block.start + block.size)]


def _check_inputs(form: Form, gates: Gates, state: Block, observation: Float64, variables: Variables) -> None:
    for block in variables.sources(form):
        known = block in (state, gates.product) or (block.kind == "input" and block.start in observation)
        if not known:
            raise OnnxImportError(
                f"{block.node} stands before the GRU; a recurrent policy's GRU sees the scaled observation itself"
            )
