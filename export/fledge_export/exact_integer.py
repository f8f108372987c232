"""The quantised network, operation by operation in integers: the bits that the emitted C must give everywhere.

Written from the integers of fledge_export.quantized, not from the packed words, so that packing, emission and
compilation are all checked against it. Matrix products run in float64, exactly: every partial sum is an integer below
2^53. Fixed-point numbers are int64 arrays whose values fit 32 bits; `Qn` says that n bits are fractional.
"""

from __future__ import annotations

import numpy as np
from fledge_sim.contract import NetworkShape
from fledge_sim.policy import Float32

from fledge_export.quantized import Int64, IntegerLayer, Quantized

STATE_BITS = 22
"""Of a recurrent state, which is carried as a float32 that holds k / 2^22 exactly."""
EXPONENTIAL = (1073741823, -744233045, 257932817, -60045818, 10399953)
"""2^-f on [-1/2, 1/2], Q30, constant first; own minimax fit, relative error 3e-6."""
RATIO = (357911344, -954423360, 636606451, -424771068, 276892015, -181812680, 160136979, -112785716)
"""(1 - e) / (1 + e) in h = e - 1/2 on [-1/2, 1/2], Q30; own minimax fit, exact at both ends, error 3e-6."""
_MAGIC = np.float32(1.5 * 2**23)
"""Added to a float below 2^22 in magnitude, it leaves the nearest integer in the mantissa, half to even."""


def step(network: NetworkShape, quantized: Quantized, observation: Float32, state: Float32) -> tuple[Float32, Float32]:
    """One native step for a batch: (n, I), (n, S) -> action (n, O), next state (n, S). Bits as on the target."""
    maps, bits = quantized.layers, quantized.grid.hidden_bits

    def squashed(z: Int64) -> Int64:
        return tanh(z, quantized.fraction)

    x = _round(_clamp(observation, quantized.clip) * quantized.multiplier)
    if network.kind == "gru":
        hidden = _round(_clamp(state, np.float32(1)) * np.float32(1 << STATE_BITS))
        hidden = _gru(quantized, x, hidden)
        state = hidden.astype(np.float32) * np.float32(2.0**-STATE_BITS)
        x = _rounded_shift(hidden, STATE_BITS - bits)
    else:
        for index in range(len(network.hidden)):
            x = _rounded_shift(squashed(_dense(maps[f"dense{index}"], x)), 30 - bits)
    return squashed(_dense(maps["output"], x)).astype(np.float32) * np.float32(2.0**-30), state


def _gru(quantized: Quantized, x: Int64, hidden: Int64) -> Int64:
    """Next state, Q22: c + u (h - c), with gates Q31 and the difference Q29, where it cannot overflow."""
    maps = quantized.layers
    inner = _rounded_shift(hidden, STATE_BITS - quantized.grid.hidden_bits)
    gates = (1 << 30) + tanh(_dense(maps["gates"], np.hstack([x, inner])), quantized.fraction)
    reset, update = np.hsplit(gates, 2)
    from_hidden = _dense(maps["candidate_hidden"], inner)
    z = _dense(maps["candidate_input"], x) + 2 * _high(reset, from_hidden)
    candidate = tanh(z, quantized.fraction) >> 1
    following = candidate + 2 * _high(update, (hidden << 7) - candidate)
    return _rounded_shift(following, 7)


def tanh(z: Int64, fraction: int) -> Int64:
    """tanh(TANH_RANGE z / 2^fraction), Q30, within 3e-6 and inside (-1, 1).

    With 2^-v = e^-2|x|: tanh|x| = (1 - e) / (1 + e). v in Q26, at most 31, splits into the nearest integer n, a shift,
    and f in [-1/2, 1/2], a polynomial: e = 2^-f 2^-n.
    """
    saturated = np.clip(z, -(1 << fraction), (1 << fraction) - 1) << (31 - fraction)
    sign = saturated >> 31
    v = saturated ^ sign
    v = v - (v >> 5)
    n = (v + (1 << 25)) >> 26
    e = _polynomial(EXPONENTIAL, _wrapped(v << 6)) >> n
    y = _polynomial(RATIO, _wrapped((e << 2) ^ 0x80000000))
    return (y ^ sign) - sign


def _polynomial(coefficients: tuple[int, ...], x: Int64) -> Int64:
    """Horner's rule with x in Q32."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = coefficient + _high(x, result)
    return result


def _dense(layer: IntegerLayer, x: Int64) -> Int64:
    """z of each row, (n, O)."""
    total = (x.astype(np.float64) @ layer.weight.T.astype(np.float64)).astype(np.int64)
    return layer.offset + _high(total, layer.factor)


def _high(a: Int64, b: Int64) -> Int64:
    """Upper word of the product."""
    return (a * b) >> 32


def _wrapped(x: Int64) -> Int64:
    """The lower word as a signed number."""
    return ((x + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _rounded_shift(x: Int64, bits: int) -> Int64:
    return (x + (1 << (bits - 1))) >> bits


def _round(x: Float32) -> Int64:
    """Nearest integer, half to even, of a float32 below 2^22 in magnitude."""
    return ((x + _MAGIC).view(np.int32).astype(np.int64)) - int(_MAGIC.view(np.int32))


def _clamp(x: Float32, limit: Float32 | np.float32) -> Float32:
    """Into [-limit, limit]; NaN becomes 0."""
    return np.where(np.isnan(x), np.float32(0), np.clip(x, -limit, limit)).astype(np.float32)
