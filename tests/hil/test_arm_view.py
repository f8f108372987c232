"""An arm's episode: recorded, read again, drawn; its bodies and forces are those of the environment."""

from __future__ import annotations

import dataclasses
import gzip
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import arm_recording, arm_view, cli, touch_figure
from fledge_hil.arm_recording import ArmRecording
from fledge_sim import arm, arm_presets, frames
from fledge_sim.arm_kinematics import tip_position
from fledge_sim.errors import FledgeError

pytest.importorskip("mujoco.batch")
from fledge_hil import arm_record

SO101 = arm.load("so101")
STEPS = 8


def wiggle(observation: np.ndarray) -> np.ndarray:
    """Down, with a turn of the wrist."""
    return np.array([[0.0, 0.5, 0.0, 0.0, 0.4]], np.float32)


@pytest.fixture(scope="module")
def episode() -> ArmRecording:
    config = dataclasses.replace(arm_presets.insertion(SO101), episode_steps=STEPS)
    return arm_record.record_episode(wiggle, config, "wiggle", seed=3)


def test_bodies_are_where_the_joints_put_them(episode: ArmRecording) -> None:
    assert len(episode.table) == STEPS + 1
    np.testing.assert_allclose(episode.column("time")[:, 0], 0.04 * np.arange(STEPS + 1), rtol=1e-6)
    joints = episode.column(*(f"q_{joint}" for joint in episode.setting.joints))
    assert np.ptp(joints[:, 1]) > 0.05
    tip = episode.column("tip_x", "tip_y", "tip_z")
    np.testing.assert_allclose(tip, tip_position(SO101, joints), atol=1e-6)
    wrist = episode.pose("wrist_roll")
    at_zero = np.array(SO101.tip) - np.array(SO101.chain[-1].point)
    turned = np.stack([frames.rotation_matrix(pose[3:]) @ at_zero for pose in wrist])
    np.testing.assert_allclose(wrist[:, :3] + turned, tip, atol=1e-6)
    peg = episode.pose("peg")
    assert np.linalg.norm(peg[:, :3] - tip, axis=1).max() < 0.01


def test_pads_feel_the_grip_and_the_policys_cells_are_near(episode: ArmRecording) -> None:
    assert episode.force.shape == (STEPS + 1, 2, 8, 10, 3)
    sums = episode.force.sum((2, 3))
    np.testing.assert_allclose(sums[:, :, 0], 5.0, atol=1e-3)  # the peg's grip, from the first moment
    touch = episode.touch.sum((2, 3))
    np.testing.assert_allclose(touch[:, :, 0], 5.0, atol=1.0)  # gains of the sensors
    assert (np.abs(touch[:, :, 0] - 5.0) > 1e-3).all()


def test_pads_lie_on_the_peg(episode: ArmRecording) -> None:
    """Origins of the two pad frames: 8 mm from the peg's axis, facing each other."""
    faces = []
    for pad in episode.setting.pads:
        pose = episode.pose(pad.body)[-1]
        turn = frames.rotation_matrix(pose[3:])
        own = turn @ frames.rotation_matrix(np.array(pad.quaternion))
        faces.append((pose[:3] + turn @ pad.position, own[:, 2]))
    (one, out_one), (other, out_other) = faces
    assert np.linalg.norm(other - one) == pytest.approx(SO101.grip_width, abs=1.5e-3)
    assert out_one @ out_other == pytest.approx(-1, abs=0.01)
    assert out_one @ (other - one) == pytest.approx(SO101.grip_width, abs=1.5e-3)


def test_recording_comes_back(episode: ArmRecording, tmp_path: Path) -> None:
    path = tmp_path / arm_recording.FILE
    arm_recording.save(episode, path)
    again = arm_recording.load(path)
    assert again.setting == episode.setting
    np.testing.assert_array_equal(again.table[:, 1:], episode.table[:, 1:])
    assert arm_recording.is_recording(path)
    head = gzip.decompress(path.read_bytes()).decode()
    assert "# force_0_0_0_n [N] on the gel" in head
    assert not again.success


def test_other_files_are_refused(episode: ArmRecording, tmp_path: Path) -> None:
    path = tmp_path / "other.csv.gz"
    path.write_bytes(gzip.compress(b"# fledge table 1\n# {}\n"))
    assert not arm_recording.is_recording(path)
    with pytest.raises(FledgeError, match="no recording"):
        arm_recording.load(path)
    arm_recording.save(episode, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FledgeError):
        arm_recording.load(path)


def test_needle_stands_on_its_cell(episode: ArmRecording) -> None:
    force = np.zeros((8, 10, 3))
    force[2, 7] = (0.1, 0.02, -0.03)
    segments, colours = arm_view.needles(episode.setting.pads[0], force)
    # x: 7.5 of 10 cells over 26 mm; y: 2.5 of 8 over 18 mm; 80 mm per newton
    np.testing.assert_allclose(segments[27, 0], [0.0065, -0.003375, 0], atol=1e-9)
    np.testing.assert_allclose(segments[27, 1] - segments[27, 0], [0.0016, -0.0024, 0.008], atol=1e-9)
    assert (colours[0] == [40, 60, 150]).all()
    assert (colours[27] == [150, 40, 140]).all()  # half of the brightest
    assert np.count_nonzero(np.abs(segments[:, 1] - segments[:, 0]).sum(1)) == 1


def test_still_shows_the_moment_of_most_shear(episode: ArmRecording, tmp_path: Path) -> None:
    shear = np.abs(episode.force[..., 1:].sum((2, 3))).sum((1, 2))
    assert shear[touch_figure.loudest(episode)] == shear.max() > 0
    recording, picture = tmp_path / arm_recording.FILE, tmp_path / "still.png"
    arm_recording.save(episode, recording)
    assert cli.run(["view", str(recording), "--still", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_scene_shows_every_shape_and_follows(episode: ArmRecording) -> None:
    pytest.importorskip("viser", reason="optional: pip install fledge[view]")
    scene = arm_view.ArmScene(episode, 0)
    scene.show(STEPS)
    shown, pose = scene.bodies["peg"], episode.pose("peg")[STEPS]
    np.testing.assert_allclose([*shown.position, *shown.wxyz], pose, atol=1e-6)
    field, _ = arm_view.needles(episode.setting.pads[1], episode.force[STEPS, 1])
    np.testing.assert_allclose(scene.fields[1].points, field, atol=1e-6)
    arm_view.replay(episode, scene, speed=20.0, loops=1)
    with urllib.request.urlopen(scene.url, timeout=10) as page:
        assert b"<html" in page.read().lower()
    scene.close()
