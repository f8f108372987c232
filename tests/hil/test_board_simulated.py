"""Simulation in hardware: the physics text of the host flies on the emulated chip, with nothing outside in the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fledge_hil.board import Board, BoardFiles, BoardInput, EmulatedBoard, HostBoard, SetpointMode, build_board
from fledge_sim import kernel
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.physics import Physics
from fledge_sim.rows import State
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

SECOND = 1000


@pytest.fixture(scope="module", params=["crazyflie", "crazyflie_paper"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BoardFiles:
    record = TrainingRecord("none", 0, "test")
    contract = contract_of(robots.load(request.param), ActorConfig(), SensorConfig(), record)
    policy = policies.assemble(contract, initial_weights(contract, 1.0, 0))
    return build_board(policy, tmp_path_factory.mktemp("boards"))


def fly_up(board: Board) -> tuple[list[list[float]], BoardInput]:
    """To 1 m and half a metre forward with the stock controller, a state every 100 ms."""
    message = BoardInput(motors_allowed=1)
    message.flight.setpoint_mode = SetpointMode.POSITION
    message.flight.setpoint_position_world[:] = (0.5, 0.0, 1.0)
    return [board.simulate(message, 100) for _ in range(60)], message


def test_the_chip_flies_itself_with_the_bits_of_the_host(files: BoardFiles) -> None:
    on_chip, message = fly_up(EmulatedBoard(files.elf))
    on_host, _ = fly_up(HostBoard(files.library))
    assert on_chip == on_host
    assert message.flight.time_ms == 6 * SECOND
    assert np.allclose(on_chip[-1][:3], (0.5, 0, 1), atol=0.02)  # it arrived
    assert on_chip[0][2] < 0.1  # from the floor


def test_one_millisecond_is_that_of_the_vector_kernel(files: BoardFiles) -> None:
    """The same text for one number and for 16 side by side; they differ by the rounding of fused products."""
    board = HostBoard(files.library)
    states, _ = fly_up(board)
    message = BoardInput()  # motors off: set-point 0
    before = np.array(states[-1], np.float32)[:, None]
    after = np.array(board.simulate(message, 1), np.float32)
    robot = robots.load(files_robot(files))
    expected = kernel.step(
        before, np.zeros((4, 1), np.float32), kernel.parameter_rows(robot, 1), 1e-3, physics=Physics(True, True)
    )
    assert np.allclose(after, expected[:, 0], rtol=2e-6, atol=2e-6 * robot.hover_rotor_speed)
    assert (after[State.ROTOR_SPEED :] < before[State.ROTOR_SPEED :, 0]).all()  # it did step


def files_robot(files: BoardFiles) -> str:
    """Which robot the board was built for, from what was emitted."""
    return (Path(files.elf).parent / "policy.h").read_text().split('POLICY_ROBOT "')[1].split('"')[0]
