"""Puts the simulator's recording on the clock of a flight log.

The log may count from arming, the recording counts from boot. Both hold the drone's estimate of its position, so the
right shift is the one at which the two tracks lie on each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fledge_hil.flight_log import FlightLog
from fledge_hil.recording import PERIOD_MS, Recording

LARGEST_DIFFERENCE = 0.05
"""[m], root mean square; above, the recording is of another flight."""
_PERIOD = PERIOD_MS * 1e-3


def recording_time(log: FlightLog, recording: Recording) -> NDArray[np.float64] | None:
    """Time of each row of the recording on the log's clock [s]; None when it is not of the same flight."""
    track = _track(log)
    estimate = recording.columns("estimate_x", "estimate_y", "estimate_z").astype(np.float64)
    estimate = np.where(np.isfinite(estimate), estimate, 0.0)
    if track is None or len(estimate) < len(track[1]):
        return None
    start, positions = track
    shift, difference = _best_shift(estimate, positions)
    if difference > LARGEST_DIFFERENCE:
        return None
    time: NDArray[np.float64] = recording["time"].astype(np.float64)
    time += start - time[shift]
    return time


def _track(log: FlightLog) -> tuple[float, NDArray[np.float64]] | None:
    """Start [s] and positions (n, 3) [m] of the log between arming and its end, at the recording's period."""
    inside = np.zeros(len(log.table), bool)
    for phase in log.phases:
        inside |= log.during(phase.name)
    good = inside & np.isfinite(log.column("time", "x", "y", "z")).all(axis=1)
    if good.sum() < 2:
        return None
    time, position = log.column("time")[good, 0], log.column("x", "y", "z")[good]
    grid = np.arange(time[0], time[-1], _PERIOD)
    return float(time[0]), np.stack([np.interp(grid, time, axis) for axis in position.T], axis=1)


def _best_shift(long: NDArray[np.float64], short: NDArray[np.float64]) -> tuple[int, float]:
    """Row of `long` at which `short` fits best, and the root mean square distance there.

    sum |long[k + i] - short[i]|^2 = sum |long[k + i]|^2 - 2 sum long[k + i] . short[i] + sum |short[i]|^2
    """
    rows = len(short)
    size = len(long) + rows
    spectrum = np.fft.rfft(long, size, axis=0) * np.conj(np.fft.rfft(short, size, axis=0))
    product = np.fft.irfft(spectrum, size, axis=0).sum(axis=1)[: len(long) - rows + 1]
    power = np.concatenate([[0.0], np.cumsum((long**2).sum(axis=1))])
    square = power[rows:] - power[:-rows] - 2 * product + (short**2).sum()
    shift = int(square.argmin())
    return shift, float(np.sqrt(max(0.0, square[shift]) / rows))
