"""The dead man's switch of the Crazyflie app, in the real firmware's image: who falls silent in flight is landed."""

from __future__ import annotations

from pathlib import Path

import pytest
from crazyflie_image import FALSE, TRUE, Firmware, sensors_of, setpoint_of, state_of

LIMIT_MS = 1500
HEIGHT = 0.9
LANDING = [("relax", 0.0, 0.0), ("land", 0.0, pytest.approx(HEIGHT / 0.3))]
"""Streamed set-points let go, then straight down at 0.3 m/s."""


@pytest.fixture
def firmware(crazyflie_app: tuple[Path, Path]) -> Firmware:
    """In the air at HEIGHT, with the policy and its figure-eight switched on."""
    firmware = Firmware(crazyflie_app[0])
    firmware.answer("supervisorIsFlying", TRUE)
    hovering = state_of((0, 0, HEIGHT), (0, 0, 0), (0, 0, 0, 1))
    firmware.tick(1, hovering, sensors_of((0, 0, 0)), setpoint_of(1, (0, 0, 1)))
    firmware.uc.mem_write(firmware.symbols["fledge_parameters"], b"\1\1")
    firmware.console.clear()
    return firmware


def test_a_pilot_that_falls_silent_is_landed_once(firmware: Firmware) -> None:
    firmware.beat(100, LIMIT_MS)
    firmware.run_task(100, 100 + LIMIT_MS)
    assert (firmware.commands, firmware.switches()) == ([], (1, 1))
    firmware.run_task(100 + LIMIT_MS, 110 + LIMIT_MS)
    assert firmware.commands == LANDING
    assert firmware.switches() == (0, 0)
    assert firmware.console[-1].endswith("no heartbeat, landing\n")
    firmware.run_task(120 + LIMIT_MS, 9000)
    assert firmware.commands == LANDING


def test_every_beat_begins_the_time_anew(firmware: Firmware) -> None:
    for time_ms in range(0, 6000, 1000):
        firmware.beat(time_ms, LIMIT_MS)
        firmware.run_task(time_ms, time_ms + 1000)
    assert firmware.commands == []
    firmware.run_task(6000, 5000 + LIMIT_MS + 10)
    assert firmware.commands == LANDING


def test_a_low_flight_still_gets_the_shortest_landing(firmware: Firmware) -> None:
    low = state_of((0, 0, 0.1), (0, 0, 0), (0, 0, 0, 1))
    firmware.tick(2, low, sensors_of((0, 0, 0)), setpoint_of(2, (0, 0, 1)))
    firmware.beat(0, LIMIT_MS)
    firmware.run_task(0, 2000)
    assert firmware.commands[-1] == ("land", 0.0, 1.5)


def test_nobody_is_landed_on_the_ground_or_without_having_asked(firmware: Firmware) -> None:
    firmware.run_task(0, 5000)
    firmware.beat(5000, LIMIT_MS)
    firmware.beat(5100, 0)  # taken back
    firmware.run_task(5100, 9000)
    firmware.beat(9000, LIMIT_MS)
    firmware.answer("supervisorIsFlying", FALSE)
    firmware.run_task(9000, 14000)
    assert (firmware.commands, firmware.switches()) == ([], (1, 1))


def test_the_clock_of_the_firmware_may_wrap(firmware: Firmware) -> None:
    """After 49 days of milliseconds."""
    firmware.beat(2**32 - 500, LIMIT_MS)
    firmware.run_task(0, 990)
    assert firmware.commands == []
    firmware.run_task(990, 1010)
    assert firmware.commands == LANDING
