"""Packets of hardware in the loop: what a client sends over the app channel, and what the drone answers.

At most 30 bytes each, little endian; kind, then sequence number, then the rest (firmware/hil/README.md has the table).
The drone's own codec is firmware/hil/packet.c; tests/hil/test_injection.py compares the two byte by byte. Units and
order are the firmware's, as in board_messages.FlightInput.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum

from fledge_sim.errors import FledgeError

from fledge_hil.board_messages import Failsafe, Guard, SetpointMode

VERSION = 1
"""Of this protocol; the drone answers with its own."""
PERIOD_MAX_MS = 20
BUDGET_US = 500
"""Of a tick [us]; a longer one counts as late."""
DEG_PER_RAD = 180 / math.pi

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


class InjectionError(FledgeError):
    """A number that does not fit its packet, or bytes that are no answer."""


class Kind(IntEnum):
    """enum hil_kind."""

    STATE = 0x01
    STATE_LINEAR = 0x02
    STATE_ANGULAR = 0x03
    TARGET = 0x04
    BEGIN = 0x05
    ANSWER = 0x81
    ANSWER_EXACT = 0x82
    TARGET_SET = 0x84
    READY = 0x85
    REFUSED = 0x8F


class Mode(IntEnum):
    """enum hil_mode, the values of the parameter `fledge.hil`."""

    OFF = 0
    INJECTED = 1
    SIMULATED = 2


class Schedule(IntEnum):
    """enum hil_schedule."""

    LOCKSTEP = 0
    FREE_RUN = 1


class RefusalReason(IntEnum):
    """enum hil_refusal."""

    UNKNOWN_KIND = 1
    WRONG_LENGTH = 2
    WRONG_VALUE = 3
    WRONG_MODE = 4
    NOT_BEGUN = 5
    BUSY = 6
    HALF_MISSING = 7
    ARMED = 8


REASONS = {
    RefusalReason.UNKNOWN_KIND: "it does not know this kind of packet; is the app newer or older than fledge?",
    RefusalReason.WRONG_LENGTH: "the packet is too short or too long",
    RefusalReason.WRONG_VALUE: "a mode, schedule or period in it does not exist",
    RefusalReason.WRONG_MODE: "its parameter fledge.hil names another mode; set it while disarmed",
    RefusalReason.NOT_BEGUN: "no run was begun; send a begin packet first",
    RefusalReason.BUSY: "the state before is not answered yet; wait for the answer",
    RefusalReason.HALF_MISSING: "the first half of the state did not arrive; send both again",
    RefusalReason.ARMED: "it is armed; disarm first",
}


@dataclass(frozen=True)
class InjectedState:
    """What the flight code is to sense."""

    position_world: Vector
    """[m]"""
    velocity_world: Vector
    """[m/s]"""
    quaternion_xyzw: Quaternion
    """Body to world, firmware order."""
    gyro_deg_s: Vector
    """[deg/s], body."""
    age_ms: int = 0
    """Of the estimate when it was sent, 0 to 255 [ms]."""
    battery_low: bool = False
    rotors_idle: bool = False
    """Standing or idling: the policy spins them up gradually when it takes over."""


@dataclass(frozen=True)
class Answer:
    """To a state."""

    sequence: int
    guard: Guard
    failsafe: Failsafe
    controls_motors: bool
    """Whether the policy flies; else the fractions are those of the stock controller."""
    self_test_passed: bool
    free_run: bool
    motor_fraction: Quaternion
    """[1], M1..M4, what the motors would get."""
    inference_us: int
    """Longest since the answer before [us]; 0: none was due, or not measured."""
    tick_us: int
    """Longest tick since the answer before [us]."""
    ticks: int
    """Since the run was begun, modulo 65536."""
    contract_hash: int
    received_us: int | None = None
    """Device clock when the state came [us], modulo 2^32; None in the exact form, which has no room for it."""
    wait_us: int | None = None
    """From then to its first tick [us]."""
    late_ticks: int | None = None
    """Ticks above BUDGET_US since the run was begun."""


@dataclass(frozen=True)
class TargetSet:
    """The set-point arrived."""

    sequence: int


@dataclass(frozen=True)
class Ready:
    """The run is begun; the policy takes over with the next state."""

    sequence: int
    version: int
    schedule: Schedule
    period_ms: int
    self_test_passed: bool
    contract_hash: int


@dataclass(frozen=True)
class Refusal:
    """The drone did not take a packet."""

    sequence: int
    kind: int
    """Of the refused packet."""
    reason: RefusalReason

    @property
    def sentence(self) -> str:
        """Why, and what to do."""
        return f"the drone refused a packet of kind {self.kind}: {REASONS[self.reason]}"


Reply = Answer | TargetSet | Ready | Refusal

_STATE = struct.Struct("<BB13hBB")
_LINEAR = struct.Struct("<BB6fBB")
_ANGULAR = struct.Struct("<BB7f")
_TARGET = struct.Struct("<BBBB6f")
_BEGIN = struct.Struct("<BBBB")
_ANSWER = struct.Struct("<BBBB4HIHHHHHI")
_ANSWER_EXACT = struct.Struct("<BBBB4fHHHI")
_READY = struct.Struct("<BBBBBBI")
_CONTROLS, _SELF_TEST, _FREE_RUN, _FAILSAFE_SHIFT = 1, 2, 4, 4


def encode_state(sequence: int, state: InjectedState) -> bytes:
    """The state in 16-bit integers: millimetres, mm/s, 1/32767, mrad/s. Raises InjectionError out of range."""
    values = (
        *(1000 * x for x in (*state.position_world, *state.velocity_world)),
        *(32767 * x for x in state.quaternion_xyzw),
        *(1000 * x / DEG_PER_RAD for x in state.gyro_deg_s),
    )
    if not all(abs(value) < 32767.5 for value in values):  # a NaN is not
        raise InjectionError(
            "a state beyond 32.7 m, 32.7 m/s or 1877 deg/s, or not finite, does not fit 16 bits; "
            "send it with encode_exact_state"
        )
    head = (Kind.STATE, sequence & 0xFF)
    return _STATE.pack(*head, *(round(value) for value in values), *_condition(state))


def encode_exact_state(sequence: int, state: InjectedState) -> tuple[bytes, bytes]:
    """The same in float32, as two packets to be sent in this order; any number goes, NaN included."""
    linear = _LINEAR.pack(
        Kind.STATE_LINEAR, sequence & 0xFF, *state.position_world, *state.velocity_world, *_condition(state)
    )
    return linear, _ANGULAR.pack(Kind.STATE_ANGULAR, sequence & 0xFF, *state.quaternion_xyzw, *state.gyro_deg_s)


def encode_target(
    sequence: int,
    position_world: Vector,
    velocity_world: Vector = (0.0, 0.0, 0.0),
    mode: SetpointMode = SetpointMode.POSITION,
) -> bytes:
    """A set-point [m, m/s], held until the next one."""
    return _TARGET.pack(Kind.TARGET, sequence & 0xFF, mode, 0, *position_world, *velocity_world)


def encode_begin(sequence: int, schedule: Schedule = Schedule.LOCKSTEP, period_ms: int = 1) -> bytes:
    """Begin a run: the policy starts afresh. Raises InjectionError.

    Args:
        sequence: of this packet.
        schedule: lockstep or free run.
        period_ms: lockstep: ticks of 1 ms for which each state holds before it is answered.
    """
    if not 1 <= period_ms <= PERIOD_MAX_MS:
        raise InjectionError(f"a period of {period_ms} ms is not possible; choose 1 to {PERIOD_MAX_MS}")
    return _BEGIN.pack(Kind.BEGIN, sequence & 0xFF, schedule, period_ms)


def parse_reply(data: bytes) -> Reply:
    """What the drone sent. Raises InjectionError for anything else."""
    try:
        return _parse(data)
    except (ValueError, struct.error, IndexError) as error:
        raise InjectionError(f"{len(data)} bytes on the app channel are no answer of fledge's app: {error}") from error


def _condition(state: InjectedState) -> tuple[int, int]:
    if not 0 <= state.age_ms <= 255:
        raise InjectionError(f"an age of {state.age_ms} ms does not fit a byte; give 0 to 255")
    return state.age_ms, state.battery_low | state.rotors_idle << 1


def _parse(data: bytes) -> Reply:
    kind = Kind(data[0])
    if kind is Kind.ANSWER:
        return _answer(data)
    if kind is Kind.ANSWER_EXACT:
        return _answer_exact(data)
    if kind is Kind.READY:
        _, sequence, version, schedule, period_ms, passed, contract_hash = _READY.unpack(data)
        return Ready(sequence, version, Schedule(schedule), period_ms, bool(passed), contract_hash)
    if kind is Kind.TARGET_SET:
        _, sequence = struct.unpack("<BB", data)
        return TargetSet(sequence)
    if kind is Kind.REFUSED:
        _, sequence, refused, reason = struct.unpack("<BBBB", data)
        return Refusal(sequence, refused, RefusalReason(reason))
    raise ValueError(f"{kind.name} is no answer")


def _answer(data: bytes) -> Answer:
    _, sequence, guard, flags, *rest = _ANSWER.unpack(data)
    steps, (received_us, wait_us, inference_us, tick_us, late_ticks, ticks, contract_hash) = rest[:4], rest[4:]
    m1, m2, m3, m4 = (step / 65535 for step in steps)
    return Answer(
        sequence,
        Guard(guard),
        *_flags(flags),
        (m1, m2, m3, m4),
        inference_us,
        tick_us,
        ticks,
        contract_hash,
        received_us,
        wait_us,
        late_ticks,
    )


def _answer_exact(data: bytes) -> Answer:
    _, sequence, guard, flags, m1, m2, m3, m4, inference_us, tick_us, ticks, contract_hash = _ANSWER_EXACT.unpack(data)
    return Answer(sequence, Guard(guard), *_flags(flags), (m1, m2, m3, m4), inference_us, tick_us, ticks, contract_hash)


def _flags(flags: int) -> tuple[Failsafe, bool, bool, bool]:
    """failsafe, controls_motors, self_test_passed, free_run."""
    failsafe = Failsafe(flags >> _FAILSAFE_SHIFT & 3)
    return failsafe, bool(flags & _CONTROLS), bool(flags & _SELF_TEST), bool(flags & _FREE_RUN)
