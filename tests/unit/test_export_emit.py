"""What the emitted header says, and where the packed layout puts each number."""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from fledge_export import exact, golden
from fledge_export.emit_c import EmitError, emit, weights_crc32
from fledge_export.layout import Layout, pack, padded
from fledge_sim import policy as policies
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy, forward

MakePolicy = Callable[..., Policy]


def macros(header: str) -> dict[str, str]:
    return dict(re.findall(r"#define (POLICY_\w+) ([^ \n]+)", header))


def test_the_header_says_what_the_contract_says(make_policy: MakePolicy) -> None:
    policy = make_policy("mlp", (8,), 3)
    values = macros(emit(policy).header)
    # 3 + 9 + 3 + 3 = 18, and 3 past actions of 4: 30
    assert (values["POLICY_INPUT_SIZE"], values["POLICY_STATE_SIZE"], values["POLICY_HISTORY_LENGTH"]) == (
        "30",
        "0",
        "3",
    )
    assert (values["POLICY_NATIVE_RATE"], values["POLICY_INFERENCE_RATE"]) == ("100", "500")
    assert int(values["POLICY_CONTRACT_HASH32"].rstrip("u"), 16) == policy.contract.hash32
    assert values["POLICY_CONTRACT_SHA256"] == f'"{policy.contract.sha256}"'
    offsets = [values[f"POLICY_OFFSET_{name}"] for name in ("POSITION_ERROR", "ROTATION", "VELOCITY_ERROR")]
    assert offsets == ["0", "3", "12"]
    assert (values["POLICY_OFFSET_ANGULAR_VELOCITY"], values["POLICY_OFFSET_ACTION_HISTORY"]) == ("15", "18")
    assert float.fromhex(values["POLICY_ACTION_LOW"].rstrip("f")) == 0.125
    assert float.fromhex(values["POLICY_ACTION_HOVER"].rstrip("f")) == -0.25
    assert values["POLICY_ACTION_KIND"] == "1"
    assert float.fromhex(values["POLICY_ENVELOPE_VELOCITY"].rstrip("f")) == 4.0


def test_an_absent_term_has_offset_minus_one(make_policy: MakePolicy) -> None:
    assert macros(emit(make_policy("gru", (4,))).header)["POLICY_OFFSET_ACTION_HISTORY"] == "(-1)"


def test_a_robot_name_that_c_cannot_quote_is_refused(make_policy: MakePolicy) -> None:
    policy = make_policy("gru", (4,))
    contract = dataclasses.replace(policy.contract, robot='x"; int main;')
    with pytest.raises(EmitError, match="cannot be quoted"):
        emit(policies.assemble(contract, policy.weights))


WithLookAhead = Callable[..., Contract]


def with_zero_weights(contract: Contract) -> Policy:
    shapes = policies.weight_shapes(contract.network, contract.observation_size)
    return policies.assemble(contract, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})


def test_the_header_says_where_and_how_far_to_look_ahead(
    make_policy: MakePolicy, with_look_ahead: WithLookAhead
) -> None:
    values = macros(emit(with_zero_weights(with_look_ahead(make_policy("mlp", (8,), 3).contract, 5, 0.05))).header)
    # 18 of the state, 5 times 6 of the future, then the past
    assert (values["POLICY_OFFSET_LOOK_AHEAD"], values["POLICY_OFFSET_ACTION_HISTORY"]) == ("18", "48")
    assert values["POLICY_LOOK_AHEAD_COUNT"] == "5"
    assert float.fromhex(values["POLICY_LOOK_AHEAD_SPACING"].rstrip("f")) == pytest.approx(0.05)
    values = macros(emit(make_policy("mlp", (8,), 3)).header)
    assert (values["POLICY_OFFSET_LOOK_AHEAD"], values["POLICY_LOOK_AHEAD_COUNT"]) == ("(-1)", "0")


def test_a_look_ahead_in_longer_steps_than_the_firmware_takes_is_refused(
    make_policy: MakePolicy, with_look_ahead: WithLookAhead
) -> None:
    contract = with_look_ahead(make_policy("mlp", (8,)).contract, 2, 0.6)
    with pytest.raises(EmitError, match=r"look_ahead_spacing is 0\.6 s, the firmware looks ahead in steps of at most"):
        emit(with_zero_weights(contract))


@pytest.mark.parametrize(("outputs", "expected"), [(1, 4), (4, 4), (5, 8), (16, 16), (17, 20)])
def test_layers_are_padded_to_a_multiple_of_four(outputs: int, expected: int) -> None:
    assert padded(outputs) == expected


def test_a_layer_of_eighteen_is_one_wide_and_one_narrow_block(make_policy: MakePolicy) -> None:
    policy = make_policy("mlp", (18,))
    layout = pack(policy)
    weight, bias = policy.weights["dense0.weight"], policy.weights["dense0.bias"]
    start = layout.offsets["dense0"]
    assert start == 2 * 18  # clip and scale of 18 inputs
    wide = layout.values[start : start + 19 * 16].reshape(19, 16)
    np.testing.assert_array_equal(wide[0], bias[:16])
    np.testing.assert_array_equal(wide[5], weight[:16, 4])
    narrow = layout.values[start + 19 * 16 : start + 19 * 20].reshape(19, 4)
    np.testing.assert_array_equal(narrow[5], [weight[16, 4], weight[17, 4], 0, 0])
    assert layout.offsets["output"] == start + 19 * 20


def test_the_checksum_is_zlibs_over_little_endian_floats() -> None:
    # 1.0 is 3f800000: bytes 00 00 80 3f
    assert weights_crc32(Layout(np.array([1.0], np.float32), {})) == zlib.crc32(b"\x00\x00\x80\x3f")


@pytest.mark.parametrize("shape", [("gru", (16,), 0), ("mlp", (9, 8), 4)])
def test_golden_vectors_are_the_trained_networks_answers(
    make_policy: MakePolicy, shape: tuple[str, tuple[int, ...], int]
) -> None:
    policy = make_policy(*shape)
    vectors = golden.make(policy)
    inputs = np.nan_to_num(vectors.inputs.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    action, state = forward(policy, inputs, vectors.states[:-1].astype(np.float64))
    np.testing.assert_allclose(vectors.outputs, action, atol=1e-6)
    np.testing.assert_allclose(vectors.states[1:], state, atol=1e-6)
    assert np.isnan(vectors.inputs[golden.EDGE_VECTOR]).any()
    assert np.ptp(vectors.outputs, axis=0).min() > 0.01  # vectors that all answer alike would prove little


def test_the_specification_clamps_what_is_no_number(make_policy: MakePolicy) -> None:
    policy = make_policy("mlp", (5,))
    clip = np.concatenate([np.full(term.size, term.clip) for term in policy.contract.observation])
    empty = np.empty((1, 0), np.float32)

    def answer(value: float) -> bytes:
        return exact.step(policy, np.full((1, 18), value, np.float32), empty)[0].tobytes()

    assert answer(np.nan) == answer(0.0)
    assert answer(np.inf) == answer(3e38) == exact.step(policy, clip[None].astype(np.float32), empty)[0].tobytes()
    assert answer(-np.inf) != answer(np.inf)
