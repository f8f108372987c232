"""Two flights side by side: the same figures of both, and their tracks in one drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np

from fledge_hil import flight_log, recording
from fledge_hil.flight_log import FILE, FlightLog
from fledge_hil.markup import Markup, element, escape, facts, join, note, section, table
from fledge_hil.recording import Recording
from fledge_hil.report_figures import BLUE, INK, ORANGE, figure_canvas
from fledge_hil.report_page import TEMPLATE
from fledge_hil.scores import Scores, position_error, score

TRUTH = "truth.csv.gz"
COLOURS = (BLUE, ORANGE)


@dataclass(frozen=True)
class Flight:
    """One of the two."""

    name: str
    log: FlightLog
    recording: Recording | None

    @property
    def scores(self) -> Scores:
        """Figures."""
        return score(self.log, self.recording)


def load(path: Path) -> Flight:
    """From a directory with flight.csv.gz, or that file. Raises FledgeError."""
    file = path / FILE if path.is_dir() else path
    truth = file.parent / TRUTH
    return Flight(str(path), flight_log.load(file), recording.load(truth) if truth.exists() else None)


def rows(one: Flight, other: Flight) -> list[tuple[str, str, str, str]]:
    """What, first, second, change."""
    a, b = one.scores, other.scores
    found = []
    for name in {**a.phases, **b.phases}:
        for source in ("truth", "estimate"):
            values = [getattr(s.phases[name], source) if name in s.phases else None for s in (a, b)]
            if any(value is not None for value in values):
                errors = [None if value is None else 100 * value.rmse for value in values]
                found.append(_row(f"{name} RMSE, {source} [cm]", errors[0], errors[1], 2))
    for label, first, second, digits in (
        ("policy flew [%]", 100 * a.policy_share, 100 * b.policy_share, 0),
        ("inferences", a.inferences, b.inferences, 0),
        ("missed deadlines", a.deadline_misses, b.deadline_misses, 0),
        ("guard events", len(a.guard_events), len(b.guard_events), 0),
        ("battery at the end [V]", a.battery_end, b.battery_end, 2),
        ("flight [s]", a.device_seconds, b.device_seconds, 1),
    ):
        found.append(_row(label, first, second, digits))
    return found


def _row(label: str, first: float | None, second: float | None, digits: int) -> tuple[str, str, str, str]:
    texts = ["-" if value is None else f"{value:.{digits}f}" for value in (first, second)]
    change = "" if first is None or second is None else f"{second - first:+.{digits}f}"
    return label, texts[0], texts[1], change


def page(one: Flight, other: Flight) -> str:
    """The whole HTML."""
    flights = (one, other)
    facts_rows = [(label, _describe(flight)) for label, flight in zip("AB", flights, strict=True)]
    content = join(
        [
            section("Flights", facts(facts_rows)),
            section("Figures", table(("", "A", "B", "change"), rows(one, other), numbers=(1, 2, 3))),
            section("From above", _tracks(flights), note("A blue, B orange; truth where it is known, else estimate.")),
            section("Position error while the policy flew", _errors(flights)),
        ]
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{one.name} and {other.name}"),
        name=escape("Two flights compared"),
        subtitle=escape(f"A: {one.name} · B: {other.name}"),
        verdict=Markup(""),
        cards=Markup(""),
        content=content,
    )


def _describe(flight: Flight) -> str:
    log = flight.log
    ended = f"ended early: {log.aborted}" if log.aborted else "complete"
    return f"{flight.name}: {log.device_type} at {log.uri}, contract {log.contract_sha256[:8]}, {ended}"


def _tracks(flights: tuple[Flight, Flight]) -> Markup:
    with figure_canvas(9.2, 4.4, "compare") as (figure, text):
        axes = figure.subplots()
        for flight, colour in zip(flights, COLOURS, strict=True):
            known = flight.recording
            track = known.columns("x", "y") if known is not None else flight.log.column("x", "y")
            axes.plot(
                track[:: max(1, len(track) // 1500), 0], track[:: max(1, len(track) // 1500), 1], color=colour, lw=1
            )
        axes.set_aspect("equal")
        axes.set_xlabel("x [m]")
        axes.set_ylabel("y [m]")
    return element("figure", text.markup)


def _errors(flights: tuple[Flight, Flight]) -> Markup:
    with figure_canvas(9.2, 2.7, "compare errors") as (figure, text):
        axes = figure.subplots()
        for flight, colour in zip(flights, COLOURS, strict=True):
            log = flight.log
            flown = log.column("mode")[:, 0] == 1
            error = np.where(flown, 100 * np.linalg.norm(position_error(log), axis=1), np.nan)
            axes.plot(log.column("time")[::2, 0], error[::2], color=colour, lw=0.9)
        axes.set_xlabel("device time [s]", color=INK)
        axes.set_ylabel("position error [cm]")
        axes.set_ylim(bottom=0)
    return element("figure", text.markup)
