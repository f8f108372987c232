"""Hardware in the loop by injected states: the body is here, flight code and policy are on the device.

Lockstep: each state holds for so many ticks of the device, then the body here moves on by as much; whatever the link
does, the flight is the same. Free run: both clocks run, the newest state counts, and lateness is part of the flight.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError

from fledge_hil.board_messages import Guard
from fledge_hil.client import Client, LinkError
from fledge_hil.cockpit import Progress, Report
from fledge_hil.course import Course, Target
from fledge_hil.flight_log import FlightLog
from fledge_hil.injection import PERIOD_MAX_MS, Answer, InjectionError, Mode, Schedule
from fledge_hil.loop_client import CLOSER, LoopClient
from fledge_hil.loop_flight import LoopFlight
from fledge_hil.loop_plant import PERIOD_MS, LoopPlant
from fledge_hil.loop_session import Device, LoopError, in_the_loop, is_armed, look, require_contract
from fledge_hil.plans import Plan

COUNTERS = {"fledge.misses": "uint32", "fledge.infers": "uint32"}
COUNTERS_MS = 100
"""Log block that tells how often the device inferred, and its period."""
LATEST = 0.5
"""[s] without an answer in free run, after which the link counts as lost."""
LOST_AFTER = 0.1
"""[s] after which a body that left the range of the packets is the link's fault."""


@dataclass(frozen=True)
class Pace:
    """How states go to the device."""

    period_ms: int = 2
    """Lockstep: ticks for which each state holds [ms]. Free run: between two states."""
    exact: bool = True
    """Lockstep: states in float32, two packets each; else in integers of a millimetre, one packet with time stamps."""
    free_run: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.period_ms <= PERIOD_MAX_MS:
            raise FledgeError(f"--loop.period-ms {self.period_ms} is not possible; choose 1 to {PERIOD_MAX_MS}")


class _Run:
    def __init__(
        self, client: Client, contract: Contract, plan: Plan, plant: LoopPlant, pace: Pace, progress: Report | None
    ) -> None:
        self.client, self.contract, self.plan, self.plant, self.pace = client, contract, plan, plant, pace
        self.course = Course(plan, plant.home)
        self.answers: list[Answer] = []
        self.round_trips: list[float] = []
        self._progress, self._wall = progress, time.monotonic()
        self._counters = (0.0, 0.0)
        self._flown = False

    def prepare(self, loop: LoopClient) -> None:
        """Everything but the first state."""
        self.client.hurries = False  # time stands still between states: a clock that runs ahead would only burn power
        self.client.set_parameter("fledge.enable", 1)
        schedule = Schedule.FREE_RUN if self.pace.free_run else Schedule.LOCKSTEP
        ready = loop.begin(schedule, 1 if self.pace.free_run else self.pace.period_ms)
        require_contract(ready, self.contract, self.client.uri)
        target = self.course.at(0.0)
        loop.aim(target.position_world, target.velocity_world)
        self.client.start_log("loop", COUNTERS_MS, COUNTERS)  # after the start, in which the flight code's clock jumps
        self._count(self.client.next_sample().values)

    def lockstep(self, loop: LoopClient) -> None:
        """State, answer, body; the targets at 100 Hz."""
        plant, period = self.plant, self.pace.period_ms
        aimed = 0
        while plant.time_ms < 1000 * self.course.seconds:
            target = self.course.at(plant.time_ms / 1000)
            if plant.time_ms - aimed >= PERIOD_MS:
                loop.aim(target.position_world, target.velocity_world)
                aimed = plant.time_ms
            start = self.client.clock()
            answer = loop.ask(plant.sensed(), self.pace.exact)
            self._take(answer, self.client.clock() - start)
            self._advance(answer, period, target)

    def free_run(self, loop: LoopClient) -> None:
        """By the client's clock."""
        client, plant, period = self.client, self.plant, self.pace.period_ms / 1000
        start = heard = client.clock()
        newest: Answer | None = None
        due = start
        while plant.time_ms < 1000 * self.course.seconds:
            target = self.course.at(plant.time_ms / 1000)
            loop.aim_on(target.position_world, target.velocity_world)
            self._post(loop, client.clock() - heard)
            due = max(due + period, client.clock())
            for newest, round_trip in loop.collect(due):
                heard = client.clock()
                self._take(newest, round_trip)
            if client.clock() - heard > LATEST:
                raise LoopError(f"{client.uri} did not answer for {LATEST:g} s; {CLOSER}")
            elapsed_ms = max(1, round(1000 * (client.clock() - start)) - plant.time_ms)
            if newest is not None:
                self._advance(newest, elapsed_ms, target)
            else:
                plant.advance((0.0,) * 4, elapsed_ms)

    def _post(self, loop: LoopClient, silence: float) -> None:
        """The state of now. A body that flies on its last motors may leave what a packet can tell before LATEST."""
        try:
            loop.post(self.plant.sensed())
        except InjectionError as error:
            if silence < LOST_AFTER:
                raise
            told = f"{self.client.uri} did not answer for {silence:.1f} s, in which the drone was lost; {CLOSER}"
            raise LoopError(told) from error

    def _advance(self, answer: Answer, milliseconds: int, target: Target) -> None:
        before = self.plant.time_ms // PERIOD_MS
        self.plant.advance(answer.motor_fraction, milliseconds)
        if self.plant.time_ms // PERIOD_MS != before:
            self.plant.note(target, answer, self._counters)
            self._tell(target, answer)

    def _take(self, answer: Answer, round_trip: float) -> None:
        """Keep it; a guard that takes the policy off ends the run."""
        self.answers.append(answer)
        self.round_trips.append(round_trip)
        for sample in self.client.samples():
            self._count(sample.values)
        self._flown |= answer.controls_motors
        if self._flown and not answer.controls_motors:
            raise LoopError(f"the guard handed over to the stock controller ({answer.guard.name.lower()})")

    def _count(self, values: Mapping[str, float]) -> None:
        self._counters = (values["fledge.misses"], values["fledge.infers"])

    def finish(self) -> None:
        """The last counters."""
        self._count(self.client.next_sample().values)
        self._count((self.client.samples() or [self.client.next_sample()])[-1].values)

    def _tell(self, target: Target, answer: Answer) -> None:
        if self._progress is None or self.plant.time_ms // PERIOD_MS % 10:
            return
        estimate, now = self.plant.plant.estimate, self.plant.time_ms / 1000
        x, y, z, w = estimate.quaternion_xyzw
        px, py, pz = estimate.position_world
        error = sum((a - b) ** 2 for a, b in zip((px, py, pz), target.position_world, strict=True)) ** 0.5
        speed = now / max(1e-9, time.monotonic() - self._wall)
        guard = answer.guard if self._flown else Guard.DISABLED
        self._progress(
            Progress(target.phase, now, (px, py, pz), target.position_world, error, guard, speed, (w, x, y, z))
        )


def fly(
    client: Client, contract: Contract, plan: Plan, plant: LoopPlant, pace: Pace, progress: Report | None = None
) -> LoopFlight:
    """Fly the plan; the device is out of the loop afterwards.

    Raises LoopError, LinkError or InjectionError before the first state; what happens later ends the flight, and its
    log says why.
    """
    device = look(client)
    run = _Run(client, contract, plan, plant, pace, progress)
    aborted, armed, start = "", False, time.monotonic()
    with in_the_loop(client, Mode.INJECTED) as loop:
        run.prepare(loop)
        try:
            (run.free_run if pace.free_run else run.lockstep)(loop)
            loop.close()
            run.finish()
            armed = is_armed(client)
        except KeyboardInterrupt:
            aborted = "interrupted"
        except FledgeError as error:
            aborted = str(error)
        with contextlib.suppress(LinkError):
            client.stop_log("loop")
    log = _log(client, contract, device, run, aborted, time.monotonic() - start)
    answers, round_trips = tuple(run.answers), tuple(run.round_trips)
    return LoopFlight(log, plant.recorder.recording, loop.traffic, armed, loop.left, answers, round_trips)


def _log(client: Client, contract: Contract, device: Device, run: _Run, aborted: str, wall_seconds: float) -> FlightLog:
    return FlightLog(
        client.uri,
        device.device_type,
        device.firmware,
        contract.sha256,
        run.plant.table,
        run.course.phases(run.plant.time_ms / 1000),
        tuple(client.console),
        wall_seconds,
        aborted,
    )
