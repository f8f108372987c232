"""An arm's episode in three dimensions in the browser, by viser: links, object, scene, and the force on both pads.

A needle stands on every cell of a pad: its height is the compression, its lean the shear, its colour the compression.
The panel shows what the policy's sensors gave, cell by cell, brighter where they are pressed.
"""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import numpy as np
from fledge_sim import frames
from fledge_sim.errors import FledgeError
from numpy.typing import NDArray

from fledge_hil.arm_recording import ArmRecording, PadFrame, Shape
from fledge_hil.touch_figure import heat

RATE = 25.0
"""Frames per second."""
NEEDLE = 0.08
"""Length of a needle [m/N]."""
THICKNESS = 0.0005
"""Of a needle [m]."""
FULL = 0.2
"""[N] on a cell at which its colour is the brightest."""
CAMERA, LOOK_AT = (0.42, -0.32, 0.30), (0.22, 0.0, 0.06)
"""[m], where the view begins."""
COLOURS = {"arm": (150, 164, 184), "pad": (60, 76, 98), "object": (217, 115, 13), "scene": (168, 176, 186)}
FRAMES = ("pad", "object")
"""Roles that are drawn by their edges, so that the needles between them are seen."""
RED = (192, 54, 44)
Float64 = NDArray[np.float64]


def roots(pad: PadFrame, cells: tuple[int, int]) -> Float64:
    """Middles of the cells (across, along, 3) [m, pad]."""
    across, along = cells
    y, x = np.meshgrid(
        ((np.arange(across) + 0.5) / across - 0.5) * pad.width,
        ((np.arange(along) + 0.5) / along - 0.5) * pad.length,
        indexing="ij",
    )
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def needles(pad: PadFrame, force: Float64) -> tuple[Float64, NDArray[np.uint8]]:
    """Segments (cells, 2, 3) [m, pad] and colours (cells, 2, 3) of a field (across, along, 3) [N]."""
    start = roots(pad, (force.shape[0], force.shape[1])).reshape(-1, 3)
    flat = force.reshape(-1, 3)
    end = start + NEEDLE * flat[:, [1, 2, 0]]
    colour = heat(flat[:, 0], FULL)
    return np.stack([start, end], axis=1), np.stack([colour, colour], axis=1)


def panel(touch: Float64) -> NDArray[np.uint8]:
    """Cells (pads, cells, cells, 3) [N] as one picture, pads side by side: along the finger upwards."""
    tiles = [np.kron(heat(pad[::1, ::-1, 0].T, 8 * FULL), np.ones((24, 24, 1), np.uint8)) for pad in touch]
    gap = np.full((tiles[0].shape[0], 12, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)


class ArmScene:
    """The bodies of a recording, to be put where they were."""

    def __init__(self, recording: ArmRecording, port: int, host: str = "127.0.0.1") -> None:
        try:
            import viser
        except ImportError as error:
            raise FledgeError("the view needs viser; `pip install fledge[view]` brings it") from error
        with contextlib.redirect_stdout(io.StringIO()):  # its banner; whoever makes a scene says where to look
            self.server: Any = viser.ViserServer(host=host, port=port, label="fledge", verbose=False)
        self._setting = setting = recording.setting
        self._poses = {body: recording.pose(body) for body in setting.bodies}
        self._force, self._touch = recording.force, recording.touch
        self._goals = recording.column("goal_x", "goal_y", "goal_z")
        self._words = recording.column("time", "distance", "success")
        scene = self.server.scene
        scene.set_up_direction("+z")
        self.server.initial_camera.position, self.server.initial_camera.look_at = CAMERA, LOOK_AT
        scene.add_grid("/floor", width=1.0, height=1.0, plane="xy", cell_size=0.05)
        self.bodies = {body: scene.add_frame(f"/{body}", show_axes=False) for body in setting.bodies}
        for number, shape in enumerate(setting.shapes):
            _add(scene, f"/{shape.body}/{shape.kind}{number}", shape)
        self._goal = scene.add_icosphere("/goal", radius=0.004, color=RED)
        self.fields = [self._add_needles(number, pad) for number, pad in enumerate(setting.pads)]
        self._text = self.server.gui.add_markdown("")
        self._panel = self.server.gui.add_image(panel(self._touch[0]), label="touch") if setting.pads else None

    def _add_needles(self, number: int, pad: PadFrame) -> Any:
        points, colours = needles(pad, self._force[0, number])
        frame = {"position": pad.position, "wxyz": pad.quaternion}
        look = {"thickness": THICKNESS, "thickness_units": "world"}
        name = f"/{pad.body}/force{number}"
        return self.server.scene.add_line_segments(name, points.astype(np.float32), colours, **frame, **look)

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def close(self) -> None:
        """The page goes dark."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

    def show(self, row: int) -> None:
        """One row of the recording."""
        with self.server.atomic():
            for body, handle in self.bodies.items():
                pose = self._poses[body][row]
                handle.position, handle.wxyz = tuple(pose[:3]), tuple(pose[3:])
            self._goal.position = tuple(self._goals[row])
            for number, (pad, handle) in enumerate(zip(self._setting.pads, self.fields, strict=True)):
                points, handle.colors = needles(pad, self._force[row, number])
                handle.points = points.astype(np.float32)
            if self._panel is not None:
                self._panel.image = panel(self._touch[row])
        now, distance, success = self._words[row]
        word = "done" if success else "on its way"
        self._text.content = f"**{now:.2f} s** · {self._setting.task} · {1e3 * distance:.1f} mm to go · {word}"


def _add(scene: Any, name: str, shape: Shape) -> None:
    look = {"color": COLOURS[shape.role], "wireframe": shape.role in FRAMES}
    frame = {"position": shape.position, "wxyz": shape.quaternion}
    radius, half, _ = shape.size
    if shape.kind == "box":
        scene.add_box(name, dimensions=tuple(2 * size for size in shape.size), **look, **frame)
    elif shape.kind == "sphere":
        scene.add_icosphere(name, radius=radius, **look, **frame)
    elif shape.kind in ("capsule", "cylinder"):
        scene.add_cylinder(name, radius=radius, height=2 * half, **look, **frame)
        for end in (-half, half) if shape.kind == "capsule" else ():
            turned = frames.rotation_matrix(np.array(shape.quaternion)) @ (0.0, 0.0, end)
            scene.add_icosphere(f"{name}_{end:+.4f}", radius=radius, position=turned + shape.position, **look)


def replay(recording: ArmRecording, scene: ArmScene, speed: float, loops: int) -> None:
    """Show an episode, `loops` times (0: until interrupted), at `speed` times real time."""
    clock = recording.column("time")[:, 0]
    done = 0
    while loops == 0 or done < loops:
        start = time.monotonic()
        while (now := (time.monotonic() - start) * speed) <= clock[-1]:
            scene.show(min(int(np.searchsorted(clock, now)), len(clock) - 1))
            time.sleep(1 / RATE)
        scene.show(len(clock) - 1)
        done += 1
