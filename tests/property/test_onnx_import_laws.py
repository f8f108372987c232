"""Laws of importing: it undoes exporting for any network, and no damaged file does worse than a refusal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import onnx, onnx_import
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy, forward
from hypothesis import given, settings
from hypothesis import strategies as st

MakePolicy = Callable[..., Policy]
SIZES = st.integers(1, 24)
SHAPES = st.one_of(
    st.tuples(st.just("gru"), st.tuples(SIZES), st.sampled_from([0, 2])),
    st.tuples(st.just("mlp"), st.lists(SIZES, min_size=1, max_size=3).map(tuple), st.sampled_from([0, 2])),
)
SEEDS = st.integers(0, 2**32 - 1)


def stripped(policy: Policy) -> bytes:
    """The exported graph without its metadata: anybody's model."""
    model = onnx.to_model(policy)
    del model.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=SEEDS)
def test_importing_undoes_exporting(
    make_policy: MakePolicy, shape: tuple[str, tuple[int, ...], int], seed: int
) -> None:
    policy = make_policy(*shape, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(stripped(policy))
        found = onnx_import.load(path, policy.contract)
    generator = np.random.default_rng(seed)
    observation = generator.uniform(-40, 40, (20, policy.contract.observation_size))
    state = generator.uniform(-1, 1, (20, policy.contract.recurrent_size))
    for ours, theirs in zip(forward(found, observation, state), forward(policy, observation, state), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def models(make_policy: MakePolicy) -> list[bytes]:
    return [stripped(make_policy("gru", (3,))), stripped(make_policy("mlp", (5, 4), history=1))]


@settings(max_examples=150, deadline=None)
@given(
    which=st.integers(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_a_damaged_model_is_a_policy_or_is_refused_in_one_line(
    make_policy: MakePolicy, models: list[bytes], which: int, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(models[which])
    for place, value in changes:
        data[int(place * len(data))] = value
    contract = make_policy("gru", (3,)).contract if which == 0 else make_policy("mlp", (5, 4), history=1).contract
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(data[: int(kept * len(data))])
        try:
            said = str(onnx_import.load(path, contract).contract.robot)
        except FledgeError as error:
            said = str(error)
    assert said
    assert "\n" not in said
