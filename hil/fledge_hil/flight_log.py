"""What a pilot brings home: the log received over the link, the phases of the flight, and why it ended."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.errors import FledgeError
from numpy.typing import NDArray

from fledge_hil import tables
from fledge_hil.tables import Table, columns

FILE = "flight.csv.gz"
"""Name of a flight's log beside its report."""
TABLE_COLUMNS = (
    *columns("s", "device time since arming", "time"),
    *columns("m", "estimate, world: z up", "x y z"),
    *columns("m/s", "estimate, world", "vx vy vz"),
    *columns("1", "estimate, body to world", "qw qx qy qz"),
    *columns(
        "deg", "estimate, x-y-z angles; pitch with the firmware's sign: nose up positive", "roll_deg pitch_deg yaw_deg"
    ),
    *columns("rad/s", "gyro, body: x forward, y left, z up", "wx wy wz"),
    *columns("m", "reference of the policy, world", "rx ry rz"),
    *columns("1", "action of the policy in -1..1, motors M1..M4; 0 while the stock controller flies", "a1 a2 a3 a4"),
    *columns("enum", "who flies: 0 stock controller, 1 policy", "mode"),
    *columns("enum", "why the policy does not fly, 0 while it does: firmware/flight/flight.h", "guard"),
    *columns("count", "ticks that came late, since boot", "misses"),
    *columns("count", "inferences since boot", "inferences"),
    *columns("us", "time of one inference: modelled on a virtual drone, measured on a real one", "inference_us"),
    *columns("us", "time of one tick of the controller: measured on a real drone, 0 on a virtual one", "tick_us"),
    *columns(
        "us",
        "between two inferences: measured on a real drone, simulated on a virtual one",
        "period_us",
    ),
    *columns(
        "us",
        "from sensors to motors: measured on a real drone, 0 on a virtual one",
        "latency_us",
    ),
    *columns("ms", "age of the state that the policy used", "state_age_ms"),
    *columns("V", "battery", "battery"),
    *columns("bits", "supervisor.info", "supervisor"),
)
COLUMNS = tuple(column.name for column in TABLE_COLUMNS)


@dataclass(frozen=True)
class Phase:
    """A part of the flight, by device time [s]."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Minute:
    """Of the soak; the last one may be shorter."""

    start: float
    """Device time since arming [s]."""
    seconds: float
    rmse: float
    """Distance between estimate and reference [m]."""
    maximum: float
    policy_share: float
    """0..1"""
    guards: int
    """Rows in which a guard spoke."""
    misses: int
    """Deadlines missed since boot."""
    inferences: int
    received: float
    """Share of the log that arrived, 0..1."""
    battery: float
    """[V], lowest"""


@dataclass(frozen=True)
class Soak:
    """A long flight in short."""

    minutes: tuple[Minute, ...]
    digest: str
    """SHA-256 of everything that was logged in it."""
    peak_memory: tuple[float, ...] = field(default=(), compare=False)
    """Of this process at the end of each minute [MB]; with a drone in this process, of both. Not in the log's file,
    which holds only what is the same for the same flight."""


@dataclass(frozen=True)
class FlightLog:
    """One flight as the client saw it; times are the device's."""

    uri: str
    device_type: str
    firmware: str
    contract_sha256: str
    table: NDArray[np.float64]
    """(rows, len(COLUMNS)), one row per 10 ms that arrived."""
    phases: tuple[Phase, ...]
    console: tuple[str, ...]
    """Lines the drone printed."""
    wall_seconds: float
    """Wall-clock from arming to disarming; 0 in a log that was loaded: its file holds only what the drone said."""
    aborted: str = ""
    """Why the flight ended early; empty after a complete flight."""
    origin: float = 0.0
    """Device time at time 0 of table and phases [s]."""
    soak: Soak | None = None
    """Of a soak, whose table holds the last two minutes only."""

    def column(self, *names: str) -> NDArray[np.float64]:
        """(rows, len(names))."""
        return self.table[:, [COLUMNS.index(name) for name in names]]

    def during(self, phase: str, skip: float = 0.0) -> NDArray[np.bool_]:
        """(rows,): rows within a phase, without its first `skip` seconds."""
        time = self.table[:, 0]
        inside = np.zeros(len(time), bool)
        for entry in self.phases:
            if entry.name == phase:
                inside |= (time >= entry.start + skip) & (time <= entry.end)
        return inside

    @property
    def device_seconds(self) -> float:
        """Device time covered by the phases [s]."""
        return self.phases[-1].end - self.phases[0].start if self.phases else 0.0

    @property
    def virtual(self) -> bool:
        """Whether the drone was simulated: only those are reached by UDP or in this process."""
        return self.uri.startswith(("udp:", "virtual:"))


def save(log: FlightLog, path: Path) -> None:
    """Table and phases, atomically: the same flight gives the same bytes, however long it took here."""
    notes = {
        "kind": "flight",
        "uri": log.uri,
        "device_type": log.device_type,
        "firmware": log.firmware,
        "contract_sha256": log.contract_sha256,
        "aborted": log.aborted,
        "phases": [[phase.name, phase.start, phase.end] for phase in log.phases],
        "console": list(log.console),
        "origin": log.origin,
        "soak": _soak_notes(log.soak) if log.soak is not None else None,
    }
    tables.save(Table(TABLE_COLUMNS, log.table, notes), path)


def load(path: Path) -> FlightLog:
    """Inverse of `save`, but for what it leaves out. Raises FledgeError for any other file."""
    table = tables.load(path, TABLE_COLUMNS, "flight log")
    notes = table.notes
    try:
        return FlightLog(
            str(notes["uri"]),
            str(notes["device_type"]),
            str(notes["firmware"]),
            str(notes["contract_sha256"]),
            np.asarray(table.values, np.float64),
            tuple(Phase(str(name), float(start), float(end)) for name, start, end in notes["phases"]),
            tuple(map(str, notes["console"])),
            0.0,
            str(notes["aborted"]),
            float(notes["origin"]),
            _soak(notes.get("soak")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FledgeError(f"{path} is not a flight log ({error}); fly again with `fledge hil`") from error


def _soak_notes(soak: Soak) -> dict[str, Any]:
    return {"minutes": [dataclasses.asdict(minute) for minute in soak.minutes], "digest": soak.digest}


def _soak(notes: Any) -> Soak | None:
    return None if notes is None else Soak(tuple(Minute(**minute) for minute in notes["minutes"]), str(notes["digest"]))
