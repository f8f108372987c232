"""What the pilot listens to: log blocks of 26 bytes at 10 ms, joined into the table of a FlightLog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fledge_hil.client import Client, Sample
from fledge_hil.flight_log import COLUMNS

PERIOD_MS = 10

BLOCKS: Mapping[str, Mapping[str, str]] = {
    "state": {
        **{f"stateEstimate.{name}": "float" for name in ("x", "y", "z", "vx", "vy", "vz")},
        "fledge.mode": "uint8",
        "fledge.guard": "uint8",
    },
    "policy": {
        **{f"fledge.{name}": "float" for name in ("rx", "ry", "rz")},
        **{f"fledge.{name}": "fp16" for name in ("a1", "a2", "a3", "a4")},
        "fledge.misses": "uint16",
        "pm.vbat": "fp16",
        "supervisor.info": "uint16",
    },
    "health": {
        **{f"stateEstimate.{name}": "fp16" for name in ("qw", "qx", "qy", "qz")},
        **{f"gyro.{name}": "fp16" for name in ("x", "y", "z")},
        "fledge.infers": "uint32",
        "fledge.inferUs": "fp16",
        "fledge.contract": "uint32",
    },
}
"""Log blocks of at most 26 bytes, all at PERIOD_MS: 300 packets per second, 350 with TIMES: a radio carries them."""

OPTIONAL = {"health": ("fledge.tickUs", "fp16")}
"""Logged with a block where the drone has it: the app on a real one does."""
TIMING = "timing"
"""Name of the block of TIMES, at TIMING_PERIOD_MS."""
TIMING_PERIOD_MS = 20
TIMES = {"fledge.periodUs": "float", "stabilizer.intToOut": "uint32", "fledge.stateAge": "uint16"}
"""Logged in a block of their own where the drone has them: real ones do."""

_VARIABLES = {
    **{name: f"stateEstimate.{name}" for name in ("x", "y", "z", "vx", "vy", "vz", "qw", "qx", "qy", "qz")},
    **{f"w{name}": f"gyro.{name}" for name in ("x", "y", "z")},
    **{name: f"fledge.{name}" for name in ("rx", "ry", "rz", "a1", "a2", "a3", "a4", "mode", "guard", "misses")},
    "inferences": "fledge.infers",
    "inference_us": "fledge.inferUs",
    "tick_us": "fledge.tickUs",
    "period_us": "fledge.periodUs",
    "latency_us": "stabilizer.intToOut",
    "state_age_ms": "fledge.stateAge",
    "battery": "pm.vbat",
    "supervisor": "supervisor.info",
}
"""Log variable of each column of the flight log; time and angles excepted."""
_STEPPED = frozenset(("mode", "guard", "misses", "inferences", "supervisor", "period_us", "latency_us", "state_age_ms"))
_UNITS = dict.fromkeys(("wx", "wy", "wz"), np.pi / 180)
"""Factor from the firmware's unit to ours."""
_ANGLES = ("roll_deg", "pitch_deg", "yaw_deg")


def start(client: Client) -> list[str]:
    """Log everything that the drone has; which variables have to arrive before it is complete. Raises LinkError."""
    blocks = {name: dict(variables) for name, variables in BLOCKS.items()}
    for block, (variable, kind) in OPTIONAL.items():
        if client.can_log(variable):
            blocks[block][variable] = kind
    for name, variables in blocks.items():
        client.start_log(name, PERIOD_MS, variables)
    if times := {name: kind for name, kind in TIMES.items() if client.can_log(name)}:
        client.start_log(TIMING, TIMING_PERIOD_MS, times)
    return [name for variables in blocks.values() for name in variables]


def table(samples: Sequence[Sample], start: float) -> NDArray[np.float64]:
    """Rows at the times of the state block, in order and once each; the other blocks are interpolated, whole numbers
    held. Numbers are rounded to float32, as they came."""
    ordered = {block: _ordered(samples, block) for block in (*BLOCKS, TIMING)}
    times = {block: np.array([sample.time for sample in kept]) for block, kept in ordered.items()}
    rows = times["state"]
    columns: dict[str, NDArray[np.float64]] = {"time": np.round(rows - start, 6)}
    for name, variable in _VARIABLES.items():
        block = next((block for block, kept in ordered.items() if kept and variable in kept[0].values), None)
        if block is None or not len(rows):
            columns[name] = np.zeros(len(rows))
            continue
        values = np.array([sample.values[variable] for sample in ordered[block]], dtype=float) * _UNITS.get(name, 1.0)
        if name in _STEPPED:
            columns[name] = values[np.maximum(0, np.searchsorted(times[block], rows, side="right") - 1)]
        else:
            columns[name] = np.interp(rows, times[block], values).astype(np.float32).astype(np.float64)
    columns.update(zip(_ANGLES, _euler_deg(*(columns[f"q{axis}"] for axis in "wxyz")), strict=True))
    return np.stack([columns[name] for name in COLUMNS], axis=1)


def _ordered(samples: Sequence[Sample], block: str) -> list[Sample]:
    """By time, without repetitions: a link may deliver late or twice."""
    return [once for _, once in sorted({sample.time: sample for sample in samples if sample.block == block}.items())]


def _euler_deg(
    w: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Roll, pitch (nose up positive), yaw [deg], as the firmware logs them."""
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = -np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return tuple(np.degrees(angle).astype(np.float32).astype(np.float64) for angle in (roll, pitch, yaw))
