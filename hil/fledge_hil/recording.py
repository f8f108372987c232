"""What the simulator saw: a table of float32 rows at 100 Hz of device time, written as .npz."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from numpy.typing import NDArray

PERIOD_MS = 10
COLUMNS: tuple[str, ...] = (
    "time",  # [s], device
    *("x", "y", "z", "qw", "qx", "qy", "qz", "vx", "vy", "vz", "wx", "wy", "wz", "n1", "n2", "n3", "n4"),  # truth
    *("estimate_x", "estimate_y", "estimate_z", "estimate_vx", "estimate_vy", "estimate_vz"),
    *("reference_x", "reference_y", "reference_z", "reference_vx", "reference_vy", "reference_vz"),
    *("action_1", "action_2", "action_3", "action_4"),
    *("fraction_1", "fraction_2", "fraction_3", "fraction_4"),
    *("guard", "mode", "supervisor", "setpoint_mode", "voltage"),
)
"""SI units; truth in the kernel's order; fractions are what reached the motors."""


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
        """The .npz file: the same rows give the same bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, columns=np.array(COLUMNS), table=self.recording.table)
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write atomically."""
        write_atomically(path, self.content)


def load(path: Path) -> Recording:
    """Read a recording. Raises FledgeError when it is not one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns, table = archive["columns"], archive["table"]
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FledgeError(f"{path} is not a recording of the virtual Crazyflie ({error}); fly again") from error
    if tuple(columns.tolist()) != COLUMNS:
        raise FledgeError(f"{path} was recorded by another version of fledge; fly again")
    return Recording(table)
