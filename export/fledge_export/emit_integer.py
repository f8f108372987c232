"""policy.c of a quantised policy: integer kernels, the same source for the target and for this machine.

On the target the inner loop is a few lines of assembly, so that every compiler loads four words at a time; elsewhere
one-line stand-ins give the same integers.
"""

from __future__ import annotations

import zlib

from fledge_sim.policy import Policy

from fledge_export import exact_integer, golden
from fledge_export.c_text import bits_array, fill, rows
from fledge_export.layout_integer import IntegerLayout, octets, pack, padded_rows
from fledge_export.quantized import Quantized, integers, largest_candidate_z, largest_z

WEIGHTS_PER_WORD = {"int16": "two", "int8": "four"}


def source(policy: Policy, network: str) -> str:
    """policy.c; `network` describes it. Raises QuantizationError for integers that could overflow."""
    quantized = integers(policy)
    shape, form = policy.contract.network, quantized.grid.name
    layout = pack(shape, quantized)
    inner = max(octets(size) for size in shape.hidden)
    inputs = octets(policy.contract.observation_size)
    constants = {f"exponential_{index}": value for index, value in enumerate(exact_integer.EXPONENTIAL)}
    constants |= {f"ratio_{index}": value for index, value in enumerate(exact_integer.RATIO)}
    return fill(
        "integer.c",
        network=network,
        word_count=layout.words.size,
        golden_count=golden.COUNT,
        fraction=quantized.fraction,
        hidden_bits=quantized.grid.hidden_bits,
        input_octets=inputs,
        largest_octets=inputs + inner if shape.kind == "gru" else max(inputs, inner),
        largest_rows=max(padded_rows(size) for size in (*shape.hidden, policy.contract.outputs)),
        bounds=_bounds(quantized),
        per_word=WEIGHTS_PER_WORD[form],
        weights=rows([f"BITS(0x{word:08x})" for word in layout.words], 6),
        weights_crc32=f"{zlib.crc32(layout.words.astype('<u4').tobytes()):08x}",
        clamp=fill("clamp.c"),
        kernel=fill("integer_kernel.c", target=fill(f"{form}_target.c"), host=fill(f"{form}_host.c")),
        step=_mlp_step(policy, layout) if shape.kind == "mlp" else _gru_step(policy, layout),
        goldens=golden_arrays(golden.make(policy)),
        checks=fill("checks.c"),
        self_test=fill(f"{shape.kind}_self_test.c"),
        **constants,
    )


def golden_arrays(vectors: golden.GoldenVectors) -> str:
    """Tables of the golden vectors."""
    parts = [bits_array("golden_input[GOLDENS][POLICY_INPUT_SIZE]", vectors.inputs)]
    if vectors.states.shape[1]:
        parts.append(bits_array("golden_state[GOLDENS + 1][POLICY_STATE_SIZE]", vectors.states))
    parts.append(bits_array("golden_output[GOLDENS][POLICY_OUTPUT_SIZE]", vectors.outputs))
    return "/* Bits of floats; volatile reads keep the compiler from answering for the machine. */\n" + "\n".join(parts)


def _bounds(quantized: Quantized) -> str:
    lines = []
    for name, layer in quantized.layers.items():
        lines.append(f"FITS({name}_sum, {int(layer.largest_sum.max())}ll)")
        lines.append(f"FITS({name}_z, {int(largest_z(layer).max())}ll)")
    if "candidate_input" in quantized.layers:
        lines.append(f"FITS(candidate_z, {int(largest_candidate_z(quantized.layers).max())}ll)")
    return "\n".join(lines)


def _mlp_step(policy: Policy, layout: IntegerLayout) -> str:
    width, lines = policy.contract.observation_size, []
    for index, outputs in enumerate(policy.contract.network.hidden):
        size = padded_rows(outputs)
        lines.append(f"dense(policy_weights + {layout.offsets[f'dense{index}']}, x, {octets(width)}, z, {size});")
        lines += [f"tanh_each(z, {size});", f"narrow(z, 30, x, {size});"]
        width = outputs
    lines.append(f"dense(policy_weights + {layout.offsets['output']}, x, {octets(width)}, z, {_output_rows(policy)});")
    lines.append(f"tanh_each(z, {_output_rows(policy)});")
    return fill("integer_mlp_step.c", layers="\n".join("    " + line for line in lines))


def _output_rows(policy: Policy) -> str:
    """Rows of the last layer including its padding."""
    outputs = policy.contract.outputs
    return "POLICY_OUTPUT_SIZE" if outputs == padded_rows(outputs) else str(padded_rows(outputs))


def _gru_step(policy: Policy, layout: IntegerLayout) -> str:
    hidden, outputs = policy.contract.network.hidden[0], policy.contract.outputs
    return fill(
        "integer_gru_step.c",
        hidden_octets=octets(hidden),
        candidate_rows=padded_rows(hidden),
        gate_rows=padded_rows(2 * hidden),
        gates_size="GATE_ROWS" if padded_rows(outputs) <= padded_rows(2 * hidden) else padded_rows(outputs),
        output_rows=_output_rows(policy),
        **{f"offset_{name}": offset for name, offset in layout.offsets.items()},
    )
