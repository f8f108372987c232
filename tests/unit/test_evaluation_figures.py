"""What the evaluation makes of a flight, from flights drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim import kernel, robot
from fledge_sim.rows import State
from fledge_train import evaluate
from fledge_train.baselines.cascade import Cascade, CascadeGains
from fledge_train.flights import Flight, Scenario
from numpy.typing import NDArray

CRAZYFLIE = robot.load("crazyflie")
ANY = Cascade(CRAZYFLIE, CascadeGains())
OVER = np.array([0, 1, 0, 0], np.float32)
"""Quaternion of half a turn about x: upside down."""


def hovering(steps: int, n: int) -> NDArray[np.float32]:
    """States (steps, 17, n) at the set-point, upright and still."""
    return np.repeat(kernel.hover_state(CRAZYFLIE, n)[None], steps, axis=0)


def flown(monkeypatch: pytest.MonkeyPatch, flight: Flight) -> list[Scenario]:
    """Every flight is this one; returns the scenarios that were asked for."""
    asked: list[Scenario] = []

    def fly(_flown: object, _robot: object, scenario: Scenario, seed: int = 0) -> Flight:
        asked.append(scenario)
        return flight

    monkeypatch.setattr(evaluate, "fly", fly)
    return asked


def test_settling_is_the_last_time_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three survivors stay within 10 cm after 0.5 s, 1.2 s (the second time) and at once: the median is 0.5 s."""
    distance = np.full((500, 4), 0.02)
    distance[:50, 0], distance[:30, 1], distance[100:120, 1] = 0.3, 0.3, 0.11
    distance[:, 3] = 9.0  # lost, does not count
    action = np.zeros((500, 4, 4), np.float32)
    action[450::2, :, 0] = 0.25  # jerk: 0.25 from step to step
    alive = np.array([True, True, True, False])
    flown(monkeypatch, Flight(distance, action, hovering(500, 4), alive))
    hover = evaluate.hover(ANY, CRAZYFLIE, evaluate.Conditions(), 4)
    assert hover.settling_time == pytest.approx(0.5)
    assert hover.survival == 0.75
    assert hover.error == pytest.approx(0.02)
    assert hover.action_jerk == pytest.approx(0.25 * 50 / 99)


def test_who_never_settles_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    still = np.zeros((500, 2, 4), np.float32)
    flown(monkeypatch, Flight(np.full((500, 2), 0.2), still, hovering(500, 2), np.ones(2, bool)))
    assert evaluate.hover(ANY, CRAZYFLIE, evaluate.Conditions(), 2).settling_time is None


def test_a_recovery_hovers_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four throws one is lost, one ends 0.2 m away; the others fell by 0.5 and 0.7 m, upright after 1 and 2 s."""
    state = hovering(800, 4)
    attitude = slice(State.QUATERNION, State.QUATERNION + 4)
    for drone, (until, depth) in enumerate(((100, 0.5), (200, 0.7))):
        state[:until, attitude, drone] = OVER
        state[300, State.POSITION + 2, drone] = -depth
    state[-1, State.POSITION, 2] = 0.2
    start = kernel.hover_state(CRAZYFLIE, 4)
    start[attitude, 1:3] = OVER[:, None]
    monkeypatch.setattr(evaluate.tasks, "sample_initial_states", lambda *_: start)
    alive = np.array([True, True, True, False])
    asked = flown(monkeypatch, Flight(np.zeros((800, 4)), np.zeros((800, 4, 4), np.float32), state, alive))
    recovery = evaluate.recover(ANY, CRAZYFLIE, evaluate.Conditions(), 4)
    assert recovery.recovered == 0.5
    assert recovery.recovered_upside_down == 0.5  # the second did, the third did not
    assert recovery.upright_time == pytest.approx(1.5)
    assert recovery.height_lost == pytest.approx(0.6)
    assert asked[0].limit == evaluate.RECOVERY_LIMIT


def test_gusts_are_in_units_of_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    still = np.zeros((500, 1, 4), np.float32)
    asked = flown(monkeypatch, Flight(np.zeros((500, 1)), still, hovering(500, 1), np.ones(1, bool)))
    evaluate.hover(ANY, CRAZYFLIE, evaluate.Conditions(gusts=0.1), 1)
    assert asked[0].gust_force == pytest.approx(0.1 * 0.0319 * 9.81)
