"""The virtual Crazyflie without sockets: it flies, obeys the rules of the air, and is the same every time."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export.layout import pack
from fledge_hil.board import Guard, HostBoard, build_board
from fledge_hil.crtp import Port
from fledge_hil.recording import COLUMNS, load
from fledge_hil.supervisor import State
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import robot as robots
from fledge_sim.contract import ContractError
from fledge_sim.policy import Policy
from virtual_hand import Hand

MakeDrone = Callable[..., VirtualCrazyflie]


# ---- rules -----------------------------------------------------------------------------------------------------------


def test_wrong_robot_is_refused_at_construction(trained_policy: Policy, board_cache: Path) -> None:
    board = HostBoard(build_board(trained_policy, board_cache).library)
    heavier = dataclasses.replace(robots.load("crazyflie"), mass=0.035)
    with pytest.raises(ContractError, match="trained for robot 'crazyflie'"):
        VirtualCrazyflie(heavier, trained_policy.contract, board)


def test_nothing_moves_before_arming(hand: Hand) -> None:
    hand.run(0.1)
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, 0.5, 0, True, 1.0))
    hand.send(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 0))
    hand.send(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 50000))
    hand.run(1.0)
    assert hand.height < 0.02
    assert not any(hand.drone.plant.duty)


def test_corrupted_weights_refuse_arming_and_say_why(trained_policy: Policy, board_cache: Path, tmp_path: Path) -> None:
    image = bytearray(build_board(trained_policy, board_cache).library.read_bytes())
    place = image.find(pack(trained_policy).values.astype("<f4").tobytes())
    assert place > 0
    image[place + 400] ^= 1
    broken = tmp_path / "broken.so"
    broken.write_bytes(image)
    hand = Hand(VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, HostBoard(broken)))
    hand.run(0.2)
    assert not hand.arm()
    hand.run(0.1)
    assert "self-test" in hand.console
    assert "arming refused" in hand.console
    assert hand.drone.parameters["system.selftestPassed"].value == 0
    assert hand.state is State.PRE_FLIGHT_NOT_PASSED


def test_thrust_lock(hand: Hand) -> None:
    hand.run(0.1)
    hand.arm()
    hand.run(0.1)
    for _ in range(5):
        hand.send(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 40000))
        hand.run(0.1)
    assert not any(hand.drone.plant.duty)
    hand.send(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 0))
    hand.send(Port.COMMANDER, 0, struct.pack("<fffH", 0, 0, 0, 40000))
    hand.run(0.1)
    assert all(hand.drone.plant.duty)


# ---- flying ----------------------------------------------------------------------------------------------------------


def test_stock_controller_takes_off_flies_to_a_place_and_lands(hand: Hand) -> None:
    hand.take_off()
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBBBfffff", 12, 0, 0, 0, 0.5, -0.4, 0.8, 0, 2.0))
    hand.run(4.0)
    assert hand.position == pytest.approx([0.5, -0.4, 0.8], abs=0.05)
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 8, 0, 0.0, 0, True, 2.0))
    hand.run(6.0)
    assert hand.height < 0.02
    assert hand.state is State.PRE_FLIGHT_PASSED  # landed, reset, disarmed
    assert hand.drone.output.inferences == 0


def test_policy_flies_from_the_ground_and_back(make_drone: MakeDrone) -> None:
    hand = Hand(make_drone(seed=3))
    hand.set("fledge.enable", 1)
    hand.take_off(0.7, 2.5)
    assert hand.drone.output.guard == Guard.OK
    hand.run(2.0)
    recording = hand.drone.recorder.recording
    hover = recording["time"] > hand.drone.time_ms / 1000 - 2
    error = (
        recording.columns("x", "y", "z")[hover] - recording.columns("reference_x", "reference_y", "reference_z")[hover]
    )
    assert np.sqrt(np.square(error).sum(axis=1).mean()) < 0.05
    # 500 Hz of inference, 100 Hz of native steps
    before = hand.drone.output.inferences, hand.drone.output.native_steps
    hand.run(1.0)
    assert (hand.drone.output.inferences - before[0], hand.drone.output.native_steps - before[1]) == (500, 100)
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBBBfffff", 12, 0, 0, 0, 0, 0, 0.06, 0, 2.5))
    hand.run(3.0)
    hand.set("fledge.enable", 0)
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 8, 0, 0.0, 0, True, 0.5))
    hand.run(1.0)
    assert hand.height < 0.02


def test_policy_follows_the_on_board_figure_eight(hand: Hand) -> None:
    hand.set("fledge.enable", 1)
    hand.take_off(0.7, 2.5)
    hand.set("fledge.ref", 1)
    start = hand.drone.time_ms / 1000
    hand.run(2.0 + 5.5)
    recording = hand.drone.recorder.recording
    lap = recording["time"] > start + 2.0
    error = recording.columns("x", "y", "z")[lap] - recording.columns("reference_x", "reference_y", "reference_z")[lap]
    assert np.ptp(recording["x"][lap]) > 1.8
    assert np.sqrt(np.square(error).sum(axis=1).mean()) < 0.15
    assert set(recording["guard"][lap]) == {Guard.OK}


def test_controller_parameter_switches_between_policy_and_stock(hand: Hand) -> None:
    hand.set("fledge.enable", 1)
    hand.take_off()
    assert hand.drone.output.mode == 1
    hand.set("stabilizer.controller", 1)
    hand.run(1.0)
    assert hand.drone.output.mode == 0
    assert hand.height == pytest.approx(0.5, abs=0.1)
    hand.set("stabilizer.controller", 6)
    hand.run(1.0)
    assert hand.drone.output.mode == 1


def test_the_policy_leans_into_a_push(hand: Hand) -> None:
    hand.set("fledge.enable", 1)
    hand.take_off()
    hand.drone.plant.push((0.05, 0.0, 0.0))
    hand.run(2.0)
    angles = []
    for _ in range(100):
        hand.run(0.02)
        angles.append(hand.drone.plant.estimate.euler_deg[1])
    # on average the thrust points along (-F, m g): nose up by atan(0.05 / (0.0319 * 9.81)) = 9.08 deg
    assert np.mean(angles) == pytest.approx(9.08, abs=1.0)
    hand.drone.plant.push((0.0, 0.0, 0.0))
    hand.run(2.0)
    assert hand.position[0] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("policy_flies", [False, True])
def test_velocity_and_hover_setpoints(hand: Hand, policy_flies: bool) -> None:
    hand.set("fledge.enable", policy_flies)
    hand.take_off()
    for _ in range(20):
        hand.send(Port.COMMANDER_GENERIC, 0, struct.pack("<B4f", 10, 0.3, 0.0, 0.0, 0.6))
        hand.run(0.1)
    assert hand.position[0] == pytest.approx(0.6, abs=0.15)
    assert hand.height == pytest.approx(0.6, abs=0.1)
    for _ in range(20):
        hand.send(Port.COMMANDER_GENERIC, 0, struct.pack("<B4f", 8, -0.3, 0.0, 0.0, 0.0))
        hand.run(0.1)
    assert hand.position[0] == pytest.approx(0.0, abs=0.2)


def test_attitude_with_height_tilts_and_keeps_the_height(hand: Hand) -> None:
    hand.take_off(0.8)
    for _ in range(10):
        hand.send(Port.COMMANDER_GENERIC, 0, struct.pack("<B4f", 9, 0.0, -5.0, 0.0, 0.8))
        hand.run(0.1)
    assert hand.position[0] > 0.1  # firmware's sign in this packet: nose down is negative
    assert hand.height == pytest.approx(0.8, abs=0.15)


# ---- what can go wrong -----------------------------------------------------------------------------------------------


def test_setpoints_that_stop_coming_level_out_then_lock(hand: Hand) -> None:
    hand.take_off()
    hand.hover_at(0, 0, 0.5, 1.0)
    hand.run(0.45)
    assert hand.state is State.FLYING
    hand.run(0.15)
    assert hand.state is State.WARNING_LEVEL_OUT
    hand.run(0.5)
    assert hand.height == pytest.approx(0.5, abs=0.15)
    hand.run(1.1)
    assert hand.state is State.LOCKED
    hand.run(1.5)
    assert hand.height < 0.05
    assert not hand.arm()
    assert "Locked" in hand.console


def test_level_out_takes_the_motors_from_the_policy(hand: Hand) -> None:
    hand.set("fledge.enable", 1)
    hand.take_off()
    hand.hover_at(0, 0, 0.5, 0.5)
    assert hand.drone.output.mode == 1
    hand.run(0.7)
    assert hand.drone.output.mode == 0
    assert hand.drone.output.guard == Guard.SETPOINT_MODE


def test_notify_stop_hands_over_to_the_high_level_commander(hand: Hand) -> None:
    hand.take_off()
    hand.hover_at(0, 0, 0.5, 0.5)
    hand.send(Port.COMMANDER_GENERIC, 1, struct.pack("<BI", 0, 200))
    hand.run(0.1)
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 8, 0, 0.0, 0, True, 1.5))
    hand.run(4.5)
    assert hand.height < 0.02
    assert hand.state is State.PRE_FLIGHT_PASSED


def test_nan_in_the_estimate_hands_over_to_stock_and_stays_in_the_air(hand: Hand) -> None:
    hand.set("fledge.enable", 1)
    hand.take_off(0.7)
    hand.drone.faults.position_nan = True
    hand.run(0.1)
    assert hand.drone.output.guard == Guard.NOT_FINITE
    hand.drone.faults.position_nan = False
    hand.run(2.0)
    assert hand.drone.output.mode == 0
    assert hand.drone.output.guard_latched == Guard.NOT_FINITE
    assert hand.position == pytest.approx([0, 0, 0.7], abs=0.15)
    assert hand.state is State.FLYING


def test_a_frozen_estimator_is_noticed(hand: Hand) -> None:
    hand.set("fledge.enable", 1)
    hand.take_off(0.7)
    hand.drone.faults.state_frozen = True
    hand.run(0.2)
    assert hand.drone.output.guard == Guard.STALE_STATE


def test_emergency_stop(hand: Hand) -> None:
    hand.take_off()
    hand.send(Port.SUPERVISOR, 1, b"\3")
    hand.run(1.0)
    assert hand.height < 0.1
    assert hand.state is State.LOCKED


def test_disarming_in_the_air_drops(hand: Hand) -> None:
    hand.take_off()
    assert hand.arm(False)
    hand.run(1.0)
    assert hand.height < 0.1
    assert not any(hand.drone.plant.duty)


# ---- the same every time ---------------------------------------------------------------------------------------------


def scripted(drone: VirtualCrazyflie) -> bytes:
    hand = Hand(drone)
    hand.set("fledge.enable", 1)
    hand.take_off(0.4, 1.0)
    hand.send(Port.HIGH_LEVEL, 0, struct.pack("<BBBBfffff", 12, 0, 1, 0, 0.2, 0, 0, 0, 1.0))
    hand.run(1.0)
    return drone.recorder.content


def test_same_seed_and_packets_give_the_same_recording(make_drone: MakeDrone) -> None:
    first, again, other = scripted(make_drone(seed=5)), scripted(make_drone(seed=5)), scripted(make_drone(seed=6))
    assert first == again
    assert first != other


def test_recordings_survive_the_disk(hand: Hand, tmp_path: Path) -> None:
    hand.run(0.5)
    hand.drone.recorder.save(tmp_path / "flight.npz")
    recording = load(tmp_path / "flight.npz")
    assert recording.table.shape == (50, len(COLUMNS))
    assert recording["time"][-1] == pytest.approx(0.5)
