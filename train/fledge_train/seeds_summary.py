"""How many seeds succeeded, and how far they lie apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fledge_train.criterion import Criterion
from fledge_train.evaluate import Evaluation
from fledge_train.seeds import Outcome

FIGURES: Mapping[str, Callable[[Evaluation], float | None]] = {
    "survival": lambda e: e.hover.survival,
    "hover_error": lambda e: e.hover.error,
    "action_jerk": lambda e: e.hover.action_jerk,
    "survival_randomized": lambda e: e.hover_randomized.survival,
    "hover_error_randomized": lambda e: e.hover_randomized.error,
    "survival_delay_10_ms": lambda e: e.hover_delay_10_ms.survival,
    "survival_delay_20_ms": lambda e: e.hover_delay_20_ms.survival,
    "figure_eight_15_s": lambda e: e.figure_eight[0].rmse,
    "figure_eight_5.5_s": lambda e: e.figure_eight[1].rmse,
    "figure_eight_3.5_s": lambda e: e.figure_eight[2].rmse,
}
"""By name, SI units."""


@dataclass(frozen=True)
class Spread:
    """Of one figure over the seeds that have it."""

    mean: float
    min: float
    max: float
    deviation: float
    """Standard deviation of the sample; 0 for one seed."""
    count: int
    """Seeds that have it."""


@dataclass(frozen=True)
class Summary:
    """Of a team."""

    seeds: int
    trained: int
    """Seeds that came to their end."""
    succeeded: int | None
    """Seeds that meet the criterion; None: nothing was measured."""
    spread: Mapping[str, Spread]
    """By figure; training_seconds (wall-clock) and training_cpu_seconds too."""


def summarise(outcomes: Sequence[Outcome], criterion: Criterion) -> Summary:
    """Counts and spreads. Who failed or was interrupted has no figures, and no success."""
    done = [outcome for outcome in outcomes if outcome.end == "done"]
    measured = [outcome.evaluation for outcome in done if outcome.evaluation is not None]
    values: dict[str, list[float | None]] = {
        "training_seconds": [outcome.seconds for outcome in done],
        "training_cpu_seconds": [outcome.cpu_seconds for outcome in done],
        **{name: [figure(evaluation) for evaluation in measured] for name, figure in FIGURES.items()},
    }
    found = {name: [value for value in row if value is not None] for name, row in values.items()}
    return Summary(
        seeds=len(outcomes),
        trained=len(done),
        succeeded=sum(map(criterion.met, measured)) if measured else None,
        spread={name: _spread(row) for name, row in found.items() if row},
    )


def _spread(values: Sequence[float]) -> Spread:
    array = np.array(values)
    deviation = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    return Spread(float(array.mean()), float(array.min()), float(array.max()), deviation, len(array))


def to_tree(outcomes: Sequence[Outcome], criterion: Criterion, summary: Summary) -> dict[str, Any]:
    """Everything, for a JSON file."""
    seeds = []
    for outcome in outcomes:
        entry = {**dataclasses.asdict(outcome), "folder": outcome.folder.name}
        entry["success"] = None if outcome.evaluation is None else criterion.met(outcome.evaluation)
        seeds.append(entry)
    return {"criterion": dataclasses.asdict(criterion), "summary": dataclasses.asdict(summary), "seeds": seeds}
