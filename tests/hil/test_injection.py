"""The two codecs of hardware in the loop, C on the drone and Python on the host, agree byte by byte."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fledge_export.build import compile_host, firmware_directory
from fledge_hil import injection
from fledge_hil.board_messages import Failsafe, Guard, SetpointMode
from fledge_hil.injection import (
    Answer,
    InjectedState,
    InjectionError,
    Kind,
    Ready,
    Refusal,
    RefusalReason,
    Schedule,
    TargetSet,
)
from hypothesis import given
from hypothesis import strategies as st

f32, u32 = ctypes.c_float, ctypes.c_uint32
STATE = InjectedState((1.0, -0.002, 3.5), (0.25, 0.0, -1.0), (0.0, 0.6, 0.0, 0.8), (90.0, 0.0, -180.0), 7, True, True)
GOLDEN_STATE = "01 05  e803 feff ac0d  fa00 0000 18fc  0000 cc4c 0000 6666  2306 0000 baf3  07 03"
"""1000 -2 3500 mm; 250 0 -1000 mm/s; 0 19660 0 26214 of 32767; 1571 0 -3142 mrad/s; 7 ms; battery low, rotors idle."""
GOLDEN_LINEAR = "02 05  0000803f 6f1203bb 00006040  0000803e 00000000 000080bf  07 03"
GOLDEN_ANGULAR = "03 05  00000000 9a99193f 00000000 cdcc4c3f  0000b442 00000000 000034c3"
GOLDEN_TARGET = "04 06 01 00  0000003f 00000000 0000803f  00000000 000000bf 00000000"
GOLDEN_BEGIN = "05 07 00 02"


class State(ctypes.Structure):
    """struct hil_state"""

    _fields_ = (
        ("position_world", f32 * 3),
        ("velocity_world", f32 * 3),
        ("quaternion_xyzw", f32 * 4),
        ("gyro_deg_s", f32 * 3),
        ("age_ms", u32),
        ("battery_low", u32),
        ("rotors_idle", u32),
    )


class Target(ctypes.Structure):
    """struct hil_target"""

    _fields_ = (("mode", u32), ("position_world", f32 * 3), ("velocity_world", f32 * 3))


class AnswerFields(ctypes.Structure):
    """struct hil_answer"""

    _fields_ = (
        *((name, u32) for name in ("sequence", "guard", "failsafe", "controls_motors", "self_test_passed", "free_run")),
        ("motor_fraction", f32 * 4),
        *((name, u32) for name in ("received_us", "wait_us", "inference_us", "tick_us", "late_ticks", "ticks")),
        ("contract_hash", u32),
    )


class ReadyFields(ctypes.Structure):
    """struct hil_ready"""

    _fields_ = tuple((name, u32) for name in ("sequence", "schedule", "period_ms", "self_test_passed", "contract_hash"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    out = tmp_path_factory.mktemp("codec") / "packet.so"
    compile_host([firmware_directory() / "hil" / "packet.c"], [], out)
    return ctypes.CDLL(str(out))


def decoded(library: ctypes.CDLL, *packets: bytes) -> State:
    state = State()
    for packet in packets:
        assert library.hil_check(packet, len(packet)) == 0
        name = {Kind.STATE: "state", Kind.STATE_LINEAR: "linear", Kind.STATE_ANGULAR: "angular"}[Kind(packet[0])]
        getattr(library, f"hil_decode_{name}")(packet, ctypes.byref(state))
    return state


def same(state: State, expected: InjectedState) -> bool:
    """To the last bit of float32; a NaN equals a NaN."""
    names = ("position_world", "velocity_world", "quaternion_xyzw", "gyro_deg_s")
    mine = [np.array(getattr(state, name), np.float32) for name in names]
    theirs = [np.array(getattr(expected, name), np.float32) for name in names]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(mine, theirs, strict=True))


def test_golden_bytes(library: ctypes.CDLL) -> None:
    assert injection.encode_state(5, STATE) == bytes.fromhex(GOLDEN_STATE)
    halves = tuple(map(bytes.fromhex, (GOLDEN_LINEAR, GOLDEN_ANGULAR)))
    assert injection.encode_exact_state(5, STATE) == halves
    target = injection.encode_target(6, (0.5, 0, 1), (0, -0.5, 0), SetpointMode.POSITION)
    assert target == bytes.fromhex(GOLDEN_TARGET)
    assert injection.encode_begin(7, Schedule.LOCKSTEP, 2) == bytes.fromhex(GOLDEN_BEGIN)
    fields = Target()
    library.hil_decode_target(target, ctypes.byref(fields))
    assert (fields.mode, *fields.position_world, *fields.velocity_world) == (1, 0.5, 0, 1, 0, -0.5, 0)


def test_a_state_in_integers_arrives_within_half_a_step(library: ctypes.CDLL) -> None:
    state = decoded(library, bytes.fromhex(GOLDEN_STATE))
    assert np.allclose(state.position_world, STATE.position_world, atol=5.1e-4)
    assert np.allclose(state.velocity_world, STATE.velocity_world, atol=5.1e-4)
    assert np.allclose(state.quaternion_xyzw, STATE.quaternion_xyzw, atol=1.6e-5)
    assert np.allclose(state.gyro_deg_s, STATE.gyro_deg_s, atol=0.0287)
    assert (state.age_ms, state.battery_low, state.rotors_idle) == (7, 1, 1)


def vectors(numbers: st.SearchStrategy[float], size: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*[numbers] * size)


ANY = st.floats(width=32)
INSIDE = st.floats(-32.7, 32.7)


def states(numbers: st.SearchStrategy[float], unit: st.SearchStrategy[float]) -> st.SearchStrategy[InjectedState]:
    triple = vectors(numbers, 3)
    return st.builds(
        InjectedState, triple, triple, vectors(unit, 4), triple, st.integers(0, 255), st.booleans(), st.booleans()
    )


@given(state=states(ANY, ANY), sequence=st.integers(0, 1000))
def test_an_exact_state_arrives_to_the_last_bit(library: ctypes.CDLL, state: InjectedState, sequence: int) -> None:
    halves = injection.encode_exact_state(sequence, state)
    received = decoded(library, *halves)
    assert same(received, state)
    assert (received.age_ms, received.battery_low) == (state.age_ms, state.battery_low)
    assert received.rotors_idle == state.rotors_idle
    assert {half[1] for half in halves} == {sequence % 256}


@given(state=states(INSIDE, st.floats(-1, 1)))
def test_any_state_in_range_arrives_within_half_a_step(library: ctypes.CDLL, state: InjectedState) -> None:
    received = decoded(library, injection.encode_state(0, state))
    assert np.allclose(received.position_world, state.position_world, atol=5.1e-4)
    assert np.allclose(received.quaternion_xyzw, state.quaternion_xyzw, atol=1.6e-5)
    assert np.allclose(received.gyro_deg_s, state.gyro_deg_s, atol=0.0287)


def answer_fields(fractions: Sequence[float]) -> AnswerFields:
    return AnswerFields(9, 3, 2, 1, 1, 0, (f32 * 4)(*fractions), 123456789, 800, 90, 250, 4, 5, 0xDEADBEEF)


def test_answers_are_read_back(library: ctypes.CDLL) -> None:
    packet = ctypes.create_string_buffer(30)
    fractions = (0.0, 0.25, 0.5, 1.0)
    expected = Answer(
        9, Guard.NOT_FINITE, Failsafe.LEVEL, True, True, False, fractions, 90, 250, 5, 0xDEADBEEF, 123456789, 800, 4
    )
    assert library.hil_encode_answer(ctypes.byref(answer_fields(fractions)), packet) == 30
    answer = injection.parse_reply(packet.raw)
    assert isinstance(answer, Answer)
    assert np.allclose(answer.motor_fraction, fractions, atol=0.51 / 65535)
    assert answer == Answer(**{**vars(expected), "motor_fraction": answer.motor_fraction})
    assert library.hil_encode_answer_exact(ctypes.byref(answer_fields(fractions)), packet) == 30
    exact = Answer(9, Guard.NOT_FINITE, Failsafe.LEVEL, True, True, False, fractions, 90, 250, 5, 0xDEADBEEF)
    assert injection.parse_reply(packet.raw) == exact


def test_short_answers_are_read_back(library: ctypes.CDLL) -> None:
    packet = ctypes.create_string_buffer(30)
    size = library.hil_encode_ready(ctypes.byref(ReadyFields(8, Schedule.FREE_RUN, 2, 1, 77)), packet)
    assert injection.parse_reply(packet.raw[:size]) == Ready(8, injection.VERSION, Schedule.FREE_RUN, 2, True, 77)
    size = library.hil_encode_target_set(4, packet)
    assert injection.parse_reply(packet.raw[:size]) == TargetSet(4)
    size = library.hil_encode_refusal(b"\x01\x22", 2, RefusalReason.BUSY, packet)
    refusal = injection.parse_reply(packet.raw[:size])
    assert refusal == Refusal(0x22, Kind.STATE, RefusalReason.BUSY)
    assert "wait for the answer" in refusal.sentence


@given(data=st.binary(max_size=31))
def test_any_bytes_are_an_answer_or_one_error(data: bytes) -> None:
    try:
        reply = injection.parse_reply(data)
    except InjectionError as error:
        reply = None
        sentence = str(error)
    assert reply is not None or sentence.startswith(f"{len(data)} bytes on the app channel are no answer")


@given(data=st.binary(max_size=31))
def test_the_drone_takes_exactly_the_packets_that_python_writes(library: ctypes.CDLL, data: bytes) -> None:
    lengths = {Kind.STATE: 30, Kind.STATE_LINEAR: 28, Kind.STATE_ANGULAR: 30, Kind.TARGET: 28, Kind.BEGIN: 4}
    reason = library.hil_check(data, len(data))
    if not data or data[0] not in lengths:
        assert reason == RefusalReason.UNKNOWN_KIND
    elif len(data) != lengths[Kind(data[0])]:
        assert reason == RefusalReason.WRONG_LENGTH
    else:
        assert reason in (0, RefusalReason.WRONG_VALUE)


def test_numbers_that_do_not_fit_are_refused() -> None:
    for position in ((40.0, 0.0, 0.0), (math.nan, 0.0, 0.0), (0.0, 0.0, math.inf)):
        with pytest.raises(InjectionError, match="encode_exact_state"):
            injection.encode_state(0, InjectedState(position, (0, 0, 0), (0, 0, 0, 1), (0, 0, 0)))
    for period_ms in (0, 21):
        with pytest.raises(InjectionError, match="choose 1 to 20"):
            injection.encode_begin(0, Schedule.LOCKSTEP, period_ms)
    with pytest.raises(InjectionError, match="0 to 255"):
        injection.encode_state(0, InjectedState((0, 0, 0), (0, 0, 0), (0, 0, 0, 1), (0, 0, 0), age_ms=256))


def test_every_reason_has_a_sentence() -> None:
    assert set(injection.REASONS) == set(RefusalReason)
    source = (Path(firmware_directory()) / "hil" / "packet.h").read_text()
    for reason in RefusalReason:
        assert f"HIL_{reason.name} = {reason.value}" in source
    for kind in Kind:
        assert f"HIL_{kind.name} = 0x{kind.value:02x}" in source
