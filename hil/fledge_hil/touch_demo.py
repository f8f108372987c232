"""An object between two facing pads: pressed, pulled along the fingers, turned, held, let go."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim.files import write_atomically
from fledge_sim.tactile import Motion, TactileField, relative_motion
from fledge_sim.tactile_image import TactileCamera
from fledge_sim.tactile_sensor import SensorModel, TactileSensor
from fledge_sim.tactile_shapes import Float32, Kind, Shapes
from numpy.typing import NDArray

from fledge_hil import touch_figure

DT = 0.02
"""[s]"""
PHASES = ((0.3, "pressed"), (0.4, "pulled"), (0.4, "turned"), (0.3, "held"), (0.2, "let go"))
"""Seconds and names."""
ZOOM = 5
"""Of a camera's pixel."""
LYING = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""rotation_world_from_object of what lies along the fingers, a flat of a hexagon on either pad."""


@dataclass(frozen=True)
class Handling:
    """What is done with the object."""

    depth: float = 8e-4
    """[m] into each pad."""
    pull: float = 1e-3
    """[m] along the fingers."""
    turn: float = 0.15
    """[rad] about the pads' normal."""
    standing: bool = False
    """End on, instead of lying along the fingers."""


@dataclass(frozen=True)
class Frame:
    """A moment."""

    time: float
    phase: str
    image: NDArray[np.uint8]
    """(2, 80, 60, 3)"""
    force: Float32
    """(2, rows, columns, 3) [N]"""
    touch: Float32
    """What the policy's sensors give, (2, 4, 4, 3) [N]."""


def handle(shapes: Shapes, handling: Handling, seed: int = 0) -> list[Frame]:
    """All moments, 50 per second."""
    field, camera = TactileField(1), TactileCamera(1)
    sensor = TactileSensor(1, model=SensorModel(period=DT), seed=seed)
    frames, before, now = [], _pose(0.0, handling), 0.0
    for seconds, phase in PHASES:
        for _ in range(round(seconds / DT)):
            now += DT
            after = _pose(now, handling)
            motion = _motion(shapes, handling, before, after)
            force = field.update(motion, shapes, DT)
            frames.append(Frame(now, phase, camera.render(motion, shapes)[0], force[0], sensor.sense(force)[0]))
            before = after
    return frames


def _pose(time: float, handling: Handling) -> NDArray[np.float64]:
    """Depth into each pad [m], pull [m], turn [rad]."""
    ends = np.cumsum([seconds for seconds, _ in PHASES])
    pressed = np.clip(time / ends[0], 0, 1) - np.clip((time - ends[3]) / (ends[4] - ends[3]), 0, 1)
    pulled = np.clip((time - ends[0]) / (ends[1] - ends[0]), 0, 1)
    turned = np.clip((time - ends[1]) / (ends[2] - ends[1]), 0, 1)
    return np.array([pressed * handling.depth, pulled * handling.pull, turned * handling.turn])


def _motion(shapes: Shapes, handling: Handling, before: NDArray[np.float64], after: NDArray[np.float64]) -> Motion:
    """Of the object at `after`, having moved there from `before`; the pads close in on it."""
    kind, size = Kind(int(shapes.kind[0])), shapes.size[0].astype(float)
    lying = not handling.standing and kind in (Kind.CAPSULE, Kind.CYLINDER, Kind.HEXAGON)
    half = size[2] if kind is Kind.BOX else size[0] if lying or kind is Kind.SPHERE else size[1]
    if kind is Kind.CAPSULE and not lying:
        half += size[0]
    cosine, sine = np.cos(after[2]), np.sin(after[2])
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ (LYING if lying else np.eye(3))
    rate = (after - before) / DT
    gap = half - after[0]
    return relative_motion(
        np.array([[[0, 0, -gap], [0, 0, gap]]]),
        np.stack([np.eye(3), np.diag([1.0, -1.0, -1.0])])[None],
        np.array([[[0, 0, rate[0]], [0, 0, -rate[0]]]]),
        np.zeros((1, 2, 3)),
        np.array([[after[1], 0, 0]]),
        turn[None],
        np.array([[rate[1], 0, 0]]),
        np.array([[0, 0, rate[2]]]),
    )


def picture(frame: Frame, path: Path) -> None:
    """Image, field and the policy's cells of both pads, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8.5), dpi=100, layout="constrained")
    axes = figure.subplots(2, 3)
    pad = TactileField(1).pad
    for row, image, force, touch, name in zip(
        axes, frame.image, frame.force, frame.touch, touch_figure.NAMES, strict=True
    ):
        row[0].imshow(image, origin="lower", extent=(-12, 12, -16, 16))
        row[0].set(title=f"{name}: image", xlabel="y [mm]", ylabel="x, to the tip [mm]")
        touch_figure.draw_field(row[1], force.astype(np.float64), (pad.length, pad.width), "taxels")
        touch_figure.draw_field(row[2], touch.astype(np.float64), (pad.length, pad.width), "what the policy sees")
    figure.suptitle(f"{frame.phase}, at {frame.time:.2f} s")
    touch_figure.write_png(figure, path)


def film(frames: list[Frame], path: Path) -> None:
    """Both pads' images, and compression in colour beside them, as a GIF in real time at 25 frames per second."""
    from PIL import Image

    most = max(float(frame.force[..., 0].max()) for frame in frames)
    shown = [Image.fromarray(_still(frame, most)) for frame in frames[::2]]
    buffer = io.BytesIO()
    shown[0].save(buffer, "GIF", save_all=True, append_images=shown[1:], duration=round(2000 * DT), loop=0)
    write_atomically(path, buffer.getvalue())


def _still(frame: Frame, most: float) -> NDArray[np.uint8]:
    """(400, width, 3): per pad the image, then the taxels, the finger's tip up."""
    tiles = []
    for image, force in zip(frame.image, frame.force, strict=True):
        tiles.append(np.kron(image[::-1], np.ones((ZOOM, ZOOM, 1), np.uint8)))
        heat = touch_figure.heat(force[:, ::-1, 0].T.astype(np.float64), most)
        tiles.append(np.kron(heat, np.ones((16, 15, 1), np.uint8)))
    gap = np.full((tiles[0].shape[0], 10, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
