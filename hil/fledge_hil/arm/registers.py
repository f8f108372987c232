"""Registers of the STS3215, one row each: address, size, area, value from the factory.

Source: FEETECH's memory table of the STS series, as three independent clients on PyPI reproduce it (ftservo-python-sdk,
feetech-cli, lerobot). Return delay from the factory: lerobot, which found 500 us and writes 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

MODEL = 777
"""STS3215."""
COUNTS = 4096
"""Of the encoder, per turn."""
CENTRE = COUNTS // 2
LOAD_SIGN, OFFSET_SIGN = 10, 11
"""Sign bits that are not 15."""
SIZE = 87
"""Registers; above there is nothing."""
EEPROM_END = 40
"""Below: kept without power, if `LOCK` is 0 when they are written; above: RAM."""
BAUD_RATES = (1_000_000, 500_000, 250_000, 128_000, 115_200, 76_800, 57_600, 38_400)
"""By the number in `BAUD_RATE`."""
DELAY_UNIT_US = 2
TIME_UNIT = 0.01
"""[s], of the times of protection."""
VOLTAGE_UNIT = 0.1
"""[V]"""
CURRENT_UNIT = 0.0065
"""[A]"""
LOAD_UNIT = 0.001
"""Of full duty."""
ACCELERATION_UNIT = 100
"""[counts/s^2]"""
DUTY_PER_P = 0.166
"""[1/rad]: duty per position error and unit of the register P. Source: BAM's identification of the STS3215."""


class Register(IntEnum):
    """Address of the first byte. Velocities are counts per second."""

    FIRMWARE = 0
    MODEL = 3
    ID = 5
    BAUD_RATE = 6
    RETURN_DELAY = 7
    """Least time between the end of an instruction and the answer, in 2 us."""
    RESPONSE_LEVEL = 8
    """0: answers to ping and reads alone; 1: to every instruction."""
    POSITION_MIN = 9
    POSITION_MAX = 11
    TEMPERATURE_MAX = 13
    VOLTAGE_MAX = 14
    VOLTAGE_MIN = 15
    TORQUE_MAX = 16
    PHASE = 18
    UNLOADING = 19
    """Bits of feetech.Error upon which the torque goes."""
    LED_ALARM = 20
    P = 21
    D = 22
    I = 23  # noqa: E741 - the name of the gain
    STARTUP_FORCE = 24
    DEAD_ZONE_CW = 26
    DEAD_ZONE_CCW = 27
    CURRENT_MAX = 28
    RESOLUTION = 30
    OFFSET = 31
    MODE = 33
    """0: position."""
    PROTECTIVE_TORQUE = 34
    """[%], what is left after an overload."""
    PROTECTION_TIME = 35
    OVERLOAD_TORQUE = 36
    """[%]"""
    VELOCITY_P = 37
    CURRENT_TIME = 38
    VELOCITY_I = 39
    TORQUE_ENABLE = 40
    ACCELERATION = 41
    GOAL_POSITION = 42
    GOAL_TIME = 44
    GOAL_VELOCITY = 46
    """0: as fast as it can."""
    TORQUE_LIMIT = 48
    LOCK = 55
    PRESENT_POSITION = 56
    PRESENT_VELOCITY = 58
    PRESENT_LOAD = 60
    PRESENT_VOLTAGE = 62
    PRESENT_TEMPERATURE = 63
    PENDING = 64
    """1: a REG_WRITE waits for its ACTION."""
    STATUS = 65
    MOVING = 66
    PRESENT_CURRENT = 69


@dataclass(frozen=True)
class Row:
    """One register or word."""

    register: Register
    size: int
    factory: int
    writable: bool = True


def _row(register: Register, size: int, factory: int) -> Row:
    fixed = register < Register.ID or register >= Register.PRESENT_POSITION
    return Row(register, size, factory, not fixed)


_R = Register
ROWS = tuple(
    _row(register, size, factory)
    for register, size, factory in (
        *((_R.FIRMWARE, 2, 3 | 10 << 8), (_R.MODEL, 2, MODEL), (_R.ID, 1, 1), (_R.BAUD_RATE, 1, 0)),
        *((_R.RETURN_DELAY, 1, 250), (_R.RESPONSE_LEVEL, 1, 1), (_R.POSITION_MIN, 2, 0), (_R.POSITION_MAX, 2, 4095)),
        *((_R.TEMPERATURE_MAX, 1, 70), (_R.VOLTAGE_MAX, 1, 80), (_R.VOLTAGE_MIN, 1, 40), (_R.TORQUE_MAX, 2, 1000)),
        *((_R.PHASE, 1, 12), (_R.UNLOADING, 1, 44), (_R.LED_ALARM, 1, 47), (_R.P, 1, 32), (_R.D, 1, 32), (_R.I, 1, 0)),
        *((_R.STARTUP_FORCE, 2, 16), (_R.DEAD_ZONE_CW, 1, 1), (_R.DEAD_ZONE_CCW, 1, 1), (_R.CURRENT_MAX, 2, 500)),
        *((_R.RESOLUTION, 1, 1), (_R.OFFSET, 2, 0), (_R.MODE, 1, 0), (_R.PROTECTIVE_TORQUE, 1, 20)),
        *((_R.PROTECTION_TIME, 1, 200), (_R.OVERLOAD_TORQUE, 1, 80), (_R.VELOCITY_P, 1, 10), (_R.CURRENT_TIME, 1, 200)),
        *((_R.VELOCITY_I, 1, 10), (_R.TORQUE_ENABLE, 1, 0), (_R.ACCELERATION, 1, 0), (_R.GOAL_POSITION, 2, 0)),
        *((_R.GOAL_TIME, 2, 0), (_R.GOAL_VELOCITY, 2, 0), (_R.TORQUE_LIMIT, 2, 1000), (_R.LOCK, 1, 0)),
        *(
            (_R.PRESENT_POSITION, 2, 0),
            (_R.PRESENT_VELOCITY, 2, 0),
            (_R.PRESENT_LOAD, 2, 0),
            (_R.PRESENT_VOLTAGE, 1, 0),
        ),
        *((_R.PRESENT_TEMPERATURE, 1, 0), (_R.PENDING, 1, 0), (_R.STATUS, 1, 0), (_R.MOVING, 1, 0)),
        (_R.PRESENT_CURRENT, 2, 0),
    )
)
SIZE_OF = {row.register: row.size for row in ROWS}
WRITABLE = frozenset(row.register + i for row in ROWS if row.writable for i in range(row.size))
"""Addresses of bytes that a WRITE changes."""


def factory(servo_id: int) -> bytearray:
    """All registers as they leave the factory, but for the id."""
    memory = bytearray(SIZE)
    for row in ROWS:
        memory[row.register : row.register + row.size] = row.factory.to_bytes(row.size, "little")
    memory[Register.ID] = servo_id
    return memory
