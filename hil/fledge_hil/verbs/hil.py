"""Fly a policy on a virtual or real Crazyflie with the unmodified cflib, and write a report.

Checks first that the drone carries exactly this policy (contract hash), is the right kind of drone, passed its
self-test and is fit to fly: battery, estimator, link; refuses otherwise. Lands and disarms on every way out, Ctrl-C
included; a second Ctrl-C stops the motors. A real Crazyflie needs the fledge app in its firmware.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim.policy import Policy

from fledge_hil import formats, screen
from fledge_hil.flight_log import FILE, FlightLog, save
from fledge_hil.formats import Quantisation
from fledge_hil.plans import Plan
from fledge_hil.report import Findings, Report, write
from fledge_hil.server import DEFAULT_PORT
from fledge_hil.uri import check_uri


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file whose export the drone runs."""
    format: Quantisation | None = None
    """Format that the drone runs: float32, int16 or int8 as `fledge export` makes them; default: the file's own."""
    robot: str | None = None
    """Robot on which integers were calibrated, if its file is your own; default: the one that the policy names."""
    uri: str = f"udp://127.0.0.1:{DEFAULT_PORT}"
    """Of the drone: udp:// (virtual), usb://0, or radio://0/80/2M/E7E7E7E7E7."""
    flight: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)
    """Details of the plan."""
    out: Path | None = None
    """Directory of report.html, report.json and flight.csv.gz; default: `flight` beside the policy."""
    dry_run: bool = False
    """Say what would be flown, and stop."""


def run(options: Options) -> int:
    """Fly and report; 1 when the flight failed its verdict."""
    policy = formats.load(options.policy, options.format, options.robot)
    plan = options.flight
    check_uri(options.uri)
    if options.dry_run:
        screen.say(f"would connect to {options.uri} and require")
        screen.say(f"  contract {policy.contract.hash32:08x} on a {policy.contract.device_type}, self-test passed,")
        screen.say("  supervisor, battery, estimate at rest, level ground, echoes and log in order; then")
        for line in plan.describe():
            screen.say(f"  {line}")
        return 0
    log = fly_with_bar(options.uri, policy, plan)
    directory = options.out or options.policy.parent / "flight"
    save(log, directory / FILE)
    command = " ".join(["fledge", *sys.argv[1:]])
    report = Report(options.policy.parent.name, policy, log, command=command, planned=plan.judged)
    findings = write(directory, report)
    show(findings, log)
    screen.say(f"report: {directory / 'report.html'}")
    return 0 if findings.verdict.passed else 1


def fly_with_bar(uri: str, policy: Policy, plan: Plan) -> FlightLog:
    """pilot.fly with a progress bar."""
    from fledge_hil import pilot

    with screen.bar("flying") as bar:

        def progress(now: pilot.Progress) -> None:
            error = f"{screen.centimetres(now.error)} off" if now.error else "stock controller"
            bar.show(now.time / plan.seconds, f"{now.phase}, {error}, {now.speed:.1f}x real time")

        return pilot.fly(uri, policy, plan, progress)


def show(findings: Findings, log: FlightLog) -> None:
    """Verdict and the figures that people ask for first."""
    scores, verdict = findings.scores, findings.verdict
    rows = []
    for name, phase in scores.phases.items():
        for source, tracking in (("truth", phase.truth), ("drone's estimate", phase.estimate)):
            if tracking is not None:
                values = (tracking.rmse, tracking.mean, tracking.maximum)
                rows.append((f"{name}, {source}", *map(screen.centimetres, values)))
    screen.table("distance from the reference", ("phase", "RMSE", "mean", "max"), rows)
    if log.wall_seconds > 0:
        screen.say(f"{log.device_seconds:.1f} s of flight in {log.wall_seconds:.1f} s")
    screen.say("verdict: PASSED" if verdict.passed else "verdict: FAILED")
    for reason in verdict.reasons:
        screen.say(f"  - {reason}")
