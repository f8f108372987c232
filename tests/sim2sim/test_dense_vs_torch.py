"""Native dense networks against torch in double precision: values, gradients, Adam, one whole update of TD3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fledge_train.dense import Activation, Adam, Network
from torch import Tensor


class FastTanh(torch.autograd.Function):
    """x (27 + x^2) / (27 + 9 x^2) of x within +-3, differentiated as if it were tanh: 1 - y^2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        c = x.clamp(-3, 3)
        y = c * (27 + c * c) / (27 + 9 * c * c)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return bars[0] * (1 - y * y)


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "fast_tanh": FastTanh.apply,
    "relu": torch.relu,
}
SHAPES = [((146, 64, 64, 4), 256), ((32, 64, 64, 1), 49), ((5, 7, 33, 3), 5), ((3, 2), 1)]
Layers = list[tuple[Tensor, Tensor]]


def double(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)


def layers_of(network: Network) -> Layers:
    return [
        (
            torch.tensor(w, dtype=torch.float64, requires_grad=True),
            torch.tensor(b, dtype=torch.float64).requires_grad_(),
        )
        for w, b in network.weights()
    ]


def value_of(layers: Layers, x: Tensor, hidden: Activation, output: Activation) -> Tensor:
    for i, (weight, bias) in enumerate(layers):
        x = ACTIVATIONS[hidden if i + 1 < len(layers) else output](x @ weight.T + bias)
    return x


def relative(ours: np.ndarray, theirs: Tensor) -> float:
    scale = max(float(theirs.detach().abs().max()), 1e-9)
    return float(np.abs(ours - theirs.detach().numpy()).max()) / scale


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("hidden", ["tanh", "fast_tanh", "relu", "linear"])
@pytest.mark.parametrize(
    ("sizes", "n"), [((146, 64, 64, 4), 256), ((32, 64, 64, 1), 49), ((5, 7, 33, 3), 5), ((3, 2), 1)]
)
def test_values_and_gradients(
    isa: str, hidden: Activation, sizes: tuple[int, ...], n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLEDGE_ISA picks a narrower variant where the processor has one; where not, the widest is tested again."""
    monkeypatch.setenv("FLEDGE_ISA", isa)
    generator = np.random.Generator(np.random.PCG64(3))
    output: Activation = "linear" if sizes[-1] == 1 else hidden
    network = Network(sizes, hidden, output, seed=1)
    x = 2 * generator.standard_normal((n, sizes[0]), np.float32)
    bar = generator.standard_normal((n, sizes[-1]), np.float32)
    layers, x64 = layers_of(network), double(x).requires_grad_()
    expected = value_of(layers, x64, hidden, output)
    (expected * double(bar)).sum().backward()
    assert relative(network.infer(x), expected) < 2e-6
    assert relative(network.forward(np.asfortranarray(x)), expected) < 2e-6
    part = (1, sizes[0] - 1)
    input_bar = network.backward(bar, inputs=part)
    assert x64.grad is not None
    assert input_bar is not None
    assert relative(input_bar, x64.grad[:, 1:]) < 5e-6
    for (weight_bar, bias_bar), (weight, bias) in zip(network.weights(of_gradient=True), layers, strict=True):
        assert weight.grad is not None
        assert bias.grad is not None
        assert relative(weight_bar, weight.grad) < 5e-6
        assert relative(bias_bar, bias.grad) < 5e-6


def test_adam_with_decoupled_decay_follows_torch() -> None:
    """Decay on weights alone: torch's AdamW takes rate * weight_decay of a weight."""
    network = Network((6, 8, 2), "tanh", "linear", seed=2)
    ours = Adam(network, 1e-2, decay=1e-3)
    layers = layers_of(network)
    groups = [
        {"params": [weight for weight, _ in layers], "weight_decay": 0.1},
        {"params": [bias for _, bias in layers], "weight_decay": 0.0},
    ]
    theirs = torch.optim.AdamW(groups, lr=1e-2)
    generator = np.random.Generator(np.random.PCG64(4))
    for _ in range(20):
        x = generator.standard_normal((10, 6), np.float32)
        theirs.zero_grad()
        value_of(layers, double(x), "tanh", "linear").square().sum().backward()
        theirs.step()
        network.backward(2 * network.forward(x))
        ours.step()
    for (weight, bias), (expected_weight, expected_bias) in zip(network.weights(), layers, strict=True):
        assert relative(weight, expected_weight) < 1e-5
        assert relative(bias, expected_bias) < 1e-5


def test_clipping_and_a_gradient_that_is_not_finite() -> None:
    network = Network((2, 1), seed=0)
    adam = Adam(network, 1e-3, clip=0.5)
    before = network.parameter.copy()
    network.gradient[:] = 0
    network.gradient[0] = np.nan
    assert np.isnan(adam.step())
    assert np.array_equal(network.parameter, before)
    network.gradient[0] = 3.0
    assert adam.step() == pytest.approx(3.0)
    assert adam.moment[0, 0] == pytest.approx(0.1 * 0.5)  # (1 - beta1) times the clipped gradient


def test_polyak_average() -> None:
    one, other = Network((3, 4, 1), seed=1), Network((3, 4, 1), seed=2)
    expected = one.parameter + np.float32(0.25) * (other.parameter - one.parameter)
    one.approach(other, 0.25)
    assert np.allclose(one.parameter, expected, atol=1e-7)
