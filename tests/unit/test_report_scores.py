"""Scores and verdict of a made-up flight whose errors can be computed by hand."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from fledge_hil import recording as recordings
from fledge_hil.alignment import recording_time
from fledge_hil.flight_log import COLUMNS, FlightLog, Phase
from fledge_hil.recording import Recording
from fledge_hil.scores import Scores, score, tracking
from fledge_hil.verdict import Limits, agrees, judge

SHA = "0123456789abcdef" * 4
PHASES = (
    *(Phase("arm", 0.0, 1.0), Phase("take-off", 1.0, 3.0), Phase("hover", 3.0, 7.99)),
    *(Phase("figure-eight", 8.0, 13.0), Phase("land", 13.0, 14.0), Phase("touch-down", 14.0, 15.0)),
)
BOOT = 7.0
"""[s] between boot and arming: the recording's clock is ahead by as much."""


def rows_of(start: float, end: float) -> slice:
    return slice(round(100 * start), round(100 * end) + 1)


def reference() -> np.ndarray:
    """(1501, 3): hover at 0.7 m, from 8 s to 13 s along x, down to 0.06 m at x = 6 cm."""
    time = np.arange(1501) / 100
    x = np.where((time > 8) & (time < 13), np.sin(2 * np.pi * (time - 8) / 5), np.interp(time, (13, 14), (0, 0.06)))
    return np.stack([x, np.zeros(1501), np.interp(time, (1, 3, 13, 14), (0, 0.7, 0.7, 0.06))], axis=1)


def flown_position() -> np.ndarray:
    """Hover: 1 m off for 2 s, then (2, 2, 1) cm. Figure-eight: 1 m off for 2.5 s, then 6 and 8 cm in turns, along y."""
    position = reference()
    position[rows_of(3, 4.99)] += (1.0, 0, 0)
    position[rows_of(5, 7.99)] += (0.02, 0.02, 0.01)
    position[rows_of(8, 10.49)] += (0, 1.0, 0)
    measured = np.arange(1050, 1301)
    position[measured, 1] += np.where(measured % 2 == 0, 0.06, 0.08)
    position[rows_of(14, 15)] = (0.09, 0.04, 0.0)
    return position


def flight(**columns: Any) -> FlightLog:
    """The policy flies from take-off until touch-down, one inference every 2 ms."""
    time = np.arange(1501) / 100
    flies = (time >= 1) & (time < 14)
    table = np.zeros((1501, len(COLUMNS)))
    values: dict[str, Any] = {
        "time": time,
        "mode": flies,
        "guard": np.where(flies, 0, 1),
        "inferences": 100 + np.cumsum(5 * flies),
        "misses": 3,
        "inference_us": np.where(flies, 92.5, 0),
        "battery": np.linspace(4.1, 4.0, 1501),
        **dict(zip(("x", "y", "z"), flown_position().T, strict=True)),
        **dict(zip(("rx", "ry", "rz"), reference().T, strict=True)),
        **columns,
    }
    for name, value in values.items():
        table[:, COLUMNS.index(name)] = value
    return FlightLog("udp://1.2.3.4:5", "Crazyflie 2.1", "fledge 0", SHA, table, PHASES, ("hello",), 5.0, origin=BOOT)


def recorded(log: FlightLog) -> Recording:
    """Truth: exactly on the reference in hover, 3 cm beside it in the figure-eight; starts at boot, ends 1 s later."""
    padded = np.clip(np.arange(1501 + round(100 * BOOT) + 100) - round(100 * BOOT), 0, 1500)
    table = np.zeros((len(padded), len(recordings.COLUMNS)), np.float32)
    truth = reference()
    truth[rows_of(8.01, 13), 1] += 0.03
    blocks = {
        "": truth,
        "estimate_": log.column("x", "y", "z"),
        "reference_": reference(),
    }
    for prefix, values in blocks.items():
        for axis, name in enumerate("xyz"):
            table[:, recordings.COLUMNS.index(prefix + name)] = values[padded, axis]
    table[:, 0] = np.arange(len(padded)) / 100
    return Recording(table)


def edited(column: str, rows: slice, value: float) -> FlightLog:
    log = flight()
    log.table[rows, COLUMNS.index(column)] = value
    return log


def reasons(log: FlightLog, limits: Limits | None = None) -> tuple[str, ...]:
    return judge(log, score(log), SHA, limits or Limits()).reasons


@pytest.fixture(scope="module")
def scores() -> Scores:
    return score(flight())


def test_hover_counts_from_two_seconds_on(scores: Scores) -> None:
    hover = scores.hover.estimate
    assert hover is not None
    # rows 5.00..7.99: sqrt(2^2 + 2^2 + 1^2) = 3 cm in every row; horizontally sqrt(2^2 + 2^2) = 2.828 cm
    assert hover.rmse == pytest.approx(0.03)
    assert hover.mean == pytest.approx(0.03)
    assert hover.maximum == pytest.approx(0.03)
    assert hover.horizontal_rmse == pytest.approx(math.sqrt(8) / 100)
    assert (hover.samples, hover.lost) == (300, 0)


def test_figure_eight_counts_from_two_and_a_half_seconds_on(scores: Scores) -> None:
    eight = scores.figure_eight.estimate
    assert eight is not None
    # rows 1050..1300: 126 even ones at 6 cm, 125 odd ones at 8 cm
    assert eight.samples == 251
    assert eight.mean == pytest.approx((126 * 0.06 + 125 * 0.08) / 251)
    assert eight.rmse == pytest.approx(math.sqrt((126 * 0.0036 + 125 * 0.0064) / 251))
    assert eight.horizontal_rmse == pytest.approx(eight.rmse)
    assert eight.maximum == pytest.approx(0.08)


def test_truth_is_measured_on_its_own_clock() -> None:
    log = flight()
    measured = score(log, recorded(log))
    assert measured.hover.truth is not None
    assert measured.hover.truth.rmse == pytest.approx(0, abs=1e-6)
    assert measured.figure_eight.truth is not None
    assert measured.figure_eight.truth.rmse == pytest.approx(0.03, rel=1e-4)
    assert measured.figure_eight.judged == measured.figure_eight.estimate, "7 cm by the estimate is the larger error"


def test_recording_is_shifted_by_the_time_from_boot_to_arming() -> None:
    log = flight()
    time = recording_time(log, recorded(log))
    assert time is not None
    assert time[0] == pytest.approx(-BOOT, abs=1e-5)


def test_log_on_the_same_clock_is_not_shifted() -> None:
    log = flight()
    log.table[:, 0] += BOOT
    late = tuple(Phase(phase.name, phase.start + BOOT, phase.end + BOOT) for phase in PHASES)
    time = recording_time(dataclasses.replace(log, phases=late, origin=0.0), recorded(log))
    assert time is not None
    assert time[0] == pytest.approx(0, abs=1e-5)


def test_recording_of_another_flight_gives_no_truth() -> None:
    log = flight()
    other = recorded(log)
    other.table[:, recordings.COLUMNS.index("estimate_z")] += 0.3
    assert recording_time(log, other) is None
    assert score(log, other).hover.truth is None


def test_recording_of_another_moment_gives_no_truth() -> None:
    log = flight()
    assert recording_time(dataclasses.replace(log, origin=BOOT + 0.5), recorded(log)) is None


def test_recording_shorter_than_the_flight_gives_no_truth() -> None:
    log = flight()
    assert score(log, Recording(recorded(log).table[:1000])).figure_eight.truth is None


def test_counters_battery_and_time(scores: Scores) -> None:
    # 13 s of 500 Hz; the counter stood at 100 before, and 3 misses are from before the flight
    assert scores.inferences == 13 * 500
    assert scores.deadline_misses == 0
    assert scores.inference_us == 92.5
    assert (scores.battery_start, scores.battery_end) == (4.1, 4.0)
    assert (scores.device_seconds, scores.wall_seconds, scores.real_time_factor) == (15.0, 5.0, 3.0)
    assert scores.policy_share == pytest.approx(1300 / 1501)


def test_landing_offset_is_from_the_last_reference_of_the_policy(scores: Scores) -> None:
    # rests at (9, 4) cm, the last reference was at 13.99 s, (5.94, 0) cm
    assert scores.landing_offset == pytest.approx(math.hypot(0.09 - 0.0594, 0.04))


def test_lost_rows_lower_the_received_share() -> None:
    log = flight()
    kept = np.ones(1501, bool)
    kept[rows_of(3, 7)] = False
    sparse = dataclasses.replace(log, table=log.table[kept])
    # of 4.99 s, 7.01..7.99 is left: 99 rows of 10 ms, 0.198
    assert score(sparse).hover.received == pytest.approx(0.99 / 4.99)
    assert any("20% of the log of hover" in reason for reason in reasons(sparse))


def test_guard_events_are_counted_once_each_and_named() -> None:
    log = edited("guard", rows_of(6, 6.5), 5)
    log.table[rows_of(11, 11.2), COLUMNS.index("guard")] = 8
    events = score(log).guard_events
    assert [(event.time, event.code, event.reason) for event in events] == [
        (6.0, 5, "position error too large"),
        (11.0, 8, "state too old"),
    ]


@pytest.mark.parametrize(("code", "count"), [(9, 0), (10, 0), (1, 0), (5, 1), (2, 1), (77, 1)])
def test_on_the_ground_only_real_reasons_are_events(code: int, count: int) -> None:
    assert len(score(edited("guard", rows_of(0, 0.9), code)).guard_events) == count


@pytest.mark.parametrize("code", [1, 9, 10])
def test_in_a_judged_phase_every_reason_is_an_event(code: int) -> None:
    assert len(score(edited("guard", rows_of(6, 6.5), code)).guard_events) == 1


def test_good_flight_passes() -> None:
    assert reasons(flight()) == ()


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (dataclasses.replace(flight(), aborted="interrupted"), "the flight ended early: interrupted"),
        (dataclasses.replace(flight(), contract_sha256="ffff0000"), "the drone flew contract ffff0000, not 01234567"),
        (dataclasses.replace(flight(), phases=PHASES[:3]), "figure-eight was not flown"),
        (dataclasses.replace(flight(), phases=(Phase("hover", 3, 4),)), "hover was too short to be measured"),
        (edited("mode", rows_of(5, 5), 0), "the policy flew 99.8% of hover, not all of it"),
        (edited("guard", rows_of(6, 6), 6), "the guard took over at 6.00 s: too fast"),
        (edited("misses", rows_of(9, 15), 5), "2 deadlines missed"),
        (edited("inferences", rows_of(0, 15), 7), "the policy did not run"),
        (edited("z", rows_of(6, 6.01), math.nan), "2 positions in hover are not numbers"),
        (edited("z", rows_of(5, 8), 0.8), "hover RMSE 10.4 cm exceeds 5.0 cm"),
    ],
)
def test_each_fault_is_a_reason(log: FlightLog, reason: str) -> None:
    assert reason in reasons(log)


def test_limits_are_respected_on_both_sides() -> None:
    rmse = math.sqrt((126 * 0.0036 + 125 * 0.0064) / 251)
    wide, tight = Limits(figure_eight_rmse=rmse + 1e-9), Limits(figure_eight_rmse=rmse - 1e-9)
    assert not [reason for reason in reasons(flight(), wide) if reason.startswith("figure-eight")]
    assert [reason for reason in reasons(flight(), tight) if reason.startswith("figure-eight")]


def test_phase_that_was_not_planned_need_not_be_flown() -> None:
    log = dataclasses.replace(flight(), phases=(*PHASES[:3], *PHASES[4:]))
    assert judge(log, score(log), SHA, Limits(), planned=("hover",)).reasons == ()
    assert judge(log, score(log), SHA, Limits()).reasons == ("figure-eight was not flown",)


def test_truth_alone_can_fail_a_flight() -> None:
    log = flight()
    truth = recorded(log)
    truth.table[:, recordings.COLUMNS.index("z")] += 0.2
    found = judge(log, score(log, truth), SHA, Limits()).reasons
    assert any(reason.startswith("figure-eight RMSE 20.") for reason in found), found


def test_first_32_bits_of_a_digest_are_enough_and_less_is_not() -> None:
    assert agrees(SHA, SHA)
    assert agrees("01234567", SHA)
    assert not agrees("0123456", SHA)
    assert not agrees("", SHA)
    assert not agrees("01234568", SHA)


def test_tracking_of_nothing_finite_is_nothing() -> None:
    assert tracking(np.full((3, 3), np.nan), np.zeros((3, 3))) is None


def test_empty_log_has_scores_and_fails() -> None:
    empty = FlightLog("udp://", "", "", "", np.zeros((0, len(COLUMNS))), (), (), 0.0, "no packet arrived")
    assert score(empty).hover.estimate is None
    assert score(empty).real_time_factor is None
    assert "hover was not flown" in reasons(empty)
