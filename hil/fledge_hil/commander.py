"""Commander: which set-point counts now, how old it is, and what it amounts to each millisecond.

A set-point of a client beats the high-level planner until the client lets go (notify stop) or the drone is landed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from errno import EINVAL

from fledge_hil.board_messages import SetpointMode
from fledge_hil.estimate import Estimate
from fledge_hil.high_level import HighLevel
from fledge_hil.planner import Phase, Planner, Sample
from fledge_hil.setpoint import ANGLES, STOP, FlightModes, Setpoint, parse_generic, parse_rpyt

PLANNER_PERIOD_MS = 10
NEVER_MS = 1 << 30
"""Age of a set-point that was never given."""

LEASH = 0.5
"""[m] that a moving position target may be ahead of the drone."""


class Priority(IntEnum):
    """Who commands."""

    NOBODY = 0
    HIGH_LEVEL = 1
    CLIENT = 2


class Commander:
    """See the module's docstring."""

    def __init__(self, trajectory_memory: Callable[[], bytes] = bytes) -> None:
        self.planner = Planner()
        self.plans = HighLevel(self.planner, trajectory_memory)
        self.priority = Priority.NOBODY
        self.setpoint = STOP
        self._stamp_ms = -NEVER_MS
        self._planned = False
        """Whether the set-point is the planner's; then the end of the plan ends it."""
        self._unlocked = False
        self._anchor: list[float] | None = None
        self._yaw_deg = 0.0

    def age_ms(self, time_ms: int) -> int:
        """Since the last set-point."""
        return min(NEVER_MS, time_ms - self._stamp_ms)

    def client(self, setpoint: Setpoint | None, time_ms: int) -> None:
        """A set-point of a client; None is one that could not be parsed and changes nothing."""
        if setpoint is None:
            return
        self.planner.stop()
        self._planned = False
        self._take(setpoint, Priority.CLIENT, time_ms)

    def rpyt(self, payload: bytes, time_ms: int, modes: FlightModes = ANGLES) -> None:
        """Port 3. A thrust of zero has to come first, so that a slammed stick does not start the motors."""
        setpoint = parse_rpyt(payload, modes)
        if setpoint is None:
            return
        self._unlocked = self._unlocked or payload[12:14] == b"\0\0"
        self.client(setpoint if self._unlocked else replace(setpoint, thrust_fraction=0.0), time_ms)

    def new_client(self) -> None:
        """The thrust lock is per client."""
        self._unlocked = False

    def generic(self, channel: int, payload: bytes, time_ms: int) -> None:
        """Port 7: set-points on channel 0, `notify stop` on channel 1."""
        if channel == 0:
            self.client(parse_generic(payload), time_ms)
        elif channel == 1 and payload[:1] == b"\0":
            self.priority = min(self.priority, Priority.HIGH_LEVEL)  # without a taker the set-point ages as ever

    def _take(self, setpoint: Setpoint, priority: Priority, time_ms: int) -> None:
        if priority < self.priority:
            return
        if not _moves(setpoint):
            self._anchor = None
        self.setpoint, self.priority, self._stamp_ms = setpoint, priority, time_ms

    def release(self) -> None:
        """Back to nobody; what being disarmed does."""
        self.planner.stop()
        self.setpoint, self.priority, self._stamp_ms, self._anchor = STOP, Priority.NOBODY, -NEVER_MS, None

    # ---- high-level commander ----------------------------------------------------------------------------------------

    def high_level(self, payload: bytes, time_ms: int, estimate: Estimate) -> bytes:
        """Port 8; the answer repeats three bytes and adds an errno."""
        here = _here(estimate)
        known = all(map(math.isfinite, here.position))
        error = self.plans.command(payload, time_ms / 1000, here) if payload and known else EINVAL
        if self.planner.phase is Phase.IDLE and self.priority is Priority.HIGH_LEVEL:
            self.setpoint = STOP
        return payload[:3].ljust(3, b"\0") + bytes((error,))

    @property
    def high_level_active(self) -> bool:
        """Whether the planner flies the drone."""
        return self.priority is Priority.HIGH_LEVEL and self.planner.phase is not Phase.IDLE

    # ---- every millisecond -------------------------------------------------------------------------------------------

    def tick(self, time_ms: int, estimate: Estimate) -> Setpoint:
        """The set-point that counts now, in position, velocity or attitude form."""
        if time_ms % PLANNER_PERIOD_MS == 0 and self.priority <= Priority.HIGH_LEVEL:
            self._plan(time_ms)
        return self._moving(estimate) if _moves(self.setpoint) else self.setpoint

    def _plan(self, time_ms: int) -> None:
        sample = self.planner.at(time_ms / 1000)
        if sample is not None:
            self._planned = True
            x, y, z, yaw = sample.position
            setpoint = Setpoint(
                SetpointMode.POSITION,
                (x, y, z),
                sample.velocity[:3],
                sample.acceleration[:3],
                yaw_deg=math.degrees(yaw),
                yaw_rate_deg_s=math.degrees(sample.velocity[3]),
            )
            self._take(setpoint, Priority.HIGH_LEVEL, time_ms)
        elif self.priority is Priority.HIGH_LEVEL and self._planned:
            self._take(STOP, Priority.HIGH_LEVEL, time_ms)

    def _moving(self, estimate: Estimate) -> Setpoint:
        """Velocity set-points as a moving position target that starts where the drone is."""
        setpoint = self.setpoint
        if self._anchor is None:
            if not all(map(math.isfinite, _here(estimate).position)):
                return replace(setpoint, mode=SetpointMode.VELOCITY)  # nowhere to start from: hold the speed
            self._anchor, self._yaw_deg = list(estimate.position_world), math.degrees(estimate.yaw)
        velocity = _velocity_world(setpoint, estimate)
        self._yaw_deg += setpoint.yaw_rate_deg_s * 1e-3
        self._move_anchor(self._anchor, velocity, estimate.position_world)
        if setpoint.height is not None:
            self._anchor[2] = setpoint.height
        x, y, z = self._anchor
        if setpoint.climb is not None:
            return replace(setpoint, height=z)
        return replace(
            setpoint,
            mode=SetpointMode.POSITION,
            position_world=(x, y, z),
            velocity_world=velocity,
            yaw_deg=self._yaw_deg,
        )

    @staticmethod
    def _move_anchor(anchor: list[float], velocity: tuple[float, ...], here: list[float]) -> None:
        """By one millisecond, on a leash: a drone that cannot follow does not find its target far away later."""
        for axis in range(3):
            ahead = anchor[axis] + velocity[axis] * 1e-3
            away = ahead - here[axis]
            if abs(away) <= LEASH or away * velocity[axis] <= 0 or not math.isfinite(away):
                anchor[axis] = ahead


def _moves(setpoint: Setpoint) -> bool:
    """Whether its target moves by itself."""
    return (
        setpoint.velocity_heading is not None or setpoint.climb is not None or (setpoint.mode is SetpointMode.VELOCITY)
    )


def _velocity_world(setpoint: Setpoint, estimate: Estimate) -> tuple[float, float, float]:
    if setpoint.climb is not None:
        return 0.0, 0.0, setpoint.climb
    if setpoint.velocity_heading is None:
        return setpoint.velocity_world
    forward, left = setpoint.velocity_heading
    cosine, sine = math.cos(estimate.yaw), math.sin(estimate.yaw)
    vertical = setpoint.velocity_world[2] if setpoint.height is None else 0.0
    return cosine * forward - sine * left, sine * forward + cosine * left, vertical


def _here(estimate: Estimate) -> Sample:
    x, y, z = estimate.position_world
    return Sample((x, y, z, estimate.yaw))
