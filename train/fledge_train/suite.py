"""The evaluation as a list of cases: what `fledge eval` flies, quick or thorough, in our simulator or another engine.

A case is a task under conditions with a number of episodes and a seed. The same case gives any controller the same
episodes, noise and gusts, so figures can be compared line by line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fledge_sim import randomize
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot

from fledge_train.evaluate import (
    FLOWN_LATENCY,
    Conditions,
    Hover,
    Recovery,
    Tracking,
    hover,
    recover,
    track_figure_eight,
)
from fledge_train.executor import Controller
from fledge_train.flights import Dynamics

Figures = Hover | Tracking | Recovery
PERIODS = (15.0, 5.5, 3.5)
"""Of the figure-eights [s]."""
GUSTS = 0.1
"""Standard deviation per axis of the gusts [weights]."""


@dataclass(frozen=True)
class Case:
    """One line of a table."""

    name: str
    """Key in the JSON output."""
    label: str
    """What a person reads."""
    task: Literal["hover", "figure-eight", "recovery"]
    conditions: Conditions
    episodes: int
    period: float | None = None
    """Of a figure-eight [s]."""

    def measure(self, flown: Policy | Controller, robot: Robot, dynamics: Dynamics | None = None) -> Figures:
        """Fly it; `dynamics` is another engine's."""
        conditions = replace(self.conditions, dynamics=dynamics) if dynamics else self.conditions
        if self.task == "hover":
            return hover(flown, robot, conditions, self.episodes)
        if self.task == "recovery":
            return recover(flown, robot, conditions, self.episodes)
        assert self.period is not None
        return track_figure_eight(flown, robot, self.period, conditions, self.episodes)

    def describe(self) -> dict[str, Any]:
        """For the JSON output: everything that the case depends on but the engine."""
        c = self.conditions
        pushed = {
            k: v for k, v in dataclasses.asdict(c.spread).items() if v and k not in ("control_delay", "noise_scale")
        }
        return {
            "label": self.label,
            "task": self.task,
            "episodes": self.episodes,
            "period_s": self.period,
            "seed": c.seed,
            "delay_s": c.delay,
            "inferences_per_native_step": c.calls,
            "gusts_weights": c.gusts,
            "spread": pushed,
        }


def pushed(times: float) -> randomize.Randomization:
    """The paper's constant force and torque, so many times as large."""
    paper = randomize.paper()
    force, torque = times * paper.disturbance_force, times * paper.disturbance_torque
    return replace(paper, disturbance_force=force, disturbance_torque=torque)


def as_flown(contract: Contract, seed: int) -> Conditions:
    """Inference at the contract's rate inside native steps, with the latency of one inference."""
    return Conditions(delay=FLOWN_LATENCY, calls=contract.inference_rate // contract.native_rate, seed=seed)


def combined(seed: int) -> Conditions:
    """Noise, disturbances, 10 ms of delay and parameters within +-20 %, all at once."""
    return Conditions(randomize.plus_minus(0.2), delay=0.01, seed=seed)


def quick(contract: Contract, episodes: int = 1000, seed: int = 1) -> tuple[Case, ...]:
    """The cases of fledge_train.evaluate.evaluate, with its seeds: the same figures, in seconds."""
    few, fewer = max(1, episodes // 2), max(1, episodes // 4)
    varied, flown = Conditions(randomize.plus_minus(0.2), seed=seed + 1), as_flown(contract, seed + 4)
    plain = Conditions(seed=seed + 5)
    rate = f"as flown, {contract.inference_rate} Hz"
    return (
        Case("hover", "nominal", "hover", Conditions(seed=seed), episodes),
        Case("hover_randomized", "parameters +-20 %", "hover", varied, few),
        Case("hover_delay_10_ms", "10 ms extra delay", "hover", Conditions(delay=0.01, seed=seed + 2), few),
        Case("hover_delay_20_ms", "20 ms extra delay", "hover", Conditions(delay=0.02, seed=seed + 3), few),
        Case("hover_as_flown", rate, "hover", flown, fewer),
        *(_eight(f"figure_eight_{p:g}_s", f"{p:g} s", p, plain, 48) for p in PERIODS),
        _eight("figure_eight_randomized", "5.5 s, parameters +-20 %", 5.5, varied, 48),
        _eight("figure_eight_as_flown", f"5.5 s, {rate}", 5.5, flown, 48),
    )


def thorough(contract: Contract, episodes: int = 1000, seed: int = 1) -> tuple[Case, ...]:
    """Everything: also pushes of two to four times the usual, gusts, 30 ms, all at once, and recovery from throws."""
    few, eights = max(1, episodes // 2), max(1, episodes // 10)
    varied, flown = Conditions(randomize.plus_minus(0.2), seed=seed + 1), as_flown(contract, seed + 4)
    plain, at_once = Conditions(seed=seed + 5), combined(seed + 6)
    rate = f"as flown, {contract.inference_rate} Hz"
    return (
        Case("hover", "nominal", "hover", Conditions(seed=seed), episodes),
        Case("hover_randomized", "parameters +-20 %", "hover", varied, episodes),
        *(
            Case(
                f"hover_delay_{ms}_ms", f"{ms} ms extra delay", "hover", Conditions(delay=ms / 1000, seed=seed + k), few
            )
            for ms, k in ((10, 2), (20, 3), (30, 7))
        ),
        Case("hover_combined", "+-20 %, 10 ms, noise", "hover", at_once, few),
        *(
            Case(f"hover_push_x{x}", f"{x} times the push", "hover", Conditions(pushed(x), seed=seed + 6 + x), few)
            for x in (2, 3, 4)
        ),
        Case("hover_gusts", "gusts of 10 % weight", "hover", Conditions(gusts=GUSTS, seed=seed + 11), few),
        Case("hover_as_flown", rate, "hover", flown, max(1, episodes // 4)),
        *(_eight(f"figure_eight_{p:g}_s", f"{p:g} s", p, plain, eights) for p in PERIODS),
        *(
            _eight(f"figure_eight_{p:g}_s_combined", f"{p:g} s, +-20 %, 10 ms, noise", p, at_once, eights)
            for p in PERIODS
        ),
        *(_eight(f"figure_eight_{p:g}_s_as_flown", f"{p:g} s, {rate}", p, flown, eights) for p in PERIODS),
        Case("recovery", "thrown, any attitude", "recovery", Conditions(seed=seed + 12), few),
    )


def elsewhere(episodes: int = 16, seed: int = 1) -> tuple[Case, ...]:
    """What is flown in every engine side by side: few episodes, since the engines step one world after the other."""
    plain, at_once = Conditions(seed=seed + 5), combined(seed + 6)
    return (
        Case("hover", "nominal", "hover", Conditions(seed=seed), episodes),
        Case("hover_combined", "+-20 %, 10 ms, noise", "hover", at_once, episodes),
        *(_eight(f"figure_eight_{p:g}_s", f"{p:g} s", p, plain, episodes) for p in PERIODS),
        *(
            _eight(f"figure_eight_{p:g}_s_combined", f"{p:g} s, +-20 %, 10 ms, noise", p, at_once, episodes)
            for p in PERIODS
        ),
    )


def results(figures: Mapping[str, Figures]) -> dict[str, Any]:
    """For the JSON output."""
    return {name: dataclasses.asdict(each) for name, each in figures.items()}


def _eight(name: str, label: str, period: float, conditions: Conditions, episodes: int) -> Case:
    return Case(name, label, "figure-eight", conditions, episodes, period)
