"""Networks with other elementwise functions than tanh: C, onnxruntime and the float64 reference agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from fledge_export import exact, parity
from fledge_sim import policy as policies
from fledge_sim.contract import NetworkShape
from fledge_sim.policy import Policy

MakePolicy = Callable[..., Policy]
Activation = Literal["tanh", "relu", "elu"]
Squash = Literal["tanh", "clip"]


def with_functions(policy: Policy, activation: Activation, squash: Squash) -> Policy:
    network = dataclasses.replace(policy.contract.network, activation=activation, squash=squash)
    return policies.assemble(dataclasses.replace(policy.contract, network=network), policy.weights)


@pytest.mark.parametrize("squash", ["tanh", "clip"])
@pytest.mark.parametrize("activation", ["relu", "elu", "tanh"])
def test_a_network_with_any_functions_is_exported_exactly(
    make_policy: MakePolicy, activation: Activation, squash: Squash
) -> None:
    policy = with_functions(make_policy("mlp", (18, 7), history=2, gain=2.0), activation, squash)
    engines = {"host C": parity.host_engine(policy), "onnxruntime": parity.onnx_engine(policy)}
    assert parity.compare(policy, engines, steps=40).failures("host C") == []


def test_a_gru_may_clip_its_output(make_policy: MakePolicy) -> None:
    policy = with_functions(make_policy("gru", (9,), gain=3.0), "tanh", "clip")
    engines = {"host C": parity.host_engine(policy), "onnxruntime": parity.onnx_engine(policy)}
    table = parity.compare(policy, engines, steps=40)
    assert table.failures("host C") == []


def test_elu_is_close_to_its_definition_and_relu_is_its_definition() -> None:
    x = np.concatenate([np.linspace(-30, 30, 4001), [0.0, -0.0, -1e-40, 1e30, -1e30]]).astype(np.float32)
    wide = x.astype(np.float64)
    elu = exact.activate(NetworkShape("mlp", (1,), "elu"), x)
    np.testing.assert_allclose(elu, np.where(wide > 0, wide, np.expm1(np.minimum(wide, 0))), rtol=0, atol=1e-6)
    relu = exact.activate(NetworkShape("mlp", (1,), "relu"), x)
    np.testing.assert_array_equal(relu, np.maximum(x, 0))
    assert not np.signbit(relu).any()


def test_the_hash_of_a_network_of_tanh_alone_says_nothing_of_functions(make_policy: MakePolicy) -> None:
    """So that contracts made before there was a choice keep their hash."""
    plain = make_policy("mlp", (8,))
    assert "activation" not in plain.contract.canonical_json()
    other = with_functions(plain, "relu", "clip")
    assert '"activation":"relu"' in other.contract.canonical_json()
    assert other.contract.sha256 != plain.contract.sha256
