"""The Crazyflie firmware's image in an emulated Cortex-M4F: functions called one by one, the scheduler never runs."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.elffile import ELFFile
from fledge_hil.board_messages import FlightInput, FlightOutput
from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_S0,
    UC_ARM_REG_S1,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
)

RETURN, STACK, ARGUMENTS = 0x1FFF0000, 0x1000FF00, 0x2001F000
CONTROL_MODE_LEGACY, CONTROL_MODE_FORCE = 0, 2
TRUE, FALSE = bytes.fromhex("01207047"), bytes.fromhex("00207047")  # movs r0, #1; bx lr
NOTHING = bytes.fromhex("7047")  # bx lr
NO_VARIABLE = bytes.fromhex("0020c0437047")  # mvns r0, #0; bx lr
PARAMETER_BYTES = 20
"""Of an entry of the firmware's table: types, name, address, callback, getter."""
Vector = Sequence[float]


class Firmware:
    """Functions of the firmware's image, called one by one; its scheduler never runs."""

    def __init__(self, elf: Path) -> None:
        with elf.open("rb") as stream:
            image: Any = ELFFile(stream)
            table = image.get_section_by_name(".symtab").iter_symbols()
            kinds = ("STT_FUNC", "STT_OBJECT")
            self.symbols = {s.name: s["st_value"] for s in table if s["st_info"]["type"] in kinds}
            segments = [(s["p_vaddr"], s.data()) for s in image.iter_segments() if s["p_type"] == "PT_LOAD"]
        self.uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
        for address, size in ((0x08000000, 1 << 20), (0x20000000, 128 << 10), (0x10000000, 64 << 10)):
            self.uc.mem_map(address, size)
        for page in (0xE000E000, 0xE0001000, RETURN):  # system control, cycle counter, return address
            self.uc.mem_map(page, 0x1000)
        self.sent: list[bytes] = []
        """On the app channel."""
        self.console: list[str] = []
        """Format strings."""
        self.parameters_set: list[tuple[int, int]] = []
        """Identifier and value that the app wrote."""
        self.arming_requests: list[int] = []
        self.commands: list[tuple[str, float, float]] = []
        """To the firmware's commander: function and the floats it was given."""
        for address, data in segments:
            self.uc.mem_write(address, data)
        self.answer("supervisorAreMotorsAllowedToRun", TRUE)
        for name in ("estimatorKalman", "vPortEnterCritical", "vPortExitCritical"):
            self.answer(name, NOTHING)
        self.answer("usecTimestamp", TRUE)
        self._observe("appchannelSendDataPacket", self._on_sent)
        self._observe("consolePutchar", lambda: None)
        self._observe("eprintf", lambda: self.console.append(self.text(self._register(UC_ARM_REG_R1))))
        self._observe("paramSetInt", self._on_parameter)
        self._observe(
            "supervisorRequestArming", lambda: self.arming_requests.append(self._register(UC_ARM_REG_R0) & 0xFF)
        )
        self.answer("logGetVarId", NO_VARIABLE)
        self._observe("commanderRelaxPriority", lambda: self.commands.append(("relax", 0.0, 0.0)))
        self._observe("crtpCommanderHighLevelLand", lambda: self.commands.append(("land", *self._floats())))
        self.call("controllerOutOfTreeInit")

    def answer(self, function: str, code: bytes) -> None:
        """Replace a function of the firmware, one that would wait for its scheduler or its peripherals."""
        self.uc.mem_write(self.symbols[function] & ~1, code)
        self.uc.ctl_flush_tb()  # it may have run before

    def _observe(self, function: str, callback: Callable[[], None]) -> None:
        place = self.symbols[function] & ~1
        self.answer(function, NOTHING)
        self.uc.hook_add(UC_HOOK_CODE, lambda *_: callback(), None, place, place)

    def _register(self, register: int) -> int:
        return int(self.uc.reg_read(register))

    def _floats(self) -> tuple[float, float]:
        """The first two float arguments."""
        words = (self._register(register) & 0xFFFFFFFF for register in (UC_ARM_REG_S0, UC_ARM_REG_S1))
        first, second = struct.unpack("<2f", struct.pack("<2I", *words))
        return first, second

    def text(self, address: int) -> str:
        return bytes(self.uc.mem_read(address, 80)).split(b"\0")[0].decode()

    def _on_sent(self) -> None:
        place, length = self._register(UC_ARM_REG_R0), self._register(UC_ARM_REG_R1)
        self.sent.append(bytes(self.uc.mem_read(place, length)))

    def _on_parameter(self) -> None:
        self.parameters_set.append((self._register(UC_ARM_REG_R0), self._register(UC_ARM_REG_R1)))

    def call(self, function: str, *arguments: int) -> int:
        return self.call_at(self.symbols[function], *arguments)

    def call_at(self, place: int, *arguments: int) -> int:
        registers = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)
        for register, value in zip(registers, arguments, strict=False):
            self.uc.reg_write(register, value)
        self.uc.mem_write(STACK, b"".join(struct.pack("<I", value) for value in arguments[4:]))
        self.uc.reg_write(UC_ARM_REG_SP, STACK)
        self.uc.reg_write(UC_ARM_REG_LR, RETURN | 1)
        self.uc.emu_start(place | 1, RETURN, timeout=10_000_000)
        assert self.uc.reg_read(UC_ARM_REG_PC) == RETURN
        return int(self.uc.reg_read(UC_ARM_REG_R0))

    def run_task(self, from_ms: int, until_ms: int) -> None:
        """The app's own task from its first line on; each of its waits for a packet ends after 10 ms without one."""
        now = [from_ms]
        place = self.symbols["appchannelReceiveDataPacket"] & ~1
        self.answer("appchannelReceiveDataPacket", FALSE)

        def wait(*_: object) -> None:
            self.uc.mem_write(self.symbols["xTickCount"], struct.pack("<I", now[0]))
            now[0] += 10
            if now[0] > until_ms + 10:
                self.uc.emu_stop()

        hook = self.uc.hook_add(UC_HOOK_CODE, wait, None, place, place)
        self.uc.reg_write(UC_ARM_REG_SP, STACK)
        self.uc.emu_start(self.symbols["appMain"] | 1, RETURN, timeout=10_000_000)
        self.uc.hook_del(hook)
        assert now[0] > until_ms

    def beat(self, time_ms: int, limit_ms: int) -> None:
        """A client writes fledge.heartbeat: the value, then the callback of its entry in the firmware's table."""
        self.uc.mem_write(self.symbols["xTickCount"], struct.pack("<I", time_ms))
        address, callback = self._parameter("heartbeat")
        self.uc.mem_write(address, struct.pack("<H", limit_ms))
        self.call_at(callback)

    def _parameter(self, name: str) -> tuple[int, int]:
        """Address and callback in the group `fledge`."""
        entry = self.symbols["__params_fledge"]
        for _ in range(100):
            _, label, address, callback, _ = struct.unpack("<I4I", self.uc.mem_read(entry, PARAMETER_BYTES))
            if self.text(label) == name:
                return address, callback
            entry += PARAMETER_BYTES
        raise AssertionError(f"no parameter fledge.{name}")

    def tick(self, time_ms: int, state: bytes, sensors: bytes, setpoint: bytes) -> tuple[Any, int]:
        """One call of the stabilizer: normalizedForces and controlMode."""
        self.uc.mem_write(self.symbols["xTickCount"], struct.pack("<I", time_ms))
        places = [ARGUMENTS + 256 * i for i in range(4)]
        for place, data in zip(places[1:], (setpoint, sensors, state), strict=True):
            self.uc.mem_write(place, data)
        self.call("controllerOutOfTree", *places, time_ms)
        control = bytes(self.uc.mem_read(places[0], 20))
        return np.frombuffer(control[:16], "<f4"), control[16]

    def input(self) -> FlightInput:
        return FlightInput.from_buffer_copy(
            bytes(self.uc.mem_read(self.symbols["fledge_input"], ctypes.sizeof(FlightInput)))
        )

    def output(self) -> FlightOutput:
        return FlightOutput.from_buffer_copy(
            bytes(self.uc.mem_read(self.symbols["fledge_output"], ctypes.sizeof(FlightOutput)))
        )

    def stock_thrust(self) -> float:
        """control_t.thrust of the PID, in the firmware's raw unit."""
        return float(self._stock()[3])

    def _stock(self) -> tuple[Any, ...]:
        """control_t of the PID: roll, pitch, yaw, thrust."""
        return struct.unpack("<3h2xf", self.uc.mem_read(self.symbols["fledge_stock"], 12))

    def stock_fractions(self) -> list[float]:
        """What the PID's last answer gives each motor, mixed as the firmware mixes in its legacy mode."""
        roll, pitch, yaw, thrust = self._stock()
        roll, pitch = int(roll / 2), int(pitch / 2)
        terms = ((-roll, pitch, yaw), (-roll, -pitch, -yaw), (roll, -pitch, yaw), (roll, pitch, -yaw))
        wanted = [int(sum(map(np.float32, each), np.float32(thrust))) for each in terms]
        excess = max(0, max(wanted) - 0xFFFF)
        return [float(np.float32(max(0, each - excess)) / np.float32(0xFFFF)) for each in wanted]

    def switches(self) -> tuple[int, int]:
        """fledge.enable and fledge.ref."""
        enable, reference = bytes(self.uc.mem_read(self.symbols["fledge_parameters"], 2))
        return enable, reference

    def enable(self, value: int) -> None:
        self.uc.mem_write(self.symbols["fledge_parameters"], bytes([value]))

    def choose(self, mode: int) -> int:
        """A client writes fledge.hil; what it is afterwards."""
        place = self.symbols["fledge_parameters"] + 2
        self.uc.mem_write(place, bytes([mode]))
        self.call("in_the_loop_choose")
        return int(self.uc.mem_read(self.symbols["fledge_injection"], 1)[0])

    def receive(self, packet: bytes) -> None:
        """A packet of the app channel, as the app's task hands it over."""
        place = ARGUMENTS + 0x800
        self.uc.mem_write(place, packet or b"\0")
        self.call("in_the_loop_receive", place, len(packet))

    def estimate(self) -> list[float]:
        """One call of the estimator: position and velocity of its state_t."""
        place = ARGUMENTS + 0x900
        self.call("estimatorOutOfTree", place, 1)
        numbers = struct.unpack("<24f", self.uc.mem_read(place, 96))
        return [*numbers[9:12], *numbers[13:16]]


def vector(values: Vector) -> bytes:
    return struct.pack("<I3f", 0, *values)


def state_of(position: Vector, velocity: Vector, quaternion_xyzw: Vector) -> bytes:
    """state_t"""
    attitude = vector((0, 0, 0))
    return attitude + struct.pack("<4f", *quaternion_xyzw) + vector(position) + vector(velocity) + vector((0, 0, 0))


def sensors_of(gyro_deg_s: Vector) -> bytes:
    """sensorData_t"""
    return struct.pack("<3f3f", 0, 0, 1, *gyro_deg_s) + bytes(40)


def setpoint_of(
    time_ms: int, position: Vector, velocity: Vector = (0, 0, 0), mode: bytes = b"\1\1\1\0\0\1\0", *, body: bool = False
) -> bytes:
    """setpoint_t; mode: x y z roll pitch yaw quat."""
    attitudes = 2 * vector((0, 0, 0)) + struct.pack("<5f", 0, 0, 0, 1, 0)
    motion = vector(position) + vector(velocity) + 2 * vector((0, 0, 0))
    return struct.pack("<I", time_ms) + attitudes + motion + bytes([body]) + mode
