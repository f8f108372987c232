"""The arm's firmware, one call per millisecond; emulated, or compiled for the host. Both give the same bits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fledge_export.image import ImageError
from fledge_sim.arm import Arm
from fledge_sim.errors import FledgeError

from fledge_hil.arm.messages import (
    JOINTS_MAX,
    UART_SIZE,
    ArmCalibration,
    ArmChannel,
    ArmInput,
    ArmOutput,
    check_layout,
    layout,
)
from fledge_hil.arm.registers import CENTRE
from fledge_hil.mcu import Mcu, McuFault


class EmulatedArmError(FledgeError):
    """An image that is no arm's board, or that crashed."""


class ArmBoard(Protocol):
    """What moves an arm."""

    def reset(self) -> None:
        """Power-on: state cleared, self-test run."""

    def tick(self, arm_input: ArmInput, heard: bytes, felt: bytes = b"") -> tuple[ArmOutput, bytes]:
        """One millisecond.

        Args:
            arm_input: command and goal.
            heard: bytes that have come over the bus since the last tick.
            felt: bytes of the pads' board since then.
        Returns:
            What it does and why, and the bytes that it says.
        """


def centred() -> ArmCalibration:
    """Joints at zero where the servos' encoders are in the middle, all turning the same way."""
    calibration = ArmCalibration()
    calibration.zero_counts[:] = [float(CENTRE)] * JOINTS_MAX
    calibration.direction[:] = [1.0] * JOINTS_MAX
    return calibration


class HostArmBoard:
    """The C sources as a shared library; every instance has its own state."""

    def __init__(self, library: Path, calibration: ArmCalibration | None = None) -> None:
        """Load `library` (BoardFiles.library) and power on. Raises BoardLayoutError if it is of other sources."""
        self._library = ctypes.CDLL(str(library))
        check_layout(list((ctypes.c_uint32 * len(layout())).in_dll(self._library, "arm_layout")))
        self._calibration = calibration or centred()
        self._step, self._start = self._prototype("arm_board_step", 5), self._prototype("arm_board_start", 2)
        self._state = (ctypes.c_uint64 * -(-int(self._library.arm_board_size()) // 8))()
        self._channel, self._pads = ArmChannel(), ArmChannel()
        self.reset()

    def _prototype(self, function: str, pointers: int) -> Callable[..., None]:
        found = self._library[function]
        found.argtypes, found.restype = [ctypes.c_void_p] * pointers, None
        return found

    def reset(self) -> None:
        """See ArmBoard."""
        self._start(ctypes.byref(self._state), ctypes.byref(self._calibration))

    def tick(self, arm_input: ArmInput, heard: bytes, felt: bytes = b"") -> tuple[ArmOutput, bytes]:
        """See ArmBoard."""
        output = ArmOutput()
        self._channel.put(heard)
        self._pads.put(felt)
        self._step(*(ctypes.byref(place) for place in (self._state, arm_input, self._channel, self._pads, output)))
        return output, self._channel.get()


class EmulatedArmBoard:
    """The ELF of build_arm_board in an emulated Cortex-M4F; its serial lines are variables, filled and emptied."""

    def __init__(self, elf: Path, calibration: ArmCalibration | None = None) -> None:
        """Load `elf` (BoardFiles.elf) and power on. Raises EmulatedArmError or BoardLayoutError."""
        self._calibration = calibration or centred()
        try:
            self.mcu = Mcu(elf)
            table = self.mcu.read_at(self.mcu.address("arm_layout"), 4 * len(layout()))
            self._tick = self.mcu.address("arm_board_tick")
            self._input, self._output = self.mcu.address("arm_board_input"), self.mcu.address("arm_board_output")
            self._channel, self._pads = self.mcu.address("arm_board_channel"), self.mcu.address("arm_board_pads")
        except (ImageError, McuFault) as error:
            raise EmulatedArmError(str(error)) from error
        check_layout(list((ctypes.c_uint32 * len(layout())).from_buffer_copy(table)))
        self._start()

    def reset(self) -> None:
        """See ArmBoard."""
        try:
            self.mcu.reset()
        except (ImageError, McuFault) as error:
            raise EmulatedArmError(str(error)) from error
        self._start()

    def tick(self, arm_input: ArmInput, heard: bytes, felt: bytes = b"") -> tuple[ArmOutput, bytes]:
        """See ArmBoard."""
        try:
            self.put(arm_input, heard, felt)
            self.mcu.run(self._tick)
            output = ArmOutput.from_buffer_copy(self.mcu.read_at(self._output, ctypes.sizeof(ArmOutput)))
            length = int.from_bytes(self.mcu.read_at(self._channel, 4), "little")
            return output, bytes(self.mcu.read_at(self._channel + 4, length)) if length else b""
        except (ImageError, McuFault) as error:
            raise EmulatedArmError(str(error)) from error

    def put(self, arm_input: ArmInput, heard: bytes, felt: bytes = b"") -> None:
        """What the next tick will find."""
        self.mcu.write_at(self._input, bytes(arm_input))
        for place, data in ((self._channel, heard[:UART_SIZE]), (self._pads, felt[:UART_SIZE])):
            self.mcu.write_at(place, len(data).to_bytes(4, "little") + data)

    def _start(self) -> None:
        try:
            self.mcu.write("arm_board_calibration", bytes(self._calibration))
            self.mcu.call("arm_board_init")
        except (ImageError, McuFault) as error:
            raise EmulatedArmError(str(error)) from error


def check_fits(arm: Arm, output: ArmOutput, contract_hash: int) -> None:
    """Raise FledgeError unless the board carries the policy that is asked for, and its self-test has passed."""
    if output.contract_hash != contract_hash:
        raise FledgeError(
            f"the board of '{arm.name}' carries contract {output.contract_hash:08x}, not {contract_hash:08x}; "
            "build it from this policy"
        )
    if not output.self_test_passed:
        raise FledgeError("the policy's self-test failed on the board; its weights are damaged, build it again")
