"""The actuation path of the native kernel and its reverse sweep against the readable text and float64 autograd."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from fledge_sim import actuation, drive
from fledge_sim import robot as robots
from fledge_sim.drive import DriveStages
from fledge_sim.robot import Robot

N = 501
STAGES = [DriveStages(*on) for on in itertools.product((False, True), repeat=3)]
CRAZYFLIE = robots.load("crazyflie")
ROBOTS = {
    "thrust": CRAZYFLIE,
    "thrust from 0": dataclasses.replace(CRAZYFLIE, fraction_low=0.0, thrust_curve=(0.0, 0.0, 1.4e-8)),
    "duty": dataclasses.replace(CRAZYFLIE, actuation="duty"),
    "rotor speed": robots.load("crazyflie_paper"),
}


def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Actions, some beyond the range; voltages, low enough for some motors to saturate; adjoints."""
    generator = np.random.default_rng(1)
    action, adjoint = generator.uniform(-1.2, 1.2, (4, N)), generator.normal(size=(4, N))
    voltage = generator.uniform(1.6, 4.2, (1, N))
    return tuple(x.astype(np.float32) for x in (action, voltage, adjoint))  # type: ignore[return-value]


@pytest.mark.parametrize("stages", STAGES, ids=lambda s: "+".join(name for name, on in vars(s).items() if on) or "none")
@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS.keys())
def test_native_drive_and_its_adjoint_equal_the_readable_text(robot: Robot, stages: DriveStages) -> None:
    action, voltage, adjoint = sample()
    leaf = torch.from_numpy(action).double().requires_grad_()
    expected = drive.rotor_speed_setpoint(robot, leaf, torch.from_numpy(voltage).double(), stages, dim=0)
    (gradient,) = torch.autograd.grad((expected * torch.from_numpy(adjoint)).sum(), leaf)

    found = actuation.actuate(robot, action, voltage, **vars(stages))
    error = np.abs(found - expected.detach().numpy())
    level = robot.speed_per_volt * voltage / (robot.pwm_levels - 1)
    exact = error < 2e-3  # of some 3000 rad/s
    assert exact.mean() > (0.999 if stages.quantisation else 0.9999)
    assert (error < (1.01 * level if stages.quantisation else 2e-3)).all()  # a rounding may fall the other way

    found_gradient = actuation.actuate_adjoint(robot, action, voltage, adjoint, **vars(stages))
    scale = np.abs(gradient.numpy()).max()
    assert (np.abs(found_gradient - gradient.numpy()) < 2e-6 * scale).all()


def test_the_samples_reach_every_branch() -> None:
    action, voltage, _ = (torch.from_numpy(x).double() for x in sample())
    robot = ROBOTS["thrust from 0"]
    f = drive.fraction(robot, action)
    speed = drive.rotor_speed_of_thrust(robot, f * robot.thrust_max)
    duty = speed / (robot.speed_per_volt * voltage)
    reduced = drive.reduce_all(duty, 0)
    for branch in (f < robot.thrust_min_fraction, duty > 1, (reduced == 0) & (duty > 0), (action.abs() > 1)):
        assert 10 < int(branch.sum()) < 4 * N - 10
