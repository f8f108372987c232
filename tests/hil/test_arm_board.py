"""The arm's firmware with a policy: on the host and on the emulated Cortex-M4F, talking to virtual servos."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from arm_hand import ARM, GOAL, POSE, START, homing_policy
from fledge_export.build import ARM_GCC, CrossCompiler, compile_host, firmware_directory
from fledge_hil.arm.board import ArmBoard, EmulatedArmBoard, HostArmBoard, check_fits
from fledge_hil.arm.board_build import build_arm_board, compile_image
from fledge_hil.arm.driver import ArmStopped, Driver
from fledge_hil.arm.fault_run import run
from fledge_hil.arm.faults import FAULTS, ArmFault
from fledge_hil.arm.messages import ArmMode, Command
from fledge_hil.arm.mujoco_plant import MujocoPlant
from fledge_hil.arm.pseudo_terminal import PseudoTerminal
from fledge_hil.arm.registers import Register
from fledge_hil.arm.serial_wire import SerialWire
from fledge_hil.arm.starts import Start, resting
from fledge_hil.arm.tick_bound import arm_tick_bound
from fledge_hil.arm.virtual_arm import VirtualArm
from fledge_hil.board_cache import BoardFiles
from fledge_hil.board_messages import BoardLayoutError
from fledge_sim import policy as policies
from fledge_sim.contract import ContractError
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

STACK_MAX = 1024
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def policy() -> Policy:
    return homing_policy()


@pytest.fixture(scope="module")
def files(policy: Policy, arm_board_cache: Path) -> BoardFiles:
    return build_arm_board(policy, arm_board_cache)


@pytest.fixture(scope="module")
def host(files: BoardFiles) -> HostArmBoard:
    return HostArmBoard(files.library)


def start(seed: int) -> Start:
    return resting(ARM, START, np.array([GOAL]), seed)


def session(board: ArmBoard, **virtual: object) -> tuple[list[bytes], Driver]:
    """Everything that a run of start, motion and rest said, sensed and reported."""
    wire = VirtualArm(ARM, MujocoPlant(ARM, START), seed=4, echo=bool(virtual.get("echo")))
    wire.bus.faults.flips, wire.bus.faults.noise = 0.002, 1.0
    driver, log = Driver(ARM, board, wire), []
    driver.told.append(lambda output: log.append(bytes(output) + driver.heard))
    driver.aim(GOAL)
    driver.hold()
    driver.move_to(GOAL, 0.8)
    driver.relax()
    return log, driver


def test_emulated_and_host_give_the_same_bits(files: BoardFiles, host: HostArmBoard) -> None:
    """Over a run of a second on a noisy wire: every byte said, heard and reported."""
    host.reset()
    on_host, driver = session(host)
    on_chip, _ = session(EmulatedArmBoard(files.elf))
    assert on_host == on_chip
    assert len(on_host) > 900
    assert driver.output.retries > 0
    assert driver.output.wrong_checksums > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(ARM_GCC) is None, reason=f"{ARM_GCC} is not installed")
def test_the_other_compilers_image_gives_the_same_bits(files: BoardFiles, host: HostArmBoard, tmp_path: Path) -> None:
    host.reset()
    image = compile_image(files.elf.parent, tmp_path / "arm-gcc.elf", "gcc")
    assert session(EmulatedArmBoard(image))[0] == session(host)[0]


def test_the_arm_goes_where_the_policy_wants(host: HostArmBoard) -> None:
    """The hand policy's pose, as far as the servos carry their load: a stiffness of 18.7 N m/rad sags by 0.05 rad."""
    host.reset()
    wire = VirtualArm(ARM, MujocoPlant(ARM, START))
    driver = Driver(ARM, host, wire)
    driver.aim(GOAL)
    driver.hold()
    assert np.abs(driver.position - START).max() < 0.05
    driver.move_to(GOAL, 2.0)
    assert np.abs(driver.position[:5] - POSE).max() < 0.03
    assert wire.servos[0].get(Register.RETURN_DELAY) == 0
    driver.relax()
    assert not any(servo.torque_enabled for servo in wire.servos)


def test_tip_is_the_bodys(host: HostArmBoard) -> None:
    host.reset()
    plant = MujocoPlant(ARM, START)
    driver = Driver(ARM, host, VirtualArm(ARM, plant))
    driver.run(0.3)
    assert np.abs(driver.tip - plant.tip).max() < 0.01


def test_over_a_serial_port_by_the_wall_clock(files: BoardFiles, host: HostArmBoard) -> None:
    """The same driver, a pseudo-terminal between it and the servos; what it says is what it would say to real ones."""
    host.reset()
    virtual = VirtualArm(ARM)
    with PseudoTerminal(virtual) as terminal, SerialWire(terminal.port) as wire:
        driver = Driver(ARM, host, wire)
        driver.aim(GOAL)
        started = driver.until(lambda output: output.cycles > 20, PATIENCE_S)
        assert started
        assert virtual.servos[3].get(Register.RETURN_DELAY) == 0
        driver.input.command = Command.HOLD
        assert driver.until(lambda output: output.mode == ArmMode.HOLDING, PATIENCE_S), driver.reason()
        assert driver.until(lambda _: all(servo.torque_enabled for servo in virtual.servos), PATIENCE_S)


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="cannot open"):
        SerialWire("/dev/nothing-here")
    (tmp_path / "file").touch()
    with pytest.raises(FledgeError, match="cannot be set"):
        SerialWire(str(tmp_path / "file"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: ArmFault, host: HostArmBoard) -> None:
    found = run(fault, host, start(1), 1)
    assert found.passed, found.reasons


def test_a_fault_that_is_not_noticed_fails(host: HostArmBoard) -> None:
    """The judge: rows that promise something else than what happens."""
    by_name = {fault.name: fault for fault in FAULTS}
    for name, outcome in (("hot", "holds"), ("unplugged", "moves on"), ("none", "holds")):
        assert not run(dataclasses.replace(by_name[name], outcome=outcome), host, start(1), 1).passed


def test_the_driver_says_what_is_wrong(host: HostArmBoard) -> None:
    host.reset()
    wire = VirtualArm(ARM)
    wire.bus.faults.silent = {4}
    with pytest.raises(ArmStopped, match="servo of wrist_flex does not answer"):
        Driver(ARM, host, wire).hold()


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_whole_tick_is_bounded(compiler: CrossCompiler, files: BoardFiles, tmp_path: Path) -> None:
    """Over all paths, in the upper cycle model."""
    if compiler == "gcc" and shutil.which(ARM_GCC) is None:
        pytest.skip(f"{ARM_GCC} is not installed")
    elf = files.elf if compiler == "zig" else compile_image(files.elf.parent, tmp_path / "arm-gcc.elf", compiler)
    bound = arm_tick_bound(elf)
    lower, nominal, upper = bound.microseconds
    print(
        f"arm tick, {compiler}: {lower:.0f} / {nominal:.0f} / {upper:.0f} us, the policy {bound.policy_us:.0f} of them"
    )
    assert upper - bound.policy_us < 450
    assert upper < 1000
    assert bound.worst.stack < STACK_MAX


def test_board_of_other_sources_is_refused(files: BoardFiles, policy: Policy, host: HostArmBoard) -> None:
    host.reset()
    output, _ = host.tick(Driver(ARM, host, VirtualArm(ARM)).input, b"")
    check_fits(ARM, output, policy.contract.hash32)
    with pytest.raises(FledgeError, match="carries contract"):
        check_fits(ARM, output, 1)
    turn = firmware_directory() / "flight"
    other = files.library.parent / "other.so"
    text = files.library.parent / "other.c"
    text.write_text(
        "#include <stdint.h>\nextern const uint32_t arm_layout[36];\nconst uint32_t arm_layout[36] = {1};\n"
    )
    compile_host([text], [turn], other)
    with pytest.raises(BoardLayoutError):
        HostArmBoard(other)


def test_policy_of_another_arm_is_refused(policy: Policy, tmp_path: Path) -> None:
    other = dataclasses.replace(policy.contract, robot_sha256="00" * 32, weights_sha256="")
    with pytest.raises(ContractError, match="not for 'so101'"):
        build_arm_board(policies.assemble(other, policy.weights), tmp_path, ARM)
    with pytest.raises(FledgeError, match="so101 is another arm now"):
        build_arm_board(policies.assemble(other, policy.weights), tmp_path)
