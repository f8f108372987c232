"""Positions and poses that a client sends reach the estimator; nothing else does."""

from __future__ import annotations

import math
import struct

import pytest
from cflib.utils.encoding import compress_quaternion
from fledge_hil.crtp import Port
from fledge_hil.estimator import PERFECT
from fledge_hil.settings import RADIO_ADDRESS
from fledge_hil.virtual import VirtualCrazyflie
from virtual_hand import Hand

ME = RADIO_ADDRESS & 0xFF


@pytest.fixture
def lost(make_drone: object) -> Hand:
    """A drone that knows nothing of its place but what it is told."""
    drone = make_drone(decks=(), errors=PERFECT, noise_scale=0.0)  # type: ignore[operator]
    assert isinstance(drone, VirtualCrazyflie)
    return Hand(drone)


def believes(hand: Hand) -> list[float]:
    hand.run(0.02)
    return hand.drone.plant.estimate.position_world


def test_a_position(lost: Hand) -> None:
    assert lost.drone.plant.estimate.variance[0] == pytest.approx(100.0)
    lost.send(Port.LOCALIZATION, 0, struct.pack("<3f", 1.0, -2.0, 0.5))
    assert believes(lost) == pytest.approx([1.0, -2.0, 0.5], abs=1e-3)
    assert lost.drone.plant.estimate.position_variance == pytest.approx(1e-4, rel=0.05)  # extPosStdDev is 0.01


def test_packed_positions_are_for_the_drone_whose_number_they_carry(lost: Hand) -> None:
    for_another = struct.pack("<B3h", 0x01, 9000, 9000, 9000)
    for_me = struct.pack("<B3h", ME, 300, -200, 100)
    lost.send(Port.LOCALIZATION, 2, for_another + for_me)
    assert believes(lost) == pytest.approx([0.3, -0.2, 0.1], abs=1e-3)


def test_a_pose_brings_the_heading(lost: Hand) -> None:
    half = math.radians(40) / 2
    for _ in range(60):
        lost.send(Port.LOCALIZATION, 1, struct.pack("<B7f", 8, 0.1, 0.2, 0.3, 0.0, 0.0, math.sin(half), math.cos(half)))
        lost.run(0.02)
    assert lost.drone.plant.estimate.euler_deg[2] == pytest.approx(40.0, abs=0.5)
    assert lost.drone.plant.estimate.position_world[1] == pytest.approx(0.2, abs=1e-3)


def test_packed_poses_use_the_compressed_quaternion(lost: Hand) -> None:
    half = math.radians(-30) / 2
    word = compress_quaternion([0.0, 0.0, math.sin(half), math.cos(half)])
    for _ in range(60):
        lost.send(Port.LOCALIZATION, 1, b"\x09" + struct.pack("<B3hI", ME, 500, 0, 250, word))
        lost.run(0.02)
    assert lost.drone.plant.estimate.euler_deg[2] == pytest.approx(-30.0, abs=0.5)
    assert lost.drone.plant.estimate.position_world[0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        (0, struct.pack("<3f", math.nan, 0, 0)),
        (0, b"\0\0"),
        (1, struct.pack("<B7f", 8, 5, 5, 5, 0, 0, 0, 0.5)),
        (1, struct.pack("<B7f", 8, 5, 5, 5, math.inf, 0, 0, 1)),
        (1, b"\x09" + struct.pack("<B3hI", 0x55, 5000, 5000, 5000, 0)),
        (1, b"\x02\x01\x02\x03"),
    ],
)
def test_what_is_no_measurement_changes_nothing(lost: Hand, channel: int, payload: bytes) -> None:
    before = believes(lost)
    assert lost.send(Port.LOCALIZATION, channel, payload) == []
    assert believes(lost) == pytest.approx(before, abs=1e-3)


def test_a_flood_is_dropped_and_counted(lost: Hand) -> None:
    for _ in range(30):
        lost.send(Port.LOCALIZATION, 0, struct.pack("<3f", 0, 0, 0))
    assert lost.drone.plant.estimator.rejected == 10


def test_without_decks_it_flies_on_a_clients_positions_alone(lost: Hand) -> None:
    lost.drone.plant.estimator.initial_pose = (0.0, 0.0, 0.0, 0.0)

    def fly(seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            lost.send(Port.LOCALIZATION, 0, struct.pack("<3f", *lost.position))
            lost.run(0.02)

    fly(0.5)
    assert lost.arm()
    fly(0.1)
    lost.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, 0.5, 0, True, 2.0))
    fly(4.0)
    assert lost.position == pytest.approx([0, 0, 0.5], abs=0.08)


def test_a_reset_starts_from_the_initial_pose(lost: Hand) -> None:
    lost.set("kalman.initialX", 2.0)
    lost.set("kalman.initialYaw", 1.0)
    lost.set("kalman.resetEstimation", 1)
    assert believes(lost)[0] == pytest.approx(2.0, abs=1e-3)
    assert math.radians(lost.drone.plant.estimate.euler_deg[2]) == pytest.approx(1.0, abs=1e-3)


def test_lighthouse_data_is_acknowledged_where_the_deck_is(hand: Hand, lost: Hand) -> None:
    request = struct.pack("<BHH", 11, 3, 3)
    assert hand.send(Port.LOCALIZATION, 1, request)[0][1:] == b"\x0b\x01"
    assert lost.send(Port.LOCALIZATION, 1, request)[0][1:] == b"\x0b\x00"
