"""The table of draws of a new episode (environment_rows.draws), applied to all rows at once.

One draw after another would be hundreds of short operations. Here every row takes its first draw together, then those
that have a second one take that, and so on: the order within a row, and so every bit, is that of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fledge_sim import torch_random
from fledge_sim.counter_random import Channel
from fledge_sim.environment_rows import Draw

NOTHING = Draw(int(Channel.DRAW), 0, "multiply", "uniform", 1.0, 1.0)
"""Leaves a row as it is."""


class Round(NamedTuple):
    """One draw per row: v = offset + uniform u + normal e, or its exponential; a row without a draw has v = 1."""

    channel: Tensor
    """(R,) int64, from Channel.DRAW on."""
    offset: Tensor
    """(R, 1)"""
    uniform: Tensor
    """(R, 1)"""
    normal: Tensor
    """(R, 1)"""
    exponential: Tensor | None
    """(R, 1) bool; None: no row."""
    adds: Tensor
    """(R, 1) bool: row + v."""
    divides: Tensor | None
    """(R, 1) bool: row / v; otherwise row v. None: no row divides."""


class Rounds(NamedTuple):
    """Everything that a new episode draws from the table."""

    nominal: Tensor
    """(R, 1), what the draws start from."""
    channels: int
    """How many channels from Channel.DRAW on are used."""
    rounds: tuple[Round, ...]


def rounds_of(table: Sequence[Draw], nominal: Sequence[float], first_row: int, device: torch.device) -> Rounds:
    """The table of rows first_row, first_row + 1, ... by rounds."""
    waiting: list[list[Draw]] = [[draw for draw in table if draw.row == first_row + i] for i in range(len(nominal))]
    count = max((draw.channel + 1 for draw in table), default=int(Channel.DRAW)) - int(Channel.DRAW)
    depth = max(map(len, waiting))
    rounds = [_round([row[i] if i < len(row) else NOTHING for row in waiting], device) for i in range(depth)]
    return Rounds(torch.tensor(nominal, device=device)[:, None], count, tuple(rounds))


def draw_rows(rounds: Rounds, key: Tensor) -> Tensor:
    """Rows (R, n) of a new episode; key (n,) of its step 0."""
    rows = rounds.nominal.expand(-1, key.shape[0])
    words = torch_random.words(key, Channel.DRAW, rounds.channels)
    uniform, normal = torch_random.uniform(words), torch_random.normal(words)
    for each in rounds.rounds:
        value = each.offset + each.uniform * uniform[each.channel] + each.normal * normal[each.channel]
        if each.exponential is not None:
            value = torch.where(each.exponential, torch.exp(value), value)
        scaled = rows * value if each.divides is None else torch.where(each.divides, rows / value, rows * value)
        rows = torch.where(each.adds, rows + value, scaled)
    return rows


def _round(draws: Sequence[Draw], device: torch.device) -> Round:
    def column(values: Sequence[float | bool]) -> Tensor:
        return torch.tensor(values, device=device)[:, None]

    def flags(values: Sequence[bool]) -> Tensor | None:
        return column(values) if any(values) else None

    return Round(
        torch.tensor([draw.channel - int(Channel.DRAW) for draw in draws], device=device),
        column([draw.a for draw in draws]),
        column([0.0 if draw.distribution == "normal" else draw.b - draw.a for draw in draws]),
        column([draw.b if draw.distribution == "normal" else 0.0 for draw in draws]),
        flags([draw.distribution == "log_uniform" for draw in draws]),
        column([draw.operation == "add" for draw in draws]),
        flags([draw.operation == "divide" for draw in draws]),
    )
