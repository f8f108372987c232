"""The classical controllers fly with the gains that were found for them; with a mutated sign they fall."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from fledge_sim import robot
from fledge_train import evaluate
from fledge_train.baselines import gains, tune
from fledge_train.baselines.cascade import Cascade, CascadeGains
from fledge_train.baselines.geometric import Geometric, GeometricGains
from fledge_train.executor import Controller

EPISODES = 64
NAMES = ("crazyflie", "crazyflie_paper")
KINDS: tuple[gains.Kind, ...] = ("pid", "geometric")


@cache
def hovered(kind: gains.Kind, name: str) -> evaluate.Hover:
    vehicle = robot.load(name)
    return evaluate.hover(gains.controller(kind, vehicle), vehicle, evaluate.Conditions(), EPISODES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_hovers(kind: gains.Kind, name: str) -> None:
    hover = hovered(kind, name)
    assert hover.survival > (0.45 if kind == "pid" else 0.6)  # thrown by up to 90 degrees in a box of 0.6 m
    assert hover.error is not None
    assert hover.error < 0.03


@pytest.mark.parametrize("name", NAMES)
def test_feed_forward_follows_a_figure_eight(name: str) -> None:
    vehicle = robot.load(name)
    eights = {
        kind: evaluate.track_figure_eight(gains.controller(kind, vehicle), vehicle, 5.5, evaluate.Conditions(), 16)
        for kind in KINDS
    }
    assert all(eight.survival == 1 for eight in eights.values())
    assert eights["geometric"].rmse is not None
    assert eights["geometric"].rmse < 0.04
    assert eights["pid"].rmse is not None
    assert eights["pid"].rmse > eights["geometric"].rmse


def mutants() -> list[Controller]:
    """One sign turned in each loop."""
    vehicle = robot.load("crazyflie")
    pid, geometric = (gains.found(kind, vehicle) for kind in KINDS)
    return [
        *(Cascade(vehicle, CascadeGains(**{**pid, name: -pid[name]})) for name in ("position", "velocity", "rate")),
        *(
            Geometric(vehicle, GeometricGains(**{**geometric, name: -geometric[name]}))
            for name in ("position", "velocity", "attitude", "rate")
        ),
    ]


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: type(mutant).__name__)
def test_a_mutated_sign_falls(mutant: Controller) -> None:
    hover = evaluate.hover(mutant, robot.load("crazyflie"), evaluate.Conditions(), 32)
    assert hover.survival < 0.05


def test_an_inference_rate_of_500_hz_hovers_as_well() -> None:
    vehicle = robot.load("crazyflie")
    flown = evaluate.Conditions(delay=evaluate.FLOWN_LATENCY, calls=5)
    for kind in KINDS:
        hover = evaluate.hover(gains.controller(kind, vehicle), vehicle, flown, 16)
        assert hover.survival > 0.6
        assert hover.error is not None
        assert hover.error < 0.03


def test_a_search_never_ends_worse_than_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small rounds over two of the tasks, around gains that were spoilt on purpose."""
    monkeypatch.setattr(tune, "SCALES", {"hover": 0.02, 3.5: 0.1})
    vehicle = robot.load("crazyflie")
    spoilt = {**gains.found("geometric", vehicle), "attitude": 20.0}
    search = tune.Search(population=8, episodes=2, rounds=2, spread=0.3)
    said: list[str] = []
    best = tune.tune("geometric", vehicle, search, said.append, GeometricGains(**spoilt))
    keys = dataclasses.asdict(best)
    one, other = (
        tune.costs("geometric", vehicle, {name: np.array([value]) for name, value in each.items()}, 2, tune.SEED - 1)[0]
        for each in (spoilt, keys)
    )
    assert other <= one
    assert len(said) == 2
