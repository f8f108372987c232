"""Primitives that the finger pads can touch, one per environment; frames and sizes are those of MuJoCo's geoms.

An object's origin is its centre (of the plane: any point of it). Capsule, cylinder and hexagonal prism stand along the
object's z; the prism has corners on its x axis and flats at y = +-apothem; the plane is solid below z = 0.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from struct import Struct

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fledge_sim.errors import FledgeError
from fledge_sim.native import NativeError, open_library

Float32 = NDArray[np.float32]
LANES = 16
"""Rows of taxels are padded to a multiple of this."""
library = open_library("_tactile", Path(__file__).parent)
for _name in ("fledge_tactile_update", "fledge_tactile_sense", "fledge_tactile_distance"):
    getattr(library, _name).argtypes = [ctypes.c_void_p]
    getattr(library, _name).restype = None
update_job = Struct("13Pq5iffi")
"""struct tactile_job"""
_distance_job = Struct("3P4f2i")
sense_job = Struct("9Pq4i3f4f2i4x")
"""struct tactile_sense_job"""
_sizes = (ctypes.c_int64 * 3)()
library.fledge_tactile_sizes(_sizes)
if tuple(_sizes) != (update_job.size, _distance_job.size, sense_job.size):
    raise NativeError("the native pads were built from other sources; build again with `pip install -e .`")


class Kind(IntEnum):
    """Shape of the object."""

    PLANE = 0
    SPHERE = 1
    CAPSULE = 2
    BOX = 3
    CYLINDER = 4
    HEXAGON = 5


@dataclass(frozen=True)
class Shapes:
    """One object per environment."""

    kind: NDArray[np.int32]
    """(n,), of Kind."""
    size: Float32
    """(n, 4) [m]: of Kind three numbers (sphere: radius; capsule, cylinder: radius, half length of the straight part;
    box: three half extents; hexagon: apothem, half length), zero where unused; then the radius of rounded edges (of
    box, cylinder and hexagon), inside the size."""

    def __post_init__(self) -> None:
        n = len(self.kind)
        if self.kind.shape != (n,) or self.size.shape != (n, 4):
            raise FledgeError(f"shapes need kinds (n,) and sizes (n, 4), not {self.kind.shape} and {self.size.shape}")
        if self.kind.dtype != np.int32 or self.size.dtype != np.float32:
            raise FledgeError("kinds of shapes must be int32 and their sizes float32")
        if not np.isin(self.kind, list(Kind)).all():
            raise FledgeError(f"kinds of shapes must be among {', '.join(f'{k.value} ({k.name})' for k in Kind)}")
        used = np.array([0, 1, 2, 3, 2, 2])[self.kind][:, None] > np.arange(3)
        if not np.isfinite(self.size).all() or (self.size < 0).any() or (used & (self.size[:, :3] == 0)).any():
            raise FledgeError("sizes of shapes must be finite and positive [m], and the radius of edges not negative")
        smallest = np.where(used, self.size[:, :3], np.inf).min(axis=1)
        if (np.isin(self.kind, [Kind.BOX, Kind.CYLINDER, Kind.HEXAGON]) & (self.size[:, 3] > smallest)).any():
            raise FledgeError("edges of a shape cannot be rounder than its smallest half extent")

    def __len__(self) -> int:
        return len(self.kind)


def _shapes(kind: Kind, n: int, *sizes: ArrayLike, edge: ArrayLike = 0.0) -> Shapes:
    size = np.zeros((n, 4), np.float32)
    for column, values in enumerate(sizes):
        size[:, column] = values
    size[:, 3] = edge
    return Shapes(np.full(n, kind, np.int32), size)


def plane(n: int = 1) -> Shapes:
    """Half-space below z = 0 of the object."""
    return _shapes(Kind.PLANE, n)


def sphere(radius: ArrayLike, n: int = 1) -> Shapes:
    """Radius [m], one or (n,)."""
    return _shapes(Kind.SPHERE, n, radius)


def capsule(radius: ArrayLike, half_length: ArrayLike, n: int = 1) -> Shapes:
    """Radius and half length of the straight part [m], each one or (n,)."""
    return _shapes(Kind.CAPSULE, n, radius, half_length)


def box(half_extents: ArrayLike, edge: ArrayLike = 0.0, n: int = 1) -> Shapes:
    """Half extents (3,) or (n, 3) [m]; radius of the edges [m], within them."""
    half = np.broadcast_to(np.asarray(half_extents, np.float32), (n, 3))
    return _shapes(Kind.BOX, n, half[:, 0], half[:, 1], half[:, 2], edge=edge)


def cylinder(radius: ArrayLike, half_length: ArrayLike, edge: ArrayLike = 0.0, n: int = 1) -> Shapes:
    """Radius, half length, radius of the rims [m], each one or (n,)."""
    return _shapes(Kind.CYLINDER, n, radius, half_length, edge=edge)


def hexagon(apothem: ArrayLike, half_length: ArrayLike, edge: ArrayLike = 0.0, n: int = 1) -> Shapes:
    """Prism: half the width across flats, half length, radius of the edges [m], each one or (n,)."""
    return _shapes(Kind.HEXAGON, n, apothem, half_length, edge=edge)


def distance(shapes: Shapes, index: int, points: NDArray[np.floating]) -> tuple[Float32, Float32]:
    """Signed distance to the surface and its gradient, as the pads see them.

    Args:
        shapes: of which `index` is asked about.
        points: (m, 3) [m, object].
    Returns:
        Distances (m,) [m], negative inside, and unit gradients (m, 3), object axes.
    """
    count = len(points)
    padded = -(-count // LANES) * LANES
    point, found, normal = (np.zeros((rows, padded), np.float32) for rows in (3, 1, 3))
    point[:, :count] = np.asarray(points).T
    addresses = (point.ctypes.data, found.ctypes.data, normal.ctypes.data)
    library.fledge_tactile_distance(_distance_job.pack(*addresses, *shapes.size[index], shapes.kind[index], padded))
    return found[0, :count], np.ascontiguousarray(normal[:, :count].T)
