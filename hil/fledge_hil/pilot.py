"""Flies a policy on a drone, virtual or real: checks first, arms, flies a plan, and comes down on every way out.

| what happens | what the pilot does |
|---|---|
| plan done | lands with the policy, touches down with the stock controller, disarms |
| guard, crash, fence, refused command | emergency landing with the stock controller, disarms |
| Ctrl-C | the same; a second one during that landing stops the motors at once |
| estimate a metre outside the fence | emergency stop |
| link silent for 2 s | repeats the landing command for 10 s, watches it when heard; else the heartbeat lands it |
| any other exception | emergency landing, then the exception goes on |
"""

from __future__ import annotations

import contextlib
import math
import time

from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import preflight, telemetry
from fledge_hil.client import Client, LinkError
from fledge_hil.cockpit import AbortedError, Cockpit, OutOfControlError, Progress, Report
from fledge_hil.crtp import Port
from fledge_hil.flight_log import FlightLog
from fledge_hil.missions import MISSIONS, Mission, require_height
from fledge_hil.parameter_list import CONTROLLER_OUT_OF_TREE
from fledge_hil.plans import Plan
from fledge_hil.preflight import ARMED, CAN_ARM
from fledge_hil.telemetry import PERIOD_MS, table

__all__ = ["Progress", "RefusedError", "Report", "fly", "fly_over"]

TOUCH_DOWN_HEIGHT = 0.06
"""[m], where the policy hands the landing to the stock controller."""
ARMING_SECONDS, ASK_AGAIN_SECONDS = 3.0, 0.5
"""Device time for arming, and between two requests [s]."""
LOOK_SECONDS = 1.0
"""How long the estimate is watched before arming [s]."""
EMERGENCY_SPEED = 0.25
"""Mean speed of an emergency landing [m/s]; a hurried one hits the floor."""
PATIENCE, KNOCK_EVERY = 10.0, 0.5
"""[s] of a dead link during which the landing command is repeated, and how often."""


class RefusedError(FledgeError):
    """Checks before arming failed; nothing has moved."""


def fly(uri: str, policy: Policy, plan: Plan, progress: Report | None = None) -> FlightLog:
    """Check, arm, fly, land, disarm.

    Raises:
        RefusedError: drone, firmware and policy do not fit, or the drone is not ready.
        LinkError: the link did not come up, or broke before arming.
    A flight that ends early after arming returns its log with `aborted` set.
    """
    from fledge_hil.radio import connect

    with connect(uri) as radio:
        return fly_over(radio, policy, plan, progress)


def fly_over(
    client: Client, policy: Policy, plan: Plan, progress: Report | None = None, mission: Mission | None = None
) -> FlightLog:
    """As `fly`, over a link that is open; `mission` replaces what the plan does after the hover."""
    flight = _Flight(client, policy, plan, progress, mission or MISSIONS[plan.kind])
    flight.prepare()
    return flight.run()


class _Flight:
    def __init__(self, client: Client, policy: Policy, plan: Plan, progress: Report | None, mission: Mission) -> None:
        self.client, self.policy, self.plan, self.mission = client, policy, plan, mission
        self.cockpit = Cockpit(client, plan, progress)
        self._device_type = self._firmware = ""

    # ---- before arming -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Everything that can be known on the ground. Raises RefusedError listing all that is wrong."""
        client, cockpit = self.client, self.cockpit
        self._device_type, self._firmware = self._version(2), self._version(1)
        self._refuse([] if client.has_parameter("fledge.enable") else ["it has no `fledge` parameters: flash it"])
        needed = telemetry.start(client)
        if all(map(client.can_log, preflight.VARIANCES)):
            client.start_log("variance", 10 * PERIOD_MS, dict.fromkeys(preflight.VARIANCES, "float"))
        while not all(name in cockpit.now for name in needed):
            cockpit.take(client.next_sample())
        self._refuse(preflight.mismatches(self.policy.contract, self._device_type, cockpit.now))
        self._refuse(preflight.not_ready(client, cockpit.now) + self._look())
        client.stop_log("variance")
        for name, value in (("fledge.enable", 0), ("fledge.ref", 0), ("stabilizer.controller", CONTROLLER_OUT_OF_TREE)):
            client.set_parameter(name, value)

    def _look(self) -> list[str]:
        """Watch estimate and link for a while."""
        cockpit = self.cockpit
        first, start = len(cockpit.samples), cockpit.time
        while cockpit.time < start + LOOK_SECONDS:
            cockpit.take(self.client.next_sample())
        seen = cockpit.samples[first:]
        rows = sum(sample.block == "state" for sample in seen)
        quality = preflight.measure_link(self.client, cockpit.time - start, rows)
        return preflight.unsteady(seen) + preflight.bad_link(quality)

    def _version(self, command: int) -> str:
        answer = self.client.request(Port.PLATFORM, 1, bytes((command,)))
        return answer[1:].split(b"\0")[0].decode("ascii", "replace")

    def _refuse(self, reasons: list[str]) -> None:
        if reasons:
            raise RefusedError(f"not flying {self.client.uri}: " + "; ".join(reasons))

    # ---- the flight --------------------------------------------------------------------------------------------------

    def run(self) -> FlightLog:
        """From arming to disarming; disarms whatever happens."""
        aborted, start = "", time.monotonic()
        self.cockpit.start_clock()
        try:
            self._arm()
            self._fly()
        except KeyboardInterrupt:
            aborted = "interrupted"
        except OutOfControlError as error:
            aborted = str(error)
            self.client.emergency_stop()
            self.cockpit.airborne = False
        except FledgeError as error:
            aborted = str(error)
        finally:
            self._come_down()
        return self._log(aborted, time.monotonic() - start)

    def _arm(self) -> None:
        """Wait until the supervisor lets itself be armed, and ask."""
        cockpit = self.cockpit
        cockpit.phase("arm")
        deadline = cockpit.time + ARMING_SECONDS
        asked = -ASK_AGAIN_SECONDS
        while not cockpit.supervisor(ARMED):
            if cockpit.supervisor(CAN_ARM) and cockpit.time - asked >= ASK_AGAIN_SECONDS:
                self.client.arm(True)
                asked = cockpit.time
            if cockpit.time > deadline:
                said = " | ".join(self.client.console[-2:])
                raise AbortedError(f"the drone refused to arm: {said or 'it does not say why'}")
            cockpit.step()

    def _fly(self) -> None:
        plan, cockpit = self.plan, self.cockpit
        if plan.policy_takes_off:
            cockpit.expect_policy(True)
        cockpit.phase("take-off")
        cockpit.airborne = True
        self.client.take_off(cockpit.home[2] + plan.height, plan.climb_seconds)
        cockpit.wait(plan.climb_seconds)
        require_height(cockpit)
        if not plan.policy_takes_off:
            cockpit.expect_policy(True)
        cockpit.phase("settle")
        cockpit.wait(plan.settle_seconds)
        cockpit.phase("hover")
        centre = cockpit.reference()
        cockpit.wait(plan.hover_seconds)
        self.mission(cockpit, centre)
        self._land(centre)

    def _land(self, centre: tuple[float, float, float]) -> None:
        plan, cockpit = self.plan, self.cockpit
        cockpit.phase("land")
        if plan.policy_takes_off:
            x, y, _ = centre
            self.client.go_to((x, y, cockpit.home[2] + TOUCH_DOWN_HEIGHT), 0.0, plan.climb_seconds)
            cockpit.wait(plan.climb_seconds + 0.5)
        duration = 0.5 if plan.policy_takes_off else plan.climb_seconds
        cockpit.phase("touch-down")
        cockpit.expect_policy(False)
        self._descend(duration)

    def _descend(self, duration: float) -> None:
        """Stock controller to the ground."""
        self.client.land(self.cockpit.home[2], duration)
        self.cockpit.wait(duration + 0.5)
        self.cockpit.airborne = False

    # ---- the way down ------------------------------------------------------------------------------------------------

    def _come_down(self) -> None:
        """Land if still in the air, then disarm. Nothing here may raise."""
        try:
            if self.cockpit.airborne:
                self._emergency_landing()
        except KeyboardInterrupt:
            with contextlib.suppress(FledgeError):
                self.client.emergency_stop()
        except FledgeError:
            pass
        finally:
            with contextlib.suppress(Exception):
                for _ in range(3):  # a radio may lose one
                    self.client.arm(False)
                    self.cockpit.stop_beating()
            self.cockpit.phase("end")

    def _emergency_landing(self) -> None:
        cockpit, client = self.cockpit, self.client
        cockpit.fenced = cockpit.policy_expected = False
        cockpit.phase("emergency landing")
        try:
            client.set_parameter("fledge.ref", 0)
            client.set_parameter("fledge.enable", 0)
            client.let_go()
            self._descend(self._gentle())
        except OutOfControlError:
            client.emergency_stop()
        except AbortedError:
            pass  # crashed, locked or disarmed: there is nothing left to fly
        except LinkError:
            self._knock()

    def _gentle(self) -> float:
        """Duration of a landing from where it is [s]."""
        height = self.cockpit.now["stateEstimate.z"] - self.cockpit.home[2]
        if not math.isfinite(height):  # nobody knows: not faster than from where the plan is
            height = self.plan.height
        return max(self.plan.climb_seconds, height / EMERGENCY_SPEED)

    def _knock(self) -> None:
        """The link is dead, or the drone refuses to plan without a position: say `land` again and again; watch."""
        cockpit, client = self.cockpit, self.client
        duration = self._gentle()
        deadline, latest = client.clock() + PATIENCE, cockpit.time + PATIENCE
        while client.clock() < deadline and cockpit.time < latest:
            with contextlib.suppress(LinkError):
                client.post_parameter("fledge.enable", 0)
                client.send(Port.HIGH_LEVEL, 0, client.landing(cockpit.home[2], duration))
                cockpit.step(KNOCK_EVERY)
                cockpit.wait(KNOCK_EVERY)
                self._descend(duration)
                return

    # ---- what came home ----------------------------------------------------------------------------------------------

    def _log(self, aborted: str, wall_seconds: float) -> FlightLog:
        cockpit = self.cockpit
        return FlightLog(
            self.client.uri,
            self._device_type,
            self._firmware,
            self.policy.contract.sha256,
            table(cockpit.samples, cockpit.armed_at),
            cockpit.phases(),
            tuple(self.client.console),
            wall_seconds,
            aborted,
            cockpit.armed_at,
            cockpit.diary.soak,
        )
