"""What finger pads feel: a field of normal and shear forces over the taxels of each pad, and its state.

    field = TactileField(n)
    motion = relative_motion(pad_pose, pad_twist, object_pose, object_twist)
    force = field.update(motion, shapes.box((0.01, 0.01, 0.03), n=n), dt=0.02)      # (n, 2, 20, 25, 3) [N]

Pad frame: origin in the middle of the gel's face, z out of it towards the object, x along the finger to its tip, y
completing; taxel (row, column) lies at (x(column), y(row), 0). Forces act on the gel: compression positive, then shear
along x and y of the pad. Equations: docs/tactile.md. The native code computes them in single precision; the same to be
read is tactile_reference.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arrays import address
from fledge_sim.errors import FledgeError
from fledge_sim.tactile_shapes import LANES, Float32, Shapes, library, update_job

SIDE_MAX = 512
"""Rows, and columns, of a pad."""


class Depth(IntEnum):
    """What the gel below a taxel is compressed by."""

    PROFILE = 0
    """The object's profile: distance to its surface along the pad's normal, and the normal there."""
    NEAREST = 1
    """TacSL's: distance to the nearest point of the surface, which near an edge may be on the object's side."""


class Shear(IntEnum):
    """Law of the tangential force."""

    STICK_SLIP = 0
    """A spring per taxel from where it was touched first, which slips at the Coulomb limit: remembers."""
    VELOCITY = 1
    """TacSL's: proportional to the slip velocity up to the limit; nothing while nothing moves."""


@dataclass(frozen=True)
class Pad:
    """Regular grid of taxels; each stands for the rectangle around it."""

    rows: int = 20
    """Along y."""
    columns: int = 25
    """Along x."""
    length: float = 0.025
    """Of the grid along x [m]."""
    width: float = 0.020
    """Of the grid along y [m]: taxels of 1 mm x 1 mm."""

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= SIDE_MAX and 1 <= self.columns <= SIDE_MAX):
            raise FledgeError(f"a pad has 1 to {SIDE_MAX} rows and columns, not {self.rows} x {self.columns}")
        if not (0 < self.length < 1 and 0 < self.width < 1):
            raise FledgeError(f"length and width of a pad must be positive, below 1 m: {self.length}, {self.width}")

    @property
    def taxels(self) -> int:
        """How many."""
        return self.rows * self.columns

    @property
    def taxel_area(self) -> float:
        """[m^2]"""
        return self.length * self.width / self.taxels

    @property
    def points(self) -> NDArray[np.float64]:
        """Centres of the taxels (rows, columns, 2) [m, pad]: x, y."""
        x = (np.arange(self.columns) + 0.5) / self.columns - 0.5
        y = (np.arange(self.rows) + 0.5) / self.rows - 0.5
        return np.stack(np.broadcast_arrays(x[None, :] * self.length, y[:, None] * self.width), axis=-1)


@dataclass(frozen=True)
class Gel:
    """What the taxels are made of: an elastic foundation. The defaults are a choice, not a measurement."""

    modulus: float = 2e5
    """[Pa] under compression; silicones of tactile sensors have 0.1 to 0.5 MPa."""
    shear_modulus: float = 7e4
    """[Pa]; a third of the modulus in a material that keeps its volume."""
    thickness: float = 4e-3
    """[m]"""
    damping: float = 0.5
    """Of the normal force, k_d / k_n [s/m]: at 0.1 m/s the force is 5 % larger."""
    friction: float = 0.8
    """Coulomb coefficient [1]."""

    def law(self, pad: Pad) -> NDArray[np.float64]:
        """k_n [N/m], k_d [N s/m^2], k_t [N/m], mu [1] of one taxel, (4,)."""
        stiffness = self.modulus * pad.taxel_area / self.thickness
        shear = self.shear_modulus * pad.taxel_area / self.thickness
        return np.array([stiffness, self.damping * stiffness, shear, self.friction])


@dataclass(frozen=True)
class Motion:
    """Where the object is and how it moves, seen from each pad; all float32, contiguous."""

    position: Float32
    """(n, P, 3) [m, pad], of the object's origin."""
    rotation: Float32
    """(n, P, 3, 3), rotation_pad_from_object."""
    velocity: Float32
    """(n, P, 3) [m/s, pad axes], of the object's material at its origin relative to the pad."""
    angular_velocity: Float32
    """(n, P, 3) [rad/s, pad axes], relative to the pad."""


def relative_motion(
    pad_position: NDArray[Any],
    pad_rotation: NDArray[Any],
    pad_velocity: NDArray[Any],
    pad_angular_velocity: NDArray[Any],
    object_position: NDArray[Any],
    object_rotation: NDArray[Any],
    object_velocity: NDArray[Any],
    object_angular_velocity: NDArray[Any],
) -> Motion:
    """From quantities of pads (n, P, ...) and object (n, ...) in the world's axes.

    Args:
        pad_position, object_position: [m, world], of the origins.
        pad_rotation, object_rotation: (..., 3, 3), rotation_world_from_pad and rotation_world_from_object.
        pad_velocity, object_velocity: [m/s, world], of the origins.
        pad_angular_velocity, object_angular_velocity: [rad/s, world axes].
    """
    to_pad = np.swapaxes(pad_rotation, -1, -2)
    offset = object_position[:, None] - pad_position
    carried = pad_velocity + np.cross(pad_angular_velocity, offset)

    def seen(vector: NDArray[Any]) -> Float32:
        return np.ascontiguousarray((to_pad @ vector[..., None])[..., 0], np.float32)

    return Motion(
        seen(offset),
        np.ascontiguousarray(to_pad @ object_rotation[:, None], np.float32),
        seen(object_velocity[:, None] - carried),
        seen(object_angular_velocity[:, None] - pad_angular_velocity),
    )


@dataclass
class TactileField:
    """The pads of n environments. Environment i depends on its own arguments only, whatever n and threads are."""

    n: int
    pads: int = 2
    pad: Pad = field(default_factory=Pad)
    gel: Gel = field(default_factory=Gel)
    depth: Depth = Depth.PROFILE
    shear: Shear = Shear.STICK_SLIP
    threads: int = 1

    def __post_init__(self) -> None:
        if self.n < 1 or self.pads < 1 or self.threads < 1:
            raise FledgeError("a tactile field needs at least one environment, one pad and one thread")
        padded = -(-self.pad.taxels // LANES) * LANES
        points = self.pad.points.reshape(-1, 2)
        last = np.broadcast_to(points[-1], (padded - len(points), 2))
        self._taxels = np.ascontiguousarray(np.concatenate([points, last]).T, np.float32)
        self._reach = float(np.hypot(points[:, 0], points[:, 1]).max()) * 1.001
        self.law: Float32 = np.tile(self.gel.law(self.pad).astype(np.float32), (self.n, 1))
        """(n, 4): k_n [N/m], k_d [N s/m^2], k_t [N/m] ([N s/m] for Shear.VELOCITY), mu; change any row."""
        self._anchor = np.zeros((self.n, self.pads, 3, padded), np.float32)
        self._touching = np.zeros((self.n, self.pads), np.uint8)

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Of the force field."""
        return self.n, self.pads, self.pad.rows, self.pad.columns, 3

    @property
    def touching(self) -> NDArray[np.bool_]:
        """(n, pads): whether any taxel touched in the last update."""
        return self._touching.astype(bool)

    @property
    def anchor(self) -> Float32:
        """Stretch of the gel under each taxel (n, pads, rows, columns, 3) [m, pad]; a copy."""
        taxels = self._anchor[..., : self.pad.taxels].reshape(self.n, self.pads, 3, self.pad.rows, self.pad.columns)
        return np.ascontiguousarray(np.moveaxis(taxels, 2, -1))

    def update(
        self,
        motion: Motion,
        shapes: Shapes,
        dt: float,
        contact_force: Float32 | None = None,
        out: Float32 | None = None,
    ) -> Float32:
        """Advance by dt, over which the object has moved with the velocities of `motion` to where it is.

        Args:
            motion: of the object in each pad.
            shapes: n objects.
            dt: [s]
            contact_force: (n, pads, 3) [N], components as in the result: what the field of every pad that touches
                shall sum to. Default: whatever the gel gives.
            out: where to write.
        Returns:
            Forces on the gel (n, pads, rows, columns, 3) [N]: compression, shear along x, along y of the pad.
        Raises:
            FledgeError: wrong shapes or dtypes, numbers that are not finite, dt not positive. Nothing changes then.
        """
        two = (self.n, self.pads)
        arrays = [
            _checked(motion.position, "position", (*two, 3)),
            _checked(motion.rotation, "rotation", (*two, 3, 3)),
            _checked(motion.velocity, "velocity", (*two, 3)),
            _checked(motion.angular_velocity, "angular_velocity", (*two, 3)),
        ]
        law = _checked(self.law, "law", (self.n, 4))
        if contact_force is not None:
            _checked(contact_force, "contact_force", (*two, 3))
        if len(shapes) != self.n or not (0 < dt < np.inf) or (law < 0).any():
            raise FledgeError(f"give {self.n} shapes, a positive dt [s] and a law that is not negative")
        force = np.empty(self.shape, np.float32) if out is None else out
        if force.shape != self.shape or force.dtype != np.float32 or not force.flags.c_contiguous:
            raise FledgeError(f"out must be a contiguous float32 array of shape {self.shape}")
        self._run(arrays, shapes, law, contact_force, force, dt)
        return force

    def _run(
        self,
        motion: list[Float32],
        shapes: Shapes,
        law: Float32,
        contact_force: Float32 | None,
        force: Float32,
        dt: float,
    ) -> None:
        kind, size = np.ascontiguousarray(shapes.kind), np.ascontiguousarray(shapes.size)
        library.fledge_tactile_update(
            update_job.pack(
                address(self._taxels),
                address(self._taxels[1]),
                *map(address, motion),
                address(kind),
                address(size),
                address(law),
                0 if contact_force is None else address(contact_force),
                address(self._anchor),
                address(self._touching),
                address(force),
                self.n,
                self.pads,
                self.pad.taxels,
                self._taxels.shape[1],
                int(self.depth),
                int(self.shear),
                self._reach,
                dt,
                self.threads,
            )
        )

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget what was touched, in all environments or those of the mask (n,)."""
        chosen = slice(None) if mask is None else np.asarray(mask, bool)
        self._anchor[chosen], self._touching[chosen] = 0, 0

    def part(self, environments: NDArray[np.intp]) -> TactileField:
        """The field of some environments (m,), to be updated without the others; `put` takes it back."""
        part = replace(self, n=len(environments))
        part.law[:] = self.law[environments]
        part._anchor[:], part._touching[:] = self._anchor[environments], self._touching[environments]
        return part

    def put(self, environments: NDArray[np.intp], part: TactileField) -> None:
        """What these environments (m,) now remember."""
        self._anchor[environments], self._touching[environments] = part._anchor, part._touching

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that the next update depends on beside its arguments; copies."""
        return {"anchor": self._anchor.copy(), "touching": self._touching.copy(), "law": self.law.copy()}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Inverse of `get_state`."""
        mine = self.get_state()
        if set(state) != set(mine) or any(state[key].shape != mine[key].shape for key in mine):
            raise FledgeError("this state is of another tactile field; take it with get_state of one like this")
        self._anchor[:], self._touching[:], self.law[:] = state["anchor"], state["touching"], state["law"]


def _checked(array: Float32, name: str, shape: tuple[int, ...]) -> Float32:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != np.float32:
        found = f"{getattr(array, 'shape', None)} {getattr(array, 'dtype', '')}"
        raise FledgeError(f"{name} is {found}, it must be a float32 array of shape {shape}")
    if not array.flags.c_contiguous:
        raise FledgeError(f"{name} is not contiguous; pass np.ascontiguousarray({name})")
    if not np.isfinite(array).all():
        environment = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise FledgeError(f"{name} of environment {environment} is not finite; reset that environment")
    return array


def wrench(force: Float32, pad: Pad) -> NDArray[np.float64]:
    """Sum of a field: force and torque about the pad's origin on the gel (..., 6) [N], [N m], pad axes."""
    f = force.astype(np.float64)
    vector = np.stack([f[..., 1], f[..., 2], -f[..., 0]], axis=-1)
    arm = np.concatenate([pad.points, np.zeros((pad.rows, pad.columns, 1))], axis=-1)
    torque = np.cross(arm, vector).sum((-3, -2))
    return np.asarray(np.concatenate([vector.sum((-3, -2)), torque], axis=-1))


def shares(cells: int, taxels: int) -> NDArray[np.float64]:
    """Share of each taxel along one side that lies in each of `cells` equal parts of it, (cells, taxels)."""
    edge = np.arange(cells + 1) * taxels / cells
    low, high = np.maximum(edge[:-1, None], np.arange(taxels)), np.minimum(edge[1:, None], np.arange(taxels) + 1)
    return np.asarray(np.maximum(high - low, 0.0))


def pool(force: Float32, cells: tuple[int, int] = (4, 4)) -> Float32:
    """Forces summed over equal rectangles, a taxel on a border divided by area: (..., *cells, 3) [N].

    The sum over all stays the same. 25 columns in 4 cells: 6 1/4 each.
    """
    rows, columns = force.shape[-3:-1]
    by_row = np.einsum("ir,...rck->...ick", shares(cells[0], rows), force)
    return np.asarray(np.einsum("jc,...ick->...ijk", shares(cells[1], columns), by_row), np.float32)
