"""Real-time evidence: every figure keeps the clock that it comes from, down to the page."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from fledge_hil import real_time
from fledge_hil.board_messages import Failsafe, Guard
from fledge_hil.flight_log import COLUMNS, FlightLog
from fledge_hil.injection import Answer
from fledge_hil.real_time import Misses, RealTime, Series
from fledge_hil.report_real_time import real_time_section
from fledge_hil.tick_timing import TickTiming

ANSWER = Answer(0, Guard.OK, Failsafe.FOLLOW, True, True, True, (0.5,) * 4, 180, 210, 1, 7, 0, 400, 0)


def log(uri: str, **columns: Any) -> FlightLog:
    table = np.zeros((4, len(COLUMNS)))
    for name, values in columns.items():
        table[:, COLUMNS.index(name)] = values
    return FlightLog(uri, "Crazyflie 2.1", "", "", table, (), (), 0.0)


def by_name(found: RealTime) -> dict[str, Series]:
    return {series.name: series for series in found.series}


def test_quantiles_and_histogram_of_known_numbers() -> None:
    series = Series("x", "host", np.arange(1.0, 10002.0))
    assert series.quantiles == pytest.approx((5001, 9901, 10000, 10001))
    counts, edges = series.histogram()
    assert sum(counts) == 10001
    assert (edges[0], edges[-1], len(edges)) == (1, 10001, real_time.BINS + 1)
    assert Series("x", "host", np.full(7, 2000.0)).histogram() == ([7], [1999.5, 2000.5])
    assert Series("x", "host", np.zeros(0)).histogram() == ([], [])


def test_a_real_drone_measures_and_a_simulated_one_models() -> None:
    values = {"mode": (0, 1, 1, 1), "inference_us": (9, 170, 180, 190), "misses": (3, 3, 4, 4)}
    values |= {"inferences": (100, 105, 110, 115), "period_us": (0, 1999, 2000, 2001), "state_age_ms": (0, 1, 0, 2)}
    for uri, clock in (("radio://0/80", "measured"), ("usb://0", "measured"), ("udp://a:1", "modelled")):
        found = real_time.of_flight(log(uri, **values))
        assert found.clocks == [clock]
        assert found.misses == (Misses("inferences that came late", clock, 1, 15),)  # type: ignore[arg-type]
        series = by_name(found)
        assert series["tick with inference"].values.tolist() == [170, 180, 190]  # only while the policy flew
        assert series["from inference to inference"].quantiles[0] == 2000
        assert series["age of the state"].values.tolist() == [1000, 0, 2000]
        assert "from sensors to motor command" not in series  # not logged: not invented


def test_answers_of_a_real_device() -> None:
    """Arrivals 10 ms apart, over the wrap of a 32-bit clock; one tick of three above its budget."""
    answers = [
        dataclasses.replace(ANSWER, received_us=(2**32 - 5000 + 10_000 * number) % 2**32, tick_us=tick)
        for number, tick in enumerate((210, 501, 500))
    ]
    found = real_time.of_answers("usb://0", answers, (0.002, 0.003, 0.004))
    series = by_name(found)
    assert series["between arrivals of two states"].values.tolist() == [10_000, 10_000]
    assert series["from arrival of a state to its first tick"].quantiles[3] == 400
    assert series["longest tick per answer"].clock == "measured"
    assert series["round trip of a state and its answer"].clock == "host"
    assert series["round trip of a state and its answer"].quantiles[3] == pytest.approx(4000)
    assert found.misses == (Misses("answers with a tick above 500 us", "measured", 1, 3),)


def test_a_simulated_device_repeats_one_modelled_figure() -> None:
    found = real_time.of_answers("virtual://", [ANSWER] * 5, (0.1,) * 5)
    series = by_name(found)
    assert len(series["tick with inference, of a hover"].values) == 1
    assert found.misses == ()
    assert found.clocks == ["modelled"]  # no round trip: the link is a function call
    exact = dataclasses.replace(ANSWER, received_us=None, wait_us=None, late_ticks=None, inference_us=0, tick_us=0)
    assert real_time.of_answers("virtual://", [exact], (0.1,)).clocks == []


def test_ticks_are_priced_one_by_one() -> None:
    """Three inferences, 2 ms apart, the second 3 us longer; then a gap of another burst that is no period."""
    ticks = np.array([10, 11, 12, 14, 500])
    upper = np.array([160.0, 16.0, 163.0, 160.0, 160.0])
    timing = TickTiming(
        np.stack([upper - 20, upper - 10, upper], axis=1), upper > 100, np.array([0, 0, 2000.0, 0, 0]), ticks
    )
    found = real_time.of_ticks(timing)
    series = by_name(found)
    assert series["from inference to inference"].values.tolist() == [2003, 1997]
    assert series["cycles of a tick with inference"].quantiles[3] == pytest.approx(163 * 168)
    assert series["from state to motor command"].quantiles[3] == 2163
    assert found.clocks == ["modelled"]
    assert [each.missed for each in found.misses] == [0, 0]


def test_clocks_stay_apart_on_the_page_and_in_the_numbers() -> None:
    found = RealTime(
        (Series("tick", "modelled", np.array([1.0, 3.0])), Series("tick", "measured", np.array([7.0]))),
        (Misses("late", "host", 2, 9),),
    )
    page = real_time_section(found + RealTime((Series("trip", "host", np.array([5.0])),)))
    titles = [page.index(real_time.TITLES[clock]) for clock in ("modelled", "measured", "host")]
    assert titles == sorted(titles)
    modelled, measured, host = (page[start:end] for start, end in zip(titles, [*titles[1:], None], strict=True))
    assert "not measured on silicon" in modelled
    assert "not measured on silicon" not in measured
    assert "7.0" not in modelled.split("<svg")[0]
    assert "Deadlines, late: 2 of 9." in host
    assert page.count("<svg") == 3
    first, *_, last = found.summary()
    assert (first["clock"], first["p50"], first["samples"], first["max"]) == ("modelled", 2.0, 2, 3.0)
    assert last == {"name": "late", "clock": "host", "missed": 2, "of": 9}
    assert "says nothing about time" in real_time_section(RealTime())
