"""One whole update of SAC against a text of its own in torch, double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fledge_train.dense import Network
from fledge_train.hover_task import HoverTask
from fledge_train.sac import LOG_DEVIATION, Sac
from fledge_train.sac_config import SacConfig
from torch import Tensor, nn

SMALL = SacConfig(
    steps=4000, environments=8, batch=48, updates=0, hidden=(16,), critic_hidden=(16, 8), task=HoverTask(history=2)
)


def module(network: Network) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in network.weights():
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def double(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)


def sample(output: Tensor, noise: np.ndarray) -> tuple[Tensor, Tensor]:
    """Actions and their log-probability by torch's own distributions."""
    low, high = LOG_DEVIATION
    log_deviation = low + (high - low) / 2 * (torch.tanh(output[:, 4:]) + 1)
    normal = torch.distributions.Normal(output[:, :4], log_deviation.exp())
    squashed = torch.distributions.TransformedDistribution(normal, [torch.distributions.TanhTransform(cache_size=1)])
    action = torch.tanh(output[:, :4] + log_deviation.exp() * double(noise))
    return action, squashed.log_prob(action).sum(dim=1, keepdim=True)


def assert_same(network: Network, net: nn.Sequential) -> None:
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    for (weight, bias), linear in zip(network.weights(), linears, strict=True):
        assert np.abs(weight - linear.weight.detach().numpy()).max() < 5e-6  # a step of Adam moves 1e-3
        assert np.abs(bias - linear.bias.detach().numpy()).max() < 5e-6


def test_one_update() -> None:
    trainer = Sac(SMALL)
    trainer.advance()
    for network in (trainer._actor, *trainer._critics, *trainer._targets):  # far from the first weights' symmetry
        generator = np.random.Generator(np.random.PCG64(len(network.parameter)))
        network.set_weights(
            [(w + 0.3 * generator.standard_normal(w.shape, np.float32), b) for w, b in network.weights()]
        )
    actor, critics = module(trainer._actor), [module(net) for net in trainer._critics]
    targets, alpha = [module(net) for net in trainer._targets], SMALL.temperature
    rate = trainer._rate()
    optimizers = [torch.optim.Adam(net.parameters(), lr=rate) for net in (*critics, actor)]

    state = trainer._random.bit_generator.state
    batch = trainer._batch
    trainer._replay.draw(batch, trainer._random)
    noise = trainer._random.standard_normal((SMALL.batch, 4), np.float32)
    following, log_probability = sample(actor(double(batch.next_observation)), noise)
    state_size = trainer._replay.shape.critic
    next_input = torch.cat([double(batch.next_critic_input[:, :state_size]), following], dim=1)
    value = torch.minimum(*(net(next_input) for net in targets)) - alpha * log_probability
    y = double(batch.outcome[:, :1]) + SMALL.discount * double(batch.outcome[:, 1:]) * value
    for critic, optimizer in zip(critics, optimizers, strict=False):
        optimizer.zero_grad()
        nn.functional.mse_loss(critic(double(batch.critic_input)), y.detach()).backward()
        optimizer.step()
    trainer._replay.draw(batch, trainer._random, states_only=True)
    noise = trainer._random.standard_normal((SMALL.batch, 4), np.float32)
    action, log_probability = sample(actor(double(batch.observation)), noise)
    seen = torch.cat([double(batch.critic_input[:, :state_size]), action], dim=1)
    loss = (alpha * log_probability - torch.minimum(*(net(seen) for net in critics))).mean()
    optimizers[2].zero_grad()
    loss.backward()
    optimizers[2].step()

    trainer._random.bit_generator.state = state
    trainer._update()
    for ours, theirs in zip((*trainer._critics, trainer._actor), (*critics, actor), strict=True):
        assert_same(ours, theirs)
    rises = float(log_probability.detach().mean()) + SMALL.target_entropy > 0
    expected = math.log(alpha) + (1 if rises else -1) * SMALL.temperature_rate  # Adam's first step has length rate
    assert trainer._temperature[0] == pytest.approx(expected, abs=1e-6)
