"""One virtual STS3215: registers, protocol, control law, protections. No clock, no wire, no mechanics of its own.

Law (fledge_sim.servo): a set-point slews towards the goal; duty = gain * P * (set-point - motor), limited; torque is
V duty kt / R at standstill. The encoder is on the motor's side of the play. What the motor loses by turning (back-EMF,
viscous friction) is the plant's damping, so that the limit acts on the voltage alone, as in the servo. D and I of the
registers have no effect, as in the published identification.

What FEETECH's documents leave open is decided here: addresses without a register read 0 and swallow writes; an overload
ends with the next TORQUE_ENABLE; the motor heats by its loss and cools with THERMAL_TIME, both chosen, not identified.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from fledge_sim.arm import Servo

from fledge_hil.arm.feetech import BROADCAST, Error, Instruction, Packet, from_word, to_word
from fledge_hil.arm.registers import (
    ACCELERATION_UNIT,
    CENTRE,
    COUNTS,
    CURRENT_UNIT,
    DUTY_PER_P,
    EEPROM_END,
    LOAD_SIGN,
    LOAD_UNIT,
    OFFSET_SIGN,
    SIZE_OF,
    TIME_UNIT,
    VOLTAGE_UNIT,
    WRITABLE,
    Register,
    factory,
)

PER_TURN = 2 * math.pi
MOVING_MIN = 3.0
"""Slower counts as standing [counts/s]."""
ROOM = 25.0
"""[degrees C]"""
THERMAL_RESISTANCE = 9.0
"""[K/W]: the motor's loss at half of its stall torque, 3.6 W, ends near 60 degrees C."""
THERMAL_TIME = 300.0
"""[s]"""
ADDRESSES = 256
VOLTAGE, ANGLE, HEAT, OVERLOAD = (int(bit) for bit in (Error.VOLTAGE, Error.ANGLE, Error.HEAT, Error.OVERLOAD))


@dataclass
class VirtualServo:
    """Positions and velocities are the horn's, zero in the middle of the encoder's range, [rad] and [rad/s]."""

    servo: Servo
    id: int
    voltage: float = 0.0
    """Of the supply [V]; 0 becomes the nominal one."""
    temperature: float = ROOM
    memory: bytearray = field(default_factory=bytearray)
    """Registers."""
    eeprom: bytearray = field(default_factory=bytearray)
    """What is left of them without power."""
    encoder_fault: bool = False
    position: float = 0.0
    _velocity: float = 0.0
    _load: float = 0.0
    _current: float = 0.0
    _setpoint: float = 0.0
    _setpoint_speed: float = 0.0
    _later: tuple[int, bytes] | None = None
    _overloaded_for: float = 0.0
    _overload: bool = False

    def __post_init__(self) -> None:
        self.voltage = self.voltage or self.servo.supply_voltage
        self.eeprom = factory(self.id)[:EEPROM_END]
        self.power_on()

    def power_on(self) -> None:
        """RAM as after power-up: no torque; the goal is 0, as the real one's is until it is written."""
        self.memory = self.eeprom + factory(self.id)[EEPROM_END:]
        self.set(Register.TORQUE_LIMIT, self.get(Register.TORQUE_MAX))
        self._later, self._overload, self._overloaded_for = None, False, 0.0

    def get(self, register: Register) -> int:
        """As an unsigned number."""
        return int.from_bytes(self.memory[register : register + SIZE_OF[register]], "little")

    def set(self, register: Register, value: int) -> None:
        """Whether a master may or not."""
        self.memory[register : register + SIZE_OF[register]] = value.to_bytes(SIZE_OF[register], "little")

    @property
    def motor(self) -> float:
        """Where the encoder says the horn is [rad]: with torque, ahead of it by what is open of the play."""
        play = self.servo.backlash if self.torque_enabled else 0.0
        return self.position + max(-play, min(play, self._setpoint - self.position))

    @property
    def torque_enabled(self) -> bool:
        """Whether the motor has current."""
        return self.memory[Register.TORQUE_ENABLE] == 1

    @property
    def error(self) -> Error:
        """What it complains about now."""
        return Error(self.memory[Register.STATUS])

    def strain(self) -> None:
        """Its protection finds that it has strained for too long; until torque is switched on again."""
        self._overload = True

    def answer(self, packet: Packet) -> bytes | None:
        """Obey an instruction; the status packet, or None for silence. Synchronous ones are the bus's affair."""
        own = self.get(Register.ID)
        if packet.id not in (own, BROADCAST):
            return None
        data = self._obey(packet)
        level = self.get(Register.RESPONSE_LEVEL)
        asks = packet.kind in (Instruction.PING, Instruction.READ)
        if data is None or packet.id == BROADCAST or not (level or asks):
            return None
        return self.status(own, data)

    def status(self, servo_id: int, data: bytes = b"") -> bytes:
        """A status packet with the present error bits."""
        return Packet(servo_id, self.error, data).encode()

    def read(self, address: int, count: int) -> bytes | None:
        """Registers; None where the table of addresses ends."""
        if not count or address + count > ADDRESSES:
            return None
        self._refresh()
        return bytes(self.memory[address : address + count]).ljust(count, b"\0")

    def write(self, address: int, data: bytes) -> None:
        """As a WRITE: what cannot be written stays."""
        torque_before = self.torque_enabled
        kept = not self.memory[Register.LOCK]
        for place, byte in enumerate(data, address):
            if place in WRITABLE:
                self.memory[place] = byte
                if place < EEPROM_END and kept:
                    self.eeprom[place] = byte
        if address <= Register.TORQUE_ENABLE < address + len(data):
            self._switch(torque_before)

    def step(self, position: float, velocity: float, seconds: float) -> float:
        """Sense the horn and drive it for a while.

        Args:
            position: [rad] of the horn, as the mechanics have it.
            velocity: [rad/s].
            seconds: how long the answer will act.
        Returns:
            Torque of the motor at standstill [N m].
        """
        self.position = position
        self._protect()
        self._slew(seconds)
        duty = self._duty() if self.torque_enabled else 0.0
        torque = self.voltage * duty * self.servo.motor_constant / self.servo.resistance
        self._feel(velocity, duty, seconds)
        return torque

    def _obey(self, packet: Packet) -> bytes | None:
        data = packet.data
        if packet.kind == Instruction.PING:
            return b""
        if packet.kind == Instruction.READ and len(data) == 2:
            return self.read(data[0], data[1])
        if packet.kind == Instruction.WRITE and len(data) > 1:
            self.write(data[0], data[1:])
        elif packet.kind == Instruction.REG_WRITE and len(data) > 1:
            self._later = (data[0], data[1:])
            self.set(Register.PENDING, 1)
        elif packet.kind == Instruction.ACTION:
            self._act()
        elif packet.kind == Instruction.RESET:
            self._reset()
        else:
            return None
        return b""

    def _act(self) -> None:
        if self._later is not None:
            self.write(*self._later)
        self._later = None
        self.set(Register.PENDING, 0)

    def _reset(self) -> None:
        self.eeprom = factory(self.get(Register.ID))[:EEPROM_END]
        self.power_on()

    def _switch(self, torque_before: bool) -> None:
        """128 makes the present place the middle; anything else than 0 and 1 is refused."""
        asked = self.memory[Register.TORQUE_ENABLE]
        if asked == 128:
            self._calibrate()
        if asked > 1:
            self.memory[Register.TORQUE_ENABLE] = int(torque_before)
        if asked == 1:
            self._overload, self._overloaded_for = False, 0.0
            if not torque_before:
                self._setpoint, self._setpoint_speed = self.position, 0.0

    def _calibrate(self) -> None:
        shift = round(self.position / PER_TURN * COUNTS)
        limit = (1 << OFFSET_SIGN) - 1
        self.set(Register.OFFSET, to_word(max(-limit, min(limit, shift)), OFFSET_SIGN))
        self.eeprom[Register.OFFSET : Register.OFFSET + 2] = self.memory[Register.OFFSET : Register.OFFSET + 2]

    def _offset(self) -> int:
        return from_word(self.get(Register.OFFSET), OFFSET_SIGN)

    def _goal(self) -> float:
        """Of the horn [rad], within the position limits where there are any."""
        counts = from_word(self.get(Register.GOAL_POSITION))
        low, high = self.get(Register.POSITION_MIN), self.get(Register.POSITION_MAX)
        if low < high:
            counts = max(low, min(high, counts))
        return (counts + self._offset() - CENTRE) / COUNTS * PER_TURN

    def _slew(self, seconds: float) -> None:
        """Towards the goal, no faster than GOAL_VELOCITY and the motor, with ACCELERATION both ways."""
        away = self._goal() - self._setpoint
        wanted = from_word(self.get(Register.GOAL_VELOCITY))
        speed = self.servo.setpoint_speed
        if wanted:
            speed = min(speed, abs(wanted) / COUNTS * PER_TURN)
        acceleration = self.memory[Register.ACCELERATION] * ACCELERATION_UNIT / COUNTS * PER_TURN
        if acceleration:
            reached = self._setpoint_speed + acceleration * seconds
            speed = min(speed, reached, math.sqrt(2 * acceleration * abs(away)) + acceleration * seconds)
        self._setpoint_speed = speed
        self._setpoint += max(-speed * seconds, min(speed * seconds, away))

    def _duty(self) -> float:
        gain = DUTY_PER_P * self.memory[Register.P]
        limit = min(self.servo.duty_max, self.get(Register.TORQUE_LIMIT) * LOAD_UNIT)
        if self._overload:
            limit = min(limit, self.memory[Register.PROTECTIVE_TORQUE] / 100)
        return max(-limit, min(limit, gain * (self._setpoint - self.motor)))

    def _protect(self) -> None:
        """Error bits, and the torque off for those that UNLOADING names; an overload limits it instead."""
        memory = self.memory
        error = 0
        if not memory[Register.VOLTAGE_MIN] <= round(self.voltage / VOLTAGE_UNIT) <= memory[Register.VOLTAGE_MAX]:
            error |= VOLTAGE
        if self.encoder_fault:
            error |= ANGLE
        if self.temperature > memory[Register.TEMPERATURE_MAX]:
            error |= HEAT
        if self._overload:
            error |= OVERLOAD
        memory[Register.STATUS] = error
        if error & memory[Register.UNLOADING] & ~OVERLOAD:
            memory[Register.TORQUE_ENABLE] = 0

    def _feel(self, velocity: float, duty: float, seconds: float) -> None:
        """What the motor does to itself: current, heat, and whether it has strained for too long."""
        current = (self.voltage * duty - self.servo.motor_constant * velocity) / self.servo.resistance
        self._velocity, self._load = velocity, duty
        self._current = current if self.torque_enabled else 0.0
        loss = self.servo.resistance * self._current**2
        self.temperature += (ROOM + THERMAL_RESISTANCE * loss - self.temperature) * seconds / THERMAL_TIME
        high = self.torque_enabled and abs(duty) * 100 > self.memory[Register.OVERLOAD_TORQUE]
        self._overloaded_for = self._overloaded_for + seconds if high else 0.0
        if self._overloaded_for > self.memory[Register.PROTECTION_TIME] * TIME_UNIT:
            self.strain()

    def _refresh(self) -> None:
        """The registers that only it writes."""
        counts = COUNTS / PER_TURN
        sensed = round(self.motor * counts) + CENTRE - self._offset()
        self.set(Register.PRESENT_POSITION, _word(sensed))
        self.set(Register.PRESENT_VELOCITY, _word(round(self._velocity * counts)))
        self.set(Register.PRESENT_LOAD, to_word(round(self._load / LOAD_UNIT), LOAD_SIGN))
        self.set(Register.PRESENT_CURRENT, _word(round(self._current / CURRENT_UNIT)))
        self.set(Register.MOVING, int(abs(self._velocity) * counts > MOVING_MIN))
        self.set(Register.PRESENT_VOLTAGE, max(0, min(255, round(self.voltage / VOLTAGE_UNIT))))
        self.set(Register.PRESENT_TEMPERATURE, max(0, min(255, round(self.temperature))))


def _word(value: int) -> int:
    """With the sign in bit 15; a magnitude that does not fit becomes the largest."""
    return to_word(max(-0x7FFF, min(0x7FFF, value)))
