"""Laws of networks in integers: C equals the reference for every network and input, no sum overflows, tanh is tanh."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fledge_export import bare, exact_integer, quantize
from fledge_export.calibration import Calibration
from fledge_export.emit_c import emit
from fledge_export.layout_integer import pack
from fledge_export.quantized import TANH_RANGE, integers, largest_z
from fledge_export.specification import stepper
from fledge_sim.policy import Policy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

MakePolicy = Callable[..., Policy]
Shape = tuple[str, tuple[int, ...], int]
SIZES = st.integers(1, 20)
SHAPES = st.one_of(
    st.tuples(st.just("gru"), st.tuples(SIZES), st.sampled_from([0, 4])),
    st.tuples(st.just("mlp"), st.lists(SIZES, min_size=1, max_size=3).map(tuple), st.sampled_from([0, 4, 8])),
)
FORMS = st.sampled_from(["int16", "int8"])
SEEDS = st.integers(0, 2**32 - 1)
GAINS = st.floats(0.01, 30.0)
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
Z = st.integers(-(2**31), 2**31 - 1)


def quantised(policy: Policy, form: str) -> Policy:
    generator = np.random.default_rng(0)
    observations = generator.normal(0, 0.5, (60, policy.contract.observation_size)).astype(np.float32)
    states = generator.uniform(-1, 1, (60, policy.contract.recurrent_size)).astype(np.float32)
    return quantize.quantize(policy, form, Calibration(observations, states, 0, 1, 60))


@settings(max_examples=8, deadline=None)
@given(shape=SHAPES, form=FORMS, seed=SEEDS, gain=GAINS, data=st.data())
def test_c_gives_the_integers_of_the_reference_for_any_network_and_input(
    make_policy: MakePolicy, shape: Shape, form: str, seed: int, gain: float, data: st.DataObject
) -> None:
    policy = quantised(make_policy(*shape, seed=seed, gain=gain), form)
    size, state_size = policy.contract.observation_size, policy.contract.recurrent_size
    wild = data.draw(arrays.arrays(np.float32, (6, size), elements=ANY_FLOAT))
    states = data.draw(arrays.arrays(np.float32, (18, state_size), elements=ANY_FLOAT))
    usual = np.random.default_rng(seed).normal(0, 1, (12, size)).astype(np.float32)
    first = next(iter(integers(policy).layers.values())).weight[:12, :size]
    worst = (np.sign(first) * integers(policy).clip).astype(np.float32)  # attain the largest sum of their row
    observations = np.vstack([wild, usual, worst])
    states = np.vstack([states, np.ones((len(worst), state_size), np.float32)])
    emitted = emit(policy)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "policy.c").write_text(emitted.source)
        (Path(name) / "policy.h").write_text(emitted.header)
        host = bare.HostPolicy(bare.build_library(Path(name), Path(name) / "p.so"), policy)
        found, expected = host.step(observations, states), stepper(policy)(observations, states)
        assert host.self_test() == 0
    assert found[0].tobytes() == expected[0].tobytes()
    assert found[1].tobytes() == np.ascontiguousarray(expected[1]).tobytes()
    assert (np.abs(found[0]) <= 1).all()
    assert (np.abs(found[1]) <= 1).all()


@settings(max_examples=10, deadline=None)
@given(shape=SHAPES, form=FORMS, seed=SEEDS, gain=GAINS)
def test_the_worst_input_of_every_row_stays_within_32_bits(
    make_policy: MakePolicy, shape: Shape, form: str, seed: int, gain: float
) -> None:
    """The input of largest magnitude with the signs of the row's weights: its sum is the bound, and that fits."""
    found = integers(quantised(make_policy(*shape, seed=seed, gain=gain), form))
    for layer in found.layers.values():
        worst = np.sign(layer.weight) * layer.amplitude
        sums = (layer.weight * worst).sum(axis=1)
        assert (sums == layer.largest_sum).all()
        assert (sums < 2**31).all()
        z = layer.offset + (sums * layer.factor >> 32)
        assert (np.abs(z) <= largest_z(layer)).all()
        assert (largest_z(layer) < 2**31).all()
        assert ((layer.factor >= 0) & (layer.factor < 2**31)).all()


@settings(max_examples=10, deadline=None)
@given(shape=SHAPES, form=FORMS, seed=SEEDS)
def test_packing_keeps_every_weight(make_policy: MakePolicy, shape: Shape, form: str, seed: int) -> None:
    policy = quantised(make_policy(*shape, seed=seed), form)
    found = integers(policy)
    words = pack(policy.contract.network, found).words
    stored = words.view("<i2") if form == "int16" else words.view("i1")
    for layer in found.layers.values():
        values, counts = np.unique(layer.weight[layer.weight != 0], return_counts=True)
        stored_values, stored_counts = np.unique(stored, return_counts=True)
        place = np.searchsorted(stored_values, values)
        assert (stored_values[place] == values).all()
        assert (stored_counts[place] >= counts).all()


@given(z=st.lists(Z, min_size=1, max_size=50), fraction=st.integers(12, 24))
def test_the_integer_tanh_is_tanh(z: list[int], fraction: int) -> None:
    values = np.array(z, np.int64)
    found = exact_integer.tanh(values, fraction) / 2**30
    expected = np.tanh(np.clip(TANH_RANGE * values / 2**fraction, -TANH_RANGE, TANH_RANGE))
    assert np.abs(found - expected).max() < 4e-6
    assert np.abs(found).max() < 1


@given(z=st.integers(1, 2**31 - 1))
def test_the_integer_tanh_is_odd_but_for_one_step_of_its_argument(z: int) -> None:
    up, down = exact_integer.tanh(np.array([z, -z], np.int64), 24)
    assert abs(up + down) <= 128  # 2^-23; a negative argument is rounded towards zero by one step


def test_the_integer_tanh_of_zero_is_zero() -> None:
    assert exact_integer.tanh(np.array([0]), 24).tolist() == [0]


def test_the_integer_tanh_everywhere_on_a_fine_grid() -> None:
    z = np.arange(-(2**24), 2**24, 97, dtype=np.int64)
    found = exact_integer.tanh(z, 24) / 2**30
    assert np.abs(found - np.tanh(TANH_RANGE * z / 2**24)).max() < 4e-6
    assert (np.diff(found) > -1e-8).all()
