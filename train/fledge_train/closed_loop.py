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
from fledge_train.executor import Network, Step
from fledge_train.flights import DT, Flight, Scenario, fly

REFERENCE = "float32"
DURATION = 10.0
"""[s]"""
PERIOD = 5.5
"""Of the figure-eight [s]."""


@dataclass(frozen=True)
class Costs:
    """One task, flown by every network; `float32` is the policy's own reference."""

    rmse: Mapping[str, float]
    """Per network, over the drones that all of them kept [m]."""
    kept: Mapping[str, int]
    """Drones that each network did not lose."""

    def growth(self, name: str) -> float:
        """Share by which the RMSE is larger than the reference's."""
        return self.rmse[name] / self.rmse[REFERENCE] - 1


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


def measure(
    policy: Policy, robot: Robot, networks: Mapping[str, Step], drones: int = 200, seed: int = 1, calls: int = 5
) -> dict[str, Costs]:
    """Costs per task of flying with each of `networks` instead of the policy's float reference.

    Args:
        policy: whose contract all of them have.
        robot: nominal body.
        networks: by name.
        drones: of each task.
        seed: of everything random.
        calls: inferences per native step.
    """
    costs = {}
    for task, scenario in scenarios(robot, drones, seed, calls).items():
        flights = {name: fly(Network(policy, step), robot, scenario, seed) for name, step in networks.items()}
        flights[REFERENCE] = fly(policy, robot, scenario, seed)
        kept = {name: int(flight.alive.sum()) for name, flight in flights.items()}
        costs[task] = Costs(_rmse(flights, round(WARM_UP / DT) if task == "figure-eight" else 0), kept)
    return costs


def _rmse(flights: Mapping[str, Flight], first: int) -> dict[str, float]:
    """Root of the mean square distance from step `first` on, over drones that every network kept [m]."""
    alive = np.logical_and.reduce([flight.alive for flight in flights.values()])
    return {
        name: float(np.sqrt((flight.distance[first:, alive] ** 2).mean())) if alive.any() else float("nan")
        for name, flight in flights.items()
    }
