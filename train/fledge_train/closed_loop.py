"""What a change of the network costs in flight: the same drones, disturbances and noise, flown by two networks.

Hover at rest, a figure-eight and recovery from a throw, each by drones that differ as in the paper's simulator, with
inference as the firmware runs it. Only drones that both networks kept are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from fledge_sim import kernel, randomize, tasks
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot

from fledge_train.evaluate import FLOWN_LATENCY, WARM_UP, figure_eight_target, hover_target
from fledge_train.flights import DT, Flight, Scenario, Step, fly

DURATION = 10.0
"""[s]"""
PERIOD = 5.5
"""Of the figure-eight [s]."""


@dataclass(frozen=True)
class Cost:
    """One task, flown by both networks."""

    rmse: float
    """Of the reference network, over the drones that both kept [m]."""
    rmse_changed: float
    """Of the other [m]."""
    kept: int
    """Drones that the reference did not lose."""
    kept_changed: int

    @property
    def growth(self) -> float:
        """Share by which the RMSE grew."""
        return self.rmse_changed / self.rmse - 1


def scenarios(robot: Robot, drones: int, seed: int, calls: int = 5) -> Mapping[str, Scenario]:
    """The three tasks.

    Args:
        robot: nominal body.
        drones: of each task.
        seed: of parameters, disturbances and throws.
        calls: inferences per native step.
    """
    hover = Scenario(
        state=kernel.hover_state(robot, drones),
        parameters=randomize.sample_parameters(robot, randomize.paper(), drones, seed),
        target=hover_target(drones),
        duration=DURATION,
        delay=FLOWN_LATENCY,
        calls=calls,
    )
    thrown = tasks.sample_initial_states(robot, tasks.paper_initial_state(), drones, seed)
    return {
        "hover": hover,
        "figure-eight": replace(hover, target=figure_eight_target(PERIOD, drones)),
        "recovery": replace(hover, state=thrown),
    }


def rmse(task: str, flights: Mapping[str, Flight]) -> dict[str, float]:
    """Root of the mean square distance per network, over drones that every network kept [m]."""
    alive = np.logical_and.reduce([flight.alive for flight in flights.values()])
    first = round(WARM_UP / DT) if task == "figure-eight" else 0
    return {name: float(np.sqrt((flight.distance[first:, alive] ** 2).mean())) for name, flight in flights.items()}


def measure(policy: Policy, robot: Robot, step: Step, drones: int = 200, seed: int = 1) -> dict[str, Cost]:
    """Cost per task of flying with `step` instead of the policy's float reference."""
    costs = {}
    for task, scenario in scenarios(robot, drones, seed).items():
        flights = {"float": fly(policy, robot, scenario, seed), "changed": fly(policy, robot, scenario, seed, step)}
        errors = rmse(task, flights)
        kept = [int(flight.alive.sum()) for flight in flights.values()]
        costs[task] = Cost(errors["float"], errors["changed"], *kept)
    return costs
