"""The Crazyflie app, built into the real firmware and called inside an emulated Cortex-M4F.

Needs a checkout of crazyflie-firmware with its submodules, named by CRAZYFLIE_BASE, and arm-none-eabi-gcc.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from fledge_export.package import export
from fledge_hil.board import BoardInput, Guard, HostBoard, build_board
from fledge_hil.board_messages import FlightInput, FlightOutput
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights
from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
)

BASE = os.environ.get("CRAZYFLIE_BASE", "")
APP = Path(__file__).parents[2] / "firmware" / "boards" / "crazyflie"
pytestmark = pytest.mark.skipif(
    not BASE or shutil.which("arm-none-eabi-gcc") is None,
    reason="needs CRAZYFLIE_BASE (a checkout of crazyflie-firmware) and arm-none-eabi-gcc",
)
RETURN, STACK, ARGUMENTS = 0x1FFF0000, 0x1000FF00, 0x2001F000
CONTROL_MODE_LEGACY, CONTROL_MODE_FORCE = 0, 2
ABSOLUTE, VELOCITY = 1, 2
TRUE = bytes.fromhex("01207047")  # movs r0, #1; bx lr
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
        for address, data in segments:
            self.uc.mem_write(address, data)
        self.uc.mem_write(self.symbols["supervisorAreMotorsAllowedToRun"] & ~1, TRUE)
        self.call("controllerOutOfTreeInit")

    def call(self, function: str, *arguments: int) -> int:
        registers = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)
        for register, value in zip(registers, arguments, strict=False):
            self.uc.reg_write(register, value)
        self.uc.mem_write(STACK, b"".join(struct.pack("<I", value) for value in arguments[4:]))
        self.uc.reg_write(UC_ARM_REG_SP, STACK)
        self.uc.reg_write(UC_ARM_REG_LR, RETURN | 1)
        self.uc.emu_start(self.symbols[function] | 1, RETURN, timeout=10_000_000)
        assert self.uc.reg_read(UC_ARM_REG_PC) == RETURN
        return int(self.uc.reg_read(UC_ARM_REG_R0))

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
        return float(struct.unpack("<f", self.uc.mem_read(self.symbols["fledge_stock"] + 8, 4))[0])

    def enable(self, value: int) -> None:
        self.uc.mem_write(self.symbols["fledge_parameters"], bytes([value]))


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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, HostBoard]:
    folder = tmp_path_factory.mktemp("app")
    contract = contract_of(robots.load("crazyflie"), ActorConfig(), SensorConfig(), TrainingRecord("none", 0, "test"))
    policy = policies.assemble(contract, initial_weights(contract, 1.0, 0))
    export(policy, folder / "export")
    command = ["make", f"CRAZYFLIE_BASE={BASE}", f"POLICY={folder / 'export'}", f"BUILD={folder}"]
    done = subprocess.run(command, cwd=APP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "warning:" not in done.stdout + done.stderr
    return folder / "crazyflie" / "build" / "cf2.elf", HostBoard(build_board(policy, folder / "board").library)


@pytest.fixture
def firmware(built: tuple[Path, HostBoard]) -> Firmware:
    return Firmware(built[0])


UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def test_the_policy_inside_the_firmware_passes_its_self_test(firmware: Firmware) -> None:
    assert firmware.call("policy_self_test") == 0


def test_the_firmware_flies_with_the_bits_of_the_host(firmware: Firmware, built: tuple[Path, HostBoard]) -> None:
    board, generator = built[1], np.random.default_rng(0)
    board.reset()
    firmware.enable(1)
    for time_ms in range(1, 300):
        q = np.array([0, 0, 0, 1]) + generator.normal(0, 0.2, 4)
        state = state_of(generator.normal(0, 0.3, 3), generator.normal(0, 0.5, 3), q / np.linalg.norm(q))
        sensors, setpoint = sensors_of(generator.normal(0, 50, 3)), setpoint_of(time_ms, (0, 0, 0.2))
        forces, mode = firmware.tick(time_ms, state, sensors, setpoint)
        expected = board.tick(BoardInput(flight=firmware.input(), motors_allowed=1)).flight
        assert mode == CONTROL_MODE_FORCE
        assert bytes(firmware.output()) == bytes(expected)
        assert forces.tobytes() == bytes(expected.motor_fraction)


def test_a_trip_gives_the_motors_to_the_firmware_in_the_same_tick(firmware: Firmware) -> None:
    firmware.enable(1)
    for time_ms in range(1, 10):
        state = state_of((0, 0, 1 + 1e-4 * time_ms), (0, 0, 0), UPRIGHT)
        assert firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))[1] == 2
    lost = state_of((float("nan"), 0, 1), (0, 0, 0), UPRIGHT)
    assert firmware.tick(10, lost, sensors_of((0, 0, 0)), setpoint_of(10, (0, 0, 1)))[1] == CONTROL_MODE_LEGACY
    assert firmware.output().guard_latched == Guard.NOT_FINITE


def test_a_lost_position_in_flight_makes_the_pid_go_down(firmware: Firmware) -> None:
    """Without the failsafe it would hold the height: the set-point is where the drone is."""
    firmware.uc.mem_write(firmware.symbols["supervisorIsFlying"] & ~1, TRUE)
    thrusts = []
    for position in (0.0, float("nan")):
        firmware.enable(0)
        for time_ms in range(1, 400):
            x = position if time_ms > 20 else 0.0
            state = state_of((x, 1e-6 * time_ms, 1), (0, 0, 0), UPRIGHT)
            firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))
            firmware.enable(int(time_ms < 20 or position != 0.0))
        thrusts.append(firmware.stock_thrust())
    assert 0 < thrusts[1] < 0.95 * thrusts[0]


def test_an_estimator_that_repeats_itself_is_stale_after_50_ms(firmware: Firmware) -> None:
    firmware.enable(1)
    state = state_of((0, 0, 1), (0, 0, 0), UPRIGHT)
    guards = []
    for time_ms in range(1, 60):
        firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint_of(time_ms, (0, 0, 1)))
        guards.append(firmware.output().guard)
    assert guards.index(Guard.STALE_STATE) == 51  # the first tick changes; 50 more may repeat it


def test_a_setpoint_without_a_position_leaves_the_motors_to_the_firmware(firmware: Firmware) -> None:
    firmware.enable(1)
    for mode in (bytes(7), b"\0\0\0\1\1\2\0", b"\0\0\1\1\1\2\0", b"\1\1\0\0\0\1\0"):
        firmware.tick(1, state_of((0, 0, 1), (0, 0, 0), UPRIGHT), sensors_of((0, 0, 0)), setpoint_of(1, (0, 0, 1)))
        state = state_of((0, 0, 1.1), (0, 0, 0), UPRIGHT)
        assert firmware.tick(2, state, sensors_of((0, 0, 0)), setpoint_of(2, (0, 0, 1), mode=mode))[1] == 0
        firmware.enable(0)
        firmware.tick(3, state, sensors_of((0, 0, 0)), setpoint_of(3, (0, 0, 1)))
        firmware.enable(1)


def test_a_hover_setpoint_moves_the_target_along_the_heading(firmware: Firmware) -> None:
    """Forward at 0.5 m/s for 100 ms while facing world y: the target is 5 cm further along y, at the given height."""
    firmware.enable(1)
    facing_y = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    hover = bytes([VELOCITY, VELOCITY, ABSOLUTE, 0, 0, VELOCITY, 0])
    for time_ms in range(1, 101):
        state = state_of((0, 1e-6 * time_ms, 1), (0, 0, 0), facing_y)
        setpoint = setpoint_of(time_ms, (0, 0, 1.2), (0.5, 0, 0), hover, body=True)
        firmware.tick(time_ms, state, sensors_of((0, 0, 0)), setpoint)
    assert np.allclose(list(firmware.output().reference_position_world), (0, 0.05, 1.2), atol=1e-4)
