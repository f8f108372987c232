"""Rigid contacts with Coulomb friction on joint velocities: projected Gauss-Seidel, one time step at a time.

    v = v* + M^-1 J' p,    p_n >= 0,    |p_t| <= mu p_n
    at the step's end the gap g + h v_n is not negative; what is in already comes out by a share of it

Nothing yields, whatever the force; MuJoCo's contacts are springs with a limit, near hard.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
SWEEPS = 50
"""Over all contacts of a step, at most."""
SETTLED = 1e-7
"""Change of an impulse that no further sweep is worth [N s]."""
RECOVERY = 0.2
"""Share of a penetration that one step takes back."""


def impulses(response: Float64, velocity: Float64, gap: Float64, friction: float, h: float) -> Float64:
    """Impulses of the contacts in one step.

    Args:
        response: J M^-1 J', (3 k, 3 k); rows of a contact: normal, two tangents.
        velocity: of the contacts without impulses, J v*, (3 k,) [m/s].
        gap: (k,) [m]; negative: penetration.
        friction: [1]
        h: [s]
    Returns:
        (3 k,) [N s], normal impulses not negative.
    """
    wanted = np.zeros_like(velocity)
    wanted[::3] = np.where(gap > 0, -gap / h, -RECOVERY * gap / h)
    impulse, diagonal = np.zeros_like(velocity), response.diagonal()
    for _ in range(SWEEPS):
        before = impulse.copy()
        for normal in range(0, len(velocity), 3):
            off = velocity[normal] + response[normal] @ impulse - wanted[normal]
            impulse[normal] = max(0.0, impulse[normal] - off / diagonal[normal])
            if not impulse[normal]:
                impulse[normal + 1 : normal + 3] = 0
                continue
            both = slice(normal + 1, normal + 3)
            slip = velocity[both] + response[both] @ impulse
            pushed = impulse[both] - slip / diagonal[both]
            most, size = friction * impulse[normal], float(np.hypot(*pushed))
            impulse[both] = pushed * (most / size) if size > most else pushed
        if np.abs(impulse - before).max() < SETTLED:
            break
    return impulse


def frames(normals: Float64) -> Float64:
    """Normal and two tangents as rows, (k, 3, 3), of normals (k, 3)."""
    other = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = cross(normals, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([normals, first, cross(normals, first)], 1)


def cross(first: Float64, second: Float64) -> Float64:
    """Of vectors (..., 3); numpy's own takes ten times as long for a few."""
    x, y, z = (first[..., i] for i in range(3))
    u, v, w = (second[..., i] for i in range(3))
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -1)
