"""What the simulator saw: a table of float32 rows at 100 Hz of device time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim.files import write_atomically
from numpy.typing import NDArray

from fledge_hil import tables
from fledge_hil.tables import Table, columns

PERIOD_MS = 10
TABLE_COLUMNS = (
    *columns("s", "device time since boot", "time"),
    *columns("m", "truth, world: z up", "x y z"),
    *columns("1", "truth, body to world", "qw qx qy qz"),
    *columns("m/s", "truth, world", "vx vy vz"),
    *columns("rad/s", "truth, body: x forward, y left, z up", "wx wy wz"),
    *columns("rad/s", "rotors M1..M4", "n1 n2 n3 n4"),
    *columns("m", "the drone's estimate, world", "estimate_x estimate_y estimate_z"),
    *columns("m/s", "the drone's estimate, world", "estimate_vx estimate_vy estimate_vz"),
    *columns("m", "reference of the policy, world", "reference_x reference_y reference_z"),
    *columns("m/s", "reference of the policy, world", "reference_vx reference_vy reference_vz"),
    *columns("1", "action of the policy in -1..1, M1..M4", "action_1 action_2 action_3 action_4"),
    *columns("1", "what reached the motors, 0..1, M1..M4", "fraction_1 fraction_2 fraction_3 fraction_4"),
    *columns("enum", "firmware/flight/flight.h", "guard mode"),
    *columns("enum", "hil/fledge_hil/supervisor.py", "supervisor"),
    *columns("enum", "firmware/flight/flight.h", "setpoint_mode"),
    *columns("V", "battery", "voltage"),
)
COLUMNS = tuple(column.name for column in TABLE_COLUMNS)


@dataclass(frozen=True)
class Recording:
    """Rows of COLUMNS."""

    table: NDArray[np.float32]

    def __getitem__(self, column: str) -> NDArray[np.float32]:
        return self.table[:, COLUMNS.index(column)]

    def columns(self, *names: str) -> NDArray[np.float32]:
        """Several columns side by side, (rows, len(names))."""
        return self.table[:, [COLUMNS.index(name) for name in names]]


class Recorder:
    """Collects rows; `content` is the file."""

    def __init__(self) -> None:
        self._rows: list[Sequence[float]] = []

    def add(self, row: Sequence[float]) -> None:
        """One row in the order of COLUMNS."""
        self._rows.append(row)

    @property
    def recording(self) -> Recording:
        """Everything so far."""
        return Recording(np.asarray(self._rows, dtype=np.float32).reshape(len(self._rows), len(COLUMNS)))

    @property
    def content(self) -> bytes:
        """The file: the same rows give the same bytes."""
        return encode(self.recording)

    def save(self, path: Path) -> None:
        """Write atomically."""
        write_atomically(path, self.content)


def encode(recording: Recording) -> bytes:
    """The file: the same rows give the same bytes."""
    return tables.encode(Table(TABLE_COLUMNS, recording.table, {"kind": "recording"}))


def save(recording: Recording, path: Path) -> None:
    """Write atomically."""
    write_atomically(path, encode(recording))


def load(path: Path) -> Recording:
    """Read a recording. Raises FledgeError when it is not one."""
    return Recording(tables.load(path, TABLE_COLUMNS, "recording of a virtual Crazyflie").values.astype(np.float32))
