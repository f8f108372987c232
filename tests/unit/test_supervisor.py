"""The supervisor's state machine, driven by hand."""

from __future__ import annotations

import pytest
from fledge_hil.supervisor import PERIOD_MS, Facts, State, Supervisor


class Driver:
    """Runs periods of 40 ms with given facts."""

    def __init__(self, self_test_passed: bool = True) -> None:
        self.supervisor = Supervisor(self_test_passed)
        self.time_ms = 0
        self.run(PERIOD_MS)

    def run(self, ms: int, motors: bool = False, age_ms: int = 0, z_g: float = 1.0) -> State:
        for _ in range(ms // PERIOD_MS):
            self.time_ms += PERIOD_MS
            self.supervisor.update(Facts(self.time_ms, age_ms, motors, z_g))
        return self.supervisor.state

    def fly(self) -> None:
        assert self.supervisor.request_arming(True)
        self.run(80)
        assert self.run(400, motors=True) is State.FLYING


def test_motors_stay_off_until_armed() -> None:
    driver = Driver()
    assert driver.supervisor.state is State.PRE_FLIGHT_PASSED
    assert not driver.supervisor.motors_allowed
    assert driver.supervisor.request_arming(True)
    assert driver.run(PERIOD_MS) is State.READY_TO_FLY
    assert driver.supervisor.motors_allowed


def test_failed_self_test_refuses_arming_for_ever() -> None:
    driver = Driver(self_test_passed=False)
    assert driver.run(4000) is State.PRE_FLIGHT_NOT_PASSED
    assert not driver.supervisor.request_arming(True)
    assert not driver.supervisor.bits & 1


def test_armed_without_take_off_is_disarmed_after_thirty_seconds() -> None:
    driver = Driver()
    driver.supervisor.request_arming(True)
    assert driver.run(30_000) is State.READY_TO_FLY
    driver.run(200)
    assert not driver.supervisor.armed


@pytest.mark.parametrize(
    ("age_ms", "state"),
    [(0, State.FLYING), (500, State.FLYING), (501, State.WARNING_LEVEL_OUT), (2000, State.WARNING_LEVEL_OUT)],
)
def test_old_setpoints_level_out(age_ms: int, state: State) -> None:
    driver = Driver()
    driver.fly()
    assert driver.run(PERIOD_MS, motors=True, age_ms=age_ms) is state


def test_setpoints_older_than_two_seconds_lock() -> None:
    driver = Driver()
    driver.fly()
    driver.run(2 * PERIOD_MS, motors=True, age_ms=2001)
    assert driver.supervisor.state is State.LOCKED
    assert not driver.supervisor.motors_allowed
    assert not driver.supervisor.request_arming(True)
    assert not driver.supervisor.request_recovery()


def test_a_fresh_setpoint_ends_the_warning() -> None:
    driver = Driver()
    driver.fly()
    driver.run(PERIOD_MS, motors=True, age_ms=800)
    assert driver.run(PERIOD_MS, motors=True, age_ms=10) is State.FLYING


def test_landing_resets_and_needs_arming_again() -> None:
    driver = Driver()
    driver.fly()
    assert driver.run(1800) is State.FLYING  # hysteresis of two seconds
    driver.run(600)
    assert driver.supervisor.state is State.PRE_FLIGHT_PASSED
    assert not driver.supervisor.motors_allowed


def test_upside_down_in_flight_is_a_crash_and_recovery_needs_the_right_side_up() -> None:
    driver = Driver()
    driver.fly()
    assert driver.run(160, motors=True, z_g=-1.0) is State.CRASHED
    assert not driver.supervisor.request_recovery()
    driver.run(PERIOD_MS, z_g=1.0)
    assert driver.supervisor.request_recovery()
    driver.run(2 * PERIOD_MS)
    assert driver.supervisor.state is State.PRE_FLIGHT_PASSED


def test_low_acceleration_is_tolerated_for_a_second() -> None:
    driver = Driver()
    driver.fly()
    assert driver.run(960, motors=True, z_g=0.3) is State.FLYING
    assert driver.run(160, motors=True, z_g=0.3) is State.CRASHED


def test_tumble_check_can_be_switched_off() -> None:
    driver = Driver()
    driver.supervisor.tumble_check = False
    driver.fly()
    assert driver.run(2000, motors=True, z_g=-1.0) is State.FLYING


def test_disarming_in_flight_stops_at_once_but_does_not_lock() -> None:
    driver = Driver()
    driver.fly()
    driver.supervisor.request_arming(False)
    assert not driver.supervisor.motors_allowed
    assert driver.run(PERIOD_MS) is State.PRE_FLIGHT_PASSED


def test_emergency_stop_locks() -> None:
    driver = Driver()
    driver.fly()
    driver.supervisor.emergency_stop()
    assert driver.run(400, motors=True) is State.LOCKED


def test_emergency_watchdog_must_be_fed_every_second() -> None:
    driver = Driver()
    driver.fly()
    for _ in range(5):
        driver.supervisor.feed_watchdog()
        assert driver.run(800, motors=True) is State.FLYING
    driver.run(400, motors=True)
    assert driver.supervisor.state is State.LOCKED


def test_bits_say_what_the_state_is() -> None:
    driver = Driver()
    assert driver.supervisor.bits & 0b11111 == 0b00001  # can be armed
    driver.fly()
    assert driver.supervisor.bits & 0b11111 == 0b11011  # armed, can fly, flies
    driver.supervisor.emergency_stop()
    assert driver.supervisor.bits >> 6 & 1
