"""The finger pads to be read: one pad, numpy in double precision; docs/tactile.md has the equations by number.

Slow, and written apart from the native code: distances by the nearest point, gradients by finite differences.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fledge_sim.tactile import Depth, Shear
from fledge_sim.tactile_shapes import Kind

Float64 = NDArray[np.float64]
STEP = 1e-8
"""Of the finite differences [m]."""
FAR, BISECTIONS = 0.2, 50
"""[m] below which every object ends."""


def _product(u: Float64, v: Float64) -> Float64:
    """Distance to the product of two orthogonal sets from the distances to each (eq. 2)."""
    outside = np.hypot(np.maximum(u, 0), np.maximum(v, 0))
    return np.asarray(np.where((u > 0) | (v > 0), outside, np.maximum(u, v)))


def _box(p: Float64, half: Float64) -> Float64:
    """Outside: to the nearest point of the box; inside: to the nearest face."""
    outside = np.linalg.norm(p - np.clip(p, -half, half), axis=-1)
    return np.asarray(np.where(outside > 0, outside, -(half - np.abs(p)).min(axis=-1)))


def _hexagon(p: Float64, apothem: float) -> Float64:
    """Distance to the sides outside, to the nearest of the six lines inside."""
    angles = np.radians(np.arange(0, 360, 60))
    corners = 2 * apothem / np.sqrt(3) * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    following = np.roll(corners, -1, axis=0)
    side = following - corners
    along = np.einsum("...sk,sk->...s", p[..., None, :] - corners, side) / (side**2).sum(-1)
    nearest = corners + np.clip(along, 0, 1)[..., None] * side
    to_sides = np.linalg.norm(p[..., None, :] - nearest, axis=-1).min(-1)
    outward = np.stack([side[:, 1], -side[:, 0]], axis=-1) / np.linalg.norm(side, axis=-1)[:, None]
    inside = (p @ outward.T <= apothem).all(-1)
    return np.asarray(np.where(inside, -to_sides, to_sides))


def distance(kind: Kind, size: Float64, p: Float64) -> Float64:
    """Signed distance [m] of points (..., 3) [m, object] to a shape with sizes (4,) as in Shapes; eq. 1 and 2."""
    (a, b, c), edge = size[:3], size[3]
    z = p[..., 2]
    if kind is Kind.PLANE:
        return np.asarray(z)
    if kind is Kind.SPHERE:
        return np.asarray(np.linalg.norm(p, axis=-1) - a)
    if kind is Kind.CAPSULE:
        nearest = np.stack([0 * z, 0 * z, np.clip(z, -b, b)], axis=-1)
        return np.asarray(np.linalg.norm(p - nearest, axis=-1) - a)
    if kind is Kind.BOX:
        return np.asarray(_box(p, np.array([a, b, c]) - edge) - edge)
    section = np.hypot(p[..., 0], p[..., 1]) - (a - edge) if kind is Kind.CYLINDER else _hexagon(p[..., :2], a - edge)
    return np.asarray(_product(section, np.abs(z) - (b - edge)) - edge)


def gradient(measure: Callable[[Float64], Float64], p: Float64) -> Float64:
    """Of a distance, by central differences, normalised; (..., 3)."""
    ends = STEP * np.eye(3)
    slope = np.stack([measure(p + end) - measure(p - end) for end in ends], axis=-1)
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-300))


def profile(measure: Callable[[Float64], Float64], taxels: Float64) -> Float64:
    """Distance from points inside a convex object to its surface along -z, by bisection; 0 for points outside."""
    down = np.array([0.0, 0.0, -1.0])
    low, high = np.zeros(len(taxels)), np.full(len(taxels), FAR)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        inside = measure(taxels + middle[:, None] * down) < 0
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(np.where(measure(taxels) < 0, low, 0.0))


def step(
    anchor: Float64,
    points: Float64,
    pose: tuple[Float64, Float64],
    twist: tuple[Float64, Float64],
    shape: tuple[Kind, Float64],
    law: Float64,
    dt: float,
    depth_rule: Depth = Depth.PROFILE,
    shear: Shear = Shear.STICK_SLIP,
) -> tuple[Float64, Float64]:
    """One update of one pad.

    Args:
        anchor: stretch of the gel under each taxel (m, 3) [m, pad].
        points: centres of the taxels (m, 2) [m, pad].
        pose: position (3,) [m, pad] and rotation_pad_from_object (3, 3).
        twist: velocity (3,) [m/s] of the object's origin and angular velocity (3,) [rad/s], pad axes.
        shape: kind and sizes (4,).
        law: k_n, k_d, k_t, mu of a taxel.
    Returns:
        Forces on the gel (m, 3) [N]: compression, shear x, shear y; and the next anchor.
    """
    (origin, rotation), (velocity, angular), (kind, size) = pose, twist, shape
    stiffness, damping, shear_stiffness, friction = law
    taxels = np.concatenate([points, np.zeros((len(points), 1))], axis=1)

    def measure(p: Float64) -> Float64:
        return distance(kind, size, (p - origin) @ rotation)  # R^T (p - o), eq. 1

    by_profile = depth_rule is Depth.PROFILE
    depth = profile(measure, taxels) if by_profile else np.maximum(-measure(taxels), 0.0)  # eq. 3
    below = depth[:, None] * [0, 0, 1] if by_profile else 0.0
    normal = gradient(measure, taxels - below)
    moving = velocity + np.cross(angular, taxels - origin)  # eq. 4
    rate = (normal * moving).sum(-1)
    tangential = moving - rate[:, None] * normal
    pressing = np.maximum(stiffness * depth + damping * rate * depth, 0.0)  # eq. 5
    stretch = tangential if shear is Shear.VELOCITY else anchor + tangential * dt  # eq. 6
    stretch = stretch - (normal * stretch).sum(-1, keepdims=True) * normal
    pull = shear_stiffness * np.linalg.norm(stretch, axis=-1)
    slips = pull > friction * pressing
    stretch = np.where(slips[:, None], stretch * (friction * pressing / np.where(slips, pull, 1.0))[:, None], stretch)
    force = np.where(depth[:, None] > 0, pressing[:, None] * normal + shear_stiffness * stretch, 0.0)  # eq. 7
    kept = np.where((depth[:, None] > 0) & (shear is Shear.STICK_SLIP), stretch, 0.0)  # eq. 8
    return np.stack([-force[:, 2], force[:, 0], force[:, 1]], axis=-1), kept
