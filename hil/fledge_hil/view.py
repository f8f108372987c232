"""A flight in three dimensions in the browser, by viser: replayed from its log, or live from the pilot."""

from __future__ import annotations

import contextlib
import io
import time
from collections import deque
from typing import Any

import numpy as np
from fledge_sim.errors import FledgeError
from numpy.typing import NDArray

from fledge_hil.cockpit import Progress
from fledge_hil.flight_log import FlightLog
from fledge_hil.recording import Recording

RATE = 30.0
"""Frames per second."""
PATIENCE = 20.0
"""[s] for somebody to open the page before a live flight begins without."""
TAIL = 300
"""Samples of a live flight whose track is drawn: half a minute."""
ARM = 0.046
"""[m] drawn from centre to rotor; a picture, not a robot."""
CAMERA, LOOK_AT = (1.3, -1.7, 1.5), (0.0, 0.0, 0.5)
"""[m], where the view begins."""
_BLUE, _ORANGE, _DARK, _RED = (31, 111, 235), (217, 115, 13), (29, 39, 51), (192, 54, 44)


class Scene:
    """A drone, its track and its reference on a floor."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        try:
            import viser
        except ImportError as error:
            raise FledgeError("the view needs viser; `pip install fledge[view]` brings it") from error
        with contextlib.redirect_stdout(io.StringIO()):  # its banner; whoever makes a scene says where to look
            self.server: Any = viser.ViserServer(host=host, port=port, label="fledge", verbose=False)
        scene = self.server.scene
        scene.set_up_direction("+z")
        self.server.initial_camera.position, self.server.initial_camera.look_at = CAMERA, LOOK_AT
        scene.add_grid("/floor", width=5.0, height=5.0, plane="xy", cell_size=0.25)
        self._frame = scene.add_frame("/drone", axes_length=0.09, axes_radius=0.003)
        scene.add_box("/drone/body", color=_DARK, dimensions=(0.05, 0.03, 0.02))
        for motor, (x, y) in enumerate(((1, -1), (-1, -1), (-1, 1), (1, 1)), 1):
            place = (x * ARM * 0.71, y * ARM * 0.71, 0.012)
            scene.add_icosphere(f"/drone/m{motor}", radius=0.016, color=_ORANGE if x > 0 else _DARK, position=place)
        self._goal = scene.add_icosphere("/reference", radius=0.02, color=_RED, position=(0.0, 0.0, 0.0))
        self._text = self.server.gui.add_markdown("")

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def wait_for_viewer(self, seconds: float) -> bool:
        """Whether somebody opened the page in time."""
        end = time.monotonic() + seconds
        while not self.server.get_clients() and time.monotonic() < end:
            time.sleep(0.05)
        return bool(self.server.get_clients())

    def close(self) -> None:
        """The page goes dark."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()

    def track(self, name: str, points: NDArray[np.floating], blue: bool) -> None:
        """A line through positions [m, world]."""
        kept = np.asarray(points, np.float32)[:: max(1, len(points) // 3000)]
        if len(kept) < 2:
            return
        segments = np.stack([kept[:-1], kept[1:]], axis=1)
        colour = np.broadcast_to(np.array(_BLUE if blue else _RED, np.uint8), segments.shape)
        look = {"thickness": 2.0, "thickness_units": "screen"}
        self.server.scene.add_line_segments(f"/{name}", points=segments, colors=colour, **look)

    def show(self, position: Any, quaternion: Any, reference: Any, text: str) -> None:
        """The drone now: positions [m, world], quaternion w x y z."""
        if np.isfinite([*position, *quaternion, *reference]).all():
            self._frame.position, self._frame.wxyz = tuple(position), tuple(quaternion)
            self._goal.position = tuple(reference)
        self._text.content = text


class Live:
    """Shows a flight while it is flown; holds a simulated one, which could be faster, to real time."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._start: float | None = None
        self._path: deque[Any] = deque(maxlen=TAIL)

    def __call__(self, now: Progress) -> None:
        """One sample of the pilot."""
        if self._start is None:
            self._start = time.monotonic() - now.time
        time.sleep(max(0.0, self._start + now.time - time.monotonic()))
        self._scene.show(now.position, now.quaternion, now.reference, f"**{now.time:.1f} s** · {now.phase}")
        if np.isfinite(now.position).all():
            self._path.append(now.position)
            self._scene.track("flown", np.array(self._path), True)


def replay(log: FlightLog, recording: Recording | None, scene: Scene, speed: float, loops: int) -> None:
    """Show a flight, `loops` times (0: until interrupted), at `speed` times real time."""
    rows = log.table[(log.column("time")[:, 0] >= 0)] if len(log.table) else log.table
    log = FlightLog(log.uri, log.device_type, log.firmware, log.contract_sha256, rows, log.phases, (), log.wall_seconds)
    scene.track("flown", recording.columns("x", "y", "z") if recording is not None else log.column("x", "y", "z"), True)
    flown = log.column("mode")[:, 0] == 1
    scene.track("asked", log.column("rx", "ry", "rz")[flown], False)
    done = 0
    while loops == 0 or done < loops:
        _once(log, scene, speed)
        done += 1


def _once(log: FlightLog, scene: Scene, speed: float) -> None:
    clock = log.column("time")[:, 0]
    start = time.monotonic()
    last = float(clock[-1]) if len(clock) else 0.0
    while (now := (time.monotonic() - start) * speed) <= last:
        row = min(int(np.searchsorted(clock, now)), len(clock) - 1)
        phase = next((entry.name for entry in log.phases if entry.start <= clock[row] <= entry.end), "")
        who = "policy" if log.column("mode")[row, 0] == 1 else "stock controller"
        scene.show(
            log.column("x", "y", "z")[row],
            log.column("qw", "qx", "qy", "qz")[row],
            log.column("rx", "ry", "rz")[row],
            f"**{clock[row]:.1f} s** · {phase} · {who}",
        )
        time.sleep(1 / RATE)
