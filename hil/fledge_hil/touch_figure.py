"""Pictures of what finger pads feel: a moment of a recorded episode, and a field beside its image."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim import frames
from fledge_sim.files import write_atomically
from numpy.typing import NDArray

from fledge_hil.arm_recording import ArmRecording

Float64 = NDArray[np.float64]
ROLES = {"arm": "#6b7a90", "pad": "#1d2733", "object": "#d9730d", "scene": "#b8c0ca"}
NAMES = ("fixed pad", "moving pad")


def heat(force: Float64, full: float) -> NDArray[np.uint8]:
    """Colours (..., 3) of compressions (...) [N]: blue over violet to red at `full`."""
    share = np.clip(force / full, 0, 1)[..., None]
    low, middle, high = (np.array(colour) for colour in ((40, 60, 150), (150, 40, 140), (230, 40, 20)))
    mixed = np.where(share < 0.5, low + (middle - low) * 2 * share, middle + (high - middle) * (2 * share - 1))
    return np.asarray(np.rint(mixed), np.uint8)


def loudest(recording: ArmRecording) -> int:
    """The row in which the shear on the pads is largest; the last one without pads."""
    if not recording.setting.pads:
        return len(recording.table) - 1
    return int(np.abs(recording.force[..., 1:].sum((2, 3))).sum((1, 2)).argmax())


def still(recording: ArmRecording, path: Path, row: int | None = None) -> None:
    """Arm, field and cells of both pads at one moment, forces and distance over time; a PNG."""
    at = loudest(recording) if row is None else row
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(3, 2))
    now = recording.column("time")[at, 0]
    figure.suptitle(f"{recording.setting.arm}, {recording.setting.task}, at {now:.2f} s")
    _arm(figure.add_subplot(grid[0, :2], projection="3d"), recording, at)
    for index, pad in enumerate(recording.setting.pads):
        axes = figure.add_subplot(grid[0, 2 + index])
        draw_field(axes, recording.force[at, index], (pad.length, pad.width), NAMES[index])
    _curves(figure.add_subplot(grid[1, :]), recording, at)
    write_png(figure, path)


def write_png(figure: Any, path: Path) -> None:
    """Atomically."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())


def draw_field(axes: Any, force: Float64, size: tuple[float, float], title: str) -> None:
    """Compression as colour, shear as arrows; a pad of length and width [m], the finger's tip is up."""
    half = 500 * np.array([size[1], size[0]])
    picture = axes.imshow(
        1e3 * force[..., 0].T, origin="lower", extent=(-half[0], half[0], -half[1], half[1]), cmap="inferno", vmin=0
    )
    across, along = force.shape[:2]
    y = ((np.arange(across) + 0.5) / across * 2 - 1) * half[0]
    x = ((np.arange(along) + 0.5) / along * 2 - 1) * half[1]
    longest = max(float(np.hypot(force[..., 1], force[..., 2]).max()), 1e-6)
    shear = (force[..., 2].T, force[..., 1].T)
    axes.quiver(*np.meshgrid(y, x), *shear, color="#7fd1ff", scale=8 * longest, width=0.008)
    axes.set(title=title, xlabel="y [mm]", ylabel="x, to the tip [mm]")
    axes.figure.colorbar(picture, ax=axes, label="compression [mN]", location="bottom")


def _arm(axes: Any, recording: ArmRecording, row: int) -> None:
    for shape in recording.setting.shapes:
        pose = recording.pose(shape.body)[row]
        turn = frames.rotation_matrix(pose[3:])
        own = frames.rotation_matrix(np.array(shape.quaternion))
        for line in _edges(shape.kind, shape.size):
            placed = (line @ own.T + shape.position) @ turn.T + pose[:3]
            width = 4 if shape.role == "arm" else 1
            axes.plot(*placed.T, color=ROLES[shape.role], linewidth=width, solid_capstyle="round")
    axes.plot(*recording.column("tip_x", "tip_y", "tip_z")[: row + 1].T, color="#1f6feb", linewidth=1)
    axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]")
    axes.set_aspect("equal")
    axes.locator_params(nbins=4)
    axes.view_init(22, -60)


def _edges(kind: str, size: tuple[float, float, float]) -> list[Float64]:
    """Lines (points, 3) that stand for a shape."""
    if kind in ("capsule", "cylinder"):
        return [np.array([[0, 0, -size[1]], [0, 0, size[1]]])]
    if kind != "box":
        return [np.zeros((1, 3))]
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * size
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]
    return [corners[[a, b]] for a, b in pairs]


def _curves(axes: Any, recording: ArmRecording, row: int) -> None:
    clock = recording.column("time")[:, 0]
    if recording.setting.pads:
        sums = recording.force.sum((2, 3))
        shear = np.hypot(sums[..., 1], sums[..., 2])
        for pad in range(sums.shape[1]):
            axes.plot(clock, sums[:, pad, 0], label=f"{NAMES[pad]}: compression")
            axes.plot(clock, shear[:, pad], label=f"{NAMES[pad]}: shear", linestyle="--")
    axes.set(xlabel="time [s]", ylabel="force [N]")
    other = axes.twinx()
    other.plot(clock, 1e3 * recording.column("distance")[:, 0], color="#555555", linewidth=1, label="distance")
    other.set_ylabel("distance [mm]")
    axes.axvline(clock[row], color="#888888", linewidth=0.8)
    if recording.setting.pads:
        axes.legend(loc="center left", fontsize="small")
