"""The report of a flight: report.html to look at and report.json to compute with, both with the same numbers.

The page is one file: style and figures are inside, it loads nothing and needs no script.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy

from fledge_hil import fault_matrix
from fledge_hil.fault_matrix import Matrix
from fledge_hil.flight_log import FlightLog
from fledge_hil.loop_client import Traffic
from fledge_hil.parity import Parity
from fledge_hil.real_time import RealTime
from fledge_hil.recording import Recording
from fledge_hil.scores import FIGURE_EIGHT, HOVER, Scores, score
from fledge_hil.verdict import Limits, Verdict, judge

FORMAT = 1
"""Version of report.json's layout."""
HTML, JSON = "report.html", "report.json"


@dataclass(frozen=True)
class ProofLine:
    """One thing that was proved, or not, before the flight."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Proof:
    """What `fledge check` found."""

    lines: tuple[ProofLine, ...]
    instructions: int | None = None
    """Executed per inference."""
    microseconds: tuple[float, float, float] | None = None
    """Modelled time of one inference [us]: lower, nominal, upper."""
    clock_hz: float | None = None
    """Of the model [Hz]."""


@dataclass(frozen=True)
class Report:
    """Everything a report can tell; what is not given is said to be missing, never invented."""

    name: str
    """Of the run."""
    policy: Policy
    log: FlightLog
    recording: Recording | None = None
    """Truth of a virtual drone."""
    proof: Proof | None = None
    evaluation: Mapping[str, Any] | None = None
    """Figures from simulation before the export, as plain values."""
    wall_seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock of each phase of the chain [s], in order: train, export, build, check, connect, flight."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """File -> size [bytes]."""
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    """The command line that gave this report."""
    created: str = ""
    """Date and time."""
    planned: tuple[str, ...] = (HOVER, FIGURE_EIGHT)
    """Judged phases that the plan holds; one that was not flown fails the flight."""
    limits: Limits = field(default_factory=Limits)
    faults: Matrix | None = None
    """What the drone did when something broke."""
    mode: str = "flight"
    """Of `fledge hil`: whose body flew."""
    real_time: RealTime | None = None
    """How punctual everything was."""
    traffic: Traffic | None = None
    """Of a run in the loop: what the link did."""
    unsafe: tuple[str, ...] = ()
    """What a run in the loop must not have done, one sentence each."""
    parity: Parity | None = None
    """Of an open-loop comparison, in which nothing flies."""


@dataclass(frozen=True)
class Findings:
    """What a report comes to."""

    scores: Scores
    verdict: Verdict


def find(report: Report) -> Findings:
    """Scores, and a verdict on flight and proof together."""
    scores = score(report.log, report.recording)
    if report.parity is not None:
        return Findings(scores, Verdict(report.parity.reasons + report.unsafe))
    flight = judge(report.log, scores, report.policy.contract.sha256, report.limits, report.planned)
    lines = report.proof.lines if report.proof is not None else ()
    failed = tuple(f"check failed: {line.name} ({line.detail})" for line in lines if not line.passed)
    rows = report.faults.rows if report.faults is not None else ()
    broken = tuple(
        f"fault '{row.fault.name}': {len(row.flights) - row.passed} of {len(row.flights)} flights failed"
        for row in rows
        if row.passed < len(row.flights)
    )
    return Findings(scores, Verdict(flight.reasons + report.unsafe + failed + broken))


def write(directory: Path, report: Report) -> Findings:
    """Write report.html and report.json into `directory`; report.json is there only beside its own report.html.

    Raises FledgeError when the disk refuses; no half-written file stays behind.
    """
    from fledge_hil.report_page import page

    findings = find(report)
    html, numbers = page(report, findings), document(report, findings)
    try:
        (directory / JSON).unlink(missing_ok=True)
    except OSError as error:
        raise FledgeError(f"cannot replace {directory / JSON}: {error.strerror}; choose another place") from error
    write_atomically(directory / HTML, html)
    write_atomically(directory / JSON, numbers)
    return findings


def document(report: Report, findings: Findings) -> str:
    """Text of report.json: SI units unless a name says otherwise, null for what is not known."""
    contract = report.policy.contract
    tree = {
        "format": FORMAT,
        "name": report.name,
        "created": report.created,
        "command": report.command,
        "verdict": {"passed": findings.verdict.passed, "reasons": findings.verdict.reasons},
        "mode": report.mode,
        "limits": report.limits,
        "planned": report.planned,
        "scores": findings.scores,
        "flight": _flight(report.log),
        "proof": report.proof,
        "evaluation": report.evaluation,
        "faults": fault_matrix.summary(report.faults) if report.faults is not None else None,
        "real_time": report.real_time.summary() if report.real_time is not None else None,
        "link": report.traffic,
        "parity": report.parity.summary() if report.parity is not None else None,
        "wall_seconds": report.wall_seconds,
        "sizes": report.sizes,
        "versions": report.versions,
        "parameters": report.policy.parameter_count,
        "contract_sha256": contract.sha256,
        "contract": json.loads(contract.canonical_json()),  # what was hashed
    }
    return json.dumps(_plain(tree), indent=2, allow_nan=False) + "\n"


def _flight(log: FlightLog) -> Mapping[str, Any]:
    return {
        "uri": log.uri,
        "device_type": log.device_type,
        "firmware": log.firmware,
        "contract_sha256": log.contract_sha256,
        "rows": len(log.table),
        "phases": log.phases,
        "aborted": log.aborted,
        "soak": log.soak,
        "console": log.console,
    }


def _plain(value: Any) -> Any:
    """As JSON knows it; numbers that are not finite become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
