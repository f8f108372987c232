"""The grid of weights: numbers worked out by hand, and every way in which integers are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from fledge_export import quantize
from fledge_export.calibration import Calibration
from fledge_export.emit_c import emit
from fledge_export.quantized import integers
from fledge_sim import policy as policies
from fledge_sim.contract import NetworkShape
from fledge_sim.policy import Policy, PolicyFileError
from fledge_sim.quantization import (
    GRIDS,
    MULTIPLIER,
    QuantizationError,
    array_shapes,
    from_integers,
    input_amplitude,
    largest_sum,
    row_scales,
    to_integers,
)

MakePolicy = Callable[..., Policy]


def made_up(policy: Policy, rows: int = 200, seed: int = 0) -> Calibration:
    """Calibration without flights: what matters here is the arithmetic."""
    generator = np.random.default_rng(seed)
    observations = generator.normal(0, 0.3, (rows, policy.contract.observation_size)).astype(np.float32)
    states = generator.uniform(-1, 1, (rows, policy.contract.recurrent_size)).astype(np.float32)
    return Calibration(observations, states, seed, 1, rows)


@pytest.fixture(scope="module")
def policy(make_policy: MakePolicy) -> Policy:
    return make_policy("mlp", (9, 8), 4)


def test_the_largest_weight_of_a_row_takes_the_last_level() -> None:
    weight = np.array([[1.27, -0.5], [0.0, 0.254]])
    scale = row_scales(weight, np.ones(2), np.array([100, 100]), GRIDS["int8"])
    np.testing.assert_allclose(scale, [0.01, 0.002])  # 1.27 / 127, 0.254 / 127
    integers = to_integers(weight, np.ones(2), scale, GRIDS["int8"])
    assert integers.tolist() == [[127, -50], [0, 127]]
    np.testing.assert_allclose(from_integers(integers, np.ones(2), scale), weight, atol=1e-12)


def test_halves_go_to_the_even_level() -> None:
    weight = np.array([[0.5, 1.5, -2.5, 127.0]])
    assert to_integers(weight, np.ones(4), np.ones(1), GRIDS["int8"]).tolist() == [[0, 2, -2, 127]]


def test_a_row_of_zeros_has_zero_scale_and_zero_integers() -> None:
    scale = row_scales(np.zeros((1, 3)), np.ones(3), np.full(3, 9), GRIDS["int16"])
    assert scale.tolist() == [0.0]
    assert to_integers(np.zeros((1, 3)), np.ones(3), scale, GRIDS["int16"]).tolist() == [[0, 0, 0]]


def test_the_accumulator_limits_the_levels_of_int16() -> None:
    """100 equal weights on inputs up to 32767: 2^31 / (100 * 32767) = 655.4 levels, less the rounding, not 32767."""
    weight, amplitude = np.ones((1, 100)), np.full(100, 32767)
    scale = row_scales(weight, np.ones(100), amplitude, GRIDS["int16"])
    found = to_integers(weight, np.ones(100), scale, GRIDS["int16"])
    assert 650 < found[0, 0] <= 655
    assert largest_sum(found, amplitude)[0] < 2**31


def test_the_largest_sum_is_attained() -> None:
    weight, amplitude = np.array([[3, -2, 0]]), np.array([10, 20, 30])
    assert largest_sum(weight, amplitude).tolist() == [70]  # 3 * 10 + (-2) * (-20)


def test_the_rule_is_the_same_on_tensors() -> None:
    generator = np.random.default_rng(0)
    weight, unit, amplitude = generator.normal(size=(5, 7)), generator.uniform(1, 2, 7), np.full(7, 30000)
    for grid in GRIDS.values():
        ours = row_scales(weight, unit, amplitude, grid)
        theirs = row_scales(torch.from_numpy(weight), torch.from_numpy(unit), torch.from_numpy(amplitude), grid)
        np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-12)


def test_an_input_never_exceeds_its_amplitude() -> None:
    clip, multiplier = np.array([0.6, 30.0], np.float32), np.array([54611.0, 1092.0], np.float32)
    assert input_amplitude(clip, multiplier).tolist() == [32767, 32760]  # 0.6f * 54611 = 32766.6, rounded up


def test_a_quantised_file_holds_its_scales() -> None:
    assert array_shapes(NetworkShape("gru", (5,)), 18, "float32") == {}
    assert array_shapes(NetworkShape("gru", (5,)), 18, "int8") == {
        MULTIPLIER: (18,),
        "output.row_scale": (4,),
        "gates.row_scale": (10,),
        "candidate_input.row_scale": (5,),
        "candidate_hidden.row_scale": (5,),
    }


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(QuantizationError, match=r"'int4'.*int16, int8"):
        array_shapes(NetworkShape("mlp", (5,)), 18, "int4")


@pytest.mark.parametrize("form", ["int16", "int8"])
@pytest.mark.parametrize("shape", [("gru", (5,), 0), ("mlp", (9, 8), 4)], ids=["gru", "mlp"])
def test_a_quantised_policy_is_another_policy_that_comes_back_from_its_file(
    make_policy: MakePolicy, shape: tuple[str, tuple[int, ...], int], form: str
) -> None:
    original = make_policy(*shape)
    quantised = quantize.quantize(original, form, made_up(original))
    assert quantised.contract.quantisation == form
    assert quantised.contract.hash32 != original.contract.hash32
    assert quantised.contract.training.config["calibration"] == {"seed": 0, "flights": 1, "steps": 200}
    assert quantised.parameter_count == original.parameter_count
    again = quantize.quantize(original, form, made_up(original))
    assert policies.to_bytes(again) == policies.to_bytes(quantised)
    found = integers(quantised)
    for layer in found.layers.values():
        assert np.abs(layer.weight).max() <= GRIDS[form].levels
        assert (layer.largest_sum < 2**31).all()


def test_integers_are_close_to_the_float_policy(policy: Policy) -> None:
    calibration = made_up(policy)
    for form, allowed in (("int16", 1e-3), ("int8", 1e-2)):
        assert quantize.error(quantize.quantize(policy, form, calibration), policy, calibration).mean < allowed


def test_compensated_rounding_beats_nearest_on_inputs_that_occur_together(policy: Policy) -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(500, 1)) + 0.1 * generator.normal(size=(500, 24))  # nearly one and the same
    weight = generator.normal(size=(16, 24))
    grid = GRIDS["int8"]
    scale = row_scales(weight, np.ones(24), np.full(24, 100), grid)
    nearest = to_integers(weight, np.ones(24), scale, grid)
    compensated = quantize.compensated(weight, scale, x.T @ x / len(x), grid)
    errors = [np.sqrt((((weight - w * scale[:, None]) @ x.T) ** 2).mean()) for w in (nearest, compensated)]
    assert errors[1] < 0.5 * errors[0]


def test_quantising_twice_is_refused(policy: Policy) -> None:
    quantised = quantize.quantize(policy, "int8", made_up(policy))
    with pytest.raises(QuantizationError, match="int8 already"):
        quantize.quantize(quantised, "int16", made_up(policy))


def changed(policy: Policy, name: str, change: Callable[[np.ndarray], None]) -> Policy:
    weights = {key: array.copy() for key, array in policy.weights.items()}
    change(weights[name])
    return policies.assemble(policy.contract, weights)


def test_a_weight_off_the_grid_is_refused(policy: Policy) -> None:
    quantised = quantize.quantize(policy, "int8", made_up(policy))

    def nudge(weight: np.ndarray) -> None:
        weight[2, 3] += 0.3 * np.abs(weight[2]).max() / 127

    with pytest.raises(QuantizationError, match="layer dense1: weights are not on the int8 grid"):
        emit(changed(quantised, "dense1.weight", nudge))


def test_a_scale_that_would_overflow_is_refused(policy: Policy) -> None:
    """Every weight of a row at the last level: 9 inputs of 2^13 times 32767 are 2.4e9, above 2^31 = 2.1e9."""
    quantised = quantize.quantize(policy, "int16", made_up(policy))
    scale = quantised.weights["dense1.row_scale"]

    def all_at_the_top(weight: np.ndarray) -> None:
        weight[2] = 32767 * scale[2] * 2**13

    with pytest.raises(QuantizationError, match=r"layer dense1: the sum of row 2 reaches 24.*32 bits"):
        emit(changed(quantised, "dense1.weight", all_at_the_top))


def test_inputs_beyond_16_bits_are_refused(policy: Policy) -> None:
    quantised = quantize.quantize(policy, "int16", made_up(policy))

    def finer(multiplier: np.ndarray) -> None:
        multiplier *= 1000

    with pytest.raises(QuantizationError, match="exceeds 16 bits"):
        emit(changed(quantised, MULTIPLIER, finer))


def test_gains_that_no_fixed_point_format_holds_are_refused(make_policy: MakePolicy) -> None:
    wild = make_policy("mlp", (9,), gain=1e7)
    with pytest.raises(QuantizationError, match=r"too large for 32 bits.*c-float32"):
        quantize.quantize(wild, "int8", made_up(wild))


@pytest.mark.parametrize("change", [{"activation": "relu"}, {"activation": "elu"}, {"squash": "clip"}])
def test_layers_without_an_integer_form_are_refused_by_name(policy: Policy, change: dict[str, str]) -> None:
    network = dataclasses.replace(policy.contract.network, **change)
    contract = dataclasses.replace(policy.contract, network=network)
    other = policies.assemble(contract, policy.weights)
    with pytest.raises(QuantizationError, match=f"'{next(iter(change.values()))}'.*c-float32"):
        quantize.quantize(other, "int8", made_up(policy))


def test_a_quantised_contract_without_scales_is_no_policy(policy: Policy) -> None:
    contract = dataclasses.replace(policy.contract, quantisation="int8")
    with pytest.raises(PolicyFileError, match=r"dense0\.row_scale"):
        policies.assemble(contract, policy.weights)
