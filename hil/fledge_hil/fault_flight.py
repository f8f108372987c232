"""One flight with one fault, and whether what had to happen did."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from fledge_export.layout import pack
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.randomize import plus_minus

from fledge_hil import pilot
from fledge_hil.board import BoardFiles
from fledge_hil.board_messages import Guard
from fledge_hil.cockpit import Progress
from fledge_hil.faults import Fault
from fledge_hil.flight_log import FlightLog
from fledge_hil.impaired import ImpairedCrazyflie
from fledge_hil.missions import stream
from fledge_hil.plans import Plan
from fledge_hil.recording import Recording
from fledge_hil.rig import Processor, board_of
from fledge_hil.scores import score
from fledge_hil.supervisor import State
from fledge_hil.verdict import Limits, judge
from fledge_hil.virtual import Settings
from fledge_hil.wire import Wire

ClientKind = Literal["direct", "cflib"]
HOVER = Plan(kind="hover", hover_seconds=4.0, climb_seconds=1.5, settle_seconds=0.5, fence=5.0)
FIGURE_EIGHT = dataclasses.replace(HOVER, kind="figure8", hover_seconds=2.5, laps=1.0)
"""Flown by even and by odd seeds."""
VARIATION = 0.1
"""As `fledge fly`: bodies differ by up to this share, each by its seed."""
AFTERWARDS_MS = 500
GENTLE, UPRIGHT_DEG, FLOOR = 1.5, 20.0, 0.05
"""Touch-down [m/s], as after a fall of 11 cm; tilt at the end [deg], height on the floor [m]."""
STOPPED_SECONDS = 4.0
"""From a fault that nothing can fly to motors that stand still, longest [s]."""


@dataclass(frozen=True)
class FaultFlight:
    """What came of it."""

    fault: Fault
    seed: int
    reasons: tuple[str, ...]
    """Why it did not pass; none: it did."""
    ended: str
    """What happened, in a few words."""
    log: FlightLog | None
    """None: refused."""
    recording: Recording
    began: float | None
    """Device time of the fault since boot [s]."""

    @property
    def passed(self) -> bool:
        """Nothing speaks against it."""
        return not self.reasons


@dataclass(frozen=True)
class Rig:
    """What all flights of a matrix share."""

    policy: Policy
    files: BoardFiles
    processor: Processor = "host"
    client: ClientKind = "direct"


def fly(rig: Rig, fault: Fault, seed: int) -> FaultFlight:
    """One flight."""
    plan = plan_of(fault, seed)
    with _drone(rig, fault, seed) as drone:
        began: list[float] = []
        trigger = _trigger(drone, fault, seed, began)
        log, ended = None, ""
        try:
            log = _pilot(rig, drone, fault, plan, trigger)
            ended = log.aborted or "plan completed"
        except FledgeError as error:
            ended = str(error)
        for _ in range(AFTERWARDS_MS):
            drone.step_ms()
        at = began[0] if began else None
        reasons = tuple(_judge(rig, drone, fault, log, ended, at, plan.judged))
        return FaultFlight(fault, seed, reasons, ended, log, drone.recorder.recording, at)


def plan_of(fault: Fault, seed: int) -> Plan:
    """What is flown: hover by even seeds, the figure-eight by odd ones."""
    plan = FIGURE_EIGHT if seed % 2 else HOVER
    return dataclasses.replace(plan, hover_seconds=plan.hover_seconds + fault.takes)


def _pilot(
    rig: Rig, drone: ImpairedCrazyflie, fault: Fault, plan: Plan, trigger: Callable[[Progress], None]
) -> FlightLog:
    policy, mission = _policy_file(rig.policy, fault), stream if fault.streamed else None
    if rig.client == "direct":
        return pilot.fly_over(Wire(drone), policy, plan, trigger, mission)
    from fledge_hil.radio import connect
    from fledge_hil.server import BackgroundServer

    with BackgroundServer(drone) as uri, connect(uri) as radio:
        return pilot.fly_over(radio, policy, plan, trigger, mission)


def _policy_file(policy: Policy, fault: Fault) -> Policy:
    """What the pilot believes to be on board."""
    if fault.policy == "other weights":
        weights = {name: array * np.float32(1.001) for name, array in policy.weights.items()}
        return policies.assemble(dataclasses.replace(policy.contract, weights_sha256=""), weights)
    if fault.policy == "other airframe":
        return Policy(dataclasses.replace(policy.contract, device_type="Crazyflie Bolt"), policy.weights)
    return policy


@contextlib.contextmanager
def _drone(rig: Rig, fault: Fault, seed: int) -> Iterator[ImpairedCrazyflie]:
    """A body of its own for each seed; a flipped bit is in the image before power comes on."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="fledge-fault-") as folder:
        files = rig.files
        if fault.board == "flipped bit":
            files = BoardFiles(*(_flip(image, rig.policy, Path(folder), seed) for image in (files.elf, files.library)))
        board = board_of(files, rig.processor)
        settings = Settings(seed=seed, spread=plus_minus(VARIATION))
        robot = robots.load(rig.policy.contract.robot)
        yield ImpairedCrazyflie(robot, rig.policy.contract, board, settings)


def _flip(image: Path, policy: Policy, folder: Path, seed: int) -> Path:
    """A copy with one bit of one weight changed."""
    content, weights = bytearray(image.read_bytes()), pack(policy).values.astype("<f4").tobytes()
    at = content.find(weights)
    if at < 0:
        raise FledgeError("the weights were not found in the image; build the board again")
    generator = random.Random(seed)
    content[at + generator.randrange(len(weights))] ^= 1 << generator.randrange(8)
    broken = folder / image.name
    broken.write_bytes(content)
    return broken


def _trigger(drone: ImpairedCrazyflie, fault: Fault, seed: int, began: list[float]) -> Callable[[Progress], None]:
    """Breaks the drone once, at a moment that the seed chooses: even ones in hover, odd ones in the figure-eight."""
    generator = random.Random(seed)
    phase, low, high = ("hover", 0.5, 2.5) if seed % 2 == 0 else ("figure-eight", 1.5, 5.0)
    if fault.streamed:
        phase, low, high = "streamed", 0.5, 1.5
    delay_ms = round(1000 * generator.uniform(low, high))

    def inject() -> None:
        assert fault.inject is not None
        fault.inject(drone, generator)
        if fault.mend is not None:
            mend = fault.mend
            drone.schedule(round(1000 * fault.seconds), lambda: mend(drone, generator))

    def progress(now: Progress) -> None:
        if now.phase == phase and not began:
            began.append((drone.time_ms + delay_ms) / 1000)
            if fault.inject is not None:
                drone.schedule(delay_ms, inject)

    return progress


# ---- judgement -------------------------------------------------------------------------------------------------------


def _judge(
    rig: Rig,
    drone: ImpairedCrazyflie,
    fault: Fault,
    log: FlightLog | None,
    ended: str,
    began: float | None,
    planned: tuple[str, ...],
) -> Iterator[str]:
    if fault.outcome == "refuses":
        if log is not None or drone.recorder.recording["fraction_1"].any():
            yield "it flew"
        elif not _says(fault, ended):
            yield f"it said: {ended}"
        return
    if log is None:
        yield f"refused: {ended}"
        return
    if fault.outcome == "contained":
        yield from _contained(drone, began)
        return
    guards = {int(code) for code in np.unique(drone.recorder.recording["guard"][_flown(drone, began)])}
    guards -= {Guard.OK, Guard.DISABLED, Guard.SETPOINT_MODE}
    if fault.guards and not guards & set(fault.guards):
        yield f"the guard said {_names(guards)}, not {_names(set(fault.guards))}"
    if fault.outcome == "flies on":
        yield from _flew_on(rig, drone, fault, log, planned)
        return
    if not _says(fault, ended) or ended == "plan completed":
        yield f"it ended with: {ended}"
    yield from _stopped(drone, began) if fault.outcome == "stops" else _landed(drone, fault, began)


def _says(fault: Fault, ended: str) -> bool:
    return any(part in ended for part in fault.said.split("|"))


def _names(guards: set[int] | set[Guard]) -> str:
    return " and ".join(Guard(code).name.lower() for code in sorted(guards)) or "nothing"


def _flown(drone: ImpairedCrazyflie, began: float | None) -> slice:
    """Rows of the recording from the fault on."""
    time = drone.recorder.recording["time"]
    return slice(int(np.searchsorted(time, began or 0.0)), None)


def _flew_on(
    rig: Rig, drone: ImpairedCrazyflie, fault: Fault, log: FlightLog, planned: tuple[str, ...]
) -> Iterator[str]:
    limits = Limits(received=0.3)
    for name, bound in fault.rmse.items():
        limits = dataclasses.replace(limits, **{name.replace("-", "_") + "_rmse": bound})
    scores = score(log, drone.recorder.recording)
    missed = scores.deadline_misses > 0
    if fault.misses and not missed:
        yield "the missed deadline was not reported"
    yield from (
        reason
        for reason in judge(log, scores, rig.policy.contract.sha256, limits, planned).reasons
        if not (fault.misses and "deadline" in reason)
    )
    yield from _at_rest(drone)


def _landed(drone: ImpairedCrazyflie, fault: Fault, began: float | None) -> Iterator[str]:
    rows = drone.recorder.recording.table[_flown(drone, began)]
    recording = Recording(rows)
    track, climb = recording.columns("x", "y"), recording["vz"]
    drift = float(np.linalg.norm(track[-1] - track[0]))
    if drift > fault.drift:
        yield f"it came down {drift:.1f} m away"
    near = recording["z"] < 3 * FLOOR
    if near.any() and -float(climb[near].min()) > GENTLE:
        yield f"it hit the floor at {-float(climb[near].min()):.1f} m/s"
    yield from _at_rest(drone)


def _at_rest(drone: ImpairedCrazyflie) -> Iterator[str]:
    truth = drone.plant.truth
    x, y = truth[4:6]
    tilt = math.degrees(math.acos(max(-1.0, min(1.0, 1 - 2 * (x * x + y * y)))))
    if truth[2] > FLOOR:
        yield f"it ended {truth[2]:.2f} m above the floor"
    if tilt > UPRIGHT_DEG:
        yield f"it ended tilted by {tilt:.0f} deg"
    if any(drone.fractions):
        yield "its motors still turn"
    if drone.supervisor.state in (State.LOCKED, State.CRASHED):
        yield f"it ended {drone.supervisor.state.name.lower()}"


def _contained(drone: ImpairedCrazyflie, began: float | None) -> Iterator[str]:
    """On the floor and upright, or with motors that stopped in time."""
    if any(_at_rest(drone)):
        yield from _stopped(drone, began, STOPPED_SECONDS + HOVER.climb_seconds)


def _stopped(drone: ImpairedCrazyflie, began: float | None, longest: float = STOPPED_SECONDS) -> Iterator[str]:
    recording = Recording(drone.recorder.recording.table[_flown(drone, began)])
    stock = np.flatnonzero(recording["mode"] == 0)
    lost = float(recording["time"][stock[0]]) if stock.size else began or 0.0  # since then the policy does not fly
    turning = np.asarray(recording.columns("fraction_1", "fraction_2", "fraction_3", "fraction_4").max(axis=1) > 0)
    last = float(recording["time"][turning][-1]) - lost if turning.any() else 0.0
    if turning[-1]:
        yield "its motors still turn"
    elif last > longest:
        yield f"its motors turned for {last:.1f} s"
