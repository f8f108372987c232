"""No control tick takes longer, or more stack, than the bound over all its paths, and the bound is a near one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import wcet
from fledge_export.package import export
from fledge_export.timing import Code, Cycles, model
from fledge_hil.board import BoardInput, Reference, SetpointMode, build_board
from fledge_hil.control_tick import (
    BOARD_TICK,
    FLIGHT_TICK,
    PLANT_STEP,
    POINTERS,
    ControlTick,
    control_tick,
    flight_tick,
)
from fledge_hil.mcu import Mcu
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import Contract, TrainingRecord
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

ACTORS = {"gru": ActorConfig(), "mlp": ActorConfig(kind="mlp", hidden=(32, 16), history=4)}
AHEAD = {"gru": 10, "mlp": 0}
"""Future references that it sees."""
TICKS, STACK_TICKS = 3000, 300


WithLookAhead = Callable[..., Contract]


@pytest.fixture(scope="module", params=list(ACTORS))
def elf(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, with_look_ahead: WithLookAhead
) -> Path:
    actor, ahead = ACTORS[request.param], AHEAD[request.param]
    contract = contract_of(robots.load("crazyflie"), actor, SensorConfig(), TrainingRecord("none", 0, "test"))
    contract = with_look_ahead(contract, ahead) if ahead else contract
    return build_board(
        policies.assemble(contract, initial_weights(contract, 1.0, 0)), tmp_path_factory.mktemp("tick")
    ).elf


@pytest.fixture(scope="module")
def bounded(elf: Path) -> ControlTick:
    return control_tick(elf)


def draw(message: BoardInput, generator: np.random.Generator) -> None:
    """The next tick: a plausible state near hover, every mode and reference in turn, now and then a fault."""
    flight = message.flight
    flight.time_ms += 1 if generator.random() > 0.003 else int(generator.integers(0, 20))
    flight.enable = int(flight.time_ms % 128 > 1)
    flight.reference = Reference(flight.time_ms // 100 % len(Reference))
    flight.time_us, flight.rotors_idle = 1001 * flight.time_ms % 2**32, int(generator.random() < 0.3)
    flight.take_off_height, flight.landing_height = 0.3, -0.2
    flight.waypoint_count, flight.waypoint_move, flight.waypoint_hold = 8, 0.5, 0.0
    flight.waypoints[:] = generator.normal(0, 0.2, 24).tolist()
    flight.fence_low_world[:], flight.fence_high_world[:], flight.tilt_versine_max = [-2.0] * 3, [2.0] * 3, 1.0
    flight.setpoint_mode = int(generator.integers(0, 4)) if generator.random() < 0.1 else SetpointMode.POSITION
    flight.state_age_ms, flight.setpoint_age_ms, flight.position_variance = 0, 20, 1e-6
    flight.position_world[:] = generator.normal(0, 0.2, 3).tolist()
    flight.velocity_world[:] = generator.normal(0, 0.5, 3).tolist()
    quaternion = generator.normal((0, 0, 0, 1), 0.3)
    flight.quaternion_xyzw[:] = (quaternion / np.linalg.norm(quaternion)).tolist()
    flight.gyro_deg_s[:] = generator.normal(0, 200, 3).tolist()
    flight.setpoint_position_world[:] = generator.normal(0, 0.1, 3).tolist()
    flight.setpoint_velocity_world[:] = generator.normal(0, 0.3, 3).tolist()
    flight.figure_eight_period, flight.figure_eight_scale = 5.5, 0.4
    message.setpoint_attitude_deg[:] = generator.normal(0, 100, 2).tolist()
    message.setpoint_yaw_rate_deg_s, message.setpoint_yaw_deg = generator.normal(0, 200, 2).tolist()
    message.setpoint_thrust_fraction = float(generator.uniform(-0.1, 1))
    flight.battery_low, message.motors_allowed = int(generator.random() < 0.3), int(generator.random() > 0.01)
    if generator.random() < 0.05:
        fields = (flight.position_world, flight.velocity_world, flight.quaternion_xyzw, flight.gyro_deg_s)
        field = fields[int(generator.integers(len(fields)))]
        field[0] = float(generator.choice([math.nan, math.inf, 3e38, 0.0, 100.0]))
        flight.state_age_ms, flight.setpoint_age_ms = (int(age) for age in generator.integers(0, (100, 1000)))
        flight.position_variance = float(generator.choice([1e-6, 1.0, math.nan]))


def tick(mcu: Mcu, message: BoardInput, generator: np.random.Generator) -> None:
    draw(message, generator)
    mcu.write("board_input", bytes(message))


def as_tuple(cycles: Cycles) -> tuple[int, int, int]:
    return cycles.lower, cycles.nominal, cycles.upper


def test_every_random_tick_stays_below_the_bound_and_the_worst_is_near_it(elf: Path, bounded: ControlTick) -> None:
    mcu, code, generator, message = Mcu(elf), Code(elf), np.random.default_rng(2), BoardInput()
    worst = (0, 0, 0)
    with mcu.tracing() as trace:
        for _ in range(TICKS):
            tick(mcu, message, generator)
            trace.blocks.clear()
            trace.flash_reads.clear()
            mcu.call(BOARD_TICK)
            found = as_tuple(model(code, trace.blocks, trace.flash_reads).cycles)
            worst = (max(worst[0], found[0]), max(worst[1], found[1]), max(worst[2], found[2]))
    bound = as_tuple(bounded.worst.cycles)
    assert all(seen <= allowed for seen, allowed in zip(worst, bound, strict=True)), (worst, bound)
    assert all(allowed <= 1.5 * seen for seen, allowed in zip(worst, bound, strict=True)), (worst, bound)


def test_every_painted_stack_stays_below_the_bound(elf: Path, bounded: ControlTick) -> None:
    mcu, generator, message = Mcu(elf), np.random.default_rng(3), BoardInput()
    deepest = 0
    for _ in range(STACK_TICKS):
        tick(mcu, message, generator)
        deepest = max(deepest, mcu.stack_used(BOARD_TICK))
    assert 0.8 * bounded.worst.stack <= deepest <= bounded.worst.stack


def test_a_step_of_the_plant_stays_below_its_bound(elf: Path) -> None:
    bound = wcet.worst_case(elf, PLANT_STEP, arguments=POINTERS)
    mcu, generator = Mcu(elf), np.random.default_rng(4)
    plant, fractions = mcu.address("board_plant"), mcu.address("board_output")
    for _ in range(50):
        state = mcu.read_floats("board_plant")
        state[:13] += generator.normal(0, 0.05, 13).astype(np.float32)
        mcu.write_floats("board_plant", state)
        mcu.write_floats("board_output", generator.uniform(0, 1, 4).astype(np.float32))
        trace = mcu.trace(PLANT_STEP, plant, fractions)
        found = model(elf, trace.blocks, trace.flash_reads).cycles
        assert all(one <= most for one, most in zip(as_tuple(found), as_tuple(bound.cycles), strict=True))
    assert mcu.stack_used(PLANT_STEP, plant, fractions) <= bound.stack


def test_flight_code_is_part_of_the_tick(elf: Path, bounded: ControlTick) -> None:
    flight = control_tick(elf, FLIGHT_TICK)
    assert all(
        policy < part < whole
        for policy, part, whole in zip(
            as_tuple(flight.policy), as_tuple(flight.worst.cycles), as_tuple(bounded.worst.cycles), strict=True
        )
    )
    assert flight.worst.stack < bounded.worst.stack


def test_the_papers_actor_is_in_time_whichever_inferences_are_lost(tmp_path: Path) -> None:
    """No state of its kept sums needs a whole evaluation of 453 us."""
    actor = ActorConfig(kind="mlp", hidden=(64, 64), history=32)
    contract = contract_of(robots.load("crazyflie"), actor, SensorConfig(), TrainingRecord("none", 0, "test"))
    export(policies.assemble(contract, initial_weights(contract, 1.0, 0)), tmp_path)
    bound = flight_tick(tmp_path)
    assert bound.policy_us < 0.65 * 453
    assert bound.microseconds[2] < 0.75 * 500
