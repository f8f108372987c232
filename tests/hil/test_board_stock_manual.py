"""Turn rates and gains of the stock controller, on a bare attitude model: what it asks of the motors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fledge_hil.board import Board, BoardInput, EmulatedBoard, HostBoard, SetpointMode, StockGains, build_board
from fledge_hil.board_messages import FloatArray
from fledge_sim import robot as robots
from fledge_sim.policy import Policy

ROBOT = robots.load("crazyflie")
HOVER = ROBOT.hover_thrust / ROBOT.thrust_max


@pytest.fixture(params=[HostBoard, EmulatedBoard])
def board(request: pytest.FixtureRequest, trained_policy: Policy, board_cache: Path) -> Board:
    files = build_board(trained_policy, board_cache)
    return HostBoard(files.library) if request.param is HostBoard else EmulatedBoard(files.elf)


def message(mode: SetpointMode) -> BoardInput:
    """Level at rest; a hover's thrust."""
    asked = BoardInput(motors_allowed=1, setpoint_thrust_fraction=HOVER)
    asked.flight.quaternion_xyzw[:] = (0.0, 0.0, 0.0, 1.0)
    asked.flight.setpoint_mode = mode
    return asked


def torque(fractions: FloatArray) -> tuple[float, float]:
    """Roll and pitch torque that they mean [N m], up to the thrust's scale."""
    x, y = np.array(ROBOT.rotor_position).T
    return float(np.dot(y, fractions[:])), float(-np.dot(x, fractions[:]))


def tick(board: Board, asked: BoardInput, times: int = 1) -> tuple[float, float]:
    for _ in range(times):
        asked.flight.time_ms += 1
        output = board.tick(asked)
    return torque(output.motor_fraction)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_turn_rate_is_asked_for_until_it_is_there(board: Board, axis: int) -> None:
    asked = message(SetpointMode.RATE)
    asked.setpoint_attitude_deg[axis] = 50.0
    wanted = tick(board, asked)
    assert wanted[axis] > 1e-3
    assert abs(wanted[1 - axis]) < 1e-5
    asked.flight.gyro_deg_s[axis] = 100.0
    assert tick(board, asked)[axis] < -1e-3


def test_in_rate_mode_the_attitude_does_not_matter(board: Board) -> None:
    asked = message(SetpointMode.RATE)
    asked.flight.quaternion_xyzw[:] = (0.1, 0.0, 0.0, 0.995)
    assert tick(board, asked) == pytest.approx((0, 0), abs=1e-5)
    asked.flight.setpoint_mode = SetpointMode.ATTITUDE
    assert tick(board, asked)[0] < -1e-3


def test_without_thrust_a_rate_setpoint_stops_the_motors(board: Board) -> None:
    asked = message(SetpointMode.RATE)
    asked.setpoint_thrust_fraction = 0.0
    asked.flight.time_ms = 1
    assert list(board.tick(asked).motor_fraction) == [0.0] * 4


def response(board: Board, gains: StockGains | None = None, turning: float = 0.0, ticks: int = 1) -> float:
    """Roll torque against a set-point of 5 degrees."""
    board.reset()
    if gains is not None:
        board.tune(gains)
    asked = message(SetpointMode.ATTITUDE)
    asked.setpoint_attitude_deg[0] = 5.0
    asked.flight.gyro_deg_s[0] = turning
    return tick(board, asked, ticks)[0]


def test_gains_of_the_attitude_act_as_their_names_say(board: Board) -> None:
    usual = response(board)
    double = StockGains()
    double.attitude[:] = (14.0, 7.0, 2.0)
    assert response(board, double) == pytest.approx(2 * usual, rel=0.03)
    damped = StockGains()
    damped.attitude[:] = (7.0, 7.0, 2.0)
    same = response(board, damped, turning=20.0)
    damped.attitude_derivative[0] = 0.5
    assert response(board, damped, turning=20.0) < same - 1e-4
    patient = StockGains()
    patient.attitude_integral[0] = 10.0
    assert abs(response(board, patient)) < 0.02 * usual
    assert response(board, patient, ticks=50) > 5 * response(board, patient, ticks=5)
