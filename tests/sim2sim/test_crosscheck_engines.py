"""The quadrotor against MuJoCo and PyBullet: accelerations, free flight, the floor; and what a wrong model would do."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from fledge_sim import robot as robots
from fledge_sim.crosscheck import airframe, comparison, landing, mjcf, urdf
from fledge_sim.crosscheck.airframe import Body
from fledge_sim.crosscheck.comparison import Difference, Flights
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.robot import Robot

AIR = Physics(drag=True, battery=True)
NEAR_GROUND = Physics(drag=True, ground_effect=True)
Floats = tuple[float, ...]


@pytest.fixture(scope="module")
def crazyflie() -> Robot:
    return robots.load("crazyflie")


@pytest.fixture(params=["mujoco", "pybullet"])
def engines(request: pytest.FixtureRequest) -> ModuleType:
    pytest.importorskip(request.param, reason=f"{request.param} is not installed: pip install 'fledge[crosscheck]'")
    return importlib.import_module(f"fledge_sim.crosscheck.{request.param}")


@pytest.fixture
def mujoco() -> ModuleType:
    pytest.importorskip("mujoco", reason="mujoco is not installed: pip install 'fledge[crosscheck]'")
    return importlib.import_module("fledge_sim.crosscheck.mujoco")


@pytest.fixture
def pybullet() -> ModuleType:
    pytest.importorskip("pybullet", reason="pybullet is not installed: pip install 'fledge[crosscheck]'")
    return importlib.import_module("fledge_sim.crosscheck.pybullet")


def acceleration_error(engines: ModuleType, flights: Flights, physics: Physics, **options: object) -> float:
    """Largest difference to the readable dynamics, relative to the largest linear and angular acceleration."""
    want = comparison.acceleration(flights, physics)
    with engines.engine(physics, **options) as engine:
        got = engine.acceleration(flights.state, flights.setpoint[0], flights.parameters)
    parts = (slice(0, 3), slice(3, 6))
    return max(float(np.abs(got[part] - want[part]).max() / np.abs(want[part]).max()) for part in parts)


def free_flight(engines: ModuleType, flights: Flights, physics: Physics, timestep: float) -> np.ndarray:
    with engines.engine(physics, timestep=timestep) as engine:
        return comparison.fly(engine.step, flights)


def exact(flights: Flights, physics: Physics) -> np.ndarray:
    return comparison.fly(comparison.native_double(dataclasses.replace(physics, substeps=8)), flights)


def largest(difference: Difference) -> Floats:
    """Position [m], attitude [rad], velocity [m/s], angular velocity [rad/s]."""
    parts = (difference.position, difference.attitude, difference.velocity, difference.angular_velocity)
    return tuple(part.max for part in parts)


@pytest.mark.parametrize("name", ["crazyflie", "crazyflie_paper", "x500"])
def test_accelerations_agree(engines: ModuleType, name: str) -> None:
    """No integrator takes part: MuJoCo's forward dynamics; Bullet's change of velocity over 0.1 us."""
    tolerance = 1e-11 if engines.__name__.endswith("mujoco") else 1e-7
    robot = robots.load(name)
    thrown, low = comparison.thrown(robot, 20, 0.05), comparison.taking_off(robot, 20, 0.05)
    assert acceleration_error(engines, thrown, AIR) < tolerance
    assert acceleration_error(engines, low, NEAR_GROUND) < tolerance


def test_free_flight_in_mujoco(mujoco: ModuleType, crazyflie: Robot) -> None:
    flights = comparison.thrown(crazyflie, 10, 1.0)
    want = exact(flights, AIR)
    difference = comparison.difference(free_flight(mujoco, flights, AIR, 5e-3), want)
    assert all(np.array(largest(difference)) < (1e-5, 5e-5, 5e-5, 2e-4))
    assert float(np.abs(want[:, 10:13]).max()) > 10  # it did tumble


def test_the_kernel_in_single_precision_flies_as_mujoco(mujoco: ModuleType, crazyflie: Robot) -> None:
    flights = comparison.thrown(crazyflie, 10, 1.0)
    ours = comparison.fly(comparison.native(AIR), flights)
    difference = comparison.difference(ours, free_flight(mujoco, flights, AIR, 5e-3))
    assert all(np.array(largest(difference)) < (5e-4, 3e-3, 1e-3, 5e-3))


def test_take_off_in_mujoco(mujoco: ModuleType, crazyflie: Robot) -> None:
    flights = comparison.taking_off(crazyflie, 10, 0.3)
    difference = comparison.difference(free_flight(mujoco, flights, NEAR_GROUND, 2.5e-3), exact(flights, NEAR_GROUND))
    assert all(np.array(largest(difference)) < (1e-6, 1e-5, 1e-5, 1e-4))


def test_free_flight_in_pybullet_tends_to_ours(pybullet: ModuleType, crazyflie: Robot) -> None:
    """Bullet's step is of order 1: half the timestep, half the difference; extrapolated, little is left."""
    flights = comparison.thrown(crazyflie, 6, 0.5)
    want = exact(flights, AIR)
    coarse, fine = (free_flight(pybullet, flights, AIR, timestep) for timestep in (1e-3, 5e-4))
    errors = [np.array(largest(comparison.difference(flight, want))) for flight in (coarse, fine)]
    order = np.log2(errors[0] / errors[1])
    assert all(abs(order - 1) < 0.15)
    assert all(errors[1] < (2e-2, 0.3, 0.1, 1.5))  # at up to 30 rad/s
    left = np.array(largest(comparison.difference(comparison.extrapolated(coarse, fine), want)))
    assert all(left < errors[1] / 5)


@pytest.mark.parametrize("name", ["crazyflie", "x500"])
def test_the_floor_is_plausible(engines: ModuleType, name: str) -> None:
    """Contact models differ; where it rests, which side is up, how far it slides and how it climbs do not."""
    robot = robots.load(name)
    ours = landing.land(comparison.native(Physics(floor=True, substeps=20)), robot)
    with engines.engine(Physics(floor=True), timestep=1e-3) as engine:
        theirs = landing.land(engine.step, robot)
    slide = landing.expected_slide(robot, 0.6)
    for scene in (ours, theirs):
        assert abs(scene.rest_height - robot.leg_height) < 1.5e-3
        assert abs(scene.tipped_height - robot.rotor_height) < 1.5e-3
        assert scene.rest_tilt < 1e-3
        assert scene.tipped_tilt > np.pi - 1e-3
        assert abs(scene.slide_distance - slide) < 0.03 * slide
    assert abs(ours.climb - theirs.climb) < 1e-3 + 0.02 * theirs.climb


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'<site name="m1" pos="([^ ]+) ', r'<site name="m1" pos="-\1 '),
        (r'site="m2" gear="0 0 1 0 0 ', r'site="m2" gear="0 0 1 0 0 -'),
        (r'site="m3" gear="0 0 1 ', r'site="m3" gear="0 0 -1 '),
        (r'motor name="m1" site="m1"', r'motor name="m1" site="m2"'),
        (r'diaginertia="([^ ]+) ([^ ]+) ([^"]+)"', r'diaginertia="\3 \2 \1"'),
        (r'gravity="0 0 -', r'gravity="0 0 '),
        (r'mass="([^"]+)"', r'mass="0.03"'),
    ],
    ids=["rotor moved", "reaction reversed", "thrust reversed", "motors swapped", "axes swapped", "gravity", "mass"],
)
def test_a_wrong_mujoco_model_is_noticed(mujoco: ModuleType, crazyflie: Robot, old: str, new: str) -> None:
    flights = comparison.thrown(crazyflie, 4, 0.05)
    assert acceleration_error(mujoco, flights, AIR, emit=mutated(mjcf.emit, old, new)) > 1e-3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'<child link="m1"/><origin xyz="([^ ]+) ', r'<child link="m1"/><origin xyz="-\1 '),
        (r'(<child link="m2"/>.*)<axis xyz="0 0 ', r'\1<axis xyz="0 0 -'),
        (r'ixx="([^"]+)" iyy="([^"]+)" izz="(?!0")([^"]+)"', r'ixx="\3" iyy="\2" izz="\1"'),
        (r'<mass value="(?!0")[^"]+"', r'<mass value="0.03"'),
        (r'<inertial><mass value="0"/><inertia [^>]*/></inertial>', ""),
    ],
    ids=["rotor moved", "reaction reversed", "axes swapped", "mass", "links weigh a kilogram"],
)
def test_a_wrong_pybullet_model_is_noticed(pybullet: ModuleType, crazyflie: Robot, old: str, new: str) -> None:
    flights = comparison.thrown(crazyflie, 4, 0.05)
    assert acceleration_error(pybullet, flights, AIR, emit=mutated(urdf.emit, old, new)) > 1e-3


def mutated(emit: Callable[..., str], old: str, new: str) -> Callable[..., str]:
    """The generator with every match in its text replaced, and the replacement must happen."""

    def wrong(body: Body, *options: object) -> str:
        text, count = re.subn(old, new, emit(body, *options))
        assert count > 0
        return text.replace("--", "")  # minus minus

    return wrong


def test_state_given_back_is_the_state_put_in(engines: ModuleType, crazyflie: Robot) -> None:
    """Frames and order of components: after a nanosecond nothing has moved."""
    flights = comparison.thrown(crazyflie, 5, 0.05)
    with engines.engine(Physics()) as engine:
        after = engine.step(flights.state, flights.setpoint[0], flights.parameters, 1e-9)
    assert np.abs(after - flights.state).max() < 1e-3  # rotor speeds move by up to 1e5 rad/s per second
    assert np.abs(after[:13] - flights.state[:13]).max() < 1e-6


def test_a_body_that_changes_between_steps_is_built_anew(engines: ModuleType, crazyflie: Robot) -> None:
    flights = comparison.thrown(crazyflie, 1, 0.05)
    heavier = flights.parameters.copy()
    heavier[0] /= 2  # the inverse of the mass
    with engines.engine(Physics()) as engine:
        engine.step(flights.state, flights.setpoint[0], flights.parameters, 0.01)
        second = engine.step(flights.state, flights.setpoint[0], heavier, 0.01)
    with engines.engine(Physics()) as engine:
        fresh = engine.step(flights.state, flights.setpoint[0], heavier, 0.01)
    assert np.array_equal(second, fresh)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_those_of_the_kernel(engines: ModuleType, crazyflie: Robot, dtype: type[np.floating]) -> None:
    flights = comparison.thrown(crazyflie, 2, 0.05)
    with engines.engine(Physics()) as engine:
        after = engine.step(flights.state.astype(dtype), flights.setpoint[0], flights.parameters, 0.01)
    assert after.shape == (17, 2)
    assert after.dtype == dtype


def test_bad_arguments_are_named(engines: ModuleType, crazyflie: Robot) -> None:
    flights = comparison.thrown(crazyflie, 2, 0.05)
    state, setpoint, parameters = flights.state, flights.setpoint[0], flights.parameters
    with pytest.raises(FledgeError, match="timestep is 0"):
        engines.engine(Physics(), timestep=0.0)
    with engines.engine(Physics()) as engine:
        with pytest.raises(FledgeError, match="setpoint has shape"):
            engine.step(state, setpoint[:, :1], parameters, 0.01)
        with pytest.raises(FledgeError, match="dt is"):
            engine.step(state, setpoint, parameters, float("nan"))
        with pytest.raises(FledgeError, match="state holds a number that is not finite"):
            engine.step(state * np.nan, setpoint, parameters, 0.01)


def test_models_of_every_robot_load(engines: ModuleType) -> None:
    for name in robots.names():
        flights = comparison.thrown(robots.load(name), 1, 0.05)
        with engines.engine(Physics(floor=True)) as engine:
            assert np.isfinite(engine.step(flights.state, flights.setpoint[0], flights.parameters, 0.01)).all()


def test_the_model_says_what_the_robot_file_says(crazyflie: Robot) -> None:
    body, _ = airframe.of_robot(crazyflie)
    assert abs(body.mass - crazyflie.mass) < 1e-8
    assert 'mass="0.031' in mjcf.emit(body)
    assert urdf.emit(body).count("<joint") == 4
    assert mjcf.emit(body, True).count('<geom name="') == 1 + 8
