"""The Crazyflie app, built into the real firmware and called inside an emulated Cortex-M4F.

Needs a checkout of crazyflie-firmware with its submodules, named by CRAZYFLIE_BASE, and arm-none-eabi-gcc.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from crazyflie_image import (
    CONTROL_MODE_FORCE,
    CONTROL_MODE_LEGACY,
    TRUE,
    Firmware,
    sensors_of,
    setpoint_of,
    state_of,
)
from fledge_hil.app_tick import ESTIMATOR, FLIGHT_TICK, IN_THE_LOOP, NORMAL, STABILIZER_STACK, app_tick
from fledge_hil.board import BoardInput, Guard, HostBoard

ABSOLUTE, VELOCITY = 1, 2
Built = tuple[Path, Path]


@pytest.fixture
def firmware(crazyflie_app: Built) -> Firmware:
    return Firmware(crazyflie_app[0])


UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def test_the_policy_inside_the_firmware_passes_its_self_test(firmware: Firmware) -> None:
    assert firmware.call("policy_self_test") == 0


def test_the_firmware_flies_with_the_bits_of_the_host(firmware: Firmware, crazyflie_app: Built) -> None:
    board, generator = HostBoard(crazyflie_app[1]), np.random.default_rng(0)
    firmware.enable(1)
    for time_ms in range(1, 300):
        q = np.array([0, 0, 0, 1]) + generator.normal(0, 0.2, 4)
        state = state_of(generator.normal(0, 0.3, 3), generator.normal(0, 0.5, 3), q / np.linalg.norm(q))
        sensors, setpoint = sensors_of(generator.normal(0, 50, 3)), setpoint_of(time_ms, (0, 0, 0.2))
        forces, mode = firmware.tick(time_ms, state, sensors, setpoint)
        expected = board.tick(BoardInput(flight=firmware.input(), motors_allowed=1)).flight
        assert mode == CONTROL_MODE_FORCE
        assert bytes(firmware.output()) == bytes(expected)
        assert forces.tobytes() == bytes(expected.motor_fraction)


def test_a_trip_gives_the_motors_to_the_firmware_in_the_same_tick(firmware: Firmware) -> None:
    firmware.enable(1)
    for time_ms in range(1, 10):
        state = state_of((0, 0, 1 + 1e-4 * time_ms), (0, 0, 0), UPRIGHT)
        assert firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))[1] == 2
    lost = state_of((float("nan"), 0, 1), (0, 0, 0), UPRIGHT)
    assert firmware.tick(10, lost, sensors_of((0, 0, 0)), setpoint_of(10, (0, 0, 1)))[1] == CONTROL_MODE_LEGACY
    assert firmware.output().guard_latched == Guard.NOT_FINITE


def test_a_take_over_in_the_air_begins_with_what_the_pid_sent(firmware: Firmware, crazyflie_app: Built) -> None:
    """While the drone turns, so that the PID gives every motor something else; the host fades with the same bits."""
    board, asked = HostBoard(crazyflie_app[1]), []
    firmware.answer("supervisorIsFlying", TRUE)
    stock: list[float] = []
    for time_ms in range(1, 121):
        firmware.enable(int(time_ms > 40))
        state = state_of((0, 1e-6 * time_ms, 1), (0, 0, 0), UPRIGHT)
        forces, mode = firmware.tick(time_ms, state, sensors_of((60, -35, 20)), setpoint_of(time_ms, (0, 0, 1)))
        assert mode == (CONTROL_MODE_FORCE if time_ms > 40 else CONTROL_MODE_LEGACY)
        expected = board.tick(BoardInput(flight=firmware.input(), motors_allowed=1)).flight
        if mode == CONTROL_MODE_LEGACY:
            stock = firmware.stock_fractions()
            board.sent(stock)
        else:
            asked.append(forces.copy())
            assert bytes(firmware.output()) == bytes(expected)
    assert min(abs(a - b) for i, a in enumerate(stock) for b in stock[:i]) > 0.002  # a swapped motor would show
    assert np.allclose(asked[0], stock, atol=1e-6)
    assert np.abs(asked[-1] - stock).max() > 0.02  # the policy's own answer is another


def test_a_lost_position_in_flight_makes_the_pid_go_down(firmware: Firmware) -> None:
    """Without the failsafe it would hold the height: the set-point is where the drone is."""
    firmware.answer("supervisorIsFlying", TRUE)
    thrusts = []
    for position in (0.0, float("nan")):
        firmware.enable(0)
        for time_ms in range(1, 400):
            x = position if time_ms > 20 else 0.0
            state = state_of((x, 1e-6 * time_ms, 1), (0, 0, 0), UPRIGHT)
            firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))
            firmware.enable(int(time_ms < 20 or position != 0.0))
        thrusts.append(firmware.stock_thrust())
    assert 0 < thrusts[1] < 0.95 * thrusts[0]


def test_an_estimator_that_repeats_itself_is_stale_after_50_ms(firmware: Firmware) -> None:
    firmware.enable(1)
    state = state_of((0, 0, 1), (0, 0, 0), UPRIGHT)
    guards = []
    for time_ms in range(1, 60):
        firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))
        guards.append(firmware.output().guard)
    assert guards.index(Guard.STALE_STATE) == 51  # the first tick changes; 50 more may repeat it


def test_a_setpoint_without_a_position_leaves_the_motors_to_the_firmware(firmware: Firmware) -> None:
    firmware.enable(1)
    for mode in (bytes(7), b"\0\0\0\1\1\2\0", b"\0\0\1\1\1\2\0", b"\1\1\0\0\0\1\0"):
        firmware.tick(1, state_of((0, 0, 1), (0, 0, 0), UPRIGHT), sensors_of((0, 0, 0)), setpoint_of(1, (0, 0, 1)))
        state = state_of((0, 0, 1.1), (0, 0, 0), UPRIGHT)
        assert firmware.tick(2, state, sensors_of((0, 0, 0)), setpoint_of(2, (0, 0, 1), mode=mode))[1] == 0
        firmware.enable(0)
        firmware.tick(3, state, sensors_of((0, 0, 0)), setpoint_of(3, (0, 0, 1)))
        firmware.enable(1)


def test_a_hover_setpoint_moves_the_target_along_the_heading(firmware: Firmware) -> None:
    """Forward at 0.5 m/s for 100 ms while facing world y: the target is 5 cm further along y, at the given height."""
    firmware.enable(1)
    facing_y = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    hover = bytes([VELOCITY, VELOCITY, ABSOLUTE, 0, 0, VELOCITY, 0])
    for time_ms in range(1, 101):
        state = state_of((0, 1e-6 * time_ms, 1), (0, 0, 0), facing_y)
        setpoint = setpoint_of(time_ms, (0, 0, 1.2), (0.5, 0, 0), hover, body=True)
        firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint)
    assert np.allclose(list(firmware.output().reference_position_world), (0, 0.05, 1.2), atol=1e-4)


def test_the_period_between_inferences_is_that_of_the_cycle_counter(firmware: Firmware) -> None:
    """A tick every millisecond at 168 MHz but one that comes 100 us late: 2000, 2100 and 1900 us between inferences."""
    firmware.enable(1)
    cycle_counter, place, periods = 0xE0001004, firmware.symbols["fledge_logs"] + 16, []
    for time_ms in range(1, 41):
        late_us = 100 if time_ms == 21 else 0
        firmware.uc.mem_write(cycle_counter, struct.pack("<I", 168 * (1000 * time_ms + late_us)))
        state = state_of((0, 1e-6 * time_ms, 1), (0, 0, 0), UPRIGHT)
        firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))
        periods.append(struct.unpack("<f", firmware.uc.mem_read(place, 4))[0])
    assert {round(period) for period in periods[4:]} == {2000, 2100, 1900}


def test_every_tick_fits_time_and_stack_over_all_paths(crazyflie_app: Built) -> None:
    """Flight code within 500 us of the millisecond, its stack within what the stabilizer's task has."""
    bounds = app_tick(crazyflie_app[0])
    for root, bound in bounds.items():
        times = [f"{each:.0f}" for each in bound.microseconds]
        print(f"\n{root}: {' / '.join(times)} us, stack {bound.worst.stack}", end="")
    assert bounds[FLIGHT_TICK].microseconds[2] < 500
    assert bounds[NORMAL].microseconds[2] < 1000
    assert sum(bounds[root].microseconds[2] for root in (IN_THE_LOOP, ESTIMATOR)) < 1000
    assert all(bound.worst.stack < STABILIZER_STACK for bound in bounds.values())
