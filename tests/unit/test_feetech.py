"""Packets and registers of the servo bus, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
from fledge_hil.arm import feetech
from fledge_hil.arm.feetech import Error, FeetechError, Instruction, Packet, Parser, from_word, to_word
from fledge_hil.arm.registers import CENTRE, EEPROM_END, Register
from fledge_hil.arm.virtual_servo import VirtualServo
from fledge_sim import arm as arms

SERVO = dataclasses.replace(arms.load("so101").servo, backlash=0.0)
MS = 0.001


def make(servo_id: int = 3) -> VirtualServo:
    servo = VirtualServo(SERVO, servo_id)
    servo.step(0.0, 0.0, MS)
    return servo


def ask(servo: VirtualServo, data: bytes) -> Packet | None:
    """What it answers to one instruction."""
    [instruction] = Parser().feed(data)
    status = servo.answer(instruction)
    return None if status is None else next(Parser().feed(status))


def word(servo: VirtualServo, register: Register) -> int:
    answer = ask(servo, feetech.read(servo.id, register, 2))
    assert answer is not None
    return int.from_bytes(answer.data, "little")


def put(servo: VirtualServo, register: Register, *data: int) -> None:
    answer = ask(servo, feetech.write(servo.id, register, bytes(data)))
    assert answer is not None
    assert answer.kind == servo.error


def test_instructions_as_in_the_manual() -> None:
    assert Packet(1, Instruction.PING).encode().hex(" ") == "ff ff 01 02 01 fb"  # ~(1 + 2 + 1)
    assert feetech.read(1, 0x38, 2).hex(" ") == "ff ff 01 04 02 38 02 be"  # ~(1 + 4 + 2 + 0x38 + 2)
    assert feetech.write(1, 5, b"\x01").hex(" ") == "ff ff 01 04 03 05 01 f1"
    assert feetech.sync_read((1, 2), 0x38, 8).hex(" ") == "ff ff fe 06 82 38 08 01 02 36"
    # 0xfe + 10 + 0x83 + 42 + 2 + 1 + 0 + 8 + 2 + 0 + 4 = 0x1c6, complement of the low byte 0x39
    assert feetech.sync_write(42, {1: b"\x00\x08", 2: b"\x00\x04"}).hex(" ") == (
        "ff ff fe 0a 83 2a 02 01 00 08 02 00 04 39"
    )


def test_sign_is_a_bit_of_its_own() -> None:
    assert to_word(-2) == 0x8002
    assert from_word(0x8002) == -2
    assert from_word(0x8000) == 0
    assert to_word(-500, 10) == 1024 + 500
    assert from_word(0x0C05, 11) == -0x405
    with pytest.raises(FeetechError, match="sign bit 11"):
        to_word(2048, 11)


def test_unsendable_packets_are_refused() -> None:
    with pytest.raises(FeetechError, match="255"):
        Packet(255, 1).encode()
    with pytest.raises(FeetechError, match="249 bytes"):
        Packet(1, 3, bytes(249)).encode()
    with pytest.raises(FeetechError, match="equally many"):
        feetech.sync_write(42, {1: b"\0", 2: b"\0\0"})
    with pytest.raises(FeetechError, match="equally many"):
        feetech.sync_write(42, {})


def test_packet_is_found_behind_a_broken_one() -> None:
    parser = Parser()
    good = Packet(2, 0, b"\x01\x02").encode()
    broken = bytearray(Packet(1, 0, b"\x05").encode())
    broken[5] ^= 0x40
    assert list(parser.feed(b"\x00\xff" + bytes(broken) + b"\xff" + good)) == [Packet(2, 0, b"\x01\x02")]
    assert parser.wrong_checksums == 1


def test_ping_read_and_broadcast() -> None:
    servo = make()
    assert ask(servo, Packet(3, Instruction.PING).encode()) == Packet(3, 0)
    assert ask(servo, Packet(4, Instruction.PING).encode()) is None
    assert ask(servo, Packet(0xFE, Instruction.PING).encode()) is None
    assert word(servo, Register.MODEL) == 777
    assert ask(servo, feetech.read(3, 250, 10)) is None
    assert ask(servo, feetech.read(3, 200, 3)) == Packet(3, 0, b"\0\0\0")


def test_wrong_checksum_is_not_heard() -> None:
    data = bytearray(Packet(3, Instruction.PING).encode())
    data[-1] ^= 1
    assert list(Parser().feed(bytes(data))) == []


def test_read_only_registers_stay_and_locked_ones_are_forgotten() -> None:
    servo = make()
    put(servo, Register.MODEL, 1, 1)
    assert word(servo, Register.MODEL) == 777
    put(servo, Register.PRESENT_TEMPERATURE, 9)
    assert servo.read(Register.PRESENT_TEMPERATURE, 1) == bytes((25,))
    put(servo, Register.P, 16)
    put(servo, Register.LOCK, 1)
    put(servo, Register.D, 7)
    put(servo, Register.ACCELERATION, 50)
    servo.power_on()
    assert (servo.get(Register.P), servo.get(Register.D), servo.get(Register.ACCELERATION)) == (16, 32, 0)


def test_reset_keeps_the_number() -> None:
    servo = make()
    put(servo, Register.ID, 9)
    assert servo.answer(Packet(3, Instruction.PING)) is None
    servo.answer(Packet(9, Instruction.WRITE, bytes((Register.P, 1))))
    servo.answer(Packet(9, Instruction.RESET))
    assert servo.get(Register.P) == 32
    assert servo.answer(Packet(9, Instruction.PING)) is not None


def test_response_level_zero_answers_reads_alone() -> None:
    servo = make()
    assert ask(servo, feetech.write(3, Register.RESPONSE_LEVEL, b"\0")) is None
    assert ask(servo, feetech.write(3, Register.P, b"\x10")) is None
    assert ask(servo, feetech.read(3, Register.P, 1)) == Packet(3, 0, b"\x10")
    assert ask(servo, Packet(3, Instruction.PING).encode()) == Packet(3, 0)


def test_reg_write_waits_for_action() -> None:
    servo = make()
    assert ask(servo, feetech.write(3, Register.GOAL_POSITION, b"\x00\x09", later=True)) == Packet(3, 0)
    assert (servo.get(Register.GOAL_POSITION), servo.get(Register.PENDING)) == (0, 1)
    assert ask(servo, Packet(0xFE, Instruction.ACTION).encode()) is None
    assert (servo.get(Register.GOAL_POSITION), servo.get(Register.PENDING)) == (0x900, 0)


def test_position_is_counted_from_the_middle_less_the_offset() -> None:
    servo = make()
    servo.step(-math.pi / 2, 1.0, MS)
    assert from_word(word(servo, Register.PRESENT_POSITION)) == CENTRE - 1024
    assert from_word(word(servo, Register.PRESENT_VELOCITY)) == 652  # 4096 / 2 pi = 651.9
    put(servo, Register.OFFSET, *to_word(-100, 11).to_bytes(2, "little"))
    assert from_word(word(servo, Register.PRESENT_POSITION)) == CENTRE - 1024 + 100
    put(servo, Register.TORQUE_ENABLE, 128)  # here is the middle
    assert word(servo, Register.PRESENT_POSITION) == CENTRE
    assert not servo.torque_enabled


def test_torque_follows_the_law() -> None:
    """0.1 rad behind: duty 5.312 * 0.1 * 16 / 32 = 0.2656, 7.4 V * 0.2656 * 1.178 / 2.479 = 0.9340 N m."""
    servo = make()
    put(servo, Register.P, 16)
    put(servo, Register.GOAL_POSITION, *(CENTRE + 65).to_bytes(2, "little"))  # 65 counts are 0.09971 rad
    assert servo.step(0.0, 0.0, MS) == 0.0
    put(servo, Register.TORQUE_ENABLE, 1)
    for _ in range(40):
        torque = servo.step(0.0, 0.0, MS)
    assert torque == pytest.approx(0.9340 * 0.9971, rel=1e-3)
    assert from_word(word(servo, Register.PRESENT_LOAD), 10) == 265
    # (7.4 V * 0.2648) / 2.479 ohm = 0.790 A, in 6.5 mA
    assert from_word(word(servo, Register.PRESENT_CURRENT)) == 122


def test_the_encoder_is_on_the_motors_side_of_the_play() -> None:
    """50 counts away, 0.0767 rad, of which 0.0076 rad, 5 counts, are play: no torque within them."""
    servo = VirtualServo(dataclasses.replace(SERVO, backlash=0.0076), 3)
    put(servo, Register.GOAL_POSITION, *(CENTRE + 50).to_bytes(2, "little"))
    put(servo, Register.TORQUE_ENABLE, 1)
    for _ in range(50):
        torque = servo.step(0.0, 0.0, MS)
    assert torque == pytest.approx(18.68 * (50 / 651.9 - 0.0076), rel=1e-3)
    assert word(servo, Register.PRESENT_POSITION) == CENTRE + 5
    assert servo.step(50 / 651.9 - 0.007, 0.0, MS) == 0.0


def test_setpoint_slews() -> None:
    servo = make()
    put(servo, Register.GOAL_POSITION, *(CENTRE + 2000).to_bytes(2, "little"))
    put(servo, Register.GOAL_VELOCITY, *(100).to_bytes(2, "little"))
    put(servo, Register.TORQUE_ENABLE, 1)
    torques = [servo.step(0.0, 0.0, MS) for _ in range(100)]
    # after 0.1 s 10 counts = 0.01534 rad behind, at 18.68 N m/rad
    assert torques[-1] == pytest.approx(18.68 * 0.01534, rel=2e-3)


def test_goal_stays_between_the_position_limits() -> None:
    servo = make()
    put(servo, Register.POSITION_MAX, *(CENTRE + 10).to_bytes(2, "little"))
    put(servo, Register.GOAL_POSITION, *(CENTRE + 500).to_bytes(2, "little"))
    put(servo, Register.TORQUE_ENABLE, 1)
    for _ in range(50):
        torque = servo.step(0.0, 0.0, MS)
    assert torque == pytest.approx(18.68 * 10 / 651.9, rel=1e-2)


def test_heat_and_voltage_are_told_and_switch_off() -> None:
    servo = make()
    put(servo, Register.TORQUE_ENABLE, 1)
    servo.voltage = 3.5
    servo.step(0.0, 0.0, MS)
    assert servo.error == Error.VOLTAGE
    assert servo.torque_enabled  # not among the unloading conditions from the factory
    servo.voltage, servo.temperature = 7.4, 71.0
    servo.step(0.0, 0.0, MS)
    assert servo.error == Error.HEAT
    assert not servo.torque_enabled
    answer = ask(servo, Packet(3, Instruction.PING).encode())
    assert answer is not None
    assert answer.kind == Error.HEAT


def test_overload_leaves_a_fifth_of_the_torque_after_two_seconds() -> None:
    servo = make()
    put(servo, Register.GOAL_POSITION, *(CENTRE + 500).to_bytes(2, "little"))
    put(servo, Register.TORQUE_ENABLE, 1)
    torques = [servo.step(0.0, 0.0, 0.01) for _ in range(240)]
    full = 7.4 * 1.178 / 2.479
    assert max(torques) == pytest.approx(0.97 * full, rel=1e-3)
    assert torques[-1] == pytest.approx(0.20 * full, rel=1e-3)
    assert servo.error == Error.OVERLOAD
    put(servo, Register.TORQUE_ENABLE, 1)
    servo.step(0.0, 0.0, 0.01)
    assert servo.error == Error.NONE


def test_a_stalled_motor_gets_hot() -> None:
    """Half duty: 3.7 V / 2.479 ohm = 1.49 A, 5.52 W, 9 K/W: towards 25 + 50 = 75, and never above."""
    servo = make()
    put(servo, Register.TORQUE_LIMIT, *(500).to_bytes(2, "little"))
    put(servo, Register.TEMPERATURE_MAX, 100)
    put(servo, Register.GOAL_POSITION, *(CENTRE + 500).to_bytes(2, "little"))
    put(servo, Register.TORQUE_ENABLE, 1)
    for _ in range(3000):
        servo.step(0.0, 0.0, 1.0)
    assert servo.temperature == pytest.approx(25 + 9 * 3.7**2 / 2.479, abs=0.2)


def test_eeprom_ends_where_ram_begins() -> None:
    assert Register.TORQUE_ENABLE == EEPROM_END
