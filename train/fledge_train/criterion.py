"""What counts as a success when several seeds are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fledge_train.evaluate import Evaluation


@dataclass(frozen=True)
class Criterion:
    """What a seed must reach in hover episodes from thrown starts, noise and disturbances on."""

    survival: float = 0.8
    """Least share of episodes that survive; a stock Crazyflie loses 14 % of these throws whatever its policy."""
    error: float = 0.03
    """Largest mean distance from the set-point over the last second [m]."""

    def met(self, figures: Evaluation) -> bool:
        """Whether a policy with these figures is a success."""
        hover = figures.hover
        return hover.error is not None and hover.survival >= self.survival and hover.error <= self.error
