"""What the pilot listens to: log blocks of 26 bytes at 10 ms, joined into the table of a FlightLog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fledge_hil.flight_log import COLUMNS
from fledge_hil.radio import Sample

PERIOD_MS = 10

BLOCKS: Mapping[str, Mapping[str, str]] = {
    "state": {
        **{f"stateEstimate.{name}": "float" for name in ("x", "y", "z", "vx", "vy", "vz")},
        "fledge.mode": "uint8_t",
        "fledge.guard": "uint8_t",
    },
    "policy": {
        **{f"fledge.{name}": "float" for name in ("rx", "ry", "rz")},
        **{f"fledge.{name}": "FP16" for name in ("a1", "a2", "a3", "a4")},
        "fledge.misses": "uint16_t",
        "pm.vbat": "FP16",
        "supervisor.info": "uint16_t",
    },
    "health": {
        **{f"stateEstimate.{name}": "FP16" for name in ("roll", "pitch", "yaw")},
        "fledge.infers": "uint32_t",
        "fledge.inferUs": "FP16",
        "fledge.contract": "uint32_t",
    },
}
"""Log blocks of at most 26 bytes, all at PERIOD_MS."""

_VARIABLES = {
    **{name: f"stateEstimate.{name}" for name in ("x", "y", "z", "vx", "vy", "vz")},
    **{f"{name}_deg": f"stateEstimate.{name}" for name in ("roll", "pitch", "yaw")},
    **{name: f"fledge.{name}" for name in ("rx", "ry", "rz", "a1", "a2", "a3", "a4", "mode", "guard", "misses")},
    "inferences": "fledge.infers",
    "inference_us": "fledge.inferUs",
    "battery": "pm.vbat",
}
"""Log variable of each column of the flight log, time excepted."""
_STEPPED = frozenset(("mode", "guard", "misses", "inferences"))


def table(samples: Sequence[Sample], start: float) -> NDArray[np.float64]:
    """Rows at the times of the state block; the other blocks are interpolated, whole numbers held."""
    times = {block: np.array([s.time for s in samples if s.block == block]) for block in BLOCKS}
    rows = times["state"]
    columns = [rows - start]
    for name in COLUMNS[1:]:
        variable = _VARIABLES[name]
        block = next(block for block, variables in BLOCKS.items() if variable in variables)
        values = np.array([s.values[variable] for s in samples if s.block == block], dtype=float)
        if name in _STEPPED:
            columns.append(values[np.maximum(0, np.searchsorted(times[block], rows, side="right") - 1)])
        else:
            columns.append(np.interp(rows, times[block], values))
    return np.stack(columns, axis=1)
