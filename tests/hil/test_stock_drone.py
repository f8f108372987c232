"""A virtual drone without a policy: the stock controller flies whatever a script asks for."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fledge_hil.board import HostBoard, build_board
from fledge_hil.crtp import Port
from fledge_hil.settings import Settings
from fledge_hil.stock_board import empty_slot
from fledge_hil.supervisor import State
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import robot as robots
from virtual_hand import Hand

MakeStock = Callable[..., Hand]


@pytest.fixture(scope="module")
def make_stock(board_cache: Path) -> MakeStock:
    robot = robots.load("crazyflie")
    policy = empty_slot(robot)
    files = build_board(policy, board_cache, robot)

    def make(**settings: Any) -> Hand:
        chosen = Settings(**{"stock": True, "auto_arm": True, **settings})
        return Hand(VirtualCrazyflie(robot, policy.contract, HostBoard(files.library), chosen))

    return make


@pytest.fixture
def stock(make_stock: MakeStock) -> Hand:
    hand = make_stock()
    hand.run(0.2)
    return hand


def lift(stock: Hand, height: float = 0.6) -> None:
    stock.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, height, 0, True, 1.5))
    stock.run(4.0)
    assert stock.height == pytest.approx(height, abs=0.05)


def stream(stock: Hand, port: Port, payload: bytes, seconds: float) -> None:
    for _ in range(round(50 * seconds)):
        stock.send(port, 0, payload)
        stock.run(0.02)


def test_it_shows_nothing_of_a_policy_and_cannot_be_switched_to_one(stock: Hand) -> None:
    tables = (*stock.drone.parameters.toc.index, *stock.drone.log.toc.index)
    assert not [name for name in tables if name.startswith("fledge.")]
    stock.set("stabilizer.controller", 6)
    lift(stock)
    assert stock.drone.output.inferences == 0
    assert "stock controller" in stock.console


def test_it_arms_itself_and_again_after_a_landing(stock: Hand) -> None:
    assert stock.state is State.READY_TO_FLY
    assert stock.drone.supervisor.bits >> 2 & 1
    lift(stock)
    stock.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 8, 0, 0.0, 0, True, 1.5))
    stock.run(5.0)
    assert stock.height < 0.02
    lift(stock)


def test_told_to_it_waits_for_arming(make_stock: MakeStock) -> None:
    stock = make_stock(auto_arm=False)
    stock.run(0.2)
    stock.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, 0.5, 0, True, 1.5))
    stock.run(2.0)
    assert stock.height < 0.02
    assert stock.arm()


def test_turn_rates_turn_and_angles_come_back(stock: Hand) -> None:
    lift(stock, 1.0)
    hover = int(65535 * stock.drone.plant.robot.hover_thrust / stock.drone.plant.robot.thrust_max)
    # nose down (negative in this packet) at 60 deg/s for 0.3 s
    stream(stock, Port.COMMANDER_GENERIC, struct.pack("<BfffHB", 11, 0, -60, 0, hover, 1), 0.3)
    pitch = stock.drone.plant.estimate.euler_deg[1]
    assert -22 < pitch < -8
    stream(stock, Port.COMMANDER_GENERIC, struct.pack("<B4f", 9, 0, 0, 0, 1.0), 1.5)
    assert stock.drone.plant.estimate.euler_deg[1] == pytest.approx(0, abs=3)
    assert stock.position[0] > 0.05
    assert stock.state is State.FLYING


def test_altitude_and_position_hold_from_sticks(stock: Hand) -> None:
    lift(stock)
    stock.set("flightmode.althold", 1)
    stream(stock, Port.COMMANDER, struct.pack("<fffH", 0, 0, 0, 32767 + 9830), 2.0)  # up at 0.3 m/s
    assert stock.height == pytest.approx(1.2, abs=0.12)
    stock.set("flightmode.poshold", 1)
    before = stock.position[0]
    stream(stock, Port.COMMANDER, struct.pack("<fffH", 0, 9, 0, 32767), 2.0)  # forward at 9 / 30 m/s
    assert stock.position[0] - before == pytest.approx(0.6, abs=0.15)


def test_yaw_rates_turn_the_way_their_packets_say(stock: Hand) -> None:
    lift(stock)
    stream(stock, Port.COMMANDER_GENERIC, struct.pack("<B4f", 10, 0, 0, 45, 0.6), 2.0)
    assert stock.drone.plant.estimate.euler_deg[2] == pytest.approx(90, abs=12)
    stream(stock, Port.COMMANDER_GENERIC, struct.pack("<B4f", 5, 0, 0, 45, 0.6), 2.0)  # legacy: clockwise
    assert stock.drone.plant.estimate.euler_deg[2] == pytest.approx(0, abs=12)


def test_a_spiral_and_an_uploaded_trajectory(stock: Hand) -> None:
    lift(stock)
    stock.send(Port.HIGH_LEVEL, 0, struct.pack("<BB??5f", 11, 0, False, False, 3.1416, 0.4, 0.4, 0.2, 4.0))
    stock.run(5.0)
    # half a circle to the left: 2 r to the left, facing back
    assert stock.position == pytest.approx([0.0, 0.8, 0.8], abs=0.12)
    axis = struct.pack("<8f", 0, 0.25, *([0] * 6))
    still = struct.pack("<8f", *([0] * 8))
    piece = axis + still + still + still + struct.pack("<f", 2.0)
    for start in range(0, len(piece), 24):
        stock.send(Port.MEMORY, 2, struct.pack("<BI", 1, start) + piece[start : start + 24])
    stock.send(Port.HIGH_LEVEL, 0, struct.pack("<BBBBIB", 6, 1, 1, 0, 0, 1))
    answer = stock.send(Port.HIGH_LEVEL, 0, struct.pack("<BB???Bf", 13, 0, True, False, False, 1, 1.0))
    assert answer[0][1:] == b"\x0d\x00\x01\x00"
    stock.run(4.0)
    assert stock.position == pytest.approx([0.5, 0.8, 0.8], abs=0.12)


def test_raw_motor_power_passes_the_supervisor(stock: Hand) -> None:
    stock.set("motorPowerSet.m1", 30000)
    stock.set("motorPowerSet.enable", 1)
    stock.run(0.05)
    assert stock.drone.plant.duty[0] == pytest.approx(30000 / 65535, abs=1 / 255)
    assert stock.drone.plant.duty[1:] == [0.0] * 3
    stock.set("motorPowerSet.enable", 0)
    stock.run(0.05)
    assert stock.drone.plant.duty == [0.0] * 4


def test_gains_are_parameters(stock: Hand) -> None:
    lift(stock)
    stock.set("posCtlPid.xKp", 0.2)
    start = stock.drone.time_ms
    stream(stock, Port.COMMANDER_GENERIC, struct.pack("<B4f", 7, 0.5, 0, 0.6, 0), 1.5)
    slow = stock.position[0]
    stock.set("posCtlPid.xKp", 1.6)
    stream(stock, Port.COMMANDER_GENERIC, struct.pack("<B4f", 7, 0.5, 0, 0.6, 0), 2.5)
    assert slow < 0.2
    assert stock.position[0] == pytest.approx(0.5, abs=0.08)
    assert stock.drone.time_ms - start == 4000


def test_an_emptying_battery_is_reported_and_in_the_end_does_not_carry(make_stock: MakeStock) -> None:
    from fledge_hil.battery import Battery

    stock = make_stock(battery=Battery(charge=0.12))
    stock.run(0.2)
    lift(stock)
    stock.run(12.0)
    assert stock.drone.plant.battery_low
    assert stock.drone.plant.voltage < 3.2
