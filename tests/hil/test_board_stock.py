"""The stock controller flies the simulated robot: take-off, hover, landing, steps, tumbles and unknown positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_hil.board import BoardInput, HostBoard, SetpointMode, build_board
from fledge_sim import kernel
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter, State
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights
from numpy.typing import NDArray

ROBOTS = ("crazyflie", "crazyflie_paper")
Trace = NDArray[np.float32]


class Rig:
    """A board whose policy is never enabled, closed over the native plant at 1 kHz."""

    def __init__(self, robot: Robot, library: Path, *, floor: bool = True) -> None:
        self.robot, self.floor = robot, floor
        self.velocity_known = True
        self.board = HostBoard(library)
        self.message = BoardInput(motors_allowed=1)
        self.parameters = kernel.parameter_rows(robot, 1).copy()
        self.state = kernel.hover_state(robot, 1)

    def on_ground(self) -> Rig:
        self.state[State.ROTOR_SPEED :] = 0
        self.state[State.POSITION + 2] = self.robot.leg_height
        return self

    def go_to(self, x: float, y: float, z: float, yaw_deg: float = 0) -> None:
        self.message.flight.setpoint_mode = SetpointMode.POSITION
        self.message.flight.setpoint_position_world[:] = (x, y, z)
        self.message.setpoint_yaw_deg = yaw_deg

    def run(self, seconds: float, noise: float = 0) -> Trace:
        """Trace (ticks, 17) of the true state; `noise` 1: gyro 2 deg/s, velocity 1 cm/s, position 2 mm."""
        generator = np.random.default_rng(0)
        trace = []
        for _ in range(round(seconds * 1000)):
            self.sense(noise * generator.standard_normal(9))
            fractions = self.board.tick(self.message).motor_fraction[:]
            speeds = self.rotor_speeds(np.array(fractions))
            self.state = kernel.step(
                self.state, speeds, self.parameters, 1e-3, physics=kernel.Physics(floor=self.floor)
            )
            trace.append(self.state[:, 0])
        return np.array(trace)

    def sense(self, noise: NDArray[np.float64]) -> None:
        flight, x = self.message.flight, self.state[:, 0].astype(np.float64)
        w, i, j, k = x[3:7].tolist()
        flight.time_ms += 1
        flight.position_world[:] = (x[0:3] + 0.002 * noise[0:3]).tolist()
        flight.velocity_world[:] = (x[7:10] + 0.01 * noise[3:6]).tolist()
        if not self.velocity_known:
            flight.velocity_world[0] = math.nan
        flight.quaternion_xyzw[:] = (i, j, k, w)
        flight.gyro_deg_s[:] = (np.degrees(x[10:13]) + 2 * noise[6:9]).tolist()

    def rotor_speeds(self, fraction: NDArray[np.float64]) -> NDArray[np.float32]:
        """Actuation of docs/dynamics.md; a motor at 0 stands still."""
        robot, (c0, c1, c2) = self.robot, self.robot.thrust_curve
        speed = fraction * robot.full_scale
        if robot.actuation == "thrust_fraction":
            speed = (-c1 + np.sqrt(c1 * c1 + 4 * c2 * (speed - c0))) / (2 * c2)
        return np.where(fraction > 0, speed, 0).astype(np.float32)[:, None]


MakeRig = Callable[..., Rig]


@pytest.fixture(scope="module")
def make_rig(tmp_path_factory: pytest.TempPathFactory) -> MakeRig:
    cache = tmp_path_factory.mktemp("boards")

    def make(name: str, *, floor: bool = True) -> Rig:
        robot = robots.load(name)
        contract = contract_of(robot, ActorConfig(), SensorConfig(), TrainingRecord("none", 0, "test"))
        policy = policies.assemble(contract, initial_weights(contract, 0.2, 0))
        return Rig(robot, build_board(policy, cache).library, floor=floor)

    return make


def distance(trace: Trace, target: tuple[float, float, float]) -> NDArray[np.float64]:
    error: NDArray[np.float64] = np.linalg.norm(trace[:, 0:3] - np.array(target), axis=1)
    return error


def tilt_deg(trace: Trace) -> NDArray[np.float64]:
    return np.degrees(np.arccos(np.clip(1 - 2 * (trace[:, 4] ** 2 + trace[:, 5] ** 2), -1, 1)))


@pytest.mark.parametrize("name", ROBOTS)
def test_takes_off_hovers_and_lands(make_rig: MakeRig, name: str) -> None:
    rig = make_rig(name).on_ground()
    rig.go_to(0, 0, 0.5)
    up = rig.run(6, noise=1)
    assert up[:, 2].max() < 0.65
    assert distance(up[-1000:], (0, 0, 0.5)).max() < 0.02
    for height in np.linspace(0.5, 0, 30):
        rig.go_to(0, 0, float(height))
        rig.run(0.1, noise=1)
    rig.message.flight.setpoint_mode = SetpointMode.NONE
    down = rig.run(1)
    assert abs(down[-1, 2] - rig.robot.leg_height) < 0.002
    assert tilt_deg(down)[-1] < 1
    assert distance(down, (0, 0, 0))[-1] < 0.05


@pytest.mark.parametrize("name", ROBOTS)
def test_follows_a_step_and_a_turn(make_rig: MakeRig, name: str) -> None:
    rig = make_rig(name, floor=False)
    rig.go_to(1, -0.5, 0.3, yaw_deg=90)
    trace = rig.run(6)
    assert distance(trace[-500:], (1, -0.5, 0.3)).max() < 0.02
    assert trace[:, 0].max() < 1.15
    w, x, y, z = trace[-1, 3:7].astype(float)
    assert math.degrees(math.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))) == pytest.approx(90, abs=1)


@pytest.mark.parametrize("lag", [0.05, 0.15])
def test_tolerates_other_rotors_and_unequal_thrust(make_rig: MakeRig, lag: float) -> None:
    rig = make_rig("crazyflie").on_ground()
    rig.parameters[Parameter.LAG_RISE_INVERSE : Parameter.DRAG] = 1 / lag
    rig.parameters[Parameter.THRUST_SCALE : Parameter.TORQUE_PER_THRUST, 0] = (1.0, 0.94, 1.03, 0.97)
    rig.go_to(0, 0, 0.5)
    assert distance(rig.run(10, noise=1)[-1000:], (0, 0, 0.5)).max() < 0.03


@pytest.mark.parametrize("name", ROBOTS)
def test_catches_a_tumble_in_mid_air(make_rig: MakeRig, name: str) -> None:
    """Tilted 40 degrees, turning at 170 deg/s, moving at 1.5 m/s: about the worst the guard lets happen in hover."""
    rig = make_rig(name, floor=False)
    rig.state[State.QUATERNION : State.VELOCITY, 0] = (math.cos(0.35), math.sin(0.35), 0, 0)
    rig.state[State.VELOCITY : State.ANGULAR_VELOCITY, 0] = (1, 1, -0.5)
    rig.state[State.ANGULAR_VELOCITY : State.ROTOR_SPEED, 0] = (2, -2, 1)
    rig.go_to(0, 0, 0)
    trace = rig.run(5)
    assert distance(trace, (0, 0, 0)).max() < 0.8
    assert distance(trace[-500:], (0, 0, 0)).max() < 0.05


def test_velocity_and_attitude_setpoints(make_rig: MakeRig) -> None:
    rig = make_rig("crazyflie", floor=False)
    rig.message.flight.setpoint_mode = SetpointMode.VELOCITY
    rig.message.flight.setpoint_velocity_world[:] = (0.5, 0, 0.2)
    rig.message.setpoint_yaw_rate_deg_s = 45
    trace = rig.run(3)
    np.testing.assert_allclose(trace[-1, 7:10], (0.5, 0, 0.2), atol=0.05)
    assert math.degrees(float(trace[-1, 12])) == pytest.approx(45, abs=2)

    level = make_rig("crazyflie", floor=False)
    level.message.flight.setpoint_mode = SetpointMode.ATTITUDE
    level.message.setpoint_attitude_deg[:] = (0, 10)
    level.message.setpoint_thrust_fraction = level.robot.hover_thrust / level.robot.thrust_max
    trace = level.run(1)
    assert tilt_deg(trace)[-1] == pytest.approx(10, abs=0.5)
    assert trace[-1, 7] > 0.8  # nose down: forward, g tan 10 deg = 1.7 m/s^2
    level.message.setpoint_attitude_deg[:] = (10, 0)
    assert level.run(1)[-1, 8] < -0.8  # left side up: to the right


def test_a_lost_position_means_level_and_down(make_rig: MakeRig) -> None:
    """With the set-point unknown it goes straight down at 0.3 m/s; it does not stop the motors or drift away."""
    rig = make_rig("crazyflie", floor=False)
    rig.go_to(3, 0, 0)
    rig.message.flight.setpoint_position_world[0] = math.nan
    trace = rig.run(3)
    assert tilt_deg(trace).max() < 1
    assert trace[-1, 9] == pytest.approx(-0.3, abs=0.03)


def test_a_lost_velocity_means_level_and_sink(make_rig: MakeRig) -> None:
    """Blind: thrust of 0.95 weights, so 0.05 g down, 1 m/s after 2 s."""
    rig = make_rig("crazyflie", floor=False)
    rig.go_to(3, 0, 0)
    rig.velocity_known = False
    trace = rig.run(2)
    assert tilt_deg(trace).max() < 1
    assert trace[-1, 9] == pytest.approx(-0.05 * 9.81 * 2, abs=0.15)


def test_nothing_reaches_motors_that_are_not_allowed(make_rig: MakeRig) -> None:
    rig = make_rig("crazyflie")
    rig.go_to(0, 0, 1)
    rig.run(0.01)
    assert min(rig.board.tick(rig.message).motor_fraction) > 0.1
    rig.message.motors_allowed = 0
    assert rig.board.tick(rig.message).motor_fraction[:] == [0, 0, 0, 0]
    rig.message.motors_allowed, rig.message.flight.setpoint_mode = 1, SetpointMode.NONE
    assert rig.board.tick(rig.message).motor_fraction[:] == [0, 0, 0, 0]


def test_a_mirrored_plant_does_not_fly(make_rig: MakeRig) -> None:
    """The other tests can fail: with left and right swapped the same controller loses the drone."""
    rig = make_rig("crazyflie", floor=False)
    rig.parameters[Parameter.ROTOR_Y : Parameter.THRUST_CURVE] *= -1
    rig.go_to(0.3, 0.3, 0)
    assert distance(rig.run(3), (0.3, 0.3, 0)).max() > 2
