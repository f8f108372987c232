"""Quantisation-aware fine-tuning: weights on a grid learn to act like the float network they came from.

Straight-through: the forward pass sees the weights rounded to their grid, the gradient passes the rounding as if it
were not there. The loss is the distance of action and next state from the float network's, on observations that the
quantised policy met in flight; row scales and the grids of the inputs stay. What is best on flights that were held out
is kept, the beginning included: fine-tuning never makes it worse there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fledge_sim.policy import Float32
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Map:
    """One dense map with weights on a grid; names and order as in fledge_export.layout.layers."""

    weight: Float64
    """(O, I)"""
    bias: Float64
    """(O,)"""
    step: Float64
    """Distance of neighbours on the grid, (O, I); 0: the weight stays 0."""
    levels: int
    """|weight| <= levels * step"""


@dataclass(frozen=True)
class Rows:
    """What the policy met, and what the float network answers to it."""

    x: Float32
    """Observation, clipped and scaled, (n, I)."""
    state: Float32
    """Before the step, (n, S)."""
    action: Float64
    """(n, 4)"""
    next_state: Float64
    """(n, S)"""


@dataclass(frozen=True)
class FinetuneConfig:
    """Short on purpose: two to seven seconds."""

    steps: int = 600
    """Gradient steps."""
    batch: int = 2048
    """Rows of each."""
    learning_rate: float = 0.005
    """Of Adam, in distances of the grid."""
    bias_rate: float = 2e-4
    """Of Adam, on biases."""
    check_every: int = 50
    """Steps between two looks at the held-out rows."""
    seed: int = 0
    """Of the batches."""


@dataclass(frozen=True)
class Finetuned:
    """The maps that are best on the held-out rows."""

    maps: dict[str, tuple[Float64, Float64]]
    """Weight, on the grid, and bias."""
    before: float
    """Mean |action - float network's| on the held-out rows."""
    after: float


def finetune(
    kind: Literal["mlp", "gru"], maps: Mapping[str, Map], rows: Rows, held_out: Rows, config: FinetuneConfig
) -> Finetuned:
    """Train the maps of a network with tanh everywhere (contract's network kind) on `rows`."""
    from fledge_train.recurrent import one_thread

    with one_thread():
        return _descend(_Network(kind, maps), _tensors(rows), _tensors(held_out), config)


def _descend(
    network: _Network, seen: tuple[torch.Tensor, ...], unseen: tuple[torch.Tensor, ...], config: FinetuneConfig
) -> Finetuned:
    import torch

    generator = torch.Generator().manual_seed(config.seed)
    adam = torch.optim.Adam(network.groups(config.learning_rate, config.bias_rate))
    decay = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / config.steps))
    before = least = network.error(*unseen)
    best = network.rounded()
    for step in range(config.steps):
        chosen = torch.randint(len(seen[0]), (config.batch,), generator=generator)
        loss = network.loss(*(part[chosen] for part in seen))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        decay.step()
        if (step + 1) % config.check_every == 0 and (now := network.error(*unseen)) < least:
            least, best = now, network.rounded()
    return Finetuned(best, before, least)


class _Network:
    """The maps as torch parameters, evaluated with rounded weights."""

    def __init__(self, kind: Literal["mlp", "gru"], maps: Mapping[str, Map]) -> None:
        import torch

        self._kind, self._maps = kind, maps
        self.weight = {name: _parameter(each.weight) for name, each in maps.items()}
        self.bias = {name: _parameter(each.bias) for name, each in maps.items()}
        self._step = {name: torch.tensor(each.step, dtype=torch.float32) for name, each in maps.items()}

    def groups(self, weight_rate: float, bias_rate: float) -> list[dict[str, Any]]:
        """For Adam; weights move in distances of their grid."""
        weights = [
            {"params": [weight], "lr": weight_rate * float(np.median(self._maps[name].step))}
            for name, weight in self.weight.items()
        ]
        return [*weights, {"params": list(self.bias.values()), "lr": bias_rate}]

    def loss(
        self, x: torch.Tensor, state: torch.Tensor, action: torch.Tensor, next_state: torch.Tensor
    ) -> torch.Tensor:
        """Mean square distance of the actions, plus that of the next states."""
        acted, following = self._forward(x, state)
        distance = ((acted - action) ** 2).mean()
        return distance + ((following - next_state) ** 2).mean() if next_state.shape[1] else distance

    def error(self, x: torch.Tensor, state: torch.Tensor, action: torch.Tensor, _: torch.Tensor) -> float:
        """Mean |action - expected|."""
        import torch

        with torch.no_grad():
            return float((self._forward(x, state)[0] - action).abs().mean())

    def rounded(self) -> dict[str, tuple[Float64, Float64]]:
        """Weights on the grid, and biases."""
        return {name: (_numbers(self._on_grid(name)), _numbers(self.bias[name])) for name in self._maps}

    def _on_grid(self, name: str) -> torch.Tensor:
        """Rounded in the forward pass, as they are in the reverse one."""
        import torch

        weight, step, levels = self.weight[name], self._step[name], self._maps[name].levels
        integers = torch.round(weight / torch.where(step > 0, step, torch.ones_like(step))).clamp(-levels, levels)
        return weight + (integers * step - weight).detach()

    def _dense(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ self._on_grid(name).T + self.bias[name]

    def _forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        if self._kind == "gru":
            reset, update = torch.sigmoid(self._dense("gates", torch.cat([x, state], 1))).chunk(2, 1)
            kept = reset * self._dense("candidate_hidden", state)
            candidate = torch.tanh(self._dense("candidate_input", x) + kept)
            x = state = (1 - update) * candidate + update * state
        else:
            for name in list(self._maps)[:-1]:
                x = torch.tanh(self._dense(name, x))
        return torch.tanh(self._dense("output", x)), state


def _numbers(values: torch.Tensor) -> Float64:
    return np.asarray(values.detach().numpy(), np.float64).copy()


def _parameter(values: Float64) -> torch.Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float32, requires_grad=True)


def _tensors(rows: Rows) -> tuple[torch.Tensor, ...]:
    import torch

    return tuple(
        torch.tensor(np.asarray(part, np.float32)) for part in (rows.x, rows.state, rows.action, rows.next_state)
    )
