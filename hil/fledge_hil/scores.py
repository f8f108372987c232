"""How well a flight went, in numbers: tracking errors, who flew, deadlines, battery, landing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_hil.alignment import recording_time
from fledge_hil.board_messages import Guard
from fledge_hil.flight_log import FlightLog
from fledge_hil.recording import Recording

HOVER, FIGURE_EIGHT = "hover", "figure-eight"
"""Names of the phases that are judged."""
LANDING = ("land", "touch-down")
"""Names of the phases that end on the ground; the policy flies the first."""
OTHERS = ("waypoints", "recover", "handover", "soak")
"""The same, for other plans."""
SETTLING = {HOVER: 2.0, FIGURE_EIGHT: 2.5, "recover": 1.5, **dict.fromkeys(("waypoints", "handover", "soak"), 0.0)}
"""[s] at the start of a phase that do not count: the drone settles, gathers speed, recovers."""
GUARD_NAMES = (
    *("ok", "disabled", "self-test failed", "state not finite", "attitude not a rotation", "position error too large"),
    *("too fast", "turning too fast", "state too old", "set-point too old", "no position set-point"),
    *("action not finite", "ticks skipped", "estimator uncertain", "battery low", "motor saturated"),
)
"""enum flight_guard in words."""
_NORMAL_ON_GROUND = (Guard.DISABLED, Guard.STALE_SETPOINT, Guard.SETPOINT_MODE)
"""Guard reasons before and after a flight: not enabled, no set-point yet, or no longer."""
_PERIOD = 0.01
"""[s] between rows of a log that lost nothing."""

Rows = NDArray[np.floating]


@dataclass(frozen=True)
class Tracking:
    """Distance between position and reference over one phase [m]."""

    rmse: float
    """Root of the mean square 3-D distance."""
    mean: float
    maximum: float
    horizontal_rmse: float
    samples: int
    lost: int
    """Samples that were not finite and are in none of the figures above."""


@dataclass(frozen=True)
class PhaseScores:
    """One judged phase; None: there is nothing to measure it with."""

    estimate: Tracking | None
    """Against the drone's own estimate, as received over the link."""
    truth: Tracking | None
    """Against the simulator's truth, with the reference recorded on the drone."""
    received: float
    """Share of the phase's rows that arrived, 0..1."""
    policy_share: float
    """Share of the arrived rows in which the policy flew, 0..1."""

    @property
    def judged(self) -> Tracking | None:
        """The larger error of estimate and truth."""
        known = [tracking for tracking in (self.estimate, self.truth) if tracking is not None]
        return max(known, key=lambda tracking: tracking.rmse) if known else None


@dataclass(frozen=True)
class GuardEvent:
    """The policy lost the motors."""

    time: float
    """Device time [s]."""
    code: int
    """enum flight_guard"""
    reason: str


@dataclass(frozen=True)
class Scores:
    """One flight."""

    hover: PhaseScores
    figure_eight: PhaseScores
    others: Mapping[str, PhaseScores]
    """Judged phases of other plans that were flown, by name."""
    policy_share: float
    """Share of all rows in which the policy flew, 0..1."""
    guard_events: tuple[GuardEvent, ...]
    deadline_misses: int
    inferences: int
    inference_us: float | None
    """Largest time of one inference that the drone reported [us]: modelled on a virtual drone."""
    device_seconds: float
    wall_seconds: float
    real_time_factor: float | None
    """Device time over wall-clock time."""
    battery_start: float | None
    """[V]"""
    battery_end: float | None
    """[V]"""
    landing_offset: float | None
    """Horizontal distance from where it came to rest to the last reference of the landing [m]."""

    @property
    def phases(self) -> dict[str, PhaseScores]:
        """All judged phases by name, in order of flight."""
        return {HOVER: self.hover, FIGURE_EIGHT: self.figure_eight, **self.others}


def score(log: FlightLog, recording: Recording | None = None) -> Scores:
    """Everything that can be said about a flight; a phase that was not flown has no figures."""
    battery = _finite(log.column("battery")[:, 0])
    inference = _finite(log.column("inference_us")[:, 0])
    wall = log.wall_seconds
    truth_time = recording_time(log, recording) if recording is not None else None
    return Scores(
        hover=_phase(log, recording, truth_time, HOVER),
        figure_eight=_phase(log, recording, truth_time, FIGURE_EIGHT),
        others={name: _phase(log, recording, truth_time, name) for name in OTHERS if log.during(name).any()},
        policy_share=_share(log.column("mode")[:, 0] == 1),
        guard_events=guard_events(log),
        deadline_misses=_growth(log, "misses"),
        inferences=_growth(log, "inferences"),
        inference_us=float(inference.max()) if inference.size else None,
        device_seconds=log.device_seconds,
        wall_seconds=wall,
        real_time_factor=log.device_seconds / wall if wall > 0 else None,
        battery_start=float(battery[0]) if battery.size else None,
        battery_end=float(battery[-1]) if battery.size else None,
        landing_offset=_landing_offset(log),
    )


def tracking(position: Rows, reference: Rows) -> Tracking | None:
    """Errors between two tracks, (rows, 3) [m]; None when no row is finite."""
    error = position.astype(np.float64) - reference
    good = np.isfinite(error).all(axis=1)
    if not good.any():
        return None
    distance = np.linalg.norm(error[good], axis=1)
    horizontal = np.linalg.norm(error[good, :2], axis=1)
    return Tracking(
        rmse=_rms(distance),
        mean=float(distance.mean()),
        maximum=float(distance.max()),
        horizontal_rmse=_rms(horizontal),
        samples=len(distance),
        lost=int((~good).sum()),
    )


def position_error(log: FlightLog) -> NDArray[np.float64]:
    """Estimate minus reference, (rows, 3) [m, world]."""
    return log.column("x", "y", "z") - log.column("rx", "ry", "rz")


def guard_events(log: FlightLog) -> tuple[GuardEvent, ...]:
    """Each time the guard changed to a reason that is not normal in that part of the flight.

    Being switched off is a choice of the pilot; a missing set-point is an event only while a judged phase flies.
    """
    time, guard = log.column("time")[:, 0], log.column("guard")[:, 0]
    judged = np.any([log.during(name) for name in (HOVER, FIGURE_EIGHT, *OTHERS)], axis=0)
    expected = (guard == Guard.OK) | np.isin(guard, _NORMAL_ON_GROUND) & ~judged
    code = np.where(expected | ~np.isfinite(guard), 0, guard).astype(int)
    begins = np.flatnonzero((code != 0) & (np.concatenate([[0], code[:-1]]) != code))
    return tuple(GuardEvent(float(time[row]), int(code[row]), guard_name(int(code[row]))) for row in begins)


def guard_name(code: int) -> str:
    """enum flight_guard in words."""
    return GUARD_NAMES[code] if 0 <= code < len(GUARD_NAMES) else f"reason {code}"


def within(log: FlightLog, time: Rows, phase: str, skip: float = 0.0) -> NDArray[np.bool_]:
    """(n,): which of these times [s] lie in a phase, without its first `skip` seconds."""
    inside = np.zeros(len(time), bool)
    for entry in log.phases:
        if entry.name == phase:
            inside |= (time >= entry.start + skip) & (time <= entry.end)
    return inside


def _phase(log: FlightLog, recording: Recording | None, truth_time: Rows | None, phase: str) -> PhaseScores:
    rows, skip = log.during(phase), SETTLING[phase]
    measured = log.during(phase, skip)
    estimate = tracking(log.column("x", "y", "z")[measured], log.column("rx", "ry", "rz")[measured])
    truth = None
    if truth_time is not None and recording is not None:
        seen = within(log, truth_time, phase, skip)
        reference = recording.columns("reference_x", "reference_y", "reference_z")
        truth = tracking(recording.columns("x", "y", "z")[seen], reference[seen])
    seconds = sum(entry.end - entry.start for entry in log.phases if entry.name == phase)
    received = min(1.0, float(rows.sum()) * _PERIOD / seconds) if seconds > 0 else 0.0
    return PhaseScores(estimate, truth, received, _share(log.column("mode")[rows, 0] == 1))


def _landing_offset(log: FlightLog) -> float | None:
    time = log.column("time")[:, 0]
    rows = np.flatnonzero(within(log, time, LANDING[0]) | within(log, time, LANDING[1]))
    flown = rows[log.column("mode")[rows, 0] == 1]
    if not flown.size:
        return None
    offset = float(np.linalg.norm(log.column("x", "y")[rows[-1]] - log.column("rx", "ry")[flown[-1]]))
    return offset if math.isfinite(offset) else None


def _growth(log: FlightLog, counter: str) -> int:
    """How far a counter since boot went up during the log."""
    values = _finite(log.column(counter)[:, 0])
    return int(values.max() - values[0]) if values.size else 0


def _finite(values: Rows) -> Rows:
    kept: Rows = values[np.isfinite(values)]
    return kept


def _rms(values: Rows) -> float:
    return float(np.sqrt((values**2).mean()))


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if flags.size else 0.0
