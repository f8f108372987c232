"""The pilot's hands and eyes in flight: device time, the newest values, judgement of every sample, commands.

Everything that ends a flight early is an AbortedError with the reason; what then happens is the pilot's business.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fledge_sim.errors import FledgeError

from fledge_hil.board_messages import Guard
from fledge_hil.client import Client, Sample
from fledge_hil.flight_log import Phase
from fledge_hil.plans import Plan, Point
from fledge_hil.preflight import ARMED, CRASHED, LOCKED
from fledge_hil.soak import Diary

HEARTBEAT = "fledge.heartbeat"
"""Parameter: [ms] of silence after which the drone lands by itself."""
HEARTBEAT_MS, BEAT_SECONDS = 1500, 0.2
FENCE_MARGIN = 1.0
"""[m] outside the fence, where landing is no longer enough."""


class AbortedError(FledgeError):
    """In flight: why the plan cannot go on."""


class OutOfControlError(AbortedError):
    """The motors have to stop at once."""


@dataclass(frozen=True)
class Progress:
    """Live figures, about ten times per second of device time."""

    phase: str
    time: float
    """Device time since arming [s]."""
    position: Point
    """Estimate [m, world]."""
    reference: Point
    """What the policy follows [m, world]."""
    error: float
    """Distance between the two [m]; 0 while the stock controller flies."""
    guard: Guard
    speed: float
    """Device seconds per second."""
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """w, x, y, z, body to world."""


Report = Callable[[Progress], None]


class Cockpit:
    """See the module's docstring."""

    def __init__(self, client: Client, plan: Plan, progress: Report | None = None) -> None:
        self.client, self.plan, self._progress = client, plan, progress
        self.now: dict[str, float] = {}
        self.samples: list[Sample] = []
        self._first_minute = math.inf
        self.diary = Diary()
        """Of a soak."""
        self.time = 0.0
        """Device time [s]."""
        self.armed_at, self._wall = 0.0, time.monotonic()
        self.home: Point = (0.0, 0.0, 0.0)
        """Where it stood when it was armed [m, world]."""
        self.airborne = False
        self.policy_expected = False
        """From here on a guard that speaks against the policy ends the flight."""
        self.fenced = True
        """Leaving the fence ends the flight; off once that has happened."""
        self._policy_flies = False
        self._phases: list[tuple[str, float]] = []
        self._beat = -math.inf
        self._beats = client.has_parameter(HEARTBEAT)
        client.on_wait = self._keep_alive

    # ---- time --------------------------------------------------------------------------------------------------------

    def step(self, timeout: float | None = None) -> Sample:
        """One log packet: take it, judge it, tell. Raises LinkError when the log is silent."""
        sample = self.client.next_sample() if timeout is None else self.client.next_sample(timeout)
        self.take(sample)
        self._keep_alive()
        self._judge()
        if self._progress is not None and sample.block == "state" and round(sample.time * 100) % 10 == 0:
            self._progress(self.figures())
        return sample

    def take(self, sample: Sample) -> None:
        """Remember a sample."""
        self.samples.append(sample)
        if sample.time >= self.time - 1e-9:  # late ones are for the log only
            self.now.update(sample.values)
        self.time = max(self.time, sample.time)

    def wait(self, seconds: float) -> None:
        """So much device time."""
        end = self.time + seconds
        while self.time < end:
            self.step()

    def close_minute(self, start: float) -> None:
        """Of a soak: count what was logged since `start` [s], and forget what came before that and after the first."""
        self._first_minute = min(self._first_minute, start)
        self.diary.close_minute(self.samples, self.armed_at, start, self.time)
        self.samples = [sample for sample in self.samples if not self._first_minute < sample.time <= start]

    def phase(self, name: str) -> None:
        """A new part of the flight begins."""
        self._phases.append((name, self.time))

    def start_clock(self) -> None:
        """Time 0 of the flight; where the drone stands is home."""
        self.armed_at, self._wall = self.time, time.monotonic()
        self.home = self.position()

    def phases(self) -> tuple[Phase, ...]:
        """On the clock that started with the arming."""
        times = [start for _, start in self._phases]
        pairs = zip(self._phases, times[1:], strict=False)
        return tuple(Phase(name, start - self.armed_at, end - self.armed_at) for (name, start), end in pairs)

    # ---- values ------------------------------------------------------------------------------------------------------

    def supervisor(self, bit: int) -> bool:
        """A bit of supervisor.info."""
        return bool(int(self.now["supervisor.info"]) >> bit & 1)

    @property
    def guard(self) -> Guard:
        """Why the policy does not fly."""
        return Guard(int(self.now["fledge.guard"]))

    def position(self) -> Point:
        """Estimate [m, world]."""
        return self.now["stateEstimate.x"], self.now["stateEstimate.y"], self.now["stateEstimate.z"]

    def reference(self) -> Point:
        """Of the policy [m, world]."""
        return self.now["fledge.rx"], self.now["fledge.ry"], self.now["fledge.rz"]

    def figures(self) -> Progress:
        """For whoever watches."""
        position, reference = self.position(), self.reference()
        error = float(np.linalg.norm(np.subtract(position, reference))) if self.now["fledge.mode"] == 1 else 0.0
        elapsed = self.time - self.armed_at
        w, x, y, z = (self.now[f"stateEstimate.q{axis}"] for axis in "wxyz")
        speed = elapsed / max(1e-9, time.monotonic() - self._wall)
        return Progress(self._phases[-1][0], elapsed, position, reference, error, self.guard, speed, (w, x, y, z))

    # ---- judgement ---------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        if not self.airborne:
            return
        for bit, what in ((LOCKED, "the drone's supervisor locked it"), (CRASHED, "the drone crashed")):
            if self.supervisor(bit):
                raise AbortedError(what)
        if not self.supervisor(ARMED):
            raise AbortedError("the drone disarmed itself in the air")
        self._stay_inside()
        if not self.policy_expected:
            return
        if self.now["fledge.mode"] == 1:
            self._policy_flies = True
        elif self._policy_flies:
            self.policy_expected = False
            if self.guard is Guard.DISABLED:
                raise AbortedError("the drone missed the pilot's heartbeat and lands by itself")
            raise AbortedError(f"the guard handed over to the stock controller ({self.guard.name.lower()})")

    def _stay_inside(self) -> None:
        """By the drone's own estimate; one that is not a number is the guard's business."""
        x, y, z = self.position()
        wide = max(abs(x - self.home[0]), abs(y - self.home[1])) - self.plan.fence
        beyond = max(wide, z - self.home[2] - self.plan.ceiling)
        if beyond > FENCE_MARGIN:
            raise OutOfControlError(f"the drone is {beyond:.1f} m outside its fence: motors stopped")
        if beyond > 0 and self.fenced:
            raise AbortedError(f"the drone left its fence at ({x:.2f}, {y:.2f}, {z:.2f}) m")

    # ---- commands ----------------------------------------------------------------------------------------------------

    def expect_policy(self, flies: bool) -> None:
        """Switch the policy on or off."""
        if not flies:
            self.policy_expected = False
        self.client.set_parameter("fledge.enable", int(flies))
        self._policy_flies = False
        self.policy_expected = flies

    def stop_beating(self) -> None:
        """The drone is not to miss a pilot who has gone after his flight."""
        if self._beats:
            self.client.post_parameter(HEARTBEAT, 0)

    def _keep_alive(self) -> None:
        """A beat when one is due, by device time; also while an answer is waited for."""
        now = self.client.device_time
        if self._beats and self.airborne and now - self._beat >= BEAT_SECONDS:
            self._beat = now
            self.client.post_parameter(HEARTBEAT, HEARTBEAT_MS)
