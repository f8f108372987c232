"""The network in float32, operation by operation in the order of the emitted C: the expected bits of golden vectors.

Written from the unpacked weights, so that packing, emission and compilation are all checked against it. numpy rounds
every elementwise float32 sum, product and quotient as IEEE 754 says, which is all that is used here.
"""

from __future__ import annotations

import numpy as np
from fledge_sim.contract import NetworkShape
from fledge_sim.policy import Float32, Policy

from fledge_export.layout import first_layer_order, layers, normaliser, padded

TANH_LIMIT = np.float32(7.6)
_NUMERATOR = [
    float.fromhex(c) for c in ("0x1p+0", "0x1.13b8b0p-3", "0x1.d71482p-9", "0x1.760550p-16", "0x1.108a72p-26")
]
_DENOMINATOR = [
    float.fromhex(c) for c in ("0x1p+0", "0x1.df31a8p-2", "0x1.ae0df4p-6", "0x1.69ab6cp-12", "0x1.d67382p-21")
]


def step(policy: Policy, observation: Float32, state: Float32) -> tuple[Float32, Float32]:
    """One native step for a batch: (n, I), (n, S) -> action (n, O), next state (n, S). Bits as on the target."""
    maps = layers(policy)
    clip, scale = normaliser(policy)
    x = _clamp(observation, clip) * scale
    if policy.contract.network.kind == "gru":
        hidden = _clamp(state, np.float32(1))
        half = np.float32(0.5) * _dense(*maps["gates"], np.hstack([x, hidden]))
        gates = np.float32(0.5) * tanh(half) + np.float32(0.5)
        reset, update = np.hsplit(gates, 2)
        from_hidden = _dense(*maps["candidate_hidden"], hidden)
        candidate = tanh(_dense(*maps["candidate_input"], x) + reset * from_hidden)
        state = x = (np.float32(1) - update) * candidate + update * hidden
    else:
        order = first_layer_order(policy.contract)
        x = x[:, order]
        for index in range(len(policy.contract.network.hidden)):
            weight, bias = maps[f"dense{index}"]
            x = activate(policy.contract.network, _dense(weight[:, order] if index == 0 else weight, bias, x))
    total = _dense(*maps["output"], x)
    return tanh(total) if policy.contract.network.squash == "tanh" else _clamp(total, np.float32(1)), state


def hover_sums(policy: Policy) -> Float32:
    """Of the first layer of an mlp over all past actions but the newest two, every one hover: (O padded,).

    These are the inputs that it sums first, on top of the biases.
    """
    contract = policy.contract
    weight, bias = layers(policy)["dense0"]
    clip, scale = normaliser(policy)
    order = first_layer_order(contract)[: 4 * (contract.history_length - 2)]
    x = _clamp(np.full((1, len(order)), contract.rotor_action.hover, np.float32), clip[order]) * scale[order]
    return np.pad(_dense(weight[:, order], bias, x)[0], (0, padded(len(bias)) - len(bias)))


def activate(network: NetworkShape, x: Float32) -> Float32:
    """What follows a hidden layer; relu of a negative zero is zero."""
    if network.activation == "tanh":
        return tanh(x)
    zero = np.float32(0)
    positive = np.where(np.signbit(x), zero, x)
    return positive if network.activation == "relu" else positive + _exp_minus_one(np.where(np.signbit(x), x, zero))


def _exp_minus_one(x: Float32) -> Float32:
    """e^x - 1 for x <= 0 as 2 t / (1 - t), t = tanh(x / 2); within 1e-6."""
    t = tanh(np.float32(0.5) * x)
    return (t + t) / (np.float32(1) - t)


def tanh(unbounded: Float32) -> Float32:
    """x P(x^2) / Q(x^2) on |x| <= 7.6; own weighted least-squares fit, within 5e-7 of tanh."""
    x = _clamp(unbounded, TANH_LIMIT)
    square = x * x
    return x * _horner(_NUMERATOR, square) / _horner(_DENOMINATOR, square)


def _horner(coefficients: list[float], x: Float32) -> Float32:
    result = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = np.float32(coefficient) + x * result
    return result


def _dense(weight: Float32, bias: Float32, x: Float32) -> Float32:
    """W x + b: bias first, then the inputs one by one, each product and each sum rounded."""
    total = np.broadcast_to(bias, (len(x), len(bias))).astype(np.float32)
    for index in range(weight.shape[1]):
        total = total + x[:, index : index + 1] * weight[:, index]
    return total


def _clamp(x: Float32, limit: Float32 | np.float32) -> Float32:
    """Into [-limit, limit]; NaN becomes 0."""
    return np.where(np.isnan(x), np.float32(0), np.clip(x, -limit, limit)).astype(np.float32)
