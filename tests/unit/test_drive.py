"""The firmware's way from action to rotor speed, with numbers worked out by hand."""

import dataclasses

import pytest
import torch
from fledge_sim import drive
from fledge_sim import robot as robots
from fledge_sim.drive import DriveStages

# fraction = (a + 1) / 2; T = f; n = sqrt(T) / 0.01; duty = n / (50 V)
ROBOT = dataclasses.replace(
    robots.load("crazyflie"),
    fraction_low=0.0,
    fraction_high=1.0,
    thrust_max=1.0,
    thrust_curve=(0.0, 0.0, 1e-4),
    speed_per_volt=50.0,
    pwm_levels=11.0,
    thrust_min_fraction=0.1,
    battery_open_circuit=(4.0, 0.0, 0.0, 0.0),
)
OFF = DriveStages(dead_zone=False, quantisation=False, compensation=False)


def setpoint(thrust: list[float], voltage: float, stages: DriveStages, kind: str = "thrust_fraction") -> list[float]:
    robot = dataclasses.replace(ROBOT, actuation=kind)
    action = 2 * torch.tensor([thrust], dtype=torch.float64) - 1
    volts = torch.tensor([[voltage]], dtype=torch.float64)
    rows = drive.rotor_speed_setpoint(robot, action.T, volts, stages, dim=0).T
    speeds = drive.rotor_speed_setpoint(robot, action, volts, stages)
    assert torch.equal(speeds, rows)
    return [round(speed, 9) for speed in speeds[0].tolist()]


def test_without_stages_thrust_follows_the_nominal_curve_at_nominal_voltage() -> None:
    assert setpoint([0.0, 0.01, 0.25, 1.0], 4.0, OFF) == [0, 10, 50, 100]


def test_without_compensation_speed_follows_the_voltage() -> None:
    assert setpoint([0.01, 0.04, 0.25, 1.0], 2.0, OFF) == [5, 10, 25, 50]


def test_compensation_gives_the_speed_asked_for_at_any_voltage() -> None:
    stages = dataclasses.replace(OFF, compensation=True)
    assert setpoint([0.01, 0.04, 0.25, 1.0], 3.0, stages) == [10, 20, 50, 100]


def test_below_the_dead_zone_a_motor_is_off() -> None:
    stages = dataclasses.replace(OFF, dead_zone=True)
    assert setpoint([0.09, 0.0, 0.25, 1.0], 4.0, stages) == [0, 0, 50, 100]


def test_where_one_motor_would_saturate_all_four_lose_the_excess_of_duty() -> None:
    # at 1.6 V full duty is 80 rad/s: duties 100/80 = 1.25, 50/80, 20/80, 10/80, each less 0.25, none below 0
    stages = dataclasses.replace(OFF, compensation=True)
    assert setpoint([1.0, 0.25, 0.04, 0.01], 1.6, stages) == [80, 30, 0, 0]


def test_duty_is_rounded_down_to_a_level() -> None:
    # 11 levels 0, 0.1, ... 1: min(floor(11 d), 10) / 10 of d = 0.5, 0.1, 0.05, 0.9999 is 0.5, 0.1, 0, 1
    stages = dataclasses.replace(OFF, quantisation=True)
    assert setpoint([0.5, 0.1, 0.05, 0.9999], 4.0, stages, "duty") == [100, 20, 0, 200]


def test_a_rotor_speed_fraction_goes_straight_to_the_rotor() -> None:
    speeds = setpoint([0.5, 0.1, 0.05, 1.0], 1.0, DriveStages(), "rotor_speed_fraction")
    assert speeds == [share * ROBOT.rotor_speed_max for share in (0.5, 0.1, 0.05, 1.0)]


@pytest.mark.parametrize("kind", ["thrust_fraction", "duty", "rotor_speed_fraction"])
def test_nominal_rotor_speed_is_the_whole_path_with_nothing_on(kind: str) -> None:
    robot = dataclasses.replace(ROBOT, actuation=kind)
    action = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
    volts = torch.full((2, 1), robot.voltage_nominal, dtype=torch.float64)
    whole = drive.rotor_speed_setpoint(robot, action, volts, OFF)
    torch.testing.assert_close(drive.nominal_rotor_speed(robot, action), whole)


def test_rounding_passes_the_gradient_straight_through() -> None:
    action = torch.tensor([[0.1, 0.2, -0.3, 0.4]], dtype=torch.float64, requires_grad=True)
    volts = torch.full((1, 1), 3.7, dtype=torch.float64)
    gradients = []
    for quantisation in (False, True):
        stages = dataclasses.replace(OFF, quantisation=quantisation, compensation=True)
        gradients += torch.autograd.grad(drive.rotor_speed_setpoint(ROBOT, action, volts, stages).sum(), action)
    assert torch.equal(*gradients)
    assert bool((gradients[0] > 0).all())
