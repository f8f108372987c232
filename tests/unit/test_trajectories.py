"""Uploaded trajectories: what cflib packs is what is flown, wherever and however it is started."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from cflib.crazyflie.mem import CompressedSegment, CompressedStart, Poly4D
from fledge_hil.motion import Sample, Spiral
from fledge_hil.trajectories import Piece, Track, parse_compressed, parse_plain

X = (1.0, 0.5, -0.25, 0.1, 0.0, 0.0, 0.02, -0.01)
Y = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
Z = (1.0, *(0.0,) * 7)
YAW = (0.3, 0.2, *(0.0,) * 6)
ZERO = (0.0,) * 8


def poly(duration: float, *axes: tuple[float, ...]) -> bytes:
    return bytes(Poly4D(duration, *(Poly4D.Poly(list(axis)) for axis in axes)).pack())


def straight(length: float, duration: float) -> Piece:
    """Along x at constant speed."""
    return Piece(duration, ((0.0, length / duration), (0.0,), (1.0,), (0.0,)))


def test_plain_pieces_are_polynomials_in_seconds() -> None:
    memory = bytes(10) + poly(2.0, X, Y, Z, YAW) + poly(1.0, Y, X, Z, YAW)
    pieces = parse_plain(memory, 10, 2)
    assert pieces is not None
    track = Track(pieces, 5.0, 1.0)
    assert track.duration == 3.0
    sample = track.at(6.5)
    assert sample.position == pytest.approx([np.polyval(axis[::-1], 1.5) for axis in (X, Y, Z, YAW)], rel=1e-6)
    slope = [np.polyval(np.polyder(axis[::-1]), 1.5) for axis in (X, Y, Z, YAW)]
    assert sample.velocity == pytest.approx(slope, rel=1e-5, abs=1e-6)
    assert track.at(7.25).position[1] == pytest.approx(np.polyval(X[::-1], 0.25), rel=1e-6)


def test_after_its_end_it_holds_still() -> None:
    track = Track([straight(2.0, 4.0)], 0.0, 1.0)
    assert track.ended(4.0)
    assert track.at(9.0) == Sample((2.0, 0.0, 1.0, 0.0))


def test_slower_and_backwards() -> None:
    slow = Track([straight(2.0, 4.0)], 0.0, 2.0)
    assert slow.duration == 8.0
    assert slow.at(2.0).position[0] == pytest.approx(0.5)
    assert slow.at(2.0).velocity[0] == pytest.approx(0.25)
    back = Track([straight(1.0, 1.0), Piece(1.0, ((1.0, 3.0), (0.0,), (1.0,), (0.0,)))], 0.0, 1.0, backwards=True)
    assert back.at(0.0).position[0] == pytest.approx(4.0)
    assert back.at(0.5).position[0] == pytest.approx(2.5)
    assert back.at(0.5).velocity[0] == pytest.approx(-3.0)
    assert back.at(1.5).position[0] == pytest.approx(0.5)


def test_relative_begins_where_the_drone_is_and_with_yaw_turns_about_there() -> None:
    track = Track([straight(2.0, 4.0)], 0.0, 1.0)
    track.begin_at((5.0, 6.0, 2.0, 0.7), turn=False)
    assert track.at(0.0).position == pytest.approx((5.0, 6.0, 2.0, 0.0))
    assert track.at(2.0).position == pytest.approx((6.0, 6.0, 2.0, 0.0))
    turned = Track([straight(2.0, 4.0)], 0.0, 1.0)
    turned.begin_at((5.0, 6.0, 2.0, math.pi / 2), turn=True)
    assert turned.at(0.0).position == pytest.approx((5.0, 6.0, 2.0, math.pi / 2))
    assert turned.at(2.0).position == pytest.approx((5.0, 7.0, 2.0, math.pi / 2))
    assert turned.at(2.0).velocity[:2] == pytest.approx((0.0, 0.5))


def test_compressed_pieces_are_bezier_curves_from_the_end_of_the_one_before() -> None:
    cubic = [0.2, 0.8, 1.0]
    start = CompressedStart(0.1, -0.2, 1.0, 0.5)
    first = CompressedSegment(2.0, cubic, [0.6], [], [1.0])
    second = CompressedSegment(1.0, [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], [], [1.5], [])
    memory = b"".join(bytes(part.pack()) for part in (start, first, second)) + bytes(3)
    pieces = parse_compressed(memory, 0)
    assert pieces is not None
    track = Track(pieces, 0.0, 1.0)
    assert track.duration == 3.0
    # de Casteljau by hand at s = 1/2: (P0 + 3 P1 + 3 P2 + P3) / 8
    middle = track.at(1.0).position
    assert middle[0] == pytest.approx((0.1 + 3 * 0.2 + 3 * 0.8 + 1.0) / 8, abs=1e-3)
    assert middle[1:] == pytest.approx((0.2, 1.0, 0.75), abs=2e-3)
    assert track.at(0.0).position == pytest.approx((0.1, -0.2, 1.0, 0.5), abs=2e-3)
    assert track.at(2.0).position == pytest.approx((1.0, 0.6, 1.0, 1.0), abs=2e-3)
    assert track.at(2.5).position[0] == pytest.approx(1.35, abs=0.1)
    assert track.at(4.0).position == pytest.approx((1.7, 0.6, 1.5, 1.0), abs=2e-3)


@pytest.mark.parametrize(
    "memory",
    [poly(0.0, X, Y, Z, YAW), poly(math.nan, X, Y, Z, YAW), poly(1.0, X, Y, (math.inf, *ZERO[1:]), YAW), bytes(131)],
)
def test_what_is_no_trajectory_is_refused(memory: bytes) -> None:
    assert parse_plain(memory, 0, 1) is None


def test_a_compressed_trajectory_needs_an_end_and_a_piece() -> None:
    assert parse_compressed(bytes(8) + struct.pack("<BH", 0, 100), 0) is None
    assert parse_compressed(bytes(11), 0) is None
    assert parse_compressed(b"", 0) is None


# ---- spirals ---------------------------------------------------------------------------------------------------------


def circle(clockwise: bool, sideways: bool, angle: float = math.pi / 2) -> tuple[Sample, Sample]:
    segment = Spiral(angle, 1.0, 1.0, 0.5, sideways, clockwise).segment(Sample((0, 0, 1, 0)), 0.0, 2.0)
    return segment.at(0.0), segment.at(2.0 - 1e-9)


def test_a_quarter_circle_counter_clockwise_ends_to_the_left_and_ahead() -> None:
    first, last = circle(clockwise=False, sideways=False)
    assert first.velocity[:2] == pytest.approx((math.pi / 4, 0.0), abs=1e-9)  # forwards, at r omega
    assert last.position == pytest.approx((1.0, 1.0, 1.5, math.pi / 2), abs=1e-6)
    assert last.velocity[:2] == pytest.approx((0.0, math.pi / 4), abs=1e-6)


def test_clockwise_it_ends_to_the_right() -> None:
    _, last = circle(clockwise=True, sideways=False)
    assert last.position == pytest.approx((1.0, -1.0, 1.5, -math.pi / 2), abs=1e-6)


def test_sideways_it_faces_the_centre() -> None:
    _, last = circle(clockwise=True, sideways=True)
    # the centre is at (1, 0); after a quarter turn the nose points to -y, so the drone is at (1, 1)
    assert last.position == pytest.approx((1.0, 1.0, 1.5, -math.pi / 2), abs=1e-6)


def test_between_its_ends_it_stays_close_to_the_circle() -> None:
    segment = Spiral(math.pi / 2, 1.0, 1.0, 0.0, False, False).segment(Sample((0, 0, 1, 0)), 0.0, 2.0)
    for k in range(21):
        x, y, _, _ = segment.at(0.1 * k).position
        assert math.hypot(x, y - 1.0) == pytest.approx(1.0, abs=0.01)
