"""A second cross-compiler, where it is installed: another binary of the same firmware flies the same bits."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from fledge_export.build import ARM_GCC
from fledge_export.emit_c import emit
from fledge_export.robot_header import robot_header
from fledge_hil.board import EmulatedBoard, build_board
from fledge_hil.board_build import compile_image
from fledge_hil.crtp import Port, packet
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import robot as robots
from fledge_sim.policy import Policy


def gcc_image(policy: Policy, folder: Path) -> Path:
    emitted = emit(policy)
    generated = {"policy.c": emitted.source, "policy.h": emitted.header}
    generated["robot.h"] = robot_header(robots.load(policy.contract.robot))
    for name, text in generated.items():
        (folder / name).write_text(text)
    return compile_image(folder, folder / "board.elf", compiler="gcc")


def take_off(policy: Policy, image: Path) -> bytes:
    """Recording of 4 s: armed, policy enabled, take-off to 0.5 m."""
    drone = VirtualCrazyflie(robots.load(policy.contract.robot), policy.contract, EmulatedBoard(image))
    for _ in range(50):
        drone.step_ms()
    assert drone.arm(True)
    drone.parameters["fledge.enable"].value = 1
    drone.step_ms()
    drone.handle_packet(packet(Port.HIGH_LEVEL, 0, struct.pack("<BBffBf", 7, 0, 0.5, 0.0, 1, 2.0)))
    for _ in range(4000):
        drone.step_ms()
    assert drone.plant.truth[2] == pytest.approx(0.5, abs=0.05)
    return drone.recorder.content


@pytest.mark.skipif(shutil.which(ARM_GCC) is None, reason=f"{ARM_GCC} is not installed; zig's image is tested anyway")
def test_gcc_and_zig_images_fly_the_same_bits(trained_policy: Policy, board_cache: Path, tmp_path: Path) -> None:
    by_gcc = take_off(trained_policy, gcc_image(trained_policy, tmp_path))
    assert by_gcc == take_off(trained_policy, build_board(trained_policy, board_cache).elf)
