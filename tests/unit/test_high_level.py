"""Commands of port 8 as bytes: what cflib packs, groups, refusals."""

from __future__ import annotations

import struct
from errno import EBUSY, EINVAL, ENOENT, ENOEXEC

import pytest
from fledge_hil.high_level import Command, HighLevel
from fledge_hil.motion import Sample
from fledge_hil.planner import Phase, Planner
from fledge_hil.trajectories import Piece

HERE = Sample((1.0, 2.0, 0.0, 0.0))
AXIS = (0.0, 1.0, *(0.0,) * 6)
MEMORY = struct.pack("<33f", *AXIS, *AXIS, *AXIS, *AXIS, 2.0).ljust(4096, b"\0")


class Desk:
    """One commander and its planner."""

    def __init__(self) -> None:
        self.planner = Planner()
        self.commander = HighLevel(self.planner, lambda: MEMORY)

    def send(self, layout: str, *fields: float) -> int:
        return self.commander.command(struct.pack("<" + layout, *fields), 0.0, HERE)

    def end(self, time: float = 100.0) -> tuple[float, ...]:
        sample = self.planner.at(time)
        assert sample is not None
        return sample.position


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_take_off_and_go_to(desk: Desk) -> None:
    assert desk.send("BBff?f", Command.TAKE_OFF, 0, 0.8, 0.0, True, 2.0) == 0
    assert desk.end() == pytest.approx((1.0, 2.0, 0.8, 0.0))
    assert desk.send("BBff?f", Command.TAKE_OFF, 0, 0.8, 0.0, True, 2.0) == EBUSY
    assert desk.send("BBBfffff", Command.GO_TO, 0, True, 0.5, 0, 0, 0, 1.0) == 0
    assert desk.end() == pytest.approx((1.5, 2.0, 0.0, 0.0), abs=1e-6)  # from the plan at time 0, still on the ground
    assert desk.send("BBBBfffff", Command.GO_TO_2, 0, False, True, 0.5, 0, 1, 0, 1.0) == 0
    assert desk.end() == pytest.approx((0.5, 0.0, 1.0, 0.0))


def test_by_speed(desk: Desk) -> None:
    assert desk.send("BBf?f?f", Command.TAKE_OFF_SPEED, 0, 1.0, True, 0.0, True, 0.25) == 0
    assert desk.planner.finished(4.0)
    assert not desk.planner.finished(3.9)
    assert desk.send("BBf?f?f", Command.LAND_SPEED, 0, 0.0, False, 0.0, True, 0.0) == 0
    assert desk.planner.phase is Phase.LANDING


def test_a_command_for_another_group_is_not_mine(desk: Desk) -> None:
    assert desk.send("BB", Command.GROUP_MASK, 0b10) == 0
    assert desk.send("BBff?f", Command.TAKE_OFF, 0b01, 0.8, 0.0, True, 2.0) == 0
    assert desk.planner.phase is Phase.IDLE
    assert desk.send("BBff?f", Command.TAKE_OFF, 0b11, 0.8, 0.0, True, 2.0) == 0
    assert desk.planner.phase is Phase.FLYING


def test_trajectories_are_defined_then_started(desk: Desk) -> None:
    assert desk.send("BBBBBBf", Command.START_2, 0, False, False, False, 1, 1.0) == ENOENT
    assert desk.send("BBBBIB", Command.DEFINE, 1, 1, 0, 0, 1) == 0
    assert desk.send("BBBBBBf", Command.START_2, 0, False, False, False, 1, 1.0) == 0
    assert desk.end() == pytest.approx((2.0, 2.0, 2.0, 2.0))
    assert desk.send("BBBBBf", Command.START, 0, True, False, 1, 1.0) == 0
    desk.planner.stop()
    assert desk.send("BBBBBBf", Command.START_2, 0, True, False, True, 1, 3.0) == 0
    assert desk.end() == pytest.approx((-1.0, 0.0, -2.0, 0.0))
    assert not desk.planner.finished(5.9)


@pytest.mark.parametrize(
    ("layout", "fields", "error"),
    [
        ("BBBBIB", (Command.DEFINE, 10, 1, 0, 0, 1), ENOEXEC),
        ("BBBBIB", (Command.DEFINE, 0, 2, 0, 0, 1), ENOEXEC),
        ("BBBBIB", (Command.DEFINE, 0, 1, 7, 0, 1), ENOEXEC),
        ("BBB", (Command.DEFINE, 0, 1), EINVAL),
        ("BBff?f", (Command.TAKE_OFF, 0, float("nan"), 0, True, 2), EINVAL),
        ("BB", (Command.SPIRAL, 0), EINVAL),
        ("BB", (99, 0), ENOEXEC),
    ],
)
def test_refusals(desk: Desk, layout: str, fields: tuple[float, ...], error: int) -> None:
    assert desk.send(layout, *fields) == error
    assert desk.planner.phase is Phase.IDLE


def test_a_compressed_trajectory_flies_forwards_at_its_own_speed_only(desk: Desk) -> None:
    desk.send("BBBBIB", Command.DEFINE, 0, 1, 1, 0, 0)
    assert desk.send("BBBBBBf", Command.START_2, 0, False, False, True, 0, 1.0) == ENOEXEC
    assert desk.send("BBBBBBf", Command.START_2, 0, False, False, False, 0, 2.0) == ENOEXEC


def test_pieces_may_not_lie_outside_the_memory(desk: Desk) -> None:
    desk.send("BBBBIB", Command.DEFINE, 0, 1, 0, 4096 - 131, 1)
    assert desk.send("BBBBBBf", Command.START_2, 0, False, False, False, 0, 1.0) == EINVAL
    assert Piece(1.0, ((0.0,),) * 4).at(0.5)[0] == (0.0, 0.0, 0.0)
