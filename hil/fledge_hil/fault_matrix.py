"""The fault matrix: every fault over several seeds, on one processor, through one client; and what it came to.

With the direct client a cell is a function of policy, fault and seed; with cflib the same flights go over UDP.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.files import write_atomically

from fledge_hil import fault_flight
from fledge_hil.fault_flight import FaultFlight, Rig
from fledge_hil.faults import Fault
from fledge_hil.kept_flights import KeptFlights

JSON = "faults.json"
TRACK_SECONDS = 12.0
"""Of a flight that is kept for the report, from a second before the fault on [s]."""
_EVERY = 5
"""Rows of 10 ms per point of a track."""
TIME, X, Y, Z, MODE = range(5)
"""Columns of a track: device time [s], place [m, world], whether the policy flies."""


@dataclass(frozen=True)
class Cell:
    """What is kept of one flight."""

    seed: int
    reasons: tuple[str, ...]
    """Why it did not pass; none: it did."""
    ended: str
    began: float | None
    """Device time of the fault since boot [s]."""
    track: tuple[tuple[float, ...], ...]
    """Truth around the fault; empty for a flight that was refused."""

    @property
    def passed(self) -> bool:
        """Nothing speaks against it."""
        return not self.reasons


@dataclass(frozen=True)
class Row:
    """One fault."""

    fault: Fault
    flights: tuple[Cell, ...]

    @property
    def passed(self) -> int:
        """Seeds that passed."""
        return sum(flight.passed for flight in self.flights)

    @property
    def endings(self) -> Counter[str]:
        """How flights ended, and how often."""
        return Counter(_short(flight.ended) for flight in self.flights)

    @property
    def failures(self) -> list[str]:
        """What went wrong, by seed."""
        return [f"seed {flight.seed}: {'; '.join(flight.reasons)}" for flight in self.flights if not flight.passed]


@dataclass(frozen=True)
class Matrix:
    """All rows."""

    processor: str
    client: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Every row over every seed."""
        return all(row.passed == len(row.flights) for row in self.rows)


Told = Callable[[str, int, int], None]
"""Fault, flights done, flights in all."""


def kept(rig: Rig, path: Path, fresh: bool = False) -> KeptFlights:
    """For `run`: what an interrupted matrix of the same policy on the same drone left at `path`."""
    what = {"policy": rig.policy.contract.sha256, "board": rig.files.elf.parent.name}
    return KeptFlights(path, {**what, "processor": rig.processor, "client": rig.client}, fresh)


def run(
    rig: Rig,
    faults: Sequence[Fault],
    seeds: Sequence[int],
    told: Told | None = None,
    book: KeptFlights | None = None,
) -> Matrix:
    """Fly those that are not in `book`, and write each down there."""
    rows, done = [], 0
    for fault in faults:
        flights = []
        for seed in seeds:
            known = book.get(fault.name, seed) if book is not None else None
            flights.append(_fly(rig, fault, seed, book) if known is None else _parse(known))
            done += 1
            if told is not None:
                told(fault.name, done, len(seeds) * len(faults))
        rows.append(Row(fault, tuple(flights)))
    return Matrix(rig.processor, rig.client, tuple(rows))


def _fly(rig: Rig, fault: Fault, seed: int, book: KeptFlights | None) -> Cell:
    cell = cell_of(fault_flight.fly(rig, fault, seed))
    if book is not None:
        book.add({"fault": fault.name, **vars(cell)})
    return cell


def _parse(line: Mapping[str, Any]) -> Cell:
    track = tuple(tuple(point) for point in line["track"])
    return Cell(line["seed"], tuple(line["reasons"]), line["ended"], line["began"], track)


def cell_of(flight: FaultFlight) -> Cell:
    """What is kept of a flight."""
    track: list[tuple[float, ...]] = []
    if flight.log is not None and flight.began is not None:
        time = flight.recording["time"]
        around = (time >= flight.began - 1.0) & (time <= flight.began + TRACK_SECONDS)
        values = flight.recording.columns("time", "x", "y", "z", "mode").astype(float)[around][::_EVERY]
        track = [tuple(map(float, row)) for row in np.round(values, 4)]
    return Cell(flight.seed, flight.reasons, flight.ended, flight.began, tuple(track))


def tracks(row: Row) -> Iterator[Cell]:
    """Flights that were not refused."""
    return (flight for flight in row.flights if flight.track)


def document(matrix: Matrix) -> str:
    """As JSON: expectations, outcomes, and trajectories at 20 Hz."""
    tracked = [{**_plain(row), "trajectories": _tracks(row)} for row in matrix.rows]
    return json.dumps({"format": 1, **summary(matrix), "rows": tracked}, allow_nan=False, indent=1)


def summary(matrix: Matrix) -> dict[str, object]:
    """Expectations and outcomes."""
    return {
        "processor": matrix.processor,
        "client": matrix.client,
        "passed": matrix.passed,
        "rows": [_plain(row) for row in matrix.rows],
    }


def save(matrix: Matrix, directory: Path) -> Path:
    """faults.json."""
    write_atomically(directory / JSON, document(matrix))
    return directory / JSON


def _plain(row: Row) -> dict[str, object]:
    fault = row.fault
    return {
        "fault": fault.name,
        "what": fault.what,
        "expected": fault.outcome,
        "guards": [guard.name.lower() for guard in fault.guards],
        "passed": row.passed,
        "flights": len(row.flights),
        "endings": dict(row.endings),
        "failures": row.failures,
    }


def _tracks(row: Row) -> dict[str, list[list[float]]]:
    return {str(flight.seed): [list(point) for point in flight.track] for flight in tracks(row)}


def _short(ended: str) -> str:
    for sign, words in (
        ("plan completed", "flew on"),
        ("handed over to the stock controller", "guard"),
        ("no log data", "link lost"),
        ("not flying", "refused"),
        ("crashed", "crashed, motors off"),
        ("heartbeat", "heartbeat"),
    ):
        if sign in ended:
            detail = ended[ended.rfind("(") + 1 : -1].replace("_", " ") if words == "guard" else ""
            return f"{words}: {detail}" if detail else words
    return ended
