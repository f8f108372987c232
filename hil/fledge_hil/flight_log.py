"""What a pilot brings home: the log received over the link, the phases of the flight, and why it ended."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from numpy.typing import NDArray

COLUMNS = (
    # device time [s]; estimate [m], [m/s], world, and attitude [deg]; reference [m, world]
    *("time", "x", "y", "z", "vx", "vy", "vz", "roll_deg", "pitch_deg", "yaw_deg", "rx", "ry", "rz"),
    # action [-1, 1], M1..M4; enums flight_mode and flight_guard; counters since boot; modelled inference [us]; [V]
    *("a1", "a2", "a3", "a4", "mode", "guard", "misses", "inferences", "inference_us", "battery"),
)


@dataclass(frozen=True)
class Phase:
    """A part of the flight, by device time [s]."""

    name: str
    start: float
    end: float


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
    """Wall-clock from arming to disarming."""
    aborted: str = ""
    """Why the flight ended early; empty after a complete flight."""
    origin: float = 0.0
    """Device time at time 0 of table and phases [s]."""

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


def save(log: FlightLog, path: Path) -> None:
    """Table and phases as .npz, atomically."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        columns=np.array(COLUMNS),
        table=log.table,
        phase_names=np.array([phase.name for phase in log.phases]),
        phase_times=np.array([(phase.start, phase.end) for phase in log.phases]).reshape(-1, 2),
        texts=np.array([log.uri, log.device_type, log.firmware, log.contract_sha256, log.aborted]),
        console=np.array(log.console),
        wall_seconds=np.array(log.wall_seconds),
        origin=np.array(log.origin),
    )
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> FlightLog:
    """Inverse of `save`. Raises FledgeError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            entries = {name: archive[name] for name in archive.files}
        if tuple(entries["columns"].tolist()) != COLUMNS:
            raise FledgeError(f"{path} was written by another version of fledge; fly again")
        uri, device_type, firmware, contract, aborted = entries["texts"].tolist()
        names, times = entries["phase_names"].tolist(), entries["phase_times"].tolist()
        phases = tuple(Phase(name, start, end) for name, (start, end) in zip(names, times, strict=True))
        console, wall = tuple(entries["console"].tolist()), float(entries["wall_seconds"])
        origin = float(entries["origin"])
        return FlightLog(uri, device_type, firmware, contract, entries["table"], phases, console, wall, aborted, origin)
    except FledgeError:
        raise
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FledgeError(f"{path} is not a flight log ({error}); fly again with `fledge hil`") from error
