"""Virtual servos on a wire: order and time of answers, echo, faults; and two clients that nobody here wrote.

`scservo_sdk` is FEETECH's own library (ftservo-python-sdk), `rustypot` one in Rust by Pollen Robotics.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import pytest
import rustypot
import scservo_sdk
from fledge_hil.arm import feetech
from fledge_hil.arm.feetech import Packet, Parser
from fledge_hil.arm.pseudo_terminal import PseudoTerminal
from fledge_hil.arm.registers import CENTRE, Register
from fledge_hil.arm.virtual_arm import VirtualArm
from fledge_sim import arm as arms

ARM = arms.load("so101")
IDS = tuple(joint.servo_id for joint in ARM.joints)
BYTE_US = 10.0
PATIENCE = 10.0
"""[s], for a machine that does something else."""


def test_answers_come_in_order_at_the_time_of_a_real_bus() -> None:
    """10 us per byte: an instruction of 14 bytes, then six times 500 us and 14 bytes."""
    bus = VirtualArm(ARM).bus
    bus.send(feetech.sync_read((6, 1, 2, 3, 4, 5), Register.PRESENT_POSITION, 8), 0.0)
    end = 14 * BYTE_US + 6 * (500 + 14 * BYTE_US)
    early = bus.receive(end - 1)
    assert [packet.id for packet in Parser().feed(early + bus.receive(end))] == [6, 1, 2, 3, 4, 5]
    assert len(early) == 6 * 14 - 1


def test_return_delay_can_be_written_away() -> None:
    arm = VirtualArm(ARM)
    for servo in arm.servos:
        servo.write(Register.RETURN_DELAY, b"\0")
    arm.bus.send(feetech.sync_read(IDS, Register.PRESENT_POSITION, 8), 0.0)
    assert len(arm.bus.receive((14 + 6 * 14) * BYTE_US)) == 6 * 14


def test_a_missing_servo_is_skipped() -> None:
    arm = VirtualArm(ARM)
    arm.bus.faults.silent = {2}
    arm.bus.send(feetech.sync_read(IDS, Register.PRESENT_POSITION, 2), 0.0)
    assert [packet.id for packet in Parser().feed(arm.bus.receive(1e5))] == [1, 3, 4, 5, 6]


def test_two_servos_of_one_number_spoil_their_answers() -> None:
    arm = VirtualArm(ARM)
    arm.servos[1].write(Register.ID, b"\x01")
    arm.servos[1].step(1.0, 0.0, 0.001)
    arm.bus.send(feetech.read(1, Register.PRESENT_POSITION, 2), 0.0)
    parser = Parser()
    assert list(parser.feed(arm.bus.receive(1e5))) == []
    assert parser.wrong_checksums == 1


def test_echo_comes_before_the_answer() -> None:
    arm = VirtualArm(ARM, echo=True)
    said = feetech.read(1, Register.MODEL, 2)
    arm.bus.send(said, 0.0)
    heard = arm.bus.receive(1e5)
    assert heard[: len(said)] == said
    assert list(Parser().feed(heard[len(said) :])) == [Packet(1, 0, (777).to_bytes(2, "little"))]


def test_damage_is_what_was_asked_for() -> None:
    arm = VirtualArm(ARM, seed=3)
    arm.bus.faults.flips = 0.1
    parser, heard = Parser(), 0
    for number in range(50):
        arm.bus.send(feetech.read(1, Register.PRESENT_POSITION, 8), 1e4 * number)
        heard += len(list(parser.feed(arm.bus.receive(1e4 * (number + 1)))))
    assert 2 < heard < 25  # of 14 bytes all are well with 0.9^14 = 0.23
    arm.bus.faults.deaf = True
    before = arm.bus.instructions
    arm.bus.send(feetech.read(1, 0, 1), 1e7)
    assert arm.bus.instructions == before


@pytest.fixture(params=[False, True], ids=["alone", "after a bad packet"])
def terminal(request: pytest.FixtureRequest) -> Iterator[PseudoTerminal]:
    with PseudoTerminal(VirtualArm(ARM)) as served:
        if request.param:
            served.virtual.send(b"\xff\xff\x01\x04\x02\x38\x02\x00\xff", 0.0)
        yield served


def until(what: Callable[[], bool]) -> bool:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def sdk(terminal: PseudoTerminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[scservo_sdk.sms_sts]:
    monkeypatch.setattr(scservo_sdk.port_handler, "LATENCY_TIMER", 1000 * PATIENCE)
    port = scservo_sdk.PortHandler(terminal.port)
    assert port.openPort()
    yield scservo_sdk.sms_sts(port)
    port.closePort()


def test_the_makers_library_reads_and_writes(sdk: scservo_sdk.sms_sts) -> None:
    assert [sdk.ping(number) for number in IDS] == [(777, 0, 0)] * 6
    assert sdk.write1ByteTxRx(1, Register.TORQUE_ENABLE, 1) == (0, 0)
    assert sdk.WritePosEx(1, CENTRE + 200, 1500, 0) == (0, 0)
    assert until(lambda: abs(sdk.ReadPos(1)[0] - CENTRE - 200) < 8)
    assert sdk.RegWritePosEx(2, CENTRE - 150, 0, 50) == (0, 0)
    assert sdk.write1ByteTxRx(2, Register.TORQUE_ENABLE, 0) == (0, 0)
    assert sdk.RegAction() == 0
    assert sdk.read2ByteTxRx(2, Register.GOAL_POSITION) == (CENTRE - 150, 0, 0)


def test_the_makers_library_synchronises_six_servos(sdk: scservo_sdk.sms_sts) -> None:
    for number in IDS:
        assert sdk.write1ByteTxRx(number, Register.TORQUE_ENABLE, 1) == (0, 0)
        assert sdk.SyncWritePosEx(number, CENTRE + 20 * number, 0, 0)
    assert sdk.groupSyncWrite.txPacket() == 0
    group = scservo_sdk.GroupSyncRead(sdk, Register.PRESENT_POSITION, 4)
    for number in IDS:
        group.addParam(number)

    def arrived() -> bool:
        assert group.txRxPacket() == 0
        assert all(group.isAvailable(number, Register.PRESENT_POSITION, 4)[0] for number in IDS)
        found = [group.getData(number, Register.PRESENT_POSITION, 2) for number in IDS]
        return all(abs(place - CENTRE - 20 * number) < 8 for place, number in zip(found, IDS, strict=True))

    assert until(arrived)


def test_a_client_in_rust_reads_and_moves(terminal: PseudoTerminal) -> None:
    client = rustypot.Sts3215PyController(terminal.port, 1_000_000, PATIENCE)
    ids = list(IDS)
    assert client.sync_read_model(ids) == [777] * 6
    assert client.sync_read_present_position(ids) == [0.0] * 6
    client.sync_write_torque_enable(ids, [True] * 6)
    goals = [0.2, -0.3, 0.25, -0.15, 0.1, 0.05]
    client.sync_write_goal_position(ids, goals)
    step = 2 * math.pi / 4096

    def arrived() -> bool:
        found = client.sync_read_present_position(ids)
        return all(abs(place - goal) < 8 * step for place, goal in zip(found, goals, strict=True))

    assert until(arrived)
