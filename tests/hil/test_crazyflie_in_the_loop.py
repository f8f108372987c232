"""Hardware in the loop inside the Crazyflie firmware's image: injected states, and its PID flying the plant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crazyflie_image import CONTROL_MODE_FORCE, TRUE, Firmware, sensors_of, setpoint_of, state_of
from fledge_hil import injection
from fledge_hil.board import BoardInput, Guard, HostBoard
from fledge_hil.injection import Answer, InjectedState, Mode, Ready, Refusal, RefusalReason, Schedule, TargetSet

Built = tuple[Path, Path]
NOWHERE = (state_of((7, 7, 7), (0, 0, 0), (0, 0, 0, 1)), sensors_of((1, 2, 3)), setpoint_of(1, (9, 9, 9)))
"""What the real sensors and the real commander say: must not matter."""


@pytest.fixture
def firmware(crazyflie_app: Built) -> Firmware:
    return Firmware(crazyflie_app[0])


def tick(firmware: Firmware, time_ms: int) -> None:
    """One millisecond of the stabilizer: estimator, then controller, which never asks for thrust."""
    firmware.estimate()
    forces, mode = firmware.tick(time_ms, *NOWHERE)
    assert mode == CONTROL_MODE_FORCE
    assert not forces.any()


def begin(firmware: Firmware, period_ms: int = 1) -> None:
    assert firmware.choose(Mode.INJECTED) == Mode.INJECTED
    firmware.enable(1)
    firmware.receive(injection.encode_begin(3, Schedule.LOCKSTEP, period_ms))
    tick(firmware, 1)
    firmware.receive(injection.encode_target(4, (0.1, 0, 1)))
    ready, target = map(injection.parse_reply, firmware.sent)
    assert (type(ready), target) == (Ready, TargetSet(4))
    firmware.sent.clear()


def random_state(generator: np.random.Generator) -> InjectedState:
    q = np.array([0, 0, 0, 1]) + generator.normal(0, 0.1, 4)
    x, y, z = map(float, generator.normal(0, 0.1, 3))
    vx, vy, vz = map(float, generator.normal(0, 0.3, 3))
    p, r, s = map(float, generator.normal(0, 30, 3))
    qx, qy, qz, qw = map(float, q / np.linalg.norm(q))
    return InjectedState((x, y, 1 + z), (vx, vy, vz), (qx, qy, qz, qw), (p, r, s))


def test_injected_states_give_the_bits_of_the_host(firmware: Firmware, crazyflie_app: Built) -> None:
    board = HostBoard(crazyflie_app[1])
    begin(firmware)
    board.tick(BoardInput(flight=firmware.input(), motors_allowed=1))
    board.sent(firmware.stock_fractions())
    generator, flown = np.random.default_rng(1), 0
    for sequence in range(200):
        for half in injection.encode_exact_state(sequence, random_state(generator)):
            firmware.receive(half)
        tick(firmware, sequence)
        answer = injection.parse_reply(firmware.sent.pop())
        expected = board.tick(BoardInput(flight=firmware.input(), motors_allowed=1)).flight
        assert isinstance(answer, Answer)
        assert (answer.sequence, answer.guard) == (sequence, expected.guard)
        assert bytes(firmware.output()) == bytes(expected)
        if answer.controls_motors:
            assert answer.motor_fraction == tuple(expected.motor_fraction)
        flown += answer.controls_motors
    assert flown > 150


def test_time_stands_still_between_states(firmware: Firmware) -> None:
    begin(firmware, period_ms=3)
    firmware.receive(injection.encode_state(9, random_state(np.random.default_rng(0))))
    before = firmware.input().time_ms
    for time_ms in range(2, 20):
        tick(firmware, time_ms)
    assert firmware.input().time_ms == before + 3
    assert [injection.parse_reply(packet).sequence for packet in firmware.sent] == [9]


def test_the_firmwares_own_pid_flies_the_plant_on_the_chip(firmware: Firmware) -> None:
    """From the floor to 1 m, through the firmware's mixer; the policy is off."""
    assert firmware.choose(Mode.SIMULATED) == Mode.SIMULATED
    states = []
    for time_ms in range(1, 8001):
        states.append(firmware.estimate())
        firmware.tick(time_ms, *NOWHERE)
    assert states[0][2] < 0.05
    assert np.allclose(states[-1], (0, 0, 1, 0, 0, 0), atol=0.05)
    firmware.receive(injection.encode_begin(0))
    assert firmware.estimate()[2] < 0.05


def test_an_untrained_policy_is_taken_off_and_the_pid_gets_the_plant(firmware: Firmware) -> None:
    firmware.choose(Mode.SIMULATED)
    for time_ms in range(1, 4001):
        firmware.estimate()
        firmware.enable(int(time_ms > 3000))  # the PID takes off first
        firmware.tick(time_ms, *NOWHERE)
    assert firmware.output().guard_latched != Guard.OK
    assert firmware.output().controls_motors == 0


def test_modes_are_refused_while_armed_and_beyond_two(firmware: Firmware) -> None:
    assert firmware.choose(3) == Mode.OFF
    assert firmware.parameters_set[-1][1] == 0  # the client is told what it is
    firmware.answer("supervisorIsArmed", TRUE)
    assert firmware.choose(1) == Mode.OFF
    assert len([line for line in firmware.console if "refused" in line]) == 2


def test_motors_are_locked_and_arming_is_taken_back(firmware: Firmware) -> None:
    """motorPowerSet: four times zero, then in force; and any arming is undone in the tick that sees it."""
    firmware.choose(Mode.INJECTED)
    assert [value for _, value in firmware.parameters_set] == [0, 0, 0, 0, 1]
    tick(firmware, 1)
    assert firmware.arming_requests == []
    firmware.answer("supervisorIsArmed", TRUE)
    tick(firmware, 2)
    assert firmware.arming_requests == [0]
    assert firmware.call("in_the_loop_took_arming_back") == 1
    assert firmware.call("in_the_loop_took_arming_back") == 0


def test_normal_flight_ignores_the_app_channel(firmware: Firmware) -> None:
    firmware.receive(injection.encode_state(1, random_state(np.random.default_rng(0))))
    firmware.receive(b"\xff")
    replies = [injection.parse_reply(packet) for packet in firmware.sent]
    assert replies == [Refusal(1, 1, RefusalReason.WRONG_MODE), Refusal(0, 0xFF, RefusalReason.UNKNOWN_KIND)]


def test_any_bytes_in_any_mode(firmware: Firmware) -> None:
    generator = np.random.default_rng(2)
    for round_ in range(600):
        if round_ % 60 == 0:
            firmware.choose(int(generator.integers(0, 3)))
            firmware.enable(1)
        data = bytes(generator.integers(0, 256, generator.integers(1, 31), np.uint8))
        kind, lengths = int(generator.integers(1, 6)), {1: 30, 2: 28, 3: 30, 4: 28, 5: 4}
        if generator.random() < 0.7:
            data = bytes((kind, data[0] & 3, 0, 1)) + bytes(generator.integers(0, 256, lengths[kind] - 4, np.uint8))
        firmware.receive(data)
        firmware.estimate()
        forces, _ = firmware.tick(round_, *NOWHERE)
        output = firmware.output()
        assert np.isfinite(forces).all()
        assert all(0 <= fraction <= 1 for fraction in output.motor_fraction)
        for packet in firmware.sent:
            injection.parse_reply(packet)
        firmware.sent.clear()
