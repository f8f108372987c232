"""Searches a baseline's gains for a robot: `python -m fledge_train.baselines.tune --robot crazyflie --kind pid`.

Cross-entropy search in the logarithm of the gains: every round flies a population of candidates side by side, one per
group of episodes, and draws the next around the best eighth. The task is the evaluation's: hover from thrown starts and
figure-eights of 15, 5.5 and 3.5 s, with noise, disturbances, +-20 % parameters and 10 ms of delay, on seeds that no
evaluation has by default. The cost of a candidate is the sum over the four of

    rms error / scale + 20 x share lost + action jerk / 0.1, scales of 2 cm (hover, 15 s), 4 cm (5.5 s), 10 cm (3.5 s)

where the jerk is the mean change of the action from step to step: without it the best gains let the motors rattle.

Writes the best into gains.toml.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from fledge_sim import kernel, randomize, tasks
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.robot import Robot
from numpy.typing import NDArray

from fledge_train import evaluate
from fledge_train.baselines import gains
from fledge_train.baselines.cascade import CascadeGains, Gain
from fledge_train.baselines.gains import Kind
from fledge_train.baselines.geometric import GeometricGains
from fledge_train.flights import DT, Flight, Scenario, fly

Float64 = NDArray[np.float64]
Built = CascadeGains | GeometricGains

SEED = 7000
"""Of the search's episodes; evaluations use small ones."""
LOST = 20.0
"""Cost of losing all episodes of a task."""
SCALES: Mapping[str | float, float] = {"hover": 0.02, 15.0: 0.02, 5.5: 0.04, 3.5: 0.1}
"""Of the error of each task [m]."""
JERK = 0.1
"""Scale of the change of the action per step."""
KEPT = 8
"""The next population is drawn around this fraction of the last."""
BOUNDED = {
    "lead": (1.0, 12.0),
    "lift_min": (1e-3, 1.5),
    "ahead": (1e-3, 0.3),
    "derivative_time": (2e-3, 0.2),
    "tilt_max": (0.2, 3.0),
}


@dataclass(frozen=True)
class Search:
    """How thorough the search is."""

    population: int = 48
    """Candidates per round."""
    episodes: int = 10
    """Of each task and candidate."""
    rounds: int = 14
    """Each draws closer to the best."""
    spread: float = 0.7
    """Standard deviation of the logarithm of a gain in the first round."""


def tune(kind: Kind, robot: Robot, search: Search, say: Callable[[str], None], start: Built | None = None) -> Built:
    """The best gains of all rounds.

    Args:
        kind: of controller.
        robot: nominal body.
        search: how thorough.
        say: is told of every round.
        start: of the search; default: the gains in the file, or the controller's defaults.
    """
    generator = np.random.Generator(np.random.PCG64(SEED))
    start = start or _built(kind, gains.read().get(kind, {}).get(robot.name, {}))
    names = [entry.name for entry in dataclasses.fields(start)]
    mean = np.log([float(getattr(start, name)) for name in names])
    width = np.full(len(names), search.spread)
    best, least = mean, float(costs(kind, robot, _named(names, mean[None]), search.episodes, SEED - 1)[0])
    for turn in range(search.rounds):
        draws = mean + width * generator.standard_normal((search.population, len(names)))
        draws[0], draws[1] = mean, best
        draws = np.clip(draws, *_bounds(names))
        cost = costs(kind, robot, _named(names, draws), search.episodes, SEED + turn)
        order = np.argsort(cost)[: max(2, search.population // KEPT)]
        mean = draws[order].mean(axis=0)
        width = np.clip(draws[order].std(axis=0), 0.05, None)
        again = costs(kind, robot, _named(names, draws[order]), search.episodes, SEED - 1)
        if again.min() < least:
            best, least = draws[order[np.argmin(again)]], float(again.min())
        say(f"round {turn + 1:2d}: cost {cost[order[0]]:7.3f}, best on the common episodes {least:7.3f}")
    return _built(kind, dict(zip(names, map(float, np.exp(best)), strict=True)))


def _named(names: list[str], logarithms: Float64) -> dict[str, Float64]:
    """Gains by name, each (c,), of logarithms (c, gains)."""
    return dict(zip(names, np.exp(logarithms).T, strict=True))


def _built(kind: Kind, named: Mapping[str, Gain]) -> Built:
    return CascadeGains(**named) if kind == "pid" else GeometricGains(**named)


def _bounds(names: list[str]) -> tuple[Float64, Float64]:
    pairs = np.log([BOUNDED.get(name, (1e-3, 1e4)) for name in names])
    return pairs[:, 0], pairs[:, 1]


def costs(kind: Kind, robot: Robot, candidates: dict[str, Float64], episodes: int, seed: int) -> Float64:
    """Cost of every candidate, (c,); candidates name gains of shape (c,)."""
    count = len(next(iter(candidates.values())))
    repeated = {name: np.repeat(value, episodes) for name, value in candidates.items()}
    flown = gains.controller(kind, robot, _built(kind, repeated))
    total = np.zeros(count)
    for task, scale in SCALES.items():
        flight = fly(flown, robot, _scenario(robot, task, count, episodes, seed), seed)
        total += _cost(flight, task, count, scale)
    return total


def _scenario(robot: Robot, task: str | float, count: int, episodes: int, seed: int) -> Scenario:
    """The same episodes for every candidate, one candidate after the other."""
    parameters = randomize.sample_parameters(robot, randomize.plus_minus(0.2), episodes, seed)
    if isinstance(task, str):
        state = tasks.sample_initial_states(robot, tasks.paper_initial_state(), episodes, seed)
        target, duration = evaluate.hover_target(1), 4.0
    else:
        state = kernel.hover_state(robot, episodes)
        target, duration = evaluate.figure_eight_target(task, 1), evaluate.WARM_UP + min(task, 6.0)
    return Scenario(
        state=np.tile(state, (1, count)),
        parameters=np.tile(parameters, (1, count)),
        target=target,
        duration=duration,
        delay=0.01,
    )


def _cost(flight: Flight, task: str | float, count: int, scale: float) -> Float64:
    first = -round(1 / DT) if isinstance(task, str) else round(evaluate.WARM_UP / DT)
    square = (flight.distance[first:] ** 2).mean(axis=0).reshape(count, -1)
    alive = flight.alive.reshape(count, -1)
    rms = np.sqrt(np.where(alive, square, 0).sum(axis=1) / np.maximum(alive.sum(axis=1), 1))
    change = np.linalg.norm(np.diff(flight.action[first:], axis=0), axis=2).mean(axis=0).reshape(count, -1).mean(axis=1)
    return np.asarray(rms / scale + LOST * (1 - alive.mean(axis=1)) + change / JERK)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robot", default="crazyflie", help="name of a robot that ships with fledge, or a .toml file")
    parser.add_argument("--kind", choices=("pid", "geometric"), default="pid")
    parser.add_argument("--rounds", type=int, default=Search.rounds)
    parser.add_argument("--population", type=int, default=Search.population)
    options = parser.parse_args()
    search = Search(population=options.population, rounds=options.rounds)
    try:
        robot, kind = robots.load(options.robot), options.kind
        best = tune(kind, robot, search, lambda line: print(line, flush=True))
        gains.keep(kind, robot, best)
    except FledgeError as error:
        sys.exit(f"tune: {error}")
    print(f"{gains.PATH}: {best}")


if __name__ == "__main__":
    main()
