"""Simulation in hardware: body and policy both on the device, no radio in the loop; the client asks and listens.

Targets go over the app channel and the figure-eight is the firmware's own, as in flight; the log is that of a flight.
"""

from __future__ import annotations

import time

from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError

from fledge_hil import missions, telemetry
from fledge_hil.client import Client
from fledge_hil.cockpit import AbortedError, Cockpit, Report
from fledge_hil.course import Course
from fledge_hil.flight_log import FlightLog
from fledge_hil.injection import Mode, Schedule
from fledge_hil.loop_client import LoopClient
from fledge_hil.loop_flight import LoopFlight
from fledge_hil.loop_session import Device, in_the_loop, is_armed, look, require_contract
from fledge_hil.plans import Plan
from fledge_hil.telemetry import table

AIM_EVERY = 0.05
"""Between two targets while one moves [s of device time]."""
_OWN_REFERENCE = ("figure-eight", "return")
"""Parts of a course that the firmware's own reference flies."""


class _Run:
    def __init__(self, client: Client, contract: Contract, plan: Plan, progress: Report | None) -> None:
        self.client, self.contract, self.plan = client, contract, plan
        self.cockpit = Cockpit(client, plan, progress)
        self._home = (0.0, 0.0, 0.0)
        self.course = Course(plan, self._home)
        self._flown = False

    def prepare(self, loop: LoopClient) -> None:
        """Logs, a body on the floor, and the policy on."""
        client, cockpit = self.client, self.cockpit
        needed = telemetry.start(client)
        while not all(name in cockpit.now for name in needed):
            cockpit.take(client.next_sample())
        client.set_parameter("fledge.enable", 1)
        require_contract(loop.begin(Schedule.LOCKSTEP), self.contract, client.uri)

    def fly(self, loop: LoopClient) -> None:
        """Course by course of the plan. Raises AbortedError when the policy is taken off."""
        cockpit = self.cockpit
        cockpit.start_clock()
        for phase in self.course.phases(self.course.seconds):
            if phase.name == "figure-eight":
                missions.figure_eight(cockpit, cockpit.reference())
                self._require_policy()
            elif phase.name not in _OWN_REFERENCE:
                cockpit.phase(phase.name)
                self._follow(loop, phase.start, phase.end)

    def _follow(self, loop: LoopClient, start: float, end: float) -> None:
        """Part of the course, at the pace of the device's clock."""
        cockpit, begun, aimed = self.cockpit, self.cockpit.time, None
        while (now := cockpit.time - begun + start) < end:
            target = self.course.at(now)
            if aimed is None or now - aimed >= AIM_EVERY:
                loop.aim_on(target.position_world, target.velocity_world)
                aimed = now
            cockpit.step()
            self._require_policy()

    def _require_policy(self) -> None:
        flies = self.cockpit.now["fledge.mode"] == 1
        if self._flown and not flies:
            raise AbortedError(f"the guard handed over to the stock controller ({self.cockpit.guard.name.lower()})")
        self._flown |= flies


def fly(client: Client, contract: Contract, plan: Plan, progress: Report | None = None) -> LoopFlight:
    """Fly the plan on the device's own body; the device is out of the loop afterwards.

    Raises LoopError, LinkError or InjectionError before the flight; what happens later ends it, and its log says why.
    """
    device = look(client)
    run = _Run(client, contract, plan, progress)
    aborted, armed, start = "", False, time.monotonic()
    with in_the_loop(client, Mode.SIMULATED) as loop:
        run.prepare(loop)
        try:
            run.fly(loop)
            armed = is_armed(client)
        except KeyboardInterrupt:
            aborted = "interrupted"
        except FledgeError as error:
            aborted = str(error)
    log = _log(run, device, aborted, time.monotonic() - start)
    return LoopFlight(log, None, loop.traffic, armed, loop.left)


def _log(run: _Run, device: Device, aborted: str, wall_seconds: float) -> FlightLog:
    cockpit = run.cockpit
    cockpit.phase("end")
    return FlightLog(
        run.client.uri,
        device.device_type,
        device.firmware,
        run.contract.sha256,
        table(cockpit.samples, cockpit.armed_at),
        cockpit.phases(),
        tuple(run.client.console),
        wall_seconds,
        aborted,
        cockpit.armed_at,
    )
