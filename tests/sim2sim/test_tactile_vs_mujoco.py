"""Pads in MuJoCo with contacts as stiff as the gel: what they carry, and the depths its own tactile sensor reads."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim import tactile_shapes as shapes
from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Depth, Gel, Pad, TactileField

pytest.importorskip("mujoco")
from fledge_sim.crosscheck.touch import Grip, Held, emit

GEL = Gel(damping=0.0)
PER_AREA = GEL.modulus / GEL.thickness
"""[N/m^3]"""


def held(grip: Grip, area: float, seconds: float) -> Held:
    result = Held(grip, PER_AREA * area)
    result.advance(seconds)
    return result


@pytest.mark.parametrize(
    ("half_x", "half_y", "tolerance"),
    [
        (0.0045, 0.006, 1e-3),  # between taxels
        (0.0041, 0.0057, 0.2),  # its edges run through taxels, of which it touches all or nothing
    ],
)
def test_flat_press_sums_to_mujocos_contact_force(half_x: float, half_y: float, tolerance: float) -> None:
    """A peg that hangs between two pads, pressed by 3 N each."""
    grip = Grip(shapes.box((half_x, half_y, 0.008)), half_height=0.008)
    scene = held(grip, 4 * half_x * half_y, seconds=0.2)
    field = TactileField(1, gel=GEL).update(scene.motion, grip.shapes, 0.02)
    for pad in range(2):
        assert scene.contact_force(pad)[0] == pytest.approx(3.0, abs=2e-3)
        assert field[0, pad, ..., 0].sum() == pytest.approx(scene.contact_force(pad)[0], rel=tolerance)
        assert scene.contact_force(pad)[1] == pytest.approx(-0.5 * 0.02 * 9.81, rel=0.01)  # half of the weight


def test_nearest_surface_loses_the_edges_of_a_flat_press() -> None:
    grip = Grip(shapes.box((0.0045, 0.006, 0.008)), half_height=0.008)
    scene = held(grip, 0.009 * 0.012, seconds=0.2)
    nearest = TactileField(1, gel=GEL, depth=Depth.NEAREST).update(scene.motion, grip.shapes, 0.02)
    assert nearest[0, 0, ..., 0].sum() == pytest.approx(0.66 * 3, rel=0.02)


def test_field_takes_over_mujocos_contact_force() -> None:
    """Weight included: what the gel's springs do not know of the engine's friction comes from the engine."""
    grip = Grip(shapes.cylinder(0.005, 0.009), half_height=0.005, quaternion=(np.sqrt(0.5), 0, np.sqrt(0.5), 0))
    scene = held(grip, 40e-6, seconds=0.1)
    wanted = np.array([[scene.contact_force(0), scene.contact_force(1)]], np.float32)
    field = TactileField(1, gel=GEL).update(scene.motion, grip.shapes, 0.02, contact_force=wanted)
    np.testing.assert_allclose(field.sum((2, 3)), wanted, atol=1e-4)
    np.testing.assert_allclose(wanted[0, :, 1], -0.5 * 0.02 * 9.81, rtol=0.05)
    assert (field[0, 0, ..., 0] > 0).sum() > 20


@pytest.mark.parametrize(
    ("one", "half_height", "quaternion"),
    [
        (shapes.sphere(0.007), 0.007, (1, 0, 0, 0)),
        (shapes.capsule(0.005, 0.006), 0.005, (0.6, 0.36, 0.64, 0.32)),
        (shapes.cylinder(0.005, 0.009), 0.005, (0.7, 0.1, 0.7, 0.1)),
    ],
    ids=["sphere", "capsule", "cylinder"],
)
def test_depths_are_those_of_mujocos_tactile_sensor(
    one: shapes.Shapes, half_height: float, quaternion: tuple[float, float, float, float]
) -> None:
    """Any pose will do; without friction and damping a taxel's force is k_n times its depth."""
    scene = Held(Grip(one, half_height, quaternion), stiffness=2000.0)
    scene.data.qpos[:2] = 6e-4
    scene.data.qpos[2:4] = 0.0012, -0.0021
    scene.advance(5e-4)
    scene._mujoco.mj_forward(scene.model, scene.data)
    frictionless = Gel(damping=0.0, friction=0.0)
    force = TactileField(1, gel=frictionless, depth=Depth.NEAREST).update(scene.motion, one, 0.02)
    for pad in range(2):
        depth = np.linalg.norm(force[0, pad], axis=-1) / frictionless.law(Pad())[0]
        np.testing.assert_allclose(depth, scene.depth(pad), atol=2e-8)
    assert (depth > 1e-4).sum() > 15


def test_shape_that_mujoco_has_not_is_refused() -> None:
    with pytest.raises(FledgeError, match="hexagon"):
        emit(Grip(shapes.hexagon(0.005, 0.01), half_height=0.005))
