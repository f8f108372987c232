"""Law: an exported policy equals the trained one, whatever its kind, size, history and weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fledge_export import exact, onnx, parity
from fledge_export.c_text import float_literal
from fledge_export.layout import layers, normaliser, pack
from fledge_sim.policy import Policy
from hypothesis import given, settings
from hypothesis import strategies as st

MakePolicy = Callable[..., Policy]
Shape = tuple[str, tuple[int, ...], int]
SIZES = st.integers(1, 40)
SHAPES = st.one_of(
    st.tuples(st.just("gru"), st.tuples(SIZES), st.sampled_from([0, 4, 8, 32])),
    st.tuples(st.just("mlp"), st.lists(SIZES, min_size=1, max_size=3).map(tuple), st.sampled_from([0, 4, 8, 32])),
)
SEEDS = st.integers(0, 2**32 - 1)
GAINS = st.floats(0.01, 3.0)
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=SEEDS, gain=GAINS)
def test_the_exported_c_equals_the_trained_network(
    make_policy: MakePolicy, shape: Shape, seed: int, gain: float
) -> None:
    policy = make_policy(*shape, seed=seed, gain=gain)
    engines = {"host C": parity.host_engine(policy)}
    assert parity.compare(policy, engines, steps=10, seed=seed).failures("host C") == []


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=SEEDS, gain=GAINS)
def test_the_exported_graph_equals_the_trained_network(
    make_policy: MakePolicy, shape: Shape, seed: int, gain: float
) -> None:
    policy = make_policy(*shape, seed=seed, gain=gain)
    engines = {"onnxruntime": parity.onnx_engine(policy)}
    assert parity.compare(policy, engines, steps=10, seed=seed).failures() == []


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=SEEDS)
def test_the_contract_survives_the_onnx_file(make_policy: MakePolicy, shape: Shape, seed: int) -> None:
    policy = make_policy(*shape, seed=seed)
    with tempfile.TemporaryDirectory() as directory:
        onnx.save(policy, Path(directory) / "policy.onnx")
        assert onnx.load_contract(Path(directory) / "policy.onnx") == policy.contract


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=SEEDS)
def test_packing_loses_no_weight_and_adds_only_zeros(make_policy: MakePolicy, shape: Shape, seed: int) -> None:
    policy = make_policy(*shape, seed=seed)
    parts = [*normaliser(policy), *(array for layer in layers(policy).values() for array in layer)]
    expected = np.sort(np.concatenate([part.ravel() for part in parts]))
    packed = np.sort(pack(policy).values)
    np.testing.assert_array_equal(packed[packed != 0], expected[expected != 0])


@given(x=st.lists(FLOATS, min_size=1, max_size=50))
def test_the_rational_tanh_is_bounded_and_close_to_tanh(x: list[float]) -> None:
    values = np.array(x, np.float32)
    answer = exact.tanh(values)
    assert (np.abs(answer) <= 1).all()
    wide = np.where(np.isnan(values), 0, values).astype(np.float64)
    assert np.abs(answer - np.tanh(wide)).max() <= 5e-7


@given(x=st.lists(FLOATS, min_size=1, max_size=50))
def test_the_rational_tanh_is_odd(x: list[float]) -> None:
    values = np.array([value for value in x if value == value] or [0.0], np.float32)
    assert exact.tanh(-values).tobytes() == (-exact.tanh(values)).tobytes()


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_constant_in_c_is_the_float_it_came_from(value: float) -> None:
    text = float_literal(value)
    assert text.endswith("f")
    assert np.float32(float.fromhex(text[:-1])).tobytes() == np.float32(value).tobytes()
