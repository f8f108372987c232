"""The board's image in QEMU, where it is installed: the same bits as in the emulated chip, faults included."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import qemu
from fledge_hil.board import BoardInput, EmulatedBoard, SetpointMode, build_board
from fledge_hil.qemu import QemuError, qemu_board
from fledge_sim.policy import Policy

TICKS = 150


def draw(message: BoardInput, generator: np.random.Generator) -> None:
    """Near hover; a NaN or a set-point without a position now and then."""
    flight = message.flight
    flight.time_ms += 1
    flight.enable = int(generator.random() > 0.05)
    flight.setpoint_mode = (
        SetpointMode.POSITION if generator.random() > 0.05 else SetpointMode(generator.integers(0, 4))
    )
    flight.position_world[:] = generator.normal(0, 0.2, 3)
    flight.velocity_world[:] = generator.normal(0, 0.3, 3)
    q = np.array([0, 0, 0, 1]) + generator.normal(0, 0.1, 4)
    flight.quaternion_xyzw[:] = q / np.linalg.norm(q)
    flight.gyro_deg_s[:] = generator.normal(0, 40, 3)
    if generator.random() < 0.03:
        flight.velocity_world[1] = float("nan")
    message.motors_allowed = 1


@pytest.mark.skipif(shutil.which(qemu.QEMU) is None, reason=f"{qemu.QEMU} is not installed: no second opinion")
def test_qemu_gives_the_bits_of_the_emulated_chip(trained_policy: Policy, board_cache: Path) -> None:
    elf = build_board(trained_policy, board_cache).elf
    board, message, generator, flown = EmulatedBoard(elf), BoardInput(), np.random.default_rng(0), 0
    with qemu_board(elf) as second:
        for _ in range(TICKS):
            draw(message, generator)
            output = second.tick(message)
            assert bytes(output) == bytes(board.tick(message))
            flown += output.flight.controls_motors
    assert TICKS // 3 < flown < TICKS


def test_without_qemu_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(QemuError, match="is not installed"), qemu_board(tmp_path / "board.elf"):
        pass
