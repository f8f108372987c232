"""Contracts keep their hashes, policy files their bytes: what was flashed or written earlier stays what it is."""

import dataclasses
import hashlib
from collections.abc import Callable

import pytest
from fledge_sim import policy as policies
from fledge_sim.contract import Contract, NetworkShape
from fledge_sim.policy import Policy

MakePolicy = Callable[..., Policy]


@pytest.mark.parametrize(
    ("kind", "hidden", "history", "contract", "file"),
    [
        ("gru", (16,), 0, "36f612ca93e7cdf81bf23c450b6eaf8011aed082e44a091c34a45b611cf87b27", "9632152c897507db"),
        ("mlp", (64, 64), 32, "f9ec202d1a0f882d5d1a1f19f4a62d540bb189adf4e59d7f9bd733e4c22cf6d8", "4b050d79cded94a4"),
    ],
)
def test_a_quadrotor(
    kind: str, hidden: tuple[int, ...], history: int, contract: str, file: str, make_policy: MakePolicy
) -> None:
    policy = make_policy(kind, hidden, history)
    assert policy.contract.sha256 == contract
    assert hashlib.sha256(policies.to_bytes(policy)).hexdigest().startswith(file)


def test_a_quadrotor_that_looks_ahead(make_policy: MakePolicy, with_look_ahead: Callable[..., Contract]) -> None:
    ahead = with_look_ahead(make_policy("mlp", (8,), 1).contract, 2)
    ahead = dataclasses.replace(ahead, network=NetworkShape("mlp", (8,), "relu", "clip"))
    assert ahead.sha256 == "a20e3cf2c42c138274792bb1b70cc0868f898bec7297bfe6b86db60f30a08f67"


def test_an_arm(make_arm_policy: MakePolicy) -> None:
    policy = make_arm_policy("mlp", (96, 64), touch=96)
    assert policy.contract.sha256 == "9e4836bce3892ec298ef4bee38d05ad86e363c1d210affabbc288d53bb205610"
