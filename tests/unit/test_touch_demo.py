"""`fledge touch` and `fledge bench touch`: what is shown is what the field says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fledge_hil import cli, touch_demo
from fledge_sim import tactile_shapes as shapes


@pytest.fixture(scope="module")
def frames() -> list[touch_demo.Frame]:
    return touch_demo.handle(shapes.box((0.0105, 0.005, 0.006)), touch_demo.Handling(turn=0.0))


def test_object_is_pressed_held_and_let_go(frames: list[touch_demo.Frame]) -> None:
    by_phase = {frame.phase: frame for frame in frames}  # the last of each
    assert list(by_phase) == ["pressed", "pulled", "turned", "held", "let go"]
    # 5e7 N/m^3 * 0.8 mm * 21 mm * 10 mm
    pressed = by_phase["pressed"].force.sum((1, 2))
    closing = 1 + 0.5 * 8e-4 / 0.3  # the gel's damping
    np.testing.assert_allclose(pressed, [[8.4 * closing, 0, 0]] * 2, atol=1e-3)
    # a third of the stiffness sideways: 1.75e7 * 1 mm * 210 mm^2 = 3.7 N, below the friction of 6.7 N
    shears = [frame.force.sum((1, 2))[:, 1] for frame in frames if frame.phase == "held"]
    np.testing.assert_allclose(shears, 3.675, rtol=0.08)
    assert (by_phase["let go"].force == 0).all()
    assert np.ptp(by_phase["let go"].image.reshape(-1, 3), axis=0).max() == 0


def test_image_and_cells_follow(frames: list[touch_demo.Frame]) -> None:
    held = next(frame for frame in frames if frame.phase == "held")
    assert np.ptp(held.image.astype(int)) > 60
    assert held.touch.sum((1, 2))[:, 0] == pytest.approx(8.4, rel=0.15)


def test_pictures_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["touch", "cylinder", "--out", str(tmp_path)]) == 0
    assert "N on each pad" in capsys.readouterr().out
    assert (tmp_path / "touch.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "touch.gif").read_bytes().startswith(b"GIF89a")
    assert cli.run(["touch", "--depth", "0.02", "--out", str(tmp_path)]) == 2


def test_bench_says_how_long_touch_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "touch", "--quick", "--environments", "4"]) == 0
    printed = capsys.readouterr().out
    assert "peg, 8 mm wide" in printed
    assert "every fault" in printed
