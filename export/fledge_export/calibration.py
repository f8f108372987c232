"""What a policy saw: the rows from which the scales of its integers are chosen, and on which they are measured."""

from __future__ import annotations

from dataclasses import dataclass

from fledge_sim.policy import Float32


@dataclass(frozen=True)
class Calibration:
    """Rows that occurred, in the order in which they occurred."""

    observations: Float32
    """(n, I), contract units"""
    states: Float32
    """(n, S), before the step"""
    seed: int
    flights: int
    steps: int
    """Native steps of each flight."""

    def record(self) -> dict[str, int]:
        """For the contract's training record: how the rows came about."""
        return {"seed": self.seed, "flights": self.flights, "steps": self.steps}
