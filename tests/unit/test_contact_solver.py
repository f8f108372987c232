"""Rigid contacts: what holds a block, what lets it slide, and what only stops what comes too near."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim.crosscheck.contact_solver import cross, frames, impulses

H, G, MASS = 2e-3, 9.81, 0.3
RESPONSE = np.eye(3) / MASS
"""Of a point mass."""


def after(velocity: list[float], gap: float, friction: float) -> np.ndarray:
    """Velocity of a point mass on the floor after a step; normal up, first."""
    start = np.array(velocity)
    return start + RESPONSE @ impulses(RESPONSE, start, np.array([gap]), friction, H)


def test_what_rests_is_held_and_what_leaves_is_not() -> None:
    np.testing.assert_allclose(after([-G * H, 0, 0], 0.0, 0.5), 0, atol=1e-12)
    np.testing.assert_allclose(after([0.1, 0.2, 0], 0.0, 0.5), [0.1, 0.2, 0])


def test_friction_holds_up_to_its_cone() -> None:
    pressed = -0.02
    np.testing.assert_allclose(after([pressed, 0.004, 0.003], 0.0, 0.5), 0, atol=1e-9)
    slid = after([pressed, 0.3, 0.4], 0.0, 0.5)
    np.testing.assert_allclose(np.hypot(*slid[1:]), 0.5 - 0.5 * 0.02, rtol=1e-6)
    np.testing.assert_allclose(slid[1] / slid[2], 0.75, rtol=1e-6)


def test_what_comes_near_stops_at_the_surface_and_what_is_in_comes_out_slowly() -> None:
    assert after([-1.0, 0, 0], 1e-3, 0.0)[0] == pytest.approx(-1e-3 / H)
    assert after([-0.1, 0, 0], 1e-3, 0.0)[0] == pytest.approx(-0.1)
    assert after([0.0, 0, 0], -1e-3, 0.0)[0] == pytest.approx(0.2 * 1e-3 / H)


@pytest.mark.parametrize("seed", range(5))
def test_many_contacts_fulfil_the_laws_together(seed: int) -> None:
    generator = np.random.default_rng(seed)
    jacobian, friction = generator.normal(0, 1, (12, 12)), 0.6
    response, velocity = jacobian @ jacobian.T, generator.normal(0, 0.5, 12)
    found = impulses(response, velocity, np.zeros(4), friction, H).reshape(4, 3)
    moves = (velocity + response @ found.ravel()).reshape(4, 3)
    assert (found[:, 0] >= 0).all()
    assert (np.hypot(found[:, 1], found[:, 2]) <= friction * found[:, 0] + 1e-9).all()
    assert (moves[:, 0] > -0.05).all()  # fifty sweeps are no exact solution
    assert (np.abs(moves[:, 0] * found[:, 0]) < 0.01).all()


def test_frames_are_right_handed_and_begin_with_the_normal() -> None:
    normals = np.array([[1.0, 0, 0], [0, 0, -1.0], [0.6, 0.0, 0.8]])
    made = frames(normals)
    np.testing.assert_allclose(made[:, 0], normals)
    np.testing.assert_allclose(made @ np.swapaxes(made, 1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(made), 1)
    np.testing.assert_allclose(cross(normals, made[:, 1]), np.cross(normals, made[:, 1]))
