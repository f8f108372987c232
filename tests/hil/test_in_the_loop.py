"""Hardware in the loop through the app channel of the virtual Crazyflie, on the host build and on the emulated chip."""

from __future__ import annotations

import dataclasses
import math
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cflib.crazyflie import Crazyflie
from fledge_hil import injection
from fledge_hil.board import Board, BoardInput, EmulatedBoard, Guard, HostBoard, SetpointMode, build_board
from fledge_hil.crtp import Port, packet
from fledge_hil.injection import Answer, InjectedState, Mode, Ready, Refusal, RefusalReason, Reply, Schedule, TargetSet
from fledge_hil.link import APP_CHANNEL
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import kernel
from fledge_sim import robot as robots
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy
from fledge_sim.robot import rotor_speed_from_thrust
from fledge_sim.rows import State, hover_state, parameter_rows
from hypothesis import given, settings
from hypothesis import strategies as st

MakeDrone = Callable[..., VirtualCrazyflie]
LEVEL = InjectedState((0, 0, 1), (0, 0, 0), (0, 0, 0, 1), (0, 0, 0))
ON_TARGET = (0.0, 0.0, 1.0)


class Client:
    """Talks on the app channel; one millisecond of device time per `step`."""

    def __init__(self, drone: VirtualCrazyflie) -> None:
        self.drone = drone
        self.console = ""
        self._runs = 200

    def set(self, name: str, value: float) -> None:
        number = self.drone.parameters.toc.index[name]
        data = struct.pack("<H", number) + self.drone.parameters[name].layout.pack(value)
        self.drone.handle_packet(packet(Port.PARAM, 2, data))

    def start(self, mode: Mode = Mode.INJECTED, schedule: Schedule = Schedule.LOCKSTEP, period_ms: int = 1) -> Ready:
        self.set("fledge.hil", mode)
        self.set("fledge.enable", 1)
        self._runs += 1  # the same number again would be the same run
        assert self.send(injection.encode_begin(self._runs, schedule, period_ms)) == []
        (ready,) = self.step()
        assert isinstance(ready, Ready)
        return ready

    def send(self, *packets: bytes) -> list[Reply]:
        answers = []
        for data in packets:
            answers += self.drone.handle_packet(packet(Port.PLATFORM, APP_CHANNEL, data))
        return [injection.parse_reply(answer[1:]) for answer in answers]

    def step(self, count: int = 1) -> list[Reply]:
        replies = []
        for _ in range(count):
            for datagram in self.drone.step_ms():
                if datagram[0] >> 4 == Port.CONSOLE:
                    self.console += datagram[1:].decode()
                elif datagram[0] >> 4 == Port.PLATFORM:
                    replies.append(injection.parse_reply(datagram[1:]))
            assert self.drone.fractions == [0.0] * 4 or not self.drone.parameters["fledge.hil"].value
        return replies

    def ask(self, sequence: int, state: InjectedState, *, exact: bool = False, period_ms: int = 1) -> Answer:
        encode = injection.encode_exact_state(sequence, state) if exact else (injection.encode_state(sequence, state),)
        assert self.send(*encode) == []
        (answer,) = self.step(period_ms)
        assert isinstance(answer, Answer)
        return answer


@pytest.fixture
def client(drone: VirtualCrazyflie) -> Client:
    return Client(drone)


def random_state(generator: np.random.Generator) -> InjectedState:
    q = np.array([0, 0, 0, 1]) + generator.normal(0, 0.1, 4)
    vectors = [tuple(map(float, generator.normal(0, s, 3))) for s in (0.1, 0.3, 30)]
    x, y, z = vectors[0]
    return InjectedState((x, y, 1 + z), vectors[1], tuple(map(float, q / np.linalg.norm(q))), vectors[2])  # type: ignore[arg-type]


def put(message: BoardInput, state: InjectedState) -> None:
    """What the board is to sense, without any packet."""
    flight = message.flight
    flight.position_world[:], flight.velocity_world[:] = state.position_world, state.velocity_world
    flight.quaternion_xyzw[:], flight.gyro_deg_s[:] = state.quaternion_xyzw, state.gyro_deg_s


@pytest.mark.parametrize("make", ["host", "emulated"])
def test_injected_states_fly_with_the_bits_of_the_flight_code(
    make: str, trained_policy: Policy, board_cache: Path
) -> None:
    """Over packets and over a plain call: the same motor fractions to the last bit, take-over included."""
    files = build_board(trained_policy, board_cache)
    board: Board = HostBoard(files.library) if make == "host" else EmulatedBoard(files.elf)
    robot = robots.load(trained_policy.contract.robot)
    client, plain = Client(VirtualCrazyflie(robot, trained_policy.contract, board)), HostBoard(files.library)
    assert client.start(period_ms=2).contract_hash == int(trained_policy.contract.sha256[:8], 16)
    assert client.send(injection.encode_target(1, ON_TARGET)) == [TargetSet(1)]
    message = BoardInput(motors_allowed=1)
    message.flight.setpoint_mode = SetpointMode.POSITION
    message.flight.setpoint_position_world[:] = ON_TARGET
    message.flight.time_ms = 1
    plain.tick(message)  # the tick of the begin packet: not enabled
    message.flight.enable = 1
    generator, flown = np.random.default_rng(0), 0
    for sequence in range(150):
        state = random_state(generator)
        put(message, state)
        for age_ms in range(2):
            message.flight.time_ms += 1
            message.flight.state_age_ms = message.flight.setpoint_age_ms = age_ms
            expected = plain.tick(message)
        answer = client.ask(sequence, state, exact=True, period_ms=2)
        assert answer.motor_fraction == tuple(expected.motor_fraction)
        assert (answer.guard, answer.controls_motors) == (expected.flight.guard, bool(expected.flight.controls_motors))
        assert answer.ticks == 2 * (sequence + 1)
        flown += answer.controls_motors
    assert flown > 100


def simulated_flight(client: Client, policy: Policy, gyro_sign: float) -> tuple[np.ndarray[Any, Any], list[Answer]]:
    """The physics here, the flight code there: 3 s in lockstep at 500 Hz, from 10 cm beside the target."""
    robot = robots.load(policy.contract.robot)
    state = hover_state(robot, 1)
    state[State.POSITION : State.POSITION + 3, 0] = (0.1, -0.1, 0.95)
    answers = []
    for sequence in range(1500):
        column = state[:, 0]
        q = column[State.QUATERNION : State.QUATERNION + 4]
        rates = gyro_sign * np.degrees(column[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3])
        sensed = InjectedState(
            tuple(column[State.POSITION : State.POSITION + 3]),
            tuple(column[State.VELOCITY : State.VELOCITY + 3]),
            (*q[1:], q[0]),
            tuple(rates),
        )
        answers.append(client.ask(sequence % 256, sensed, exact=True, period_ms=2))
        if not answers[-1].controls_motors:
            break
        thrusts = [robot.thrust_max * fraction for fraction in answers[-1].motor_fraction]
        speeds = [rotor_speed_from_thrust(robot.thrust_curve, thrust) for thrust in thrusts]
        setpoint = np.array(speeds, np.float32)[:, None]
        for _ in range(2):
            state = kernel.step(state, setpoint, parameter_rows(robot, 1), 1e-3, physics=Physics(True, False))
    return state[:, 0], answers


def test_a_policy_hovers_over_the_app_channel_and_a_mutated_sign_does_not(
    make_drone: MakeDrone, trained_policy: Policy
) -> None:
    ends = []
    for sign in (1.0, -1.0):
        client = Client(make_drone())
        client.start(period_ms=2)
        client.send(injection.encode_target(0, ON_TARGET))
        ends.append(simulated_flight(client, trained_policy, sign))
    state, answers = ends[0]
    assert len(answers) == 1500
    assert np.linalg.norm(state[State.POSITION : State.POSITION + 3] - ON_TARGET) < 0.15
    mutated, few = ends[1]
    assert len(few) < 1500 or np.linalg.norm(mutated[State.POSITION : State.POSITION + 3] - ON_TARGET) > 0.3


def test_free_run_follows_the_wall_clock_and_tells_a_stale_state(client: Client) -> None:
    client.start(schedule=Schedule.FREE_RUN)
    client.send(injection.encode_target(1, ON_TARGET))
    answers = []
    for sequence in range(20):
        assert client.send(injection.encode_state(sequence, LEVEL)) == []
        answers += client.step(10)
    assert [answer.sequence for answer in answers] == list(range(20))
    last = answers[-1]
    assert isinstance(last, Answer)
    assert (last.free_run, last.guard, last.ticks, last.wait_us) == (True, Guard.OK, 191, 1000)
    client.step(60)
    client.send(injection.encode_state(99, dataclasses.replace(LEVEL, age_ms=0)))
    (late,) = client.step()
    assert isinstance(late, Answer)
    assert late.guard == Guard.STALE_STATE  # the trip while nothing came is kept


def test_simulated_mode_takes_off_without_a_packet(client: Client) -> None:
    client.set("fledge.hil", Mode.SIMULATED)
    client.set("fledge.enable", 1)
    assert client.step(1) == []
    assert client.drone.plant.estimate.position_world[2] < 0.1
    client.step(6000)
    assert np.allclose(client.drone.plant.estimate.position_world, ON_TARGET, atol=0.15)
    assert client.drone.output.mode == 1
    assert client.drone.plant.truth[2] < 0.1  # the drone itself never left the floor
    client.send(injection.encode_target(3, (0.5, 0, 1)))
    client.step(3000)
    assert np.allclose(client.drone.plant.estimate.position_world, (0.5, 0, 1), atol=0.2)
    client.send(injection.encode_begin(0))
    assert client.step(1)[0] == Ready(0, 1, Schedule.LOCKSTEP, 1, True, client.drone.output.contract_hash)
    assert client.drone.plant.estimate.position_world[2] < 0.1


def test_simulated_mode_without_the_policy_flies_the_stock_controller(client: Client) -> None:
    client.set("fledge.hil", Mode.SIMULATED)
    client.step(6000)
    assert client.drone.output.mode == 0
    assert np.allclose(client.drone.plant.estimate.position_world, ON_TARGET, atol=0.05)


def test_nobody_arms_while_hardware_is_in_the_loop(client: Client) -> None:
    for mode in (Mode.INJECTED, Mode.SIMULATED):
        client.set("fledge.hil", mode)
        client.drone.arm(True)
        client.step(100)
        assert not client.drone.supervisor.armed
        assert "arming refused: hardware is in the loop; set fledge.hil to 0" in client.console
        client.console = ""
    client.set("fledge.hil", 0)
    assert client.drone.arm(True)


def test_the_mode_is_refused_while_armed_and_when_it_does_not_exist(client: Client) -> None:
    for value in (3, 255):
        client.set("fledge.hil", value)
        assert client.drone.parameters["fledge.hil"].value == 0
    client.step()
    assert "hil 3 refused: a mode, schedule or period in it does not exist" in client.console
    assert client.drone.arm(True)
    client.set("fledge.hil", 1)
    client.step()
    assert client.drone.parameters["fledge.hil"].value == 0
    assert "hil 1 refused: it is armed; disarm first" in client.console


def test_packets_are_refused_outside_their_mode(client: Client) -> None:
    state = injection.encode_state(7, LEVEL)
    assert client.send(state) == [Refusal(7, 1, RefusalReason.WRONG_MODE)]
    client.set("fledge.hil", Mode.INJECTED)
    assert client.send(state) == [Refusal(7, 1, RefusalReason.NOT_BEGUN)]
    assert client.send(b"") == [Refusal(0, 0, RefusalReason.UNKNOWN_KIND)]
    client.set("fledge.hil", Mode.SIMULATED)
    assert client.send(state) == [Refusal(7, 1, RefusalReason.WRONG_MODE)]


def test_a_state_sent_twice_makes_one_tick(client: Client) -> None:
    client.start()
    first = client.ask(1, LEVEL)
    assert client.send(injection.encode_state(1, LEVEL)) == [first]
    assert client.step(5) == []
    assert client.ask(2, LEVEL).ticks == first.ticks + 1


def test_bad_states_trip_the_guard_and_the_answer_says_so(client: Client) -> None:
    bad = {
        Guard.NOT_FINITE: dataclasses.replace(LEVEL, position_world=(math.nan, 0, 1)),
        Guard.QUATERNION: dataclasses.replace(LEVEL, quaternion_xyzw=(0, 0, 0, 0)),
        Guard.POSITION_ERROR: dataclasses.replace(LEVEL, position_world=(1e30, 0, 1)),
        Guard.STALE_STATE: dataclasses.replace(LEVEL, age_ms=200),
    }
    for guard, state in bad.items():
        client.start()
        client.send(injection.encode_target(0, ON_TARGET))
        assert client.ask(1, LEVEL).guard == Guard.OK
        answer = client.ask(2, state, exact=True)
        assert (answer.guard, answer.controls_motors) == (guard, False)
        assert all(0 <= fraction <= 1 for fraction in answer.motor_fraction)
        assert client.ask(3, LEVEL).guard == guard  # latched until the next run


def test_after_the_loop_the_drone_flies_as_before(client: Client) -> None:
    client.start()
    client.ask(1, LEVEL)
    client.set("fledge.hil", 0)
    client.step(100)
    assert client.drone.output.guard_latched == Guard.OK
    assert client.drone.output.guard in (Guard.OK, Guard.SETPOINT_MODE)


PACKETS = st.one_of(
    st.binary(max_size=30),
    st.tuples(st.sampled_from((1, 3)), st.binary(min_size=29, max_size=29)).map(lambda x: bytes((x[0],)) + x[1]),
    st.tuples(st.sampled_from((2, 4)), st.binary(min_size=27, max_size=27)).map(lambda x: bytes((x[0],)) + x[1]),
    st.tuples(st.integers(0, 2), st.integers(0, 21)).map(lambda x: bytes((5, 0, *x))),
)


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from((0, 1, 2)),
    packets=st.lists(st.tuples(PACKETS, st.integers(0, 3)), max_size=20),
    reference=st.integers(0, 255),
)
def test_any_packets_at_any_time(
    make_drone: MakeDrone, mode: int, packets: list[tuple[bytes, int]], reference: int
) -> None:
    client = Client(make_drone())
    client.set("fledge.hil", mode)
    client.set("fledge.enable", 1)
    client.set("fledge.ref", reference)
    for data, ticks in packets:
        client.send(data)
        for reply in client.step(ticks):
            if isinstance(reply, Answer):
                assert all(0 <= fraction <= 1 for fraction in reply.motor_fraction)
        output = client.drone.output
        assert all(math.isfinite(x) for x in (*output.action, *output.motor_fraction))


def test_unmodified_cflib_runs_a_step_over_the_app_channel(connected: Crazyflie) -> None:
    received: list[bytes] = []
    arrived = threading.Event()

    def on_packet(data: bytes) -> None:
        received.append(bytes(data))
        arrived.set()

    connected.appchannel.packet_received.add_callback(on_packet)
    written = threading.Event()
    connected.param.add_update_callback("fledge", "hil", lambda _name, _value: written.set())
    connected.param.set_value("fledge.hil", 1)
    assert written.wait(5)
    for data in (injection.encode_begin(1), injection.encode_state(2, LEVEL)):
        arrived.clear()
        connected.appchannel.send_packet(data)
        assert arrived.wait(5)
    assert [type(injection.parse_reply(data)) for data in received] == [Ready, Answer]
