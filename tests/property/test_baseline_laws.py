"""Laws of the classical controllers: weight, mixing, symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim import kernel, robot
from fledge_sim.robot import Robot
from fledge_train.baselines import allocation
from fledge_train.baselines.allocation import Allocation
from fledge_train.baselines.cascade import Cascade, CascadeGains
from fledge_train.baselines.geometric import Geometric, GeometricGains
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

ROBOTS = robot.names()
CONTROLLERS = (lambda r: Cascade(r, CascadeGains()), lambda r: Geometric(r, GeometricGains()))


def thrust_of(vehicle: Robot, action: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 4) [N], in steady state."""
    speed = kernel.setpoint_from_action(vehicle, action.T).T.astype(np.float64)
    c0, c1, c2 = vehicle.thrust_curve
    return c0 + speed * (c1 + c2 * speed)


@pytest.mark.parametrize("name", ROBOTS)
@pytest.mark.parametrize("make", CONTROLLERS)
def test_hover_balances_the_weight(name: str, make: type) -> None:
    vehicle = robot.load(name)
    level = np.zeros((1, 30), np.float32)
    level[0, [3, 7, 11]] = 1
    thrust = thrust_of(vehicle, make(vehicle).begin(1, 1).native(level))[0]
    assert np.allclose(thrust, vehicle.hover_thrust, rtol=1e-4)


@given(
    st.sampled_from(ROBOTS), st.floats(0.7, 1.2), st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(1, 1)
)
@settings(max_examples=60, deadline=None)
def test_what_the_rotors_can_give_is_given(name: str, lift: float, share: list[float], lead: float) -> None:
    """Small torques at moderate lift come back from the mixer as asked for."""
    vehicle = robot.load(name)
    collective = lift * vehicle.mass * vehicle.gravity
    reach = np.abs(np.asarray(vehicle.rotor_position)).min(axis=0)
    arms = np.array([reach[1], reach[0], vehicle.torque_per_thrust])
    torque = 0.02 * collective * arms * np.asarray(share)
    action = Allocation(vehicle, lead, 1, 0.01).action(np.array([collective]), torque[None])
    thrust = thrust_of(vehicle, action)[0]
    got = np.linalg.inv(allocation.inverse_mixer(vehicle)) @ thrust
    scale = np.array([1, *arms]) * collective
    assert np.allclose(got / scale, np.array([collective, *torque]) / scale, atol=2e-5)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_no_command_leaves_the_range(x: float, y: float, z: float, lift: float) -> None:
    vehicle = robot.load("crazyflie")
    weight = vehicle.mass * vehicle.gravity
    torque = np.array([[x, y, z]]) * weight * 0.0325
    action = Allocation(vehicle, 5.0, 1, 0.01).action(np.array([lift * weight]), torque)
    assert np.isfinite(action).all()
    assert np.abs(action).max() <= 1


@pytest.mark.parametrize("make", CONTROLLERS)
@given(st.lists(st.floats(-0.3, 0.3), min_size=9, max_size=9))
@settings(max_examples=30, deadline=None)
def test_a_mirror_exchanges_left_and_right(make: type, numbers: list[float]) -> None:
    """Reflected in the plane y = 0: M1 and M4 exchange their commands, as do M2 and M3."""
    vehicle = robot.load("crazyflie")
    x = np.asarray(numbers)
    seen = np.zeros((1, 30), np.float32)
    seen[0, [3, 7, 11]] = 1
    seen[0, :3], seen[0, 12:15], seen[0, 15:18] = x[:3], x[3:6], x[6:9]
    mirrored = seen.copy()
    mirrored[0, [1, 13, 15, 17]] *= -1  # y of positions and velocities, x and z of the turn
    one, other = (make(vehicle).begin(1, 1).native(each)[0] for each in (seen, mirrored))
    assert np.allclose(one, other[[3, 2, 1, 0]], atol=1e-5)
