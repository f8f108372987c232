"""`make firmware`: what the tools here can build, what it costs, and why the rest was skipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fledge_hil import images
from fledge_hil.images import Built, Skipped
from fledge_sim.policy import Policy


def test_without_gcc_and_firmware_the_emulated_board_is_built_and_the_rest_named(
    trained_policy: Policy, board_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == images.ARM_GCC else which(name))
    monkeypatch.delenv("CRAZYFLIE_BASE", raising=False)
    first, *rest = list(images.images(trained_policy, board_cache))
    assert isinstance(first, Built)
    assert 10_000 < first.flash < 100_000
    assert first.ram < 8_000
    lower, nominal, upper = first.tick.microseconds
    assert 0 < lower <= nominal <= upper < 500
    assert rest == [
        Skipped("emulated board, gcc", "arm-none-eabi-gcc is not installed"),
        *(
            Skipped(f"{platform}, {robot}", "CRAZYFLIE_BASE names no checkout of crazyflie-firmware")
            for robot, platform in images.PLATFORMS.items()
        ),
    ]
    text = images.table([first, *rest]).splitlines()
    assert text[2].split()[:3] == ["emulated", "board,", "clang"]
    assert f"{lower:.0f} / {nominal:.0f} / {upper:.0f}" in text[2]
    assert text[3].endswith("skipped: arm-none-eabi-gcc is not installed")


def test_another_robots_image_is_not_built_with_this_policy(
    trained_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRAZYFLIE_BASE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    skipped = images._crazyflie(trained_policy, "crazyflie_brushless", tmp_path)
    assert skipped == Skipped("cf21bl, crazyflie_brushless", "the policy was trained for crazyflie")
