"""What can go wrong, on purpose: each row breaks one thing in flight and states what has to happen then.

| outcome | means |
|---|---|
| flies on | the plan is completed within the flight's limits (or the row's own), without a guard event |
| lands | the flight ends early for the stated reason, and the drone comes down upright, gently, close by, not locked |
| lands alone | the same, without a client: by the heartbeat |
| contained | it flies on, lands as above, or the motors stand still in time; the table counts which |
| stops | nothing can fly it any more: the motors stand still within the stated time |
| refuses | nothing moves; the pilot says why |
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from fledge_hil.board_messages import Guard
from fledge_hil.impaired import ImpairedCrazyflie

Outcome = Literal["flies on", "lands", "lands alone", "contained", "stops", "refuses"]
Break = Callable[[ImpairedCrazyflie, random.Random], None]
"""Breaks, or mends, a drone; the generator is seeded per flight."""


@dataclass(frozen=True)
class Fault:
    """One row of the matrix."""

    name: str
    what: str
    """Is done to the drone."""
    outcome: Outcome
    inject: Break | None = None
    mend: Break | None = None
    """Undoes it after `seconds`."""
    seconds: float = 0.0
    """0: it stays broken."""
    guards: tuple[Guard, ...] = ()
    """One of them must have taken the motors; none: none may."""
    said: str = ""
    """Part of the sentence with which the flight ends or is refused; | separates what will do as well."""
    rmse: Mapping[str, float] = field(default_factory=dict)
    """Wider limits than a healthy flight's, by phase [m]."""
    misses: bool = False
    """Missed deadlines belong to it, and have to be reported."""
    takes: float = 0.0
    """Longer hover, for what takes its time [s]."""
    drift: float = 1.5
    """Largest horizontal distance between the fault and the place of landing [m]."""
    board: Literal["", "flipped bit"] = ""
    """Built into the drone before it is switched on."""
    policy: Literal["", "other weights", "other airframe"] = ""
    """What the pilot's file is instead of the drone's policy."""
    streamed: bool = False
    """Set-points are streamed by the client instead of planned on the drone."""


def _link(**changes: object) -> Break:
    def set_link(drone: ImpairedCrazyflie, _: random.Random) -> None:
        for name, value in changes.items():
            setattr(drone.link_faults, name, value)

    return set_link


def _impair(**changes: object) -> Break:
    def set_impairment(drone: ImpairedCrazyflie, _: random.Random) -> None:
        for name, value in changes.items():
            setattr(drone.impairments, name, value)

    return set_impairment


def _faults(**changes: bool) -> Break:
    def set_fault(drone: ImpairedCrazyflie, _: random.Random) -> None:
        for name, value in changes.items():
            setattr(drone.faults, name, value)

    return set_fault


def _weak(share: float) -> Break:
    def weaken(drone: ImpairedCrazyflie, generator: random.Random) -> None:
        drone.plant.motor_gain[generator.randrange(4)] = math.sqrt(share)  # thrust goes with the square of the speed

    return weaken


def _jump(metres: float) -> Break:
    def jump(drone: ImpairedCrazyflie, generator: random.Random) -> None:
        x, y = ((metres, 0.0), (-metres, 0.0), (0.0, metres), (0.0, -metres))[generator.randrange(4)]
        drone.impairments.position_offset = (x, y, 0.0)

    return jump


def _drop(volts: float) -> Break:
    def drop(drone: ImpairedCrazyflie, _: random.Random) -> None:
        drone.plant.battery.drop = volts

    return drop


def _to_voltage(volts: float) -> Break:
    def empty(drone: ImpairedCrazyflie, _: random.Random) -> None:
        drone.plant.battery.drop = drone.plant.battery.voltage - volts

    return empty


_WIDE = {"hover": 0.25, "figure-eight": 0.35}
_MENDED = _link(lose=0.0, duplicate=0.0, late_ms=(0, 0), cut=False)

_DELAYS: tuple[tuple[int, Outcome], ...] = ((10, "flies on"), (20, "contained"), (30, "contained"))
_WEAKNESSES: tuple[tuple[int, Outcome], ...] = ((10, "flies on"), (20, "contained"), (30, "contained"))

FAULTS: tuple[Fault, ...] = (
    Fault("none", "nothing: the flight without a fault", "flies on"),
    Fault("lost", "20 % of the packets are lost, both ways", "flies on", _link(lose=0.2)),
    Fault("late", "packets are 150 ms late, both ways", "flies on", _link(late_ms=(150, 150))),
    Fault("reordered", "packets take 0 to 60 ms and overtake each other", "flies on", _link(late_ms=(0, 60))),
    Fault("duplicated", "30 % of the packets arrive twice", "flies on", _link(duplicate=0.3)),
    Fault("gap", "no packet gets through for 1 s", "flies on", _link(cut=True), _MENDED, 1.0),
    Fault("long gap", "no packet for 4 s", "lands", _link(cut=True), _MENDED, 4.0, said="no log data|heartbeat"),
    Fault("link loss", "no packet gets through any more", "lands alone", _link(cut=True), said="no log data"),
    Fault("stale state", "position, velocity, attitude freeze for 0.2 s", "lands", _faults(state_frozen=True),
          _faults(state_frozen=False), 0.2, (Guard.STALE_STATE,), "stale_state"),
    Fault("frozen", "position, velocity, attitude freeze for good; the gyro lives", "stops", _faults(state_frozen=True),
          guards=(Guard.STALE_STATE,), said="stale_state", drift=3.0),
    Fault("NaN blip", "the position is NaN for 0.2 s", "lands", _faults(position_nan=True), _faults(position_nan=False),
          0.2, (Guard.NOT_FINITE,), "not_finite"),
    Fault("NaN position", "the position stays NaN", "lands", _faults(position_nan=True), guards=(Guard.NOT_FINITE,),
          said="not_finite", drift=2.5),
    Fault("NaN gyro", "the gyro stays NaN", "stops", _impair(gyro_nan=True), guards=(Guard.NOT_FINITE,),
          said="not_finite", drift=2.0),
    Fault("biased gyro", "the gyro is off by 5 deg/s about two axes", "flies on",
          _impair(gyro_offset_deg_s=(5.0, -5.0, 0.0)), rmse=_WIDE),
    Fault("biased velocity", "the velocity is off by 0.1 m/s", "flies on", _impair(velocity_offset=(0.1, -0.05, 0.05)),
          rmse=_WIDE),
    Fault("small jump", "the estimate jumps by 0.3 m", "flies on", _jump(0.3),
          rmse={"hover": 0.4, "figure-eight": 0.5}),
    Fault("large jump", "the estimate jumps by 2.5 m", "lands", _jump(2.5), guards=(Guard.POSITION_ERROR,),
          said="position_error", drift=4.0),
    *(
        Fault(f"delay {ms} ms", f"the estimate is {ms} ms old", outcome, _impair(delay_ms=ms), rmse=_WIDE)
        for ms, outcome in _DELAYS
    ),
    *(
        Fault(f"motor -{percent} %", f"one motor gives {percent} % less thrust", outcome, _weak(1 - percent / 100),
              rmse=_WIDE)
        for percent, outcome in _WEAKNESSES
    ),
    Fault("motor dead", "one motor stops", "stops", _weak(0.0), drift=5.0),
    Fault("voltage dip", "the battery gives 0.4 V less for 0.5 s", "flies on", _drop(0.4), _drop(0.0), 0.5),
    Fault("empty battery", "the battery falls to 3.1 V", "lands", _to_voltage(3.1), guards=(Guard.BATTERY,),
          said="battery", takes=6.0),
    Fault("late task", "the control task is 5 ms late once", "flies on", _impair(overrun_ms=5), misses=True),
    Fault("stuck task", "the control task stands still for 30 ms", "lands", _impair(overrun_ms=30),
          guards=(Guard.CALL_PERIOD,), said="call_period", misses=True),
    Fault("overloaded task", "the control task is 3 ms late every 5 ms", "lands", _impair(overrun_every_ms=5),
          _impair(overrun_every_ms=0), 1.0, (Guard.CALL_PERIOD,), "call_period", misses=True),
    Fault("silence", "the client streams set-points and stops", "lands", guards=(Guard.STALE_SETPOINT,),
          said="stale_setpoint", streamed=True),
    Fault("streamed loss", "the client streams set-points and the link breaks", "lands alone", _link(cut=True),
          guards=(Guard.STALE_SETPOINT,), said="no log data", streamed=True),
    Fault("flipped bit", "one bit of a weight is flipped in flash", "refuses", said="self-test failed",
          board="flipped bit"),
    Fault("wrong contract", "the drone runs other weights than the pilot's file", "refuses", said="runs contract",
          policy="other weights"),
    Fault("wrong airframe", "the policy is for another kind of drone", "refuses", said="this is a",
          policy="other airframe"),
)  # fmt: skip


def choose(names: str) -> tuple[Fault, ...]:
    """`all`, or names separated by commas. Raises FledgeError for an unknown one."""
    from fledge_sim.errors import FledgeError

    known = {fault.name: fault for fault in FAULTS}
    if names.strip() == "all":
        return FAULTS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise FledgeError(f"no fault '{', '.join(unknown)}'; choose all, or some of: {', '.join(known)}")
    return tuple(replace(known[name]) for name in wanted)
