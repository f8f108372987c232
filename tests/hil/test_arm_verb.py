"""fledge arm run and fledge arm sim, as a user calls them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scservo_sdk
from arm_hand import ARM, POSE, homing_policy
from fledge_hil import cli
from fledge_hil.arm import prove, serve
from fledge_hil.arm.calibration import load_calibration
from fledge_hil.arm.faults import FAULTS
from fledge_hil.arm.session import draw_goals
from fledge_sim import arm as arms
from fledge_sim import policy as policies
from fledge_sim.arm_kinematics import forward
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

PATIENCE_MS = 10_000


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arm-policy") / "policy.npz"
    policies.save(homing_policy(), path)
    return path


def test_run_moves_a_virtual_arm(saved: Path, arm_board_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hand policy goes to its pose, whose tip is where forward kinematics say: that goal it reaches, others not."""
    pose, _ = forward(ARM, POSE)
    common = ["--seconds", "1.2", "--tolerance", "0.02", "--cache", str(arm_board_cache)]
    goal = ["--goal", *(f"{x:.4f}" for x in pose)]
    assert cli.run(["arm", "run", str(saved), *goal, *common]) == 0
    printed = capsys.readouterr().out
    assert "1 of 1 goals reached" in printed
    assert cli.run(["arm", "run", str(saved), "--goal", "0.2", "-0.2", "0.1", *common, "--processor", "emulated"]) == 1
    assert "0 of 1 goals reached" in capsys.readouterr().out


def test_check_proves_and_fails(
    saved: Path, arm_board_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two rows of the table; then with one that promises what does not happen."""
    hot = next(fault for fault in FAULTS if fault.name == "hot")
    command = ["arm", "check", str(saved), "--cache", str(arm_board_cache)]
    monkeypatch.setattr(prove, "SECONDS", 0.2)
    monkeypatch.setattr(prove, "FAULTS", (FAULTS[0], hot))
    assert cli.run(command) == 0
    printed = capsys.readouterr().out
    assert "equal to the last bit" in printed
    assert "longest tick over all paths" in printed
    assert "PASSED" in printed
    monkeypatch.setattr(prove, "FAULTS", (dataclasses.replace(hot, outcome="holds"),))
    assert cli.run(command) == 1
    assert "hot, seed 0: it is RELAXED instead of HOLDING" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["arm", "dance"], "no subject 'dance'"),
        (["arm", "run", "absent.npz"], "does not exist"),
        (["arm", "run", "POLICY", "--port", "/dev/none"], "cannot open /dev/none"),
        (["arm", "run", "POLICY", "--goals", "0"], "must be positive"),
        (["arm", "run", "POLICY", "--port", "/dev/null", "--processor", "emulated"], "virtual servos only"),
        (["arm", "run", "POLICY", "--port", "/dev/null"], "cannot be set"),
        (["arm", "run", "POLICY", "--robot", "open_manipulator_x"], "not for 'open_manipulator_x'"),
        (["arm", "run", "POLICY", "--goal", "3", "0", "0"], "further from the tip"),
        (["arm", "sim", "--robot", "blimp"], "no robot 'blimp'"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    expected: str,
    saved: Path,
    arm_board_cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(saved.parent)
    cache = ["--cache", str(arm_board_cache)] if "POLICY" in arguments else []
    code = cli.run([str(saved) if word == "POLICY" else word for word in arguments] + cache)
    told = capsys.readouterr()
    assert code in (1, 2)
    assert expected in told.err + told.out
    assert "Traceback" not in told.err + told.out


def test_drone_is_no_arm(
    tmp_path: Path, make_policy: Callable[..., Policy], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "drone.npz"
    policies.save(make_policy("gru", (16,)), path)
    assert cli.run(["arm", "run", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_sim_serves_under_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scservo_sdk.port_handler, "LATENCY_TIMER", PATIENCE_MS)
    link = tmp_path / "arm"
    command = [sys.executable, "-m", "fledge_hil.cli", "arm", "sim", "--body", "joints", "--link", str(link)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert served.stdout.readline().startswith(f"{serve.READY} {link} (so101")
        port = scservo_sdk.PortHandler(str(link))
        assert port.openPort()
        assert scservo_sdk.sms_sts(port).ping(6) == (777, 0, 0)
        port.closePort()
        served.terminate()
        assert "2 instructions heard, 0 wrong checksums" in served.stdout.read()
    assert served.returncode == 0
    assert not link.exists()


def test_a_file_is_not_replaced_by_a_link(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("text")
    with pytest.raises(FledgeError, match="is no link"):
        serve.run(serve.Options(body="joints", link=path, seconds=0.0))
    assert path.read_text() == "text"


def test_goals_are_drawn_in_front_of_the_arm() -> None:
    goals = draw_goals(ARM, 50, 3)
    assert np.array_equal(goals, draw_goals(ARM, 50, 3))
    radius = np.hypot(goals[:, 0] - ARM.joints[0].point[0], goals[:, 1])
    assert radius.min() >= 0.15
    assert radius.max() <= 0.33
    assert np.ptp(goals, axis=0).min() > 0.15


def test_calibration_turns_and_shifts(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    entries = {joint.name: {"zero_counts": 2000 + i, "direction": (-1) ** i} for i, joint in enumerate(ARM.joints)}
    path.write_text(json.dumps(entries))
    found = load_calibration(path, ARM)
    assert list(found.zero_counts[:6]) == [2000, 2001, 2002, 2003, 2004, 2005]
    assert list(found.direction[:6]) == [1, -1, 1, -1, 1, -1]
    assert load_calibration(None, arms.load("so101")).zero_counts[0] == 2048


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tree: tree.pop("gripper"), "exactly the joints"),
        (lambda tree: tree["gripper"].pop("direction"), "needs the numbers"),
        (lambda tree: tree["gripper"].update(direction=2), "direction is 1 or -1"),
        (lambda tree: tree["gripper"].update(zero_counts=5000), "0 to 4095"),
        (lambda tree: tree.update(gripper=3), "needs the numbers"),
    ],
)
def test_bad_calibration_is_named(change: Callable[[dict], object], expected: str, tmp_path: Path) -> None:
    tree = {joint.name: {"zero_counts": 2048, "direction": 1} for joint in ARM.joints}
    change(tree)
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(FledgeError, match=expected):
        load_calibration(path, ARM)
    path.write_text("{")
    with pytest.raises(FledgeError, match="cannot read"):
        load_calibration(path, ARM)
