"""Puts the simulator's recording on the clock of a flight log, and makes sure that both are of the same flight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fledge_hil.flight_log import FlightLog
from fledge_hil.recording import PERIOD_MS, Recording

LARGEST_DIFFERENCE = 0.05
"""[m], root mean square between both records of the drone's estimate; above, the recording is of another flight."""
_PERIOD = PERIOD_MS * 1e-3


def recording_time(log: FlightLog, recording: Recording) -> NDArray[np.float64] | None:
    """Time of each row of the recording on the log's clock [s]; None when it is not of the whole of the same flight."""
    time: NDArray[np.float64] = recording["time"].astype(np.float64) - log.origin
    flown = np.zeros(len(log.table), bool)
    for phase in log.phases:
        flown |= log.during(phase.name)
    flown &= np.isfinite(log.column("time", "x", "y", "z")).all(axis=1)
    if not flown.any() or not len(time):
        return None
    logged, position = log.column("time")[flown, 0], log.column("x", "y", "z")[flown]
    if logged[0] < time[0] - _PERIOD or logged[-1] > time[-1] + _PERIOD:
        return None
    estimate = recording.columns("estimate_x", "estimate_y", "estimate_z").astype(np.float64)
    estimate = np.where(np.isfinite(estimate), estimate, 0.0)
    recorded = np.stack([np.interp(logged, time, axis) for axis in estimate.T], axis=1)
    difference = np.sqrt(np.mean(np.sum((recorded - position) ** 2, axis=1)))
    return time if difference <= LARGEST_DIFFERENCE else None
