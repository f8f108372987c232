"""Policy -> policy.c and policy.h: self-contained C99 without libc, heap or double, the same bytes for the same policy.

float32 here, integers in emit_integer.py. The texts in templates/ hold the arithmetic; this module fills in sizes,
constants and golden vectors. The interface of the two files is firmware/policy/README.md.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import ActionMapping, NetworkShape
from fledge_sim.policy import Policy

from fledge_export import emit_integer, exact, golden
from fledge_export.c_text import fill, float_literal, rows
from fledge_export.emit_integer import golden_arrays
from fledge_export.header import EmitError, header
from fledge_export.layout import Layout, first_layer_ranges, layers, normaliser, pack, padded
from fledge_export.quantized import is_quantised


@dataclass(frozen=True)
class EmittedC:
    """The two files, complete."""

    header: str
    source: str


def emit(policy: Policy) -> EmittedC:
    """Header and source. Raises FledgeError for weights whose sums could overflow, or a name C cannot quote."""
    reuse_size = padded(policy.contract.network.hidden[0]) if reuses_history(policy) else 0
    head = header(policy.contract, _describe(policy), reuse_size)
    if is_quantised(policy):
        return EmittedC(head, emit_integer.source(policy, _describe(policy)))
    _check_headroom(policy)
    layout = pack(policy)
    kind = policy.contract.network.kind
    source = fill(
        "policy.c",
        network=_describe(policy),
        weight_count=layout.values.size,
        golden_count=golden.COUNT,
        weights=rows([float_literal(value) for value in layout.values]),
        weights_crc32=f"{weights_crc32(layout):08x}",
        clamp=fill("clamp.c"),
        functions=_functions(policy.contract.network),
        dense=fill("dense.c"),
        step=_mlp_step(policy, layout) if kind == "mlp" else _gru_step(policy, layout),
        goldens=golden_arrays(golden.make(policy)),
        checks=fill("checks.c"),
        self_test=fill("reuse_self_test.c" if reuses_history(policy) else f"{kind}_self_test.c"),
    )
    return EmittedC(head, source)


def weights_crc32(layout: Layout) -> int:
    """CRC-32 of the constants as little-endian bytes."""
    return zlib.crc32(layout.values.astype("<f4").tobytes())


def _mlp_step(policy: Policy, layout: Layout) -> str:
    network, offsets = policy.contract.network, layout.offsets
    ranges = first_layer_ranges(policy.contract)
    numbers = {"offset_dense0": offsets["dense0"], "outputs_dense0": padded(network.hidden[0])}
    text = fill(
        "mlp_step.c",
        scratch=max(policy.contract.observation_size, *map(padded, (*network.hidden, policy.contract.outputs))),
        layers=_later_layers(policy, layout),
        normalise=_normalise(ranges),
        **numbers,
    )
    if not reuses_history(policy):
        return text
    start, size = ranges[0]
    newest = [(start + size - 4, 4), *ranges[1:]]
    return text + fill(
        "reuse.c",
        normalise_rest=_normalise(newest),
        offset_dense0=offsets["dense0"],
        hover_sums=rows([f"0x{bits:08x}u" for bits in exact.hover_sums(policy).view(np.uint32)]),
    )


def _later_layers(policy: Policy, layout: Layout) -> str:
    """From the sums of the first layer in layer_b to the sums of the output."""
    network = policy.contract.network
    source, target = "layer_b", "layer_a"
    lines = [f"{network.activation}_each({source}, {network.hidden[0]});"]
    for index, outputs in enumerate(network.hidden[1:], 1):
        start, width = layout.offsets[f"dense{index}"], network.hidden[index - 1]
        lines.append(f"dense(policy_weights + {start}, {source}, {width}, {target}, {padded(outputs)});")
        lines.append(f"{network.activation}_each({target}, {outputs});")
        source, target = target, source
    lines += _output(policy, layout, source, str(network.hidden[-1]), target)
    return "\n".join("    " + line for line in lines)


def _output(policy: Policy, layout: Layout, source: str, width: str, scratch: str) -> list[str]:
    """The last layer, into `output` where its rows fill the kernel's passes, else by way of `scratch`."""
    rows, start = policy.contract.outputs, layout.offsets["output"]
    fills = rows == padded(rows)
    target, size = ("output", "POLICY_OUTPUT_SIZE") if fills else (scratch, str(padded(rows)))
    lines = [
        f"dense(policy_weights + {start}, {source}, {width}, {target}, {size});",
        f"{policy.contract.network.squash}_each({target}, POLICY_OUTPUT_SIZE);",
    ]
    copy = f"for (uint32_t i = 0; i < POLICY_OUTPUT_SIZE; i++) output[i] = {scratch}[i];"
    return lines if fills else [*lines, copy]


def _normalise(ranges: list[tuple[int, int]]) -> str:
    """Runs of inputs one after the other into layer_a."""
    places = [sum(size for _, size in ranges[:index]) for index in range(len(ranges))]
    lines = [
        f"    normalise(input, {start}, {size}, layer_a + {place});"
        for (start, size), place in zip(ranges, places, strict=True)
    ]
    return "\n".join(lines).replace("layer_a + 0)", "layer_a)")


def reuses_history(policy: Policy) -> bool:
    """Whether policy_step_reuse exists: float32, a first layer of its own, and past actions that stay.

    Not for an arm: none of its calls lies between two native steps.
    """
    contract = policy.contract
    stay = isinstance(contract.action, ActionMapping) and contract.history_length >= 2
    return contract.network.kind == "mlp" and stay and not is_quantised(policy)


def _gru_step(policy: Policy, layout: Layout) -> str:
    hidden, outputs = policy.contract.network.hidden[0], policy.contract.outputs
    return fill(
        "gru_step.c",
        hidden_padded=padded(hidden),
        gates_padded=padded(2 * hidden),
        gates_size="GATES_PADDED" if padded(outputs) <= padded(2 * hidden) else padded(outputs),
        output="\n".join("    " + line for line in _output(policy, layout, "state_next", "HIDDEN", "gates")),
        **{f"offset_{name}": offset for name, offset in layout.offsets.items() if name != "output"},
    )


def _functions(network: NetworkShape) -> str:
    """Elementwise functions that the network needs; an unused one would be a warning."""
    needed = {network.activation, network.squash}
    rational = ["tanh_rational"] if needed & {"tanh", "elu"} else []
    return "".join(fill(f"{name}.c") for name in (*rational, *sorted(needed, reverse=True)))


def _check_headroom(policy: Policy) -> None:
    """No sum may overflow: infinity minus infinity would be a NaN whose sign depends on the processor."""
    with np.errstate(over="ignore", invalid="ignore"):
        clip, scale = normaliser(policy)
        observed = float((clip.astype(np.float64) * scale).max())
    largest, bounded = 1.0, policy.contract.network.activation == "tanh"
    for name, (weight, bias) in layers(policy).items():
        first = name in ("dense0", "gates", "candidate_input")
        bound = max(observed, 1.0) if first else 1.0 if bounded else largest
        largest = max(1.0, float((np.abs(weight).sum(axis=1, dtype=np.float64) * bound + np.abs(bias)).max()))
        if not largest < 1e37:
            raise EmitError(f"layer {name} can overflow float32 (sums up to {largest:.1e}); the training run diverged")


def _describe(policy: Policy) -> str:
    network = policy.contract.network
    sizes = "-".join(str(size) for size in (policy.contract.observation_size, *network.hidden, policy.contract.outputs))
    return f"{network.kind} {sizes}, {policy.contract.quantisation}, {policy.parameter_count} weights."
