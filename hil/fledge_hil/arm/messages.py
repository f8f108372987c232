"""What goes into and comes out of the arm's firmware each millisecond: mirrors of the structs in firmware/arm/arm.h.

All fields are 4 bytes, but for the bytes of a channel; `check_layout` compares every offset with the C compiler's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fledge_hil.board_messages import BoardLayoutError

JOINTS_MAX, GOAL_SIZE, UART_SIZE = 8, 6, 256
"""ARM_JOINTS_MAX, ARM_GOAL_SIZE, UART_SIZE."""
_u32, _f32 = ctypes.c_uint32, ctypes.c_float
FloatArray = ctypes.Array[ctypes.c_float]


class Command(IntEnum):
    """enum arm_command."""

    RELAX = 0
    HOLD = 1
    MOVE = 2


class ArmMode(IntEnum):
    """enum arm_mode."""

    RELAXED = 0
    STARTING = 1
    HOLDING = 2
    MOVING = 3


class ArmGuard(IntEnum):
    """enum arm_guard: why the policy does not move the arm; 0 while it does."""

    OK = 0
    COMMAND = 1
    STARTING = 2
    MISSING = 3
    MODEL = 4
    SETTINGS = 5
    BUS = 6
    HEAT = 7
    HIGH = 8
    LOW = 9
    SERVO = 10
    TORQUE = 11
    OVERLOAD = 12
    JUMP = 13
    LIMIT = 14
    SELF_TEST = 15
    CALL_PERIOD = 16
    NOT_FINITE = 17
    STALE = 18
    GOAL = 19
    VELOCITY = 20
    STRETCH = 21
    ACTION = 22
    PADS = 23
    PAD_STUCK = 24
    PAD_FULL = 25


class ArmInput(ctypes.Structure):
    """struct arm_input."""

    time_ms: int
    command: int
    goal_age_ms: int
    goal_base: FloatArray
    """[m]; of a task of two places both"""
    _fields_ = (
        ("time_ms", _u32),
        ("command", _u32),
        ("goal_age_ms", _u32),
        ("goal_base", _f32 * GOAL_SIZE),
    )


class ArmOutput(ctypes.Structure):
    """struct arm_output; of the arrays the first elements count, one per joint (action: per output of the policy)."""

    mode: int
    guard: int
    guard_latched: int
    culprit: int
    contract_hash: int
    self_test_passed: int
    inferences: int
    deadline_misses: int
    cycles: int
    retries: int
    wrong_checksums: int
    torque: int
    pads_age_ms: int
    pads_frames: int
    pads_wrong_checksums: int
    age_ms: ctypes.Array[ctypes.c_uint32]
    position: FloatArray
    """[rad, m]"""
    velocity: FloatArray
    """[rad/s, m/s]"""
    target: FloatArray
    """[rad, m]"""
    load: FloatArray
    """Duty, -1 to 1."""
    voltage: FloatArray
    """[V]"""
    temperature: FloatArray
    """[degrees C]"""
    action: FloatArray
    """[-1, 1]; 0 while the policy is off."""
    tip_base: FloatArray
    """[m]"""
    _fields_ = (
        *((name, _u32) for name in ("mode", "guard", "guard_latched", "culprit", "contract_hash", "self_test_passed")),
        *((name, _u32) for name in ("inferences", "deadline_misses", "cycles", "retries", "wrong_checksums", "torque")),
        *((name, _u32) for name in ("pads_age_ms", "pads_frames", "pads_wrong_checksums")),
        ("age_ms", _u32 * JOINTS_MAX),
        *((name, _f32 * JOINTS_MAX) for name in ("position", "velocity", "target", "load", "voltage", "temperature")),
        ("action", _f32 * JOINTS_MAX),
        ("tip_base", _f32 * 3),
    )


class ArmChannel(ctypes.Structure):
    """struct arm_channel: bytes to the board, then from it."""

    length: int
    data: ctypes.Array[ctypes.c_uint8]
    _fields_ = (("length", _u32), ("data", ctypes.c_uint8 * UART_SIZE))

    def put(self, data: bytes) -> None:
        """Enter bytes; what does not fit is lost, as in a serial port that nobody reads."""
        data = data[:UART_SIZE]
        self.length = len(data)
        ctypes.memmove(self.data, data, len(data))

    def get(self) -> bytes:
        """What lies in it."""
        return bytes(self.data)[: self.length]


class ArmCalibration(ctypes.Structure):
    """struct arm_calibration."""

    zero_counts: FloatArray
    """Of the encoder at q = 0."""
    direction: FloatArray
    """1 or -1."""
    _fields_ = (("zero_counts", _f32 * JOINTS_MAX), ("direction", _f32 * JOINTS_MAX))


def joints(array: FloatArray, count: int) -> NDArray[np.float64]:
    """The first numbers of an array, (count,)."""
    return np.array(array[:count], np.float64)


def layout() -> list[int]:
    """Offset of every field in order, then the size, of each shared struct: as arm_layout in arm_layout.c."""
    messages: tuple[type[ctypes.Structure], ...] = (ArmInput, ArmOutput, ArmChannel, ArmCalibration)
    return [
        number
        for message in messages
        for number in (*(getattr(message, name).offset for name, *_ in message._fields_), ctypes.sizeof(message))
    ]


def check_layout(of_board: Sequence[int]) -> None:
    """Raise BoardLayoutError unless the board's own layout table equals ours."""
    if list(of_board) != layout():
        raise BoardLayoutError("the arm's structs differ from these of fledge; rebuild it with the matching version")
