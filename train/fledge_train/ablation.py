"""What each part of the paper's recipe is worth: TD3 without it, over seeds, always measured in the full simulation.

The paper flew ten policies of each variant on a real Crazyflie. Here every seed of a variant is flown through simulated
episodes with rotor lag, noise and disturbances on, and its survival is compared with that of the complete recipe.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.randomize import none

from fledge_train import evaluate, runs, seeds
from fledge_train.td3_config import Growing, PaperReward, Td3Config

COMPLETE = "nothing"
MATTERS_BELOW = 8
"""Of ten real flights: a part whose removal left fewer than these mattered to the paper."""
LEVEL = 0.05
"""A part matters here when chance would explain the loss of survival less often than this."""
DRAWS = 20_000
"""Of the permutation test."""


@dataclass(frozen=True)
class Variant:
    """One part left out."""

    without: Callable[[Td3Config], Td3Config]
    """The recipe without it."""
    real_flights: int
    """Of ten, that succeeded in the paper (Table II)."""


def target_reward() -> PaperReward:
    """The last weights of the curriculum, from the beginning."""
    weights = {
        entry.name: Growing(getattr(PaperReward(), entry.name).limit)
        for entry in dataclasses.fields(PaperReward)
        if entry.name in ("position", "velocity", "action")
    }
    return dataclasses.replace(PaperReward(), **weights)  # type: ignore[arg-type]


def _with(**changes: object) -> Callable[[Td3Config], Td3Config]:
    return lambda config: dataclasses.replace(config, **changes)  # type: ignore[arg-type]


VARIANTS: Mapping[str, Variant] = {
    COMPLETE: Variant(lambda config: config, 10),
    "asymmetric critic": Variant(_with(asymmetric=False), 2),
    "curriculum": Variant(_with(reward=target_reward()), 0),
    "reward recomputation": Variant(_with(recompute_rewards=False), 9),
    "rotor delay": Variant(_with(rotor_lag=False), 0),
    "action history": Variant(_with(history=0), 7),
    "observation noise": Variant(_with(observation_noise=False), 9),
    "disturbances": Variant(_with(randomization=none()), 9),
}
"""By what is removed; real flights: Eschmann et al. 2023, Table II."""


@dataclass(frozen=True)
class Measured:
    """All seeds of a variant."""

    survival: tuple[float, ...]
    """Per seed: share of hover episodes that survive."""
    error: tuple[float | None, ...]
    """Per seed: mean distance over the last second of those [m]; None: none survived."""


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    removed: str
    real_flights: int
    seeds: int
    survival: float
    """Mean over seeds."""
    survival_min: float
    survival_max: float
    error: float | None
    """Mean over the seeds that have one [m]."""
    chance: float
    """Share of permutations of the seeds that lose as much survival against the complete recipe; 1 for that itself."""
    replicates: bool | None
    """Whether it matters here as it did in the paper; None for the complete recipe."""


def chance(complete: Sequence[float], without: Sequence[float], seed: int = 0) -> float:
    """One-sided permutation test: how often seeds dealt at random lose at least as much mean survival.

    Args:
        complete: survival of the complete recipe, per seed.
        without: of the variant.
        seed: of the permutations.
    """
    pooled, count = np.array([*complete, *without]), len(complete)
    generator = np.random.Generator(np.random.PCG64(seed))
    dealt = generator.permuted(np.tile(pooled, (DRAWS, 1)), axis=1)
    losses = dealt[:, :count].mean(axis=1) - dealt[:, count:].mean(axis=1)
    observed = pooled[:count].mean() - pooled[count:].mean()
    return float((1 + (losses >= observed - 1e-12).sum()) / (1 + DRAWS))


def judge(measured: Mapping[str, Measured]) -> list[Finding]:
    """The table, in the order of VARIANTS; needs the complete recipe among them."""
    if COMPLETE not in measured:
        raise FledgeError(f"the ablation compares with the complete recipe: add '{COMPLETE}' to the variants")
    complete = measured[COMPLETE]
    findings = []
    for name, variant in VARIANTS.items():
        if name not in measured:
            continue
        mine = measured[name]
        itself = name == COMPLETE
        p = 1.0 if itself else chance(complete.survival, mine.survival)
        errors = [error for error in mine.error if error is not None]
        findings.append(
            Finding(
                removed=name,
                real_flights=variant.real_flights,
                seeds=len(mine.survival),
                survival=float(np.mean(mine.survival)),
                survival_min=min(mine.survival),
                survival_max=max(mine.survival),
                error=float(np.mean(errors)) if errors else None,
                chance=p,
                replicates=None if itself else (p < LEVEL) == (variant.real_flights < MATTERS_BELOW),
            )
        )
    return findings


def train(
    root: Path, name: str, base: Td3Config, count: int, processes: int, observe: Callable[[float, int], None]
) -> list[seeds.Outcome]:
    """Train `count` seeds of a variant under root/NAME; what is finished stays as it is, what is not goes on."""
    config = VARIANTS[name].without(base)
    folder = root / name.replace(" ", "-")
    team = seeds.team(folder, config, count, evaluate=False, resume=True)
    for seed, wanted in team.configs.items():
        there = team.folder(seed) / runs.CONFIG
        if there.exists() and runs.load_config(team.folder(seed)) != wanted:
            raise FledgeError(f"{team.folder(seed)} holds a run with other numbers; give another --name or remove it")
    return seeds.train(team, processes, observe)


def measure(outcomes: Sequence[seeds.Outcome], robot: str, episodes: int) -> Measured:
    """Hover of every policy in the full simulation. Raises FledgeError naming a seed that has none."""
    body = robots.load(robot)
    survival, error = [], []
    for outcome in outcomes:
        if outcome.end != "done":
            raise FledgeError(f"{outcome.folder} is {outcome.end} {outcome.reason}: run the same command again")
        policy = policies.load(outcome.folder / runs.POLICY)
        hover = evaluate.hover(policy, body, evaluate.Conditions(), episodes)
        survival.append(hover.survival)
        error.append(hover.error)
    return Measured(tuple(survival), tuple(error))


def save(path: Path, measured: Mapping[str, Measured], findings: Sequence[Finding]) -> None:
    """Every seed's figures and the table, as JSON."""
    tree = {
        "seeds": {name: dataclasses.asdict(mine) for name, mine in measured.items()},
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "code_version": runs.code_version(),
    }
    write_atomically(path, json.dumps(tree, indent=2) + "\n")
