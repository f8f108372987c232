"""Real-time evidence: distributions of times, each with the clock that it comes from, and deadlines that were missed.

Three clocks that are never put into one statistic: what a model says of the emulated processor, what a real drone
measured with its own counters, and what this computer's clock saw of the link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from fledge_export.timing import CLOCK
from numpy.typing import NDArray

from fledge_hil.flight_log import FlightLog
from fledge_hil.injection import BUDGET_US, Answer
from fledge_hil.tick_timing import PERIOD_US, TickTiming, percentiles

Clock = Literal["modelled", "measured", "host"]
TITLES: Mapping[Clock, str] = {
    "modelled": "Modelled time of the simulated drone",
    "measured": "Measured by the drone itself",
    "host": "Measured by the clock of this computer",
}
NOTES: Mapping[Clock, str] = {
    "modelled": "Simulated clock, and the upper cycle model at 168 MHz for what was executed; not measured on silicon.",
    "measured": "The drone's cycle counter and microsecond timer.",
    "host": "Includes this computer's scheduler, Python and the link; says nothing about the microcontroller alone.",
}
QUANTILES = ("p50", "p99", "p99.99", "max")
BINS = 40
"""Of a histogram."""


@dataclass(frozen=True)
class Series:
    """One kind of time."""

    name: str
    clock: Clock
    values: NDArray[np.float64]
    """(n,)"""
    unit: str = "us"

    @property
    def quantiles(self) -> tuple[float, ...]:
        """As QUANTILES."""
        return percentiles(self.values)

    def histogram(self) -> tuple[list[int], list[float]]:
        """Counts, and the edges between them; one bar when all values are equal."""
        if not len(self.values):
            return [], []
        low, high = float(self.values.min()), float(self.values.max())
        if high - low <= 1e-9 * max(1.0, abs(high)):
            return [len(self.values)], [low - 0.5, high + 0.5]
        counts, edges = np.histogram(self.values, BINS)
        return counts.tolist(), edges.tolist()


@dataclass(frozen=True)
class Misses:
    """Deadlines."""

    what: str
    clock: Clock
    missed: int
    of: int | None = None
    """Out of so many; None: not known."""


@dataclass(frozen=True)
class RealTime:
    """Everything that one run says about time."""

    series: tuple[Series, ...] = ()
    misses: tuple[Misses, ...] = ()

    def of_clock(self, clock: Clock) -> tuple[list[Series], list[Misses]]:
        """What comes from it."""
        return [s for s in self.series if s.clock == clock and len(s.values)], [
            m for m in self.misses if m.clock == clock
        ]

    @property
    def clocks(self) -> list[Clock]:
        """Those that say anything."""
        return [clock for clock in TITLES if any(self.of_clock(clock))]

    def __add__(self, other: RealTime) -> RealTime:
        """Side by side; nothing is merged."""
        return RealTime(self.series + other.series, self.misses + other.misses)

    def summary(self) -> list[dict[str, Any]]:
        """For report.json: numbers instead of samples."""
        rows: list[dict[str, Any]] = []
        for series in self.series:
            counts, edges = series.histogram()
            quantiles = dict(zip(QUANTILES, series.quantiles, strict=True))
            head = {"name": series.name, "clock": series.clock, "unit": series.unit, "samples": len(series.values)}
            rows.append({**head, **quantiles, "histogram": {"counts": counts, "edges": edges}})
        return rows + [
            {"name": each.what, "clock": each.clock, "missed": each.missed, "of": each.of} for each in self.misses
        ]


def device_clock(uri: str) -> Clock:
    """Whose figures those of a drone are: simulated drones only model them."""
    return "modelled" if uri.startswith(("udp:", "virtual:")) else "measured"


def of_ticks(timing: TickTiming) -> RealTime:
    """Sampled ticks of the emulated processor, priced by the cycle model."""
    inferred = timing.inference
    upper = timing.microseconds[:, 2]
    return RealTime(
        (
            Series("from inference to inference", "modelled", timing.periods_us),
            Series("tick with inference", "modelled", upper[inferred]),
            Series("tick without inference", "modelled", upper[~inferred]),
            Series("cycles of a tick with inference", "modelled", upper[inferred] * CLOCK / 1e6, "cycles"),
            Series("from state to motor command", "modelled", timing.latency_us),
            Series("age of the state", "modelled", timing.age_us),
        ),
        (
            Misses(f"ticks above {PERIOD_US:.0f} us", "modelled", timing.misses, len(upper)),
            Misses(f"ticks above {BUDGET_US} us", "modelled", int((upper > BUDGET_US).sum()), len(upper)),
        ),
    )


_LOGGED: Mapping[str, tuple[str, float]] = {
    "period_us": ("from inference to inference", 1.0),
    "inference_us": ("tick with inference", 1.0),
    "tick_us": ("tick", 1.0),
    "latency_us": ("from sensors to motor command", 1.0),
    "state_age_ms": ("age of the state", 1e3),
}
"""Column of a flight log -> what it is, and its unit in microseconds."""


def of_flight(log: FlightLog) -> RealTime:
    """What the drone logged while the policy flew; a column of zeros was not known."""
    flown = log.column("mode")[:, 0] == 1
    clock, series = device_clock(log.uri), []
    for name, (title, factor) in _LOGGED.items():
        values = log.column(name)[flown, 0] * factor
        values = values[np.isfinite(values)]
        if values.any():
            series.append(Series(title, clock, values))
    inferences = log.column("inferences")[:, 0]
    missed = log.column("misses")[:, 0]
    if not len(missed):
        return RealTime(tuple(series))
    of = int(inferences.max() - inferences[0])
    return RealTime(tuple(series), (Misses("inferences that came late", clock, int(missed.max() - missed[0]), of),))


def of_answers(uri: str, answers: Sequence[Answer], round_trips: Sequence[float]) -> RealTime:
    """What a device in the loop answered, and what the client's clock saw of it."""
    clock = device_clock(uri)
    longest = _known(answer.tick_us for answer in answers)
    series = [
        Series("longest tick with inference per answer", clock, _known(answer.inference_us for answer in answers)),
        Series("longest tick per answer", clock, longest),
        Series("from arrival of a state to its first tick", clock, _known(answer.wait_us for answer in answers)),
        Series("between arrivals of two states", clock, _intervals(answers)),
    ]
    if clock == "modelled":  # a simulated drone repeats what the model says of one tick: that is one figure, not many
        series[:2] = [Series("tick with inference, of a hover", clock, longest[:1])]
    if not uri.startswith("virtual:"):
        series.append(Series("round trip of a state and its answer", "host", 1e6 * np.array(round_trips, np.float64)))
    misses = Misses(f"answers with a tick above {BUDGET_US} us", clock, int((longest > BUDGET_US).sum()), len(longest))
    given = tuple(each for each in series if len(each.values))
    return RealTime(given, (misses,) if len(longest) and clock == "measured" else ())


def _known(values: Iterable[int | None]) -> NDArray[np.float64]:
    """Those that are given; all zeros: not measured."""
    known = np.array([value for value in values if value is not None], np.float64)
    return known if known.any() else np.zeros(0)


def _intervals(answers: Sequence[Answer]) -> NDArray[np.float64]:
    """[us], on the device's clock, which wraps."""
    arrivals = np.array([answer.received_us for answer in answers if answer.received_us is not None], np.int64)
    return (np.diff(arrivals) % (1 << 32)).astype(np.float64)
