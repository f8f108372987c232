"""What the torch environment remembers of each world between steps: plain tensors, one column per world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fledge_sim.environment import EnvConfig
from fledge_sim.environment_rows import SENSED, Layout, Row, is_windy, layout
from fledge_sim.rows import PARAMETERS, STATES, Parameter
from fledge_sim.torch_reference import Drawn


class Memory(NamedTuple):
    """Everything that a step reads and writes. Parts that the configuration does not need have no rows."""

    episode: Tensor
    """(n,) int32, number of the episode, -1 before the first."""
    age: Tensor
    """(n,) int32, steps since it began."""
    state: Tensor
    """(17, n), as rows.State."""
    drawn: Tensor
    """Rows environment_rows.Row.PARAMETER and following: constant in an episode."""
    reference: Drawn
    """What to follow; constant in an episode."""
    wind: Tensor
    """(3 or 0, n) [m/s], world."""
    charge: Tensor
    """(1 or 0, n) state of charge, 1 = full."""
    filtered: Tensor
    """(3 or 0, n) [rad/s], low-passed angular velocity."""
    arrived: Tensor
    """(3 or 0, n) [m], last position that was not lost."""
    past: Tensor
    """(2 SENSED or 0, n): what there was to sense one step ago, then two."""
    history: Tensor
    """(4 slots, n): past actions, oldest first."""


@dataclass(frozen=True)
class Places:
    """Where things are in memory, and how to read them."""

    layout: Layout
    windy: bool
    battery: bool
    open_circuit: tuple[float, ...]
    """Coefficients of the battery's voltage [V] in its charge, constant first."""

    def drawn(self, memory: Memory, row: int) -> Tensor:
        """One row of what the episode drew, (n,); rows as in environment_rows."""
        return memory.drawn[row - Row.PARAMETER]

    def parameters(self, memory: Memory) -> list[Tensor]:
        """The 51 rows of the physics as they are now, with the wind and the battery of the moment."""
        rows = list(memory.drawn[:PARAMETERS].unbind(0))
        if self.windy:
            rows[int(Parameter.WIND) : int(Parameter.WIND) + 3] = memory.wind.unbind(0)
        if self.battery:
            rows[int(Parameter.BATTERY_VOLTAGE)] = self.open_circuit_voltage(memory.charge[0])
        return rows

    def value(self, memory: Memory, row: int) -> Tensor:
        """Any row from Row.STATE on, as it is now, (n,)."""
        if row < Row.PARAMETER:
            return memory.state[row - Row.STATE]
        if row < Row.PARAMETER + PARAMETERS:
            return self.parameters(memory)[row - Row.PARAMETER]
        return self.drawn(memory, row)

    def open_circuit_voltage(self, charge: Tensor) -> Tensor:
        """[V] at a state of charge."""
        c0, c1, c2, c3 = self.open_circuit
        return c0 + charge * (c1 + charge * (c2 + charge * c3))


def places_of(config: EnvConfig) -> Places:
    """Of a configuration."""
    there = layout(config)
    return Places(there, is_windy(config), there.battery >= 0, config.robot.battery_open_circuit)


def blank(places: Places, reference: Drawn) -> Memory:
    """Memory before the first episode; of the reference only its shape is used."""
    there, n, device = places.layout, reference.key.shape[1], reference.key.device

    def rows(count: int) -> Tensor:
        return torch.zeros(count, n, device=device)

    return Memory(
        episode=torch.full((n,), -1, dtype=torch.int32, device=device),
        age=torch.zeros(n, dtype=torch.int32, device=device),
        state=rows(STATES),
        drawn=rows(there.drawn_end - Row.PARAMETER),
        reference=Drawn(*(torch.zeros_like(part) for part in reference)),
        wind=rows(3 * places.windy),
        charge=rows(1 * places.battery),
        filtered=rows(3 * (there.gyro_memory >= 0)),
        arrived=rows(3 * (there.position_memory >= 0)),
        past=rows(2 * SENSED * (there.past >= 0)),
        history=rows(4 * there.history_slots),
    )


def copied(memory: Memory) -> Memory:
    """The same in memory of its own."""
    parts = {name: part.clone() for name, part in memory._asdict().items() if isinstance(part, Tensor)}
    return Memory(**parts, reference=Drawn(*(part.clone() for part in memory.reference)))


def where(mask: Tensor, yes: Memory, no: Memory) -> Memory:
    """Memory `yes` in the worlds of the mask (n,), `no` elsewhere."""
    reference = Drawn(*(torch.where(mask, a, b) for a, b in zip(yes.reference, no.reference, strict=True)))
    parts = {
        name: torch.where(mask, value, getattr(no, name))
        for name, value in yes._asdict().items()
        if isinstance(value, Tensor)
    }
    return Memory(**parts, reference=reference)
