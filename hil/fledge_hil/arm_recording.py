"""One episode of an arm in simulation: where every body was, what was asked, and what the finger pads felt.

A table as of every log (tables.py): a row per observation, frames and units in its head; what does not change is in
the notes: the shapes of the bodies, the frames of the pads. Nothing else is needed to draw the episode.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fledge_sim.errors import FledgeError
from numpy.typing import NDArray

from fledge_hil import tables
from fledge_hil.tables import Column, Table, columns

FILE = "episode.csv.gz"
KIND = "arm episode"
Role = Literal["arm", "pad", "object", "scene"]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """A primitive on a body; sizes as MuJoCo's geoms."""

    body: str
    kind: str
    """capsule, cylinder, sphere or box"""
    size: tuple[float, float, float]
    """[m]"""
    position: tuple[float, float, float]
    """[m, body]"""
    quaternion: tuple[float, float, float, float]
    """w x y z, body from shape"""
    role: Role


@dataclass(frozen=True)
class PadFrame:
    """A finger pad: origin in the middle of the face, z out of it, x along the finger."""

    body: str
    position: tuple[float, float, float]
    """[m, body]"""
    quaternion: tuple[float, float, float, float]
    """w x y z, body from pad"""
    length: float
    """Of the taxels along x [m]."""
    width: float


@dataclass(frozen=True)
class Setting:
    """All that does not change in an episode; the notes of the table."""

    arm: str
    task: str
    policy: str
    seed: int
    joints: tuple[str, ...]
    bodies: tuple[str, ...]
    shapes: tuple[Shape, ...]
    pads: tuple[PadFrame, ...]
    cells: tuple[int, int]
    """Of the recorded force field, across and along a pad."""
    touch_cells: int
    """Of what the policy's sensors give, along each side of a pad."""


def columns_of(setting: Setting) -> tuple[Column, ...]:
    """Of the table."""
    across, along = setting.cells
    components = ("n", "x", "y")
    result = [
        *columns("s", "since the beginning of the episode", "time"),
        *columns("m", "tip of the fingers, base: x forward, z up", "tip_x tip_y tip_z"),
        *columns("m", "goal as the policy sees it, base", "goal_x goal_y goal_z"),
        *columns("m", "distance to what the task asks for", "distance"),
        *columns("enum", "1: the task is fulfilled now", "success"),
        *columns("rad or m", "joint", " ".join(f"q_{joint}" for joint in setting.joints)),
        *columns("rad or m", "target of the joint", " ".join(f"target_{joint}" for joint in setting.joints)),
    ]
    for body in setting.bodies:
        result += columns("m", "body, base", f"{body}_x {body}_y {body}_z")
        result += columns("1", "body, base from body", f"{body}_qw {body}_qx {body}_qy {body}_qz")
    for pad in range(len(setting.pads)):
        cells = [(i, j, k) for i in range(across) for j in range(along) for k in components]
        names = " ".join(f"force_{pad}_{i}_{j}_{k}" for i, j, k in cells)
        result += columns("N", "on the gel, sum over a cell: compression, shear along x, along y of the pad", names)
    for pad in range(len(setting.pads)):
        side = range(setting.touch_cells)
        names = " ".join(f"touch_{pad}_{i}_{j}_{k}" for i in side for j in side for k in components)
        result += columns("N", "what the policy's sensors give, sum over a cell", names)
    return tuple(result)


@dataclass(frozen=True)
class ArmRecording:
    """One episode."""

    setting: Setting
    table: Float64
    """(rows, columns_of(setting))"""

    def column(self, *names: str) -> Float64:
        """(rows, len(names))."""
        every = [column.name for column in columns_of(self.setting)]
        return self.table[:, [every.index(name) for name in names]]

    def pose(self, body: str) -> Float64:
        """Of a body: position and quaternion w x y z, (rows, 7), base."""
        return self.column(*(f"{body}_{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")))

    @property
    def force(self) -> Float64:
        """On the gel (rows, pads, across, along, 3) [N]: compression, shear along x, along y of the pad."""
        return self._block("force_", (len(self.setting.pads), *self.setting.cells, 3))

    @property
    def touch(self) -> Float64:
        """What the policy's sensors give (rows, pads, cells, cells, 3) [N]."""
        side = self.setting.touch_cells
        return self._block("touch_", (len(self.setting.pads), side, side, 3))

    def _block(self, prefix: str, shape: tuple[int, ...]) -> Float64:
        names = [column.name for column in columns_of(self.setting) if column.name.startswith(prefix)]
        return self.column(*names).reshape(len(self.table), *shape)

    @property
    def success(self) -> bool:
        """At the end."""
        return bool(len(self.table)) and bool(self.column("success")[-1, 0])


def save(recording: ArmRecording, path: Path) -> None:
    """Write atomically."""
    notes = {"kind": KIND, **dataclasses.asdict(recording.setting)}
    tables.save(Table(columns_of(recording.setting), recording.table, notes), path)


def is_recording(path: Path) -> bool:
    """Whether a file says that it holds an arm's episode."""
    return _notes(path).get("kind") == KIND


def load(path: Path) -> ArmRecording:
    """Inverse of `save`. Raises FledgeError for any other file."""
    notes = _notes(path)
    try:
        if notes.pop("kind", None) != KIND:
            raise FledgeError(f"{path} is no recording of an arm's episode; make one with `fledge view POLICY`")
        setting = Setting(
            **notes
            | {name: tuple(notes[name]) for name in ("joints", "bodies", "cells")}
            | {"shapes": tuple(Shape(**_tuples(shape)) for shape in notes["shapes"])}
            | {"pads": tuple(PadFrame(**_tuples(pad)) for pad in notes["pads"])}
        )
        return ArmRecording(setting, tables.load(path, columns_of(setting), KIND).values.astype(np.float64))
    except (KeyError, TypeError) as error:
        raise FledgeError(f"{path} was written by another version ({error}); record again") from error


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}


def _notes(path: Path) -> dict[str, Any]:
    try:
        with gzip.open(path, "rt") as file:
            file.readline()
            notes = json.loads(file.readline()[2:])
    except (OSError, EOFError, ValueError, zlib.error):
        return {}
    return notes if isinstance(notes, dict) else {}
