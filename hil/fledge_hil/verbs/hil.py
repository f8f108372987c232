"""Fly a policy on a virtual or real Crazyflie with the unmodified cflib, and write a report.

Checks first that the drone carries exactly this policy (contract hash), is the right kind of drone, passed its
self-test and is fit to fly; refuses otherwise. Disarms on every way out, Ctrl-C included. A real Crazyflie needs the
fledge app in its firmware.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from fledge_sim.policy import Policy

from fledge_hil import formats, screen
from fledge_hil.flight_log import FlightLog, save
from fledge_hil.formats import Quantisation
from fledge_hil.plans import Plan
from fledge_hil.report import Findings, Report, write
from fledge_hil.server import DEFAULT_PORT


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
    plan: Literal["figure8", "hover"] = "figure8"
    """figure8: take off, hover, figure-eight, land. hover: without the figure-eight."""
    flight: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)
    """Details of the plan."""
    out: Path | None = None
    """Directory of report.html, report.json and flight.npz; default: `flight` beside the policy."""
    dry_run: bool = False
    """Say what would be flown, and stop."""


def run(options: Options) -> int:
    """Fly and report; 1 when the flight failed its verdict."""
    policy = formats.load(options.policy, options.format, options.robot)
    plan = options.flight if options.plan == "figure8" else dataclasses.replace(options.flight, laps=0.0)
    if options.dry_run:
        screen.say(f"would connect to {options.uri}, require contract {policy.contract.hash32:08x}, then")
        for line in plan.describe():
            screen.say(f"  {line}")
        return 0
    log = fly_with_bar(options.uri, policy, plan)
    directory = options.out or options.policy.parent / "flight"
    save(log, directory / "flight.npz")
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
    for name, phase in (("hover", scores.hover), ("figure-eight", scores.figure_eight)):
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
