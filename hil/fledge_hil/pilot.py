"""Flies a policy on a drone, virtual or real: checks first, arms, flies a plan, and disarms on every way out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil.board_messages import Guard
from fledge_hil.crtp import Port
from fledge_hil.flight_log import FlightLog, Phase
from fledge_hil.plans import Plan
from fledge_hil.preflight import ARMED, CAN_ARM, CRASHED, LOCKED, mismatches, not_ready
from fledge_hil.radio import Radio, Sample, connect
from fledge_hil.telemetry import BLOCKS, PERIOD_MS, table
from fledge_hil.variables import CONTROLLER_OUT_OF_TREE

TOUCH_DOWN_HEIGHT = 0.06
"""[m], where the policy hands the landing to the stock controller."""
ARMING_SECONDS, ASK_AGAIN_SECONDS = 3.0, 0.5
"""Device time for arming, and between two requests [s]."""


class RefusedError(FledgeError):
    """Checks before arming failed; nothing has moved."""


class _AbortedError(Exception):
    """In flight: why the plan cannot go on."""


@dataclass(frozen=True)
class Progress:
    """Live figures, about ten times per second of device time."""

    phase: str
    time: float
    """Device time since arming [s]."""
    position: tuple[float, float, float]
    """Estimate [m, world]."""
    reference: tuple[float, float, float]
    """What the policy follows [m, world]."""
    error: float
    """Distance between the two [m]; 0 while the stock controller flies."""
    guard: Guard
    speed: float
    """Device seconds per second."""


Report = Callable[[Progress], None]


def fly(uri: str, policy: Policy, plan: Plan, progress: Report | None = None) -> FlightLog:
    """Check, arm, fly, land, disarm.

    Raises:
        RefusedError: drone, firmware and policy do not fit, or the drone is not ready.
        LinkError: the link did not come up.
    A flight that ends early after arming returns its log with `aborted` set.
    """
    with connect(uri) as radio:
        flight = _Flight(radio, policy, plan, progress)
        flight.prepare()
        return flight.run()


class _Flight:
    def __init__(self, radio: Radio, policy: Policy, plan: Plan, progress: Report | None) -> None:
        self.radio, self.policy, self.plan, self._progress = radio, policy, plan, progress
        self._now: dict[str, float] = {}
        self._samples: list[Sample] = []
        self._phases: list[tuple[str, float]] = []
        self._time = 0.0
        self._armed_at, self._wall = 0.0, 0.0
        self._policy_expected = self._policy_flies = False
        self._airborne = False
        self._device_type = self._firmware = ""

    # ---- before arming -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Everything that can be known on the ground. Raises RefusedError listing all that is wrong."""
        self._device_type, self._firmware = self._version(2), self._version(1)
        self._refuse([] if self.radio.has_parameter("fledge.enable") else ["it has no `fledge` parameters: flash it"])
        for name, variables in BLOCKS.items():
            self.radio.start_log(name, PERIOD_MS, dict(variables))
        while not all(name in self._now for block in BLOCKS.values() for name in block):
            self._take(self.radio.next_sample())
        self._refuse(mismatches(self.policy.contract, self._device_type, self._now) + not_ready(self.radio, self._now))
        for name, value in (("fledge.enable", 0), ("fledge.ref", 0), ("stabilizer.controller", CONTROLLER_OUT_OF_TREE)):
            self.radio.set_parameter(name, value)

    def _version(self, command: int) -> str:
        answer = self.radio.request(Port.PLATFORM, 1, bytes((command,)))
        return answer[1:].split(b"\0")[0].decode("ascii", "replace")

    def _refuse(self, reasons: list[str]) -> None:
        if reasons:
            raise RefusedError(f"not flying {self.radio.uri}: " + "; ".join(reasons))

    # ---- the flight --------------------------------------------------------------------------------------------------

    def run(self) -> FlightLog:
        """From arming to disarming; disarms whatever happens."""
        aborted, start = "", time.monotonic()
        self._armed_at, self._wall = self._time, start
        try:
            self._arm()
            self._fly()
        except KeyboardInterrupt:
            aborted = "interrupted"
        except (_AbortedError, FledgeError) as error:
            aborted = str(error)
        finally:
            self._come_down()
        return self._log(aborted, time.monotonic() - start)

    def _arm(self) -> None:
        """Wait until the supervisor lets itself be armed, and ask."""
        self._phase("arm")
        deadline = self._time + ARMING_SECONDS
        asked = -ASK_AGAIN_SECONDS
        while not self._supervisor(ARMED):
            if self._supervisor(CAN_ARM) and self._time - asked >= ASK_AGAIN_SECONDS:
                self.radio.crazyflie.supervisor.send_arming_request(True)
                asked = self._time
            if self._time > deadline:
                said = " | ".join(self.radio.console[-2:])
                raise _AbortedError(f"the drone refused to arm: {said or 'it does not say why'}")
            self._step()

    def _supervisor(self, bit: int) -> bool:
        return bool(int(self._now["supervisor.info"]) >> bit & 1)

    def _fly(self) -> None:
        plan, commander = self.plan, self.radio.crazyflie.high_level_commander
        if plan.policy_takes_off:
            self._hand_over()
        self._phase("take-off")
        self._airborne = True
        commander.takeoff(plan.height, plan.climb_seconds, yaw=None)
        self._wait(plan.climb_seconds)
        self._require_height()
        if not plan.policy_takes_off:
            self._hand_over()
        self._phase("settle")
        self._wait(plan.settle_seconds)
        self._phase("hover")
        home = self._position("fledge.rx", "fledge.ry", "fledge.rz")
        self._wait(plan.hover_seconds)
        if plan.laps > 0:
            self._figure_eight()
        self._land(home)

    def _hand_over(self) -> None:
        """From here on the policy has to fly; a guard that speaks against it ends the flight."""
        self._policy_expected = True
        self.radio.set_parameter("fledge.enable", 1)

    def _require_height(self) -> None:
        height = self._now["stateEstimate.z"]
        if height < self.plan.height / 2:
            raise _AbortedError(f"after take-off the drone is at {height:.2f} m, not at {self.plan.height:.2f} m")

    def _figure_eight(self) -> None:
        """Laps at full speed; then the drone flies on to the centre and stops there by itself."""
        plan, radio = self.plan, self.radio
        radio.set_parameter("fledge.fePeriod", plan.period)
        radio.set_parameter("fledge.feScale", plan.scale)
        radio.set_parameter("fledge.ref", 1)
        self._phase("figure-eight")
        self._wait(plan.figure_seconds)
        self._phase("return")
        radio.set_parameter("fledge.ref", 0)
        self._wait(plan.return_seconds)

    def _land(self, home: tuple[float, float, float]) -> None:
        self._phase("land")
        commander = self.radio.crazyflie.high_level_commander
        if self.plan.policy_takes_off:
            commander.go_to(home[0], home[1], TOUCH_DOWN_HEIGHT, 0.0, self.plan.climb_seconds)
            self._wait(self.plan.climb_seconds + 0.5)
        self._touch_down(0.5 if self.plan.policy_takes_off else self.plan.climb_seconds)

    def _touch_down(self, duration: float) -> None:
        """Stock controller to the ground."""
        self._policy_expected = False
        self._phase("touch-down")
        self.radio.set_parameter("fledge.enable", 0)
        self.radio.crazyflie.high_level_commander.land(0.0, duration, yaw=None)
        self._wait(duration + 0.5)
        self._airborne = False

    def _come_down(self) -> None:
        """Land if still in the air, then disarm; a second Ctrl-C disarms at once. Nothing here may raise."""
        commander = self.radio.crazyflie.high_level_commander
        try:
            if self._airborne:
                self._policy_expected = False
                self._phase("emergency landing")
                self.radio.set_parameter("fledge.ref", 0)
                self.radio.set_parameter("fledge.enable", 0)
                commander.land(0.0, self.plan.climb_seconds, yaw=None)
                self._wait(self.plan.climb_seconds + 0.5)
        except (KeyboardInterrupt, _AbortedError, FledgeError):
            pass
        finally:
            with contextlib.suppress(Exception):
                for _ in range(3):  # a radio may lose one
                    self.radio.crazyflie.supervisor.send_arming_request(False)
            self._phase("end")

    # ---- time and log ------------------------------------------------------------------------------------------------

    def _phase(self, name: str) -> None:
        self._phases.append((name, self._time))

    def _wait(self, seconds: float) -> None:
        end = self._time + seconds
        while self._time < end:
            self._step()

    def _step(self) -> None:
        """One log packet: take it, judge it, tell."""
        sample = self.radio.next_sample()
        self._take(sample)
        self._judge()
        if self._progress is not None and sample.block == "state" and round(sample.time * 100) % 10 == 0:
            self._progress(self._figures())

    def _take(self, sample: Sample) -> None:
        self._samples.append(sample)
        self._now.update(sample.values)
        self._time = max(self._time, sample.time)

    def _judge(self) -> None:
        if not self._airborne:
            return
        for bit, what in ((LOCKED, "the drone's supervisor locked it"), (CRASHED, "the drone crashed")):
            if self._supervisor(bit):
                raise _AbortedError(what)
        if not self._policy_expected:
            return
        if self._now["fledge.mode"] == 1:
            self._policy_flies = True
        elif self._policy_flies:
            self._policy_expected = False
            raise _AbortedError(f"the guard handed over to the stock controller ({self._guard.name.lower()})")

    @property
    def _guard(self) -> Guard:
        return Guard(int(self._now["fledge.guard"]))

    def _position(self, *names: str) -> tuple[float, float, float]:
        x, y, z = (self._now[name] for name in names)
        return x, y, z

    def _figures(self) -> Progress:
        position = self._position("stateEstimate.x", "stateEstimate.y", "stateEstimate.z")
        reference = self._position("fledge.rx", "fledge.ry", "fledge.rz")
        flies = self._now["fledge.mode"] == 1
        error = float(np.linalg.norm(np.subtract(position, reference))) if flies else 0.0
        elapsed = self._time - self._armed_at
        speed = elapsed / max(1e-9, time.monotonic() - self._wall)
        return Progress(self._phases[-1][0], elapsed, position, reference, error, self._guard, speed)

    def _log(self, aborted: str, wall_seconds: float) -> FlightLog:
        times = [start for _, start in self._phases]
        phases = [
            Phase(name, start - self._armed_at, end - self._armed_at)
            for (name, start), end in zip(self._phases, times[1:], strict=False)
        ]
        return FlightLog(
            self.radio.uri,
            self._device_type,
            self._firmware,
            self.policy.contract.sha256,
            table(self._samples, self._armed_at),
            tuple(phases),
            tuple(self.radio.console),
            wall_seconds,
            aborted,
            self._armed_at,
        )
