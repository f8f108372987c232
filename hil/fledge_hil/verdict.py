"""Passed or failed, and every reason why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fledge_hil import soak
from fledge_hil.flight_log import FlightLog
from fledge_hil.scores import FIGURE_EIGHT, HOVER, PhaseScores, Scores


@dataclass(frozen=True)
class Limits:
    """What a flight has to keep."""

    hover_rmse: float = 0.05
    """[m]"""
    figure_eight_rmse: float = 0.15
    """[m]"""
    waypoints_rmse: float = 0.15
    """[m]"""
    recover_rmse: float = 0.15
    """[m], from 1.5 s after each throw"""
    handover_rmse: float = 0.15
    """[m], in the policy's turns"""
    soak_rmse: float = 0.15
    """[m]"""
    received: float = 0.5
    """Share of a phase's log rows that must have arrived for its figures to count, 0..1."""

    def rmse(self, phase: str) -> float:
        """Of a judged phase [m]."""
        return float(getattr(self, phase.replace("-", "_") + "_rmse"))


@dataclass(frozen=True)
class Verdict:
    """Passed, or the reasons why not, one sentence each."""

    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """No reason against it."""
        return not self.reasons


def judge(
    log: FlightLog,
    scores: Scores,
    contract_sha256: str,
    limits: Limits,
    planned: tuple[str, ...] = (HOVER, FIGURE_EIGHT),
) -> Verdict:
    """Verdict on a flight of the policy whose contract has this digest; `planned` phases had to be flown."""
    return Verdict(tuple(_reasons(log, scores, contract_sha256, limits, planned)))


def agrees(reported: str, sha256: str) -> bool:
    """Whether a drone's digest (at least its first 32 bits) is the contract's."""
    return len(reported) >= 8 and sha256.startswith(reported.lower())


def _reasons(
    log: FlightLog, scores: Scores, contract_sha256: str, limits: Limits, planned: tuple[str, ...]
) -> Iterator[str]:
    if log.aborted:
        yield f"the flight ended early: {log.aborted}"
    if not agrees(log.contract_sha256, contract_sha256):
        yield f"the drone flew contract {log.contract_sha256[:8] or 'unknown'}, not {contract_sha256[:8]}"
    flown = {phase.name for phase in log.phases}
    for name, phase in scores.phases.items():
        if name in flown and not (log.soak is not None and name == "soak"):
            yield from _phase_reasons(name, phase, limits.rmse(name), limits)
    if log.soak is not None:
        yield from soak.reasons(log.soak, limits.soak_rmse, limits.received)
    yield from (f"{name} was not flown" for name in planned if name not in flown)
    for event in scores.guard_events:
        yield f"the guard took over at {event.time:.2f} s: {event.reason}"
    if scores.deadline_misses:
        yield f"{scores.deadline_misses} deadline{'s' * (scores.deadline_misses > 1)} missed"
    if not scores.inferences:
        yield "the policy did not run"


def _phase_reasons(name: str, phase: PhaseScores, bound: float, limits: Limits) -> Iterator[str]:
    tracking = phase.judged
    if tracking is None:
        yield f"{name} was too short to be measured"
        return
    if phase.received < limits.received:
        yield f"only {phase.received:.0%} of the log of {name} arrived"
    if phase.policy_share < 1:
        yield f"the policy flew {phase.policy_share:.1%} of {name}, not all of it"
    lost = sum(each.lost for each in (phase.estimate, phase.truth) if each is not None)
    if lost:
        yield f"{lost} positions in {name} are not numbers"
    if not tracking.rmse <= bound:
        yield f"{name} RMSE {100 * tracking.rmse:.1f} cm exceeds {100 * bound:.1f} cm"
