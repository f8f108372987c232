"""The flight code in C against an independent text: same physical state, same answers, at every rate and any yaw."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fledge_hil.board import BoardInput, HostBoard, Reference, SetpointMode, build_board
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim import tasks, trajectories
from fledge_sim.contract import Contract, TrainingRecord
from fledge_sim.policy import Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights
from numpy.typing import NDArray

Vector = NDArray[np.float64]
ACTORS = {
    "gru": ActorConfig(),
    "mlp with history": ActorConfig(kind="mlp", hidden=(16, 16), history=3),
}
TOLERANCE = 2e-5
"""On actions: float32 in C against float64 here."""


WithLookAhead = Callable[..., Contract]
COUNT, SPACING = 5, 0.05
"""Future references, and [s] from one to the next."""


def make_contract(actor: ActorConfig, seed: int = 0) -> Contract:
    return contract_of(robots.load("crazyflie"), actor, SensorConfig(), TrainingRecord("none", seed, "test"))


def make_policy(actor: ActorConfig, seed: int = 0) -> Policy:
    contract = make_contract(actor, seed)
    return policies.assemble(contract, initial_weights(contract, 1.0, seed))


@dataclass
class State:
    """Physical state and set-point, SI, world frame; roll, pitch, yaw [rad]."""

    position: Vector
    velocity: Vector
    angles: Vector
    angular_velocity: Vector
    target: Vector
    target_velocity: Vector

    def rotation(self) -> Vector:
        """R_z(yaw) R_y(pitch) R_x(roll), multiplied out of elementary rotations."""
        roll, pitch, yaw = self.angles
        return about(2, yaw) @ about(1, pitch) @ about(0, roll)

    def fill(self, message: BoardInput) -> None:
        flight = message.flight
        flight.position_world[:] = self.position.tolist()
        flight.velocity_world[:] = self.velocity.tolist()
        flight.quaternion_xyzw[:] = quaternion_xyzw(self.angles)
        flight.gyro_deg_s[:] = np.degrees(self.angular_velocity).tolist()
        flight.setpoint_position_world[:] = self.target.tolist()
        flight.setpoint_velocity_world[:] = self.target_velocity.tolist()


def about(axis: int, angle: float) -> Vector:
    c, s = math.cos(angle), math.sin(angle)
    rotation = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation[i, i] = rotation[j, j] = c
    rotation[i, j], rotation[j, i] = -s, s
    return rotation


def quaternion_xyzw(angles: Vector) -> list[float]:
    """Product of the three half-angle quaternions, written out."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(angles / 2), np.sin(angles / 2)
    return [
        float(sr * cp * cy - cr * sp * sy),
        float(cr * sp * cy + sr * cp * sy),
        float(cr * cp * sy - sr * sp * cy),
        float(cr * cp * cy + sr * sp * sy),
    ]


def sample(generator: np.random.Generator) -> State:
    """Inside the contract's envelope, tilted by up to 60 degrees."""
    target = generator.normal(0, 5, 3)
    return State(
        position=target + generator.uniform(-0.5, 0.5, 3),
        velocity=generator.uniform(-2, 2, 3),
        angles=generator.uniform(-1, 1, 3) * (1.0, 1.0, math.pi),
        angular_velocity=generator.uniform(-10, 10, 3),
        target=target,
        target_velocity=generator.uniform(-1, 1, 3),
    )


@dataclass
class ReferenceFlight:
    """What the firmware should do: observation relative to the yaw at take-over, native steps every 10 ms.

    An inference between them is of the state that the native steps would have had 10 ms before.
    """

    policy: Policy
    yaw: float
    before: Vector = field(init=False)
    state: Vector = field(init=False)
    history: list[Vector] = field(init=False)
    window: list[Vector] = field(default_factory=list)

    def __post_init__(self) -> None:
        contract = self.policy.contract
        self.before = self.state = np.zeros(contract.recurrent_size)
        self.history = [np.full(4, contract.action.hover)] * contract.history_length

    @property
    def calls(self) -> int:
        """Inferences per native step."""
        return self.policy.contract.inference_rate // self.policy.contract.native_rate

    def observe(self, state: State, future: Sequence[tuple[Vector, Vector]] = ()) -> Vector:
        to_heading = about(2, -self.yaw)
        ahead = [
            to_heading @ (r - x) for at in future for r, x in zip(at, (state.position, state.velocity), strict=True)
        ]
        parts = [
            to_heading @ (state.position - state.target),
            (to_heading @ state.rotation()).ravel(),
            to_heading @ (state.velocity - state.target_velocity),
            state.angular_velocity,
            *ahead,
            *self.past_actions(),
        ]
        return np.concatenate(parts)

    def past_actions(self) -> list[Vector]:
        """The newest is the mean of what was given since the last native step began."""
        newest = [np.mean(self.window, axis=0)] if self.window else []
        return (self.history + newest)[-self.policy.contract.history_length or len(self.history + newest) :]

    def infer(self, state: State, native: bool, future: Sequence[tuple[Vector, Vector]] = ()) -> Vector:
        later = 1 if native else len(self.window) / self.calls
        recalled = (1 - later) * self.before + later * self.state
        action, following = policies.forward(self.policy, self.observe(state, future), recalled)
        if native:
            self.history, self.window = self.past_actions(), []
            self.before, self.state = self.state, following
        self.window.append(action)
        return action


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where boards are built."""
    return tmp_path_factory.mktemp("boards")


@pytest.mark.parametrize("actor", ACTORS.values(), ids=ACTORS.keys())
@pytest.mark.parametrize("yaw", [0.0, 2.0, -3.0])
def test_action_equals_reference_at_every_inference(actor: ActorConfig, yaw: float, cache: Path) -> None:
    policy = make_policy(actor)
    board = HostBoard(build_board(policy, cache).library)
    generator = np.random.default_rng(7)
    reference = ReferenceFlight(policy, yaw)
    message = BoardInput(motors_allowed=1)
    message.flight.enable, message.flight.setpoint_mode = 1, SetpointMode.POSITION
    for tick in range(120):
        state = sample(generator)
        if tick == 0:
            state.angles[2] = yaw
        message.flight.time_ms = 5000 + tick
        state.fill(message)
        output = board.tick(message)
        assert output.flight.controls_motors == 1
        if tick % 2 == 0:
            expected = reference.infer(state, native=tick % 10 == 0)
        np.testing.assert_allclose(output.flight.action[:], expected, atol=TOLERANCE)
    assert (output.flight.inferences, output.flight.native_steps) == (60, 12)


def test_turning_the_world_changes_no_action(cache: Path) -> None:
    """Position, velocity, targets and yaw turned together about z, before take-over: the policy cannot tell."""
    library = build_board(make_policy(ACTORS["gru"]), cache).library
    turn = about(2, 1.2345)

    def fly(turned: bool) -> list[list[float]]:
        board, generator, actions = HostBoard(library), np.random.default_rng(3), []
        message = BoardInput(motors_allowed=1)
        message.flight.enable, message.flight.setpoint_mode = 1, SetpointMode.POSITION
        for tick in range(60):
            state = sample(generator)
            if turned:
                vectors = ("position", "velocity", "target", "target_velocity")
                rotated = {name: turn @ getattr(state, name) for name in vectors}
                state = dataclasses.replace(state, **rotated, angles=state.angles + np.array([0, 0, 1.2345]))
            message.flight.time_ms = tick + 1
            state.fill(message)
            actions.append(list(board.tick(message).flight.action))
        return actions

    np.testing.assert_allclose(fly(True), fly(False), atol=TOLERANCE)


def looking_ahead(with_look_ahead: WithLookAhead, actor: ActorConfig) -> Policy:
    contract = with_look_ahead(make_contract(actor), COUNT, SPACING)
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


@pytest.mark.parametrize("actor", ACTORS.values(), ids=ACTORS.keys())
@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_a_streamed_setpoint_is_taken_to_go_on(
    actor: ActorConfig, yaw: float, with_look_ahead: WithLookAhead, cache: Path
) -> None:
    policy = looking_ahead(with_look_ahead, actor)
    board = HostBoard(build_board(policy, cache).library)
    generator, reference = np.random.default_rng(8), ReferenceFlight(policy, yaw)
    message = BoardInput(motors_allowed=1)
    message.flight.enable, message.flight.setpoint_mode = 1, SetpointMode.POSITION
    for tick in range(60):
        state = sample(generator)
        state.angles[2] = yaw if tick == 0 else state.angles[2]
        message.flight.time_ms = 5000 + tick
        state.fill(message)
        output = board.tick(message)
        times = SPACING * np.arange(1, COUNT + 1)
        if tick % 2 == 0:
            future = [(state.target + time * state.target_velocity, state.target_velocity) for time in times]
            expected = reference.infer(state, tick % 10 == 0, future)
        np.testing.assert_allclose(output.flight.action[:], expected, atol=TOLERANCE)


LEFT, END = 3000, 8000
"""Ticks: the figure-eight is left, and has long come to rest."""


def test_on_the_figure_eight_it_sees_what_the_reference_will_do(with_look_ahead: WithLookAhead, cache: Path) -> None:
    """The future is written down from a flight before: speed ramp, full speed, braking, rest at the centre."""
    policy = looking_ahead(with_look_ahead, ActorConfig(kind="mlp", hidden=(16, 16)))
    library = build_board(policy, cache).library
    message = BoardInput(motors_allowed=1)
    flight = message.flight
    flight.enable, flight.setpoint_mode, flight.quaternion_xyzw[3] = 1, SetpointMode.POSITION, 1
    flight.figure_eight_period, flight.figure_eight_scale = 5.5, 1.0

    def fly(board: HostBoard, tick: int) -> tuple[list[float], list[float], list[float]]:
        flight.time_ms = tick + 1
        flight.reference = Reference.FIGURE_EIGHT if tick < LEFT else Reference.COMMANDER
        output = board.tick(message).flight
        return output.reference_position_world[:], output.reference_velocity_world[:], output.action[:]

    first = HostBoard(library)
    written = np.array([fly(first, tick)[:2] for tick in range(END)])
    assert np.abs(written[:LEFT, 0]).max() > 0.9
    np.testing.assert_array_equal(written[-100:], 0)
    curve = tasks.figure_eight(np.array([5.5]), np.array([1.0]), np.array([math.pi / 2]))
    for tick in range(2000, LEFT, 50):  # the ramp of 2 s has cost one second
        np.testing.assert_allclose(written[tick, 0], curve.position(tick / 1000 - 1)[:, 0], atol=2e-3)
        np.testing.assert_allclose(written[tick, 1], curve.velocity(tick / 1000 - 1)[:, 0], atol=2e-3)
    steps = [round(1000 * SPACING * (i + 1)) for i in range(COUNT)]
    second, reference = HostBoard(library), ReferenceFlight(policy, 0.0)
    for tick in range(END - steps[-1]):
        *_, action = fly(second, tick)
        if tick % 2 or tick < LEFT <= tick + steps[-1]:  # nobody knows yet that it will be left
            continue
        target, velocity = written[tick]
        state = State(*np.zeros((4, 3)), target=target, target_velocity=velocity)
        future = [(written[tick + step, 0], written[tick + step, 1]) for step in steps]
        expected = reference.infer(state, tick % 10 == 0, future)
        np.testing.assert_allclose(action, expected, atol=20 * TOLERANCE, err_msg=f"tick {tick}")


def test_the_walk_of_the_board_is_that_of_the_simulator(cache: Path) -> None:
    """Same way points, same position and velocity, from the start to the rest at the last one."""
    points = np.array([[0.0, 0, 0], [0.5, 0, 0.1], [0.5, 0.4, 0], [-0.3, 0.4, 0.2]])
    walk = trajectories.Waypoints(points[:, :, None], np.array([1.2]), np.array([0.3]))
    board = HostBoard(build_board(make_policy(ACTORS["gru"]), cache).library)
    message = BoardInput(motors_allowed=1)
    flight = message.flight
    flight.enable, flight.setpoint_mode, flight.quaternion_xyzw[3] = 1, SetpointMode.POSITION, 1
    flight.reference, flight.waypoint_count = Reference.WAYPOINTS, len(points) - 1
    flight.waypoint_move, flight.waypoint_hold = 1.2, 0.3
    flight.waypoints[: points[1:].size] = points[1:].ravel().tolist()
    for tick in range(5500):
        flight.time_ms = tick + 1
        output = board.tick(message).flight
        assert output.controls_motors == 1
        np.testing.assert_allclose(output.reference_position_world[:], walk.position(tick / 1000)[:, 0], atol=2e-6)
        np.testing.assert_allclose(output.reference_velocity_world[:], walk.velocity(tick / 1000)[:, 0], atol=2e-5)
    assert output.reference_over
