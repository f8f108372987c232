"""The board: host build and emulated image give the same bits; faults are refused or handed to stock, visibly."""

from __future__ import annotations

import ctypes
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export.layout import pack
from fledge_hil.board import (
    Board,
    BoardFiles,
    BoardInput,
    BoardOutput,
    EmulatedBoard,
    Failsafe,
    Guard,
    HostBoard,
    Reference,
    SetpointMode,
    build_board,
)
from fledge_hil.board_emulated import EmulatedBoardError
from fledge_hil.board_messages import BoardLayoutError, check_layout, layout
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import Contract, ContractError, TrainingRecord
from fledge_sim.policy import Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

ACTORS = {"gru": ActorConfig(), "mlp": ActorConfig(kind="mlp", hidden=(32, 16), history=4)}


WithLookAhead = Callable[..., Contract]


def make_contract(actor: ActorConfig, robot_name: str = "crazyflie") -> Contract:
    return contract_of(robots.load(robot_name), actor, SensorConfig(), TrainingRecord("none", 0, "test"))


def make_policy(actor: ActorConfig) -> Policy:
    contract = make_contract(actor)
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boards")


@pytest.fixture(scope="module")
def files(cache: Path) -> BoardFiles:
    return build_board(make_policy(ACTORS["gru"]), cache)


MakeBoard = Callable[[BoardFiles], Board]
BOARDS: dict[str, MakeBoard] = {
    "host": lambda files: HostBoard(files.library),
    "emulated": lambda files: EmulatedBoard(files.elf),
}


@pytest.fixture(params=list(BOARDS))
def make_board(request: pytest.FixtureRequest) -> MakeBoard:
    return BOARDS[request.param]


def hover() -> BoardInput:
    """At the set-point, level and at rest, policy enabled; its time is advanced by `fly`."""
    message = BoardInput(motors_allowed=1)
    message.flight.enable, message.flight.setpoint_mode = 1, SetpointMode.POSITION
    message.flight.quaternion_xyzw[3] = 1
    return message


def fly(board: Board, message: BoardInput, ticks: int) -> BoardOutput:
    output = BoardOutput()
    for _ in range(ticks):
        message.flight.time_ms += 1
        output = board.tick(message)
    return output


def scramble(message: BoardInput, generator: np.random.Generator) -> None:
    """A plausible state, now and then another mode, now and then a fault."""
    flight = message.flight
    flight.time_ms += 1 if generator.random() > 0.003 else int(generator.integers(0, 20))
    flight.enable = int(flight.time_ms % 64 > 1)
    choose_reference(message, generator)
    flight.setpoint_mode = int(generator.integers(0, 4)) if generator.random() < 0.02 else SetpointMode.POSITION
    flight.state_age_ms, flight.setpoint_age_ms = 0, 20
    flight.position_world[:] = generator.normal(0, 0.2, 3).tolist()
    flight.velocity_world[:] = generator.normal(0, 0.5, 3).tolist()
    quaternion = generator.normal((0, 0, 0, 1), 0.3)
    flight.quaternion_xyzw[:] = (quaternion / np.linalg.norm(quaternion)).tolist()
    flight.gyro_deg_s[:] = generator.normal(0, 200, 3).tolist()
    flight.setpoint_position_world[:] = generator.normal(0, 0.1, 3).tolist()
    flight.setpoint_velocity_world[:] = generator.normal(0, 0.3, 3).tolist()
    flight.figure_eight_period, flight.figure_eight_scale = 5.5, 0.4
    message.setpoint_attitude_deg[:] = generator.normal(0, 10, 2).tolist()
    message.setpoint_yaw_rate_deg_s, message.setpoint_yaw_deg = generator.normal(0, 200, 2).tolist()
    message.setpoint_thrust_fraction = float(generator.uniform(-0.1, 1))
    flight.position_variance, flight.battery_low = 1e-6, int(flight.time_ms % 4000 > 2800)
    message.motors_allowed = int(generator.random() > 0.01)
    if generator.random() < 0.02:
        break_something(message, generator)


def choose_reference(message: BoardInput, generator: np.random.Generator) -> None:
    """Another one now and then, with its own parameters; spoilt ones, a fence and a limit of tilt are rare."""
    flight = message.flight
    flight.time_us = (flight.time_us + int(generator.integers(900, 1100))) % 2**32
    flight.rotors_idle = int(generator.random() < 0.3)
    flight.fence_low_world[:] = flight.fence_high_world[:] = [0.0] * 3
    flight.tilt_versine_max = 0.0
    if generator.random() < 0.02:
        flight.fence_high_world[:], flight.tilt_versine_max = [0.1] * 3, 0.05
    if generator.random() < 0.01:
        flight.reference = int(generator.integers(0, 7))
        flight.take_off_height, flight.landing_height = generator.uniform(-0.1, 0.6, 2).tolist()
        flight.waypoint_count = int(generator.integers(0, 10))
        flight.waypoint_move, flight.waypoint_hold = generator.uniform((0.45, -0.02), (1.0, 0.5)).tolist()
        flight.waypoints[:] = generator.normal(0, 0.2, 24).tolist()


def break_something(message: BoardInput, generator: np.random.Generator) -> None:
    flight = message.flight
    fields = (flight.position_world, flight.velocity_world, flight.quaternion_xyzw, flight.gyro_deg_s)
    values = (math.nan, -math.nan, math.inf, -math.inf, 3e38, 1e-42, 0.0, 100.0)
    field = fields[int(generator.integers(len(fields)))]
    field[int(generator.integers(len(field)))] = values[int(generator.integers(len(values)))]
    flight.state_age_ms = int(generator.integers(0, 100))
    flight.setpoint_age_ms = int(generator.integers(0, 1000))
    flight.position_variance = float(generator.choice([1e-6, 1.0, math.nan]))


@pytest.mark.parametrize(
    ("kind", "robot_name", "ahead", "ticks"),
    [("gru", "crazyflie", 5, 10000), ("mlp", "crazyflie", 0, 10000), ("gru", "crazyflie_paper", 0, 2000)],
)
def test_emulated_image_and_host_library_give_the_same_bits(
    kind: str, robot_name: str, ahead: int, ticks: int, cache: Path, with_look_ahead: WithLookAhead
) -> None:
    contract = make_contract(ACTORS[kind], robot_name)
    contract = with_look_ahead(contract, ahead) if ahead else contract
    files = build_board(policies.assemble(contract, initial_weights(contract, 1.0, 0)), cache)
    host, emulated = HostBoard(files.library), EmulatedBoard(files.elf)
    generator, message, reasons, failsafes, flown = np.random.default_rng(1), BoardInput(), set(), set(), set()
    policy_ticks = 0
    for tick in range(ticks):
        scramble(message, generator)
        expected, found = host.tick(message), emulated.tick(message)
        assert bytes(expected) == bytes(found), f"tick {tick}"
        reasons.add(Guard(expected.flight.guard))
        failsafes.add(Failsafe(expected.flight.failsafe))
        policy_ticks += expected.flight.controls_motors
        if expected.flight.controls_motors:
            flown.add(message.flight.reference)
    assert policy_ticks > ticks / 5
    if ticks < 10000:
        return
    assert flown >= set(Reference)
    # saturation needs a second of flight without a fault: firmware/test/test_guard.c
    assert reasons >= set(Guard) - {Guard.SELF_TEST, Guard.ACTION, Guard.SATURATION}
    assert failsafes == set(Failsafe)


def test_boards_do_not_share_state(make_board: MakeBoard, files: BoardFiles) -> None:
    first, second = make_board(files), make_board(files)
    fly(first, hover(), 50)
    assert fly(second, hover(), 1).ticks == 1
    assert fly(first, hover(), 1).ticks == 51
    first.reset()
    assert fly(first, hover(), 1).ticks == 1


def test_policy_flies_and_reports_its_contract(make_board: MakeBoard, files: BoardFiles) -> None:
    output = fly(make_board(files), hover(), 100)
    assert output.flight.guard == Guard.OK
    assert (output.flight.inferences, output.flight.native_steps) == (50, 10)
    assert output.flight.contract_hash == make_policy(ACTORS["gru"]).contract.hash32
    assert output.motor_fraction[:] == output.flight.motor_fraction[:]
    assert all(0 < fraction < 1 for fraction in output.motor_fraction)


@pytest.mark.parametrize("field", ["position_world", "velocity_world", "gyro_deg_s", "quaternion_xyzw"])
def test_nan_in_the_state_hands_over_to_stock_and_stays_visible(
    make_board: MakeBoard, files: BoardFiles, field: str
) -> None:
    board, message = make_board(files), hover()
    fly(board, message, 100)
    healthy = getattr(message.flight, field)[0]
    getattr(message.flight, field)[0] = math.nan
    output = fly(board, message, 1)
    assert (output.flight.guard, output.flight.guard_latched) == (Guard.NOT_FINITE, Guard.NOT_FINITE)
    assert not output.flight.controls_motors
    assert all(math.isfinite(fraction) for fraction in output.motor_fraction)
    getattr(message.flight, field)[0] = healthy
    output = fly(board, message, 200)
    assert (output.flight.guard, output.flight.guard_latched) == (Guard.NOT_FINITE, Guard.NOT_FINITE)
    assert not output.flight.controls_motors
    assert all(fraction > 0.3 for fraction in output.motor_fraction)  # stock hovers
    message.flight.enable = 0
    fly(board, message, 1)
    message.flight.enable = 1
    output = fly(board, message, 1)
    assert (output.flight.controls_motors, output.flight.guard_latched) == (1, Guard.OK)


def test_one_wrong_bit_in_a_weight_is_refused(make_board: MakeBoard, files: BoardFiles, tmp_path: Path) -> None:
    corrupt = BoardFiles(tmp_path / "board.elf", tmp_path / "board.so")
    weights = pack(make_policy(ACTORS["gru"])).values.astype("<f4").tobytes()
    for healthy, broken in ((files.elf, corrupt.elf), (files.library, corrupt.library)):
        image = bytearray(healthy.read_bytes())
        assert image.count(weights) == 1
        image[image.index(weights) + len(weights) // 2] ^= 1
        broken.write_bytes(image)
    output = fly(make_board(corrupt), hover(), 100)
    assert output.flight.self_test_passed == 0
    assert (output.flight.guard, output.flight.inferences) == (Guard.SELF_TEST, 0)
    assert not output.flight.controls_motors
    assert all(fraction > 0.3 for fraction in output.motor_fraction)  # stock hovers
    assert fly(make_board(files), hover(), 1).flight.self_test_passed == 1


def test_stock_takes_over_at_the_thrust_that_the_policy_needed(cache: Path) -> None:
    """A policy that hovers with 8 % more of full thrust than the model says (a heavy drone): stock has learned that."""
    robot = robots.load("crazyflie")
    contract = make_policy(ACTORS["gru"]).contract
    weights = {name: 0 * array for name, array in initial_weights(contract, 0, 0).items()}
    wanted = robot.hover_thrust / robot.thrust_max + 0.08
    action = 2 * (wanted - robot.fraction_low) / (robot.fraction_high - robot.fraction_low) - 1
    weights["output.bias"] = np.full(4, math.atanh(action), np.float32)
    policy = policies.assemble(dataclasses.replace(contract, weights_sha256=""), weights)
    board, message = HostBoard(build_board(policy, cache).library), hover()
    np.testing.assert_allclose(fly(board, message, 3000).motor_fraction, wanted, atol=1e-5)
    message.flight.enable = 0
    np.testing.assert_allclose(fly(board, message, 1).motor_fraction, wanted, atol=0.005)


def test_python_mirrors_have_the_layout_of_the_structs() -> None:
    assert ctypes.sizeof(BoardInput) == 4 * 76
    assert ctypes.sizeof(BoardOutput) == 4 * 33
    check_layout(layout())
    moved = layout()
    moved[3] += 4
    with pytest.raises(BoardLayoutError):
        check_layout(moved)


def test_second_build_is_a_look_up_and_another_policy_is_not(cache: Path, files: BoardFiles) -> None:
    before = files.elf.stat().st_mtime_ns
    assert build_board(make_policy(ACTORS["gru"]), cache) == files
    assert files.elf.stat().st_mtime_ns == before
    assert build_board(make_policy(ACTORS["mlp"]), cache) != files
    assert not list(cache.glob(".board-*"))


def test_robot_that_changed_since_training_is_refused(tmp_path: Path) -> None:
    policy = make_policy(ACTORS["gru"])
    with pytest.raises(ContractError, match="changed"):
        build_board(policy, tmp_path, robots.load("crazyflie_paper"))


def test_image_that_is_no_board_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.elf"
    with pytest.raises(EmulatedBoardError, match="cannot be read"):
        EmulatedBoard(path)
    path.write_bytes(b"not an image")
    with pytest.raises(EmulatedBoardError, match="build it again"):
        EmulatedBoard(path)
