"""Policy -> policy.c and policy.h: self-contained C99 without libc, heap or double, the same bytes for the same policy.

float32 here, integers in emit_integer.py. The texts in templates/ hold the arithmetic; this module fills in sizes,
constants and golden vectors. The interface of the two files is firmware/policy/README.md.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import TERM_SIZES, Contract, NetworkShape
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_export import emit_integer, exact, golden
from fledge_export.c_text import fill, float_literal, rows
from fledge_export.emit_integer import golden_arrays
from fledge_export.layout import Layout, first_layer_ranges, layers, normaliser, pack, padded
from fledge_export.quantized import is_quantised

ACTION_KINDS = {"rotor_speed_fraction": 0, "thrust_fraction": 1, "duty": 2}
SPACING_MAX = 0.5
"""[s]; the flight code looks ahead in steps of at most that."""


class EmitError(FledgeError):
    """A policy that cannot become C."""


@dataclass(frozen=True)
class EmittedC:
    """The two files, complete."""

    header: str
    source: str


def emit(policy: Policy) -> EmittedC:
    """Header and source. Raises FledgeError for weights whose sums could overflow, or a name C cannot quote."""
    header = _header(policy)
    if is_quantised(policy):
        return EmittedC(header, emit_integer.source(policy, _describe(policy)))
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
    return EmittedC(header, source)


def weights_crc32(layout: Layout) -> int:
    """CRC-32 of the constants as little-endian bytes."""
    return zlib.crc32(layout.values.astype("<f4").tobytes())


def _header(policy: Policy) -> str:
    contract = policy.contract
    if not re.fullmatch(r"[A-Za-z0-9_. +-]+", contract.robot):
        raise EmitError(f"robot name {contract.robot!r} cannot be quoted in C; use letters, digits and '_. +-'")
    envelope = contract.envelope
    return fill(
        "policy.h",
        network=_describe(policy),
        has_reuse=int(reuses_history(policy)),
        reuse=fill("reuse.h", reuse_size=padded(contract.network.hidden[0])) if reuses_history(policy) else "",
        input_size=contract.observation_size,
        state_size=contract.recurrent_size,
        history_length=contract.history_length,
        native_rate=contract.native_rate,
        inference_rate=contract.inference_rate,
        hash32=f"{contract.hash32:08x}",
        sha256=contract.sha256,
        robot=contract.robot,
        offsets=_offsets(contract),
        look_ahead_count=sum(term.size // 6 for term in contract.observation if term.name == "look_ahead"),
        look_ahead_spacing=float_literal(contract.look_ahead_spacing),
        action_low=float_literal(contract.action.low),
        action_high=float_literal(contract.action.high),
        action_hover=float_literal(contract.action.hover),
        action_kind=ACTION_KINDS[contract.action.kind],
        envelope_position_error=float_literal(envelope.position_error),
        envelope_velocity=float_literal(envelope.velocity),
        envelope_angular_velocity=float_literal(envelope.angular_velocity),
    )


def _offsets(contract: Contract) -> str:
    if contract.look_ahead_spacing > SPACING_MAX:
        raise EmitError(
            f"look_ahead_spacing is {contract.look_ahead_spacing:g} s, the firmware looks ahead in steps of at most "
            f"{SPACING_MAX:g} s; train with more and nearer references"
        )
    starts: dict[str, int] = {}
    for term in contract.observation:
        starts[term.name] = sum(before.size for before in contract.observation[: len(starts)])
    lines = [f"#define POLICY_OFFSET_{name.upper()} {starts.get(name, '(-1)')}" for name in TERM_SIZES]
    return "\n".join(lines)


def _mlp_step(policy: Policy, layout: Layout) -> str:
    network, offsets = policy.contract.network, layout.offsets
    ranges = first_layer_ranges(policy.contract)
    numbers = {"offset_dense0": offsets["dense0"], "outputs_dense0": padded(network.hidden[0])}
    text = fill(
        "mlp_step.c",
        scratch=max(policy.contract.observation_size, *(padded(outputs) for outputs in network.hidden)),
        layers=_later_layers(policy, layout),
        squash=f"{network.squash}_each",
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
    start = layout.offsets["output"]
    lines.append(f"dense(policy_weights + {start}, {source}, {network.hidden[-1]}, output, POLICY_OUTPUT_SIZE);")
    return "\n".join("    " + line for line in lines)


def _normalise(ranges: list[tuple[int, int]]) -> str:
    """Runs of inputs one after the other into layer_a."""
    places = [sum(size for _, size in ranges[:index]) for index in range(len(ranges))]
    lines = [
        f"    normalise(input, {start}, {size}, layer_a + {place});"
        for (start, size), place in zip(ranges, places, strict=True)
    ]
    return "\n".join(lines).replace("layer_a + 0)", "layer_a)")


def reuses_history(policy: Policy) -> bool:
    """Whether policy_step_reuse exists: float32, a first layer of its own, and past actions that stay."""
    contract = policy.contract
    return contract.network.kind == "mlp" and contract.history_length >= 2 and not is_quantised(policy)


def _gru_step(policy: Policy, layout: Layout) -> str:
    hidden = policy.contract.network.hidden[0]
    return fill(
        "gru_step.c",
        hidden_padded=padded(hidden),
        gates_padded=padded(2 * hidden),
        **{f"offset_{name}": offset for name, offset in layout.offsets.items()},
        squash=f"{policy.contract.network.squash}_each",
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
    sizes = "-".join(str(size) for size in (policy.contract.observation_size, *network.hidden, 4))
    return f"{network.kind} {sizes}, {policy.contract.quantisation}, {policy.parameter_count} weights."
