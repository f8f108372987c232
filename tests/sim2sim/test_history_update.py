"""The auxiliary loss of the history encoder against torch in double precision, through the whole actor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fledge_sim.errors import FledgeError
from fledge_train.dense import Network
from fledge_train.history_encoder import HistoryActor, HistoryNumbers
from torch import Tensor

NUMBERS = HistoryNumbers(code=3, weight=0.7, bottleneck=0.3, noise=0.4)
SIZES = (7, 10, 6, 2)


def layers_of(network: Network) -> list[list[Tensor]]:
    return [[torch.tensor(a, dtype=torch.float64).requires_grad_() for a in pair] for pair in network.weights()]


def through(layers: list[list[Tensor]], x: Tensor, squash: bool = True) -> Tensor:
    for weight, bias in layers:
        x = x @ weight.T + bias
        x = torch.tanh(x) if squash else x
    return x


def test_gradients_of_the_action_and_of_the_code() -> None:
    actor = HistoryActor(SIZES, 0, NUMBERS, 4)
    draw = np.random.Generator(np.random.PCG64(0))
    seen, bar = draw.standard_normal((20, 7)).astype(np.float32), draw.standard_normal((20, 2)).astype(np.float32)
    actor.target, actor.noise = (draw.standard_normal((20, k)).astype(np.float32) for k in (4, 3))
    encoder, head, predictor = (layers_of(part) for part in actor.parts.values())

    code = through(encoder, torch.from_numpy(seen).double())
    action = through(head, code)
    noisy = code[:, :3] + NUMBERS.noise * torch.from_numpy(actor.noise)
    error = through(predictor, noisy, squash=False) - torch.from_numpy(actor.target)
    scarce = NUMBERS.bottleneck * code[:, :3].square().sum(dim=1).mean() / 2
    loss = (action * torch.from_numpy(bar)).sum() + NUMBERS.weight * (error.square().mean() + scarce)
    loss.backward()

    assert np.allclose(actor.forward(seen), action.detach().numpy(), atol=1e-5)
    actor.backward(bar)
    assert actor.loss == pytest.approx(float(error.detach().square().mean()), rel=1e-5)
    for part, layers in zip(actor.parts.values(), (encoder, head, predictor), strict=True):
        for ours, theirs in zip(part.weights(of_gradient=True), layers, strict=True):
            for mine, double in zip(ours, theirs, strict=True):
                assert double.grad is not None
                assert np.abs(mine - double.grad.numpy()).max() < 1e-4 * float(double.grad.abs().max())


def test_it_is_one_mlp() -> None:
    actor, whole = HistoryActor(SIZES, 0, NUMBERS, 4), Network(SIZES, "tanh", "tanh")
    whole.set_weights(actor.weights())
    seen = np.random.Generator(np.random.PCG64(1)).standard_normal((5, 7)).astype(np.float32)
    assert np.array_equal(whole.infer(seen), actor.infer(seen))


def test_a_code_has_to_fit_the_last_layer() -> None:
    with pytest.raises(FledgeError, match=r"1\.\.6"):
        HistoryActor(SIZES, 0, HistoryNumbers(code=7), 4)
