"""Quaternions and rotations: the only place in Python that indexes a quaternion.

A quaternion is q = (w, x, y, z) = (w, u), Hamilton product, and rotates body to world. World is z up; body is x
forward, y left, z up. Functions take numpy arrays or torch tensors of any leading shape and give back the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
else:
    Array = TypeVar("Array")


def conjugate(q: Array) -> Array:
    """q* = (w, -u), (..., 4): of a unit quaternion the inverse, world to body."""
    return _stack(q, [q[..., 0], -q[..., 1], -q[..., 2], -q[..., 3]])


def normalise(q: Array) -> Array:
    """q / |q|, (..., 4)."""
    unit: Array = q / (q * q).sum(-1)[..., None] ** 0.5
    return unit


def multiply(a: Array, b: Array) -> Array:
    """Hamilton product a (x) b, (..., 4): first rotates by b, then by a."""
    return _stack(a, multiply_rows([a[..., i] for i in range(4)], [b[..., i] for i in range(4)]))


def multiply_rows(a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
    """Hamilton product a (x) b, each given and returned as its four components, of any one shape."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return [
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ]


def rotate(q: Array, vector_body: Array) -> Array:
    """R(q) v = v + 2 w (u x v) + 2 u x (u x v), body to world.

    Linear in v for every q, and a rotation only if |q| = 1 (docs/dynamics.md, eq. 3).

    Args:
        q: (..., 4).
        vector_body: v, (..., 3), any unit, body axes.
    Returns:
        (..., 3), world axes.
    """
    w, u = q[..., :1], q[..., 1:]
    uv = cross(u, vector_body)
    vector_world: Array = vector_body + 2 * (w * uv + cross(u, uv))
    return vector_world


def rotate_back(q: Array, vector_world: Array) -> Array:
    """R(q)^T v, world to body; shapes as in `rotate`."""
    return rotate(conjugate(q), vector_world)


def cross(a: Array, b: Array) -> Array:
    """a x b, (..., 3)."""
    return _stack(
        a,
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
    )


def rotation_matrix(q: Array) -> Array:
    """rotation_world_from_body, (..., 3, 3), of unit quaternions q (..., 4): its columns are the body axes in world."""
    return _stack(q, rotation_rows([q[..., i] for i in range(4)])).reshape((*q.shape[:-1], 3, 3))


def rotation_rows(q: Sequence[Array]) -> list[Array]:
    """The nine entries of the matrix of `rotate` for any q, row by row; q as its four components, of any one shape."""
    w, x, y, z = q
    return [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]


def rate(q: Array, angular_velocity_body: Array) -> Array:
    """dq/dt = 1/2 q (x) (0, w), (..., 4) [1/s], with w (..., 3) [rad/s, body] (docs/dynamics.md, eq. 2)."""
    zero = angular_velocity_body[..., 0] * 0
    pure = _stack(q, [zero, *(angular_velocity_body[..., i] for i in range(3))])
    return multiply(q, pure) / 2


def from_yaw(yaw: Array) -> Array:
    """Turn about world z by `yaw` [rad], (...) -> (..., 4)."""
    library = _library(yaw)
    return _stack(yaw, [library.cos(yaw / 2), yaw * 0, yaw * 0, library.sin(yaw / 2)])


def yaw_of(q: Array) -> Array:
    """Heading of the body's x axis seen from above [rad], -pi to pi, (..., 4) -> (...)."""
    w, x, y, z = (q[..., i] for i in range(4))
    return cast("Array", _library(q).arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)))


def angle_of(q: Array) -> Array:
    """Angle of the rotation [rad], 0 to pi, (..., 4) -> (...): 2 atan2(|u|, |w|), exact near zero too."""
    u = q[..., 1:]
    return cast("Array", 2 * _library(q).arctan2((u * u).sum(-1) ** 0.5, abs(q[..., 0])))


def from_axis_angle(axis: Array, angle: Array) -> Array:
    """Turn by `angle` (...) [rad] about the unit vector `axis` (..., 3): (cos(angle/2), sin(angle/2) axis)."""
    library = _library(axis)
    sine: Any = library.sin(angle / 2)
    return _stack(axis, [library.cos(angle / 2), *(sine * axis[..., i] for i in range(3))])


def from_xyzw(q_xyzw: Array) -> Array:
    """Quaternion in our order from one whose scalar comes last, as in the firmware's structs and packets."""
    return _stack(q_xyzw, [q_xyzw[..., i] for i in (3, 0, 1, 2)])


def to_xyzw(q: Array) -> Array:
    """Inverse of `from_xyzw`."""
    return _stack(q, [q[..., i] for i in (1, 2, 3, 0)])


def sample_uniform(generator: np.random.Generator, n: int, angle_max: float = np.pi) -> NDArray[np.float64]:
    """Attitudes uniform over all rotations by at most `angle_max`.

    The axis is uniform on the sphere; the angle's density is proportional to sin^2(angle/2), so that its distribution
    function is (a - sin a) / (angle_max - sin angle_max), inverted by bisection.

    Args:
        generator: numpy's random generator.
        n: how many.
        angle_max: [rad], 0 to pi.
    Returns:
        (n, 4), unit length.
    """
    normal = generator.standard_normal((n, 3))
    axis = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    target = generator.random(n) * (angle_max - np.sin(angle_max))
    low, high = np.zeros(n), np.full(n, float(angle_max))
    for _ in range(53):  # bits of a double
        middle = (low + high) / 2
        below = middle - np.sin(middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return cast("NDArray[np.float64]", from_axis_angle(axis, (low + high) / 2))


def _stack(like: Array, parts: list[Any]) -> Array:
    return cast("Array", _library(like).stack(parts, -1))


def _library(array: Any) -> Any:
    """The numpy module or the torch module, whichever made the array; torch is only imported by who uses it."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    import torch

    return torch
