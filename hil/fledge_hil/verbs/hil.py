"""Fly a policy on a virtual or real Crazyflie with the unmodified cflib, and write a report.

Checks first that the drone carries exactly this policy (contract hash), is the right kind of drone, passed its
self-test and is fit to fly: battery, estimator, link; refuses otherwise. Lands and disarms on every way out, Ctrl-C
included; a second Ctrl-C stops the motors. A real Crazyflie needs the fledge app in its firmware.

--uri virtual:// flies a drone in this process, reproducible to the byte. --faults all breaks it on purpose, row by row.

--mode puts the drone's processor in the loop instead, motors locked off: injected and injected-free-run fly a body that
is simulated here, over the app channel; in-hardware one that is simulated on the drone; parity feeds recorded or random
states to the drone and to the same C here, and names the first tick that differs.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import formats, modes, real_time, screen, tick_log, tick_timing
from fledge_hil import recording as recordings
from fledge_hil.cockpit import Progress
from fledge_hil.fault_flight import ClientKind
from fledge_hil.flight_log import FILE, FlightLog, Soak, save
from fledge_hil.formats import Quantisation
from fledge_hil.modes import LoopOptions, Mode
from fledge_hil.parity import Parity
from fledge_hil.plans import Plan
from fledge_hil.report import Findings, Report, write
from fledge_hil.rig import VirtualDrone
from fledge_hil.server import DEFAULT_PORT
from fledge_hil.soak import growth
from fledge_hil.uri import check_uri
from fledge_hil.verdict import Verdict
from fledge_hil.versions import versions
from fledge_hil.wire import URI, Wire

TRUTH = "truth.csv.gz"
"""Name of a virtual drone's recording beside its report."""


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
    """Of the drone: udp:// (virtual), usb://0, radio://0/80/2M/E7E7E7E7E7, or virtual:// for one in this process."""
    mode: Mode = "flight"
    """flight, or with the drone's processor in the loop: injected, injected-free-run, in-hardware, parity."""
    loop: LoopOptions = field(default_factory=LoopOptions)
    """Of the modes in the loop."""
    flight: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)
    """Details of the plan."""
    faults: str = ""
    """`all`, or names separated by commas: fly virtual drones with these faults instead of the plan."""
    seeds: int = 10
    """Flights per fault, each with another body and moment."""
    fresh: bool = False
    """Of --faults: fly all of them, instead of going on with a matrix that was interrupted."""
    client: ClientKind = "direct"
    """Of --faults. direct: in this process, reproducible. cflib: over UDP."""
    drone: VirtualDrone = field(default_factory=VirtualDrone)
    """Of --uri virtual:// and of --faults; in the loop, of the body that is simulated here."""
    timing: int = 200
    """Ticks of a flight on the emulated processor of virtual:// that the cycle model prices for the report; 0: none."""
    out: Path | None = None
    """Directory of report.html, report.json and flight.csv.gz; default: `flight` beside the policy."""
    view: bool = False
    """Show the flight in the browser while it is flown, on port 8080: it begins when the page is open, or after 20 s,
    and a virtual drone keeps to real time."""
    dry_run: bool = False
    """Say what would be flown, and stop."""


def run(options: Options) -> int:
    """Fly and report; 1 when the flight failed its verdict."""
    policy = formats.load(options.policy, options.format, options.robot)
    if options.timing < 0:
        raise FledgeError(f"--timing {options.timing}: give 0 or more ticks")
    if options.faults:
        if options.mode != "flight":
            raise FledgeError(f"--faults flies; leave --mode {options.mode} out, or --faults")
        return _break(options, policy)
    in_process = options.uri == URI
    if not in_process:
        check_uri(options.uri)
    if options.dry_run:
        return _explain(options, policy)
    if options.mode != "flight":
        return _finish(options, _in_the_loop(options, policy))
    if in_process:
        return _finish(options, _fly_here(options, policy))
    log = fly_with_bar(options.uri, policy, options.flight, lambda progress: watched(options, progress))
    name, planned = options.policy.parent.name, options.flight.judged
    return _finish(options, Report(name, policy, log, planned=planned, real_time=real_time.of_flight(log)))


def _explain(options: Options, policy: Policy) -> int:
    if options.mode != "flight":
        device = policy.contract.device_type
        screen.say(f"would connect to {options.uri}, require a disarmed {device} with fledge's app,")
        screen.say(f"  lock its motors off (fledge.hil), run the mode '{options.mode}', and let it go again")
        return 0
    screen.say(f"would connect to {options.uri} and require")
    screen.say(f"  contract {policy.contract.hash32:08x} on a {policy.contract.device_type}, self-test passed,")
    screen.say("  supervisor, battery, estimate at rest, level ground, echoes and log in order; then")
    for line in options.flight.describe():
        screen.say(f"  {line}")
    return 0


def _finish(options: Options, report: Report) -> int:
    directory = options.out or options.policy.parent / ("flight" if options.mode == "flight" else options.mode)
    if report.parity is None:
        save(report.log, directory / FILE)
    if report.recording is not None:
        recordings.save(report.recording, directory / TRUTH)
    report = dataclasses.replace(report, command=" ".join(["fledge", *sys.argv[1:]]), versions=versions())
    findings = write(directory, report)
    show(findings, report.log, report.parity)
    screen.say(f"report: {directory / 'report.html'}")
    return 0 if findings.verdict.passed else 1


def _in_the_loop(options: Options, policy: Policy) -> Report:
    with screen.bar(options.mode) as bar:
        progress = watched(options, progress_on(bar, options.flight))
        run = modes.Run(
            options.mode, policy, options.uri, options.flight, options.drone, options.loop, bar.show, progress
        )
        return modes.run(run, options.policy.parent.name)


def _fly_here(options: Options, policy: Policy) -> Report:
    """A drone in this process."""
    from fledge_hil import pilot

    lasting = options.flight.kind == "soak"
    priced = options.timing if options.drone.processor == "emulated" and not lasting else 0
    rig = dataclasses.replace(options.drone, ticks=options.drone.ticks or priced > 0)
    drone, logged = rig.build(policy, record=not lasting)
    with screen.bar("flying") as bar:
        log = pilot.fly_over(Wire(drone), policy, options.flight, watched(options, progress_on(bar, options.flight)))
    times = real_time.of_flight(log)
    if logged is not None and priced:
        with screen.bar("timing") as bar:
            found = tick_timing.measure(logged.log, rig.files(policy).elf, priced, lambda share: bar.show(share, ""))
        times = real_time.of_ticks(found) + real_time.RealTime((), times.misses)
    if logged is not None and options.drone.ticks:
        tick_log.save(logged.log, (options.out or options.policy.parent / "flight") / tick_log.FILE)
    recording = drone.recorder.recording if drone.settings.record else None
    name, planned = options.policy.parent.name, options.flight.judged
    return Report(name, policy, log, recording, planned=planned, real_time=times)


Watch = Callable[[Progress], None]


def fly_with_bar(
    uri: str, policy: Policy, plan: Plan, watch: Callable[[Watch], Watch] = lambda progress: progress
) -> FlightLog:
    """pilot.fly with a progress bar."""
    from fledge_hil import pilot

    with screen.bar("flying") as bar:
        return pilot.fly(uri, policy, plan, watch(progress_on(bar, plan)))


def progress_on(bar: screen.Bar, plan: Plan) -> Callable[[Progress], None]:
    """Live figures of a flight."""

    def progress(now: Progress) -> None:
        error = f"{screen.centimetres(now.error)} off" if now.error else "stock controller"
        bar.show(now.time / plan.seconds, f"{now.phase}, {error}, {now.speed:.1f}x real time")

    return progress


def watched(options: Options, progress: Watch) -> Watch:
    """The same, and the drone in the browser if that was asked for."""
    if not options.view:
        return progress
    from fledge_hil import view

    scene = view.Scene(8080)
    screen.say(f"look at {scene.url}; the flight begins when the page is open, or in {view.PATIENCE:.0f} s")
    scene.wait_for_viewer(view.PATIENCE)
    live = view.Live(scene)

    def both(now: Progress) -> None:
        progress(now)
        live(now)

    return both


def _break(options: Options, policy: Policy) -> int:
    """The fault matrix, and the flight without a fault for comparison."""
    from fledge_hil import fault_flight, fault_matrix, faults, kept_flights

    chosen = faults.choose(options.faults)
    if options.seeds < 1:
        raise FledgeError(f"--seeds {options.seeds}: at least one flight per fault is needed")
    seeds = range(options.drone.seed, options.drone.seed + options.seeds)
    if options.dry_run:
        for fault in chosen:
            screen.say(f"{fault.name}: {fault.what}; expected: {fault.outcome}")
        return 0
    drone = options.drone
    rig = fault_flight.Rig(policy, drone.files(policy), drone.processor, options.client)
    healthy = fault_flight.fly(rig, faults.FAULTS[0], seeds[0])
    if healthy.log is None:
        raise FledgeError(f"the flight without a fault was refused: {healthy.ended}")
    directory = options.out or options.policy.parent / "flight"
    book = fault_matrix.kept(rig, directory / kept_flights.FILE, options.fresh)
    if len(book):
        screen.say(f"going on with {len(book)} flights of {book.path}; --fresh flies them again")
    with screen.bar("breaking") as bar:
        matrix = fault_matrix.run(rig, chosen, seeds, lambda name, done, all_: bar.show(done / all_, name), book)
    fault_matrix.save(matrix, directory)
    book.remove()
    rows = [
        (row.fault.name, row.fault.outcome, f"{row.passed}/{len(row.flights)}", ", ".join(map(str, row.endings)))
        for row in matrix.rows
    ]
    screen.table(f"faults on the {drone.processor} processor", ("fault", "expected", "passed", "ended"), rows)
    planned = fault_flight.plan_of(faults.FAULTS[0], seeds[0]).judged
    report = Report(options.policy.parent.name, policy, healthy.log, healthy.recording, planned=planned, faults=matrix)
    return _finish(options, report)


def show(findings: Findings, log: FlightLog, parity: Parity | None = None) -> None:
    """Verdict and the figures that people ask for first."""
    scores, verdict = findings.scores, findings.verdict
    if parity is not None:
        screen.say(f"{parity.ticks} ticks compared, {parity.different} differ; the policy flew {parity.flown} of them")
    if not log.phases:  # nothing flew: a comparison, or an early end
        _show_verdict(verdict)
        return
    rows = []
    for name, phase in scores.phases.items():
        for source, tracking in (("truth", phase.truth), ("drone's estimate", phase.estimate)):
            if tracking is not None:
                values = (tracking.rmse, tracking.mean, tracking.maximum)
                rows.append((f"{name}, {source}", *map(screen.centimetres, values)))
    screen.table("distance from the reference", ("phase", "RMSE", "mean", "max"), rows)
    if log.wall_seconds > 0:
        screen.say(f"{log.device_seconds:.1f} s of flight in {log.wall_seconds:.1f} s")
    if log.soak is not None:
        _show_soak(log.soak)
    _show_verdict(verdict)


def _show_verdict(verdict: Verdict) -> None:
    screen.say("verdict: PASSED" if verdict.passed else "verdict: FAILED")
    for reason in verdict.reasons:
        screen.say(f"  - {reason}")


def _show_soak(soak: Soak) -> None:
    minutes = soak.minutes
    worst, grown = max(minutes, key=lambda minute: minute.rmse), growth(soak)
    screen.say(
        f"soak: {sum(minute.seconds for minute in minutes):.0f} s, {minutes[-1].inferences} inferences, "
        f"{minutes[-1].misses} missed deadlines, worst minute {screen.centimetres(worst.rmse)} RMSE, largest error "
        f"{screen.centimetres(max(minute.maximum for minute in minutes))}, memory +{grown:.1f} MB"
    )
    screen.say(f"soak: digest {soak.digest}")
