"""The benchmark of training: a real run in a process of its own, and when a course reaches a bar."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from fledge_hil.bench import train, train_curve
from fledge_hil.bench.train_curve import Point
from fledge_sim.errors import FledgeError


def test_a_run_is_timed_as_a_process_and_flown(tmp_path: Path) -> None:
    flags = ("--preset", "fast", "--iterations", "300")
    run = train.train_and_fly("crazyflie_paper", flags, 3, 20, tmp_path)
    assert 0 < run.loop < run.wall
    assert run.cpu > 0
    assert run.survival > 0.5
    assert 0 < run.error < 0.3
    assert len(run.eights) == len(run.lost) == 3


def test_mean_and_worst_know_which_side_is_bad() -> None:
    assert train._cell([0.9, 0.8], 2, min) == "0.85 (0.80)"
    assert train._cell([1.0, 3.0], 1) == "2.0 (3.0)"


def test_single_rows_are_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    run = train.Measured(1, 1, 1, 0.995, 0.005, 0.98, 0.01, 0.98, 0.95, (0.01, 0.02, 0.04), (0.0, 0.0, 0.0))
    monkeypatch.setattr(train, "_runs", lambda robot, flags, seeds, episodes: asked.append(flags) or [run])
    report = train.measure(train.Options(robots=("crazyflie",), only=("gru fast",)))
    assert asked == [("--preset", "fast")]
    assert all(len(table.rows) == 1 for table in report.tables)
    with pytest.raises(FledgeError, match="no row 'fast gru'; choose from: gru fast;"):
        train.measure(train.Options(only=("fast gru",)))


def test_a_bar_counts_only_when_survival_and_error_are_there_at_once() -> None:
    course = [
        Point(1.0, 0.99, 0.5),  # survives, far off
        Point(2.0, 0.50, 0.01),  # precise, crashes
        Point(3.0, 0.90, 0.20),  # the first bar
        Point(4.0, 0.99, 0.02),  # the others
        Point(5.0, 0.0, math.nan),
    ]
    never = [Point(1.0, 0.0, math.nan)]
    assert list(train_curve._first_times([course])) == ["3 (1/1)", "4 (1/1)", "4 (1/1)", "4 (1/1)"]
    assert list(train_curve._first_times([never])) == ["- (0/1)"] * 4
    assert next(train_curve._first_times([course, never])) == "3 (1/2)"


def test_the_curve_is_drawn_from_real_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_curve, "BUDGETS", (5, 300))
    monkeypatch.setattr(train_curve, "EPISODES", 10)
    monkeypatch.setattr(train_curve.algorithms, "NAMES", ("shac",))
    table = train_curve.draw(tmp_path / "curve.svg", seeds=1, first=0)
    assert [row[0] for row in table.rows] == ["shac gru", "shac mlp"]
    assert (tmp_path / "curve.svg").read_text().count("<path") > 10


def test_bounds_are_those_of_the_preset() -> None:
    good = train.Measured(1, 1, 1, 0.995, 0.005, 0.98, 0.01, 0.98, 0.95, (0.01, 0.02, 0.04), (0.0, 0.0, 0.0))
    for label in ("gru fast", "gru robust", "gru tracking", "gru tracking, look-ahead"):
        assert train.hovers_well(label, good)
        assert train.follows_well(label, good)
    slow = replace(good, eights=(0.01, 0.03, 0.08))
    assert train.follows_well("gru tracking", slow)
    assert not train.follows_well("gru tracking, look-ahead", slow)
    assert not train.follows_well("gru tracking", replace(good, lost=(0.0, 0.0, 0.01)))
    for change in ({"survival": 0.985}, {"error": 0.021}, {"survival_20_ms": 0.89}, {"error_20": 0.026}):
        assert not train.hovers_well("gru robust", replace(good, **change))
        assert train.hovers_well("gru fast", replace(good, **change))
    good_and_bad = {"crazyflie gru robust": [good, replace(slow, survival=0.9)]}
    times, hover, eights = train._tables(good_and_bad, 2, 100)
    assert [hover.rows[0][-1], eights.rows[0][-1]] == ["1/2", "2/2"]
    assert all(len(row) == len(table.heads) for table in (times, hover, eights) for row in table.rows)


def test_nonsense_is_refused() -> None:
    with pytest.raises(FledgeError, match="at least one seed"):
        train.measure(train.Options(seeds=0))
