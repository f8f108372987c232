"""The image behind the gel: colours of slopes computed by hand, symmetry, depths of the readable text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fledge_sim import tactile_reference as reference
from fledge_sim import tactile_shapes as shapes
from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Motion, Pad
from fledge_sim.tactile_image import Light, Optics, TactileCamera, difference, shade

PAD = Pad(rows=60, columns=80, length=0.032, width=0.024)
GREY = 0.05 + np.sin(0.45) * np.array([0.85 + 0.10 + 0.12, 0.10 + 0.75 + 0.20, 0.10 + 0.15 + 0.85])


def pressed(z: float) -> Motion:
    position = np.broadcast_to(np.array([0.002, -0.003, z], np.float32), (1, 2, 3)).copy()
    still = np.zeros((1, 2, 3), np.float32)
    return Motion(position, np.broadcast_to(np.eye(3, dtype=np.float32), (1, 2, 3, 3)).copy(), still, still)


def test_face_without_contact_is_grey() -> None:
    image = TactileCamera(1).render(pressed(0.02), shapes.sphere(0.008))
    assert image.shape == (1, 2, 80, 60, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, np.broadcast_to(255 * GREY, image.shape), atol=0.51)


def test_slope_has_the_colour_of_its_lights() -> None:
    """A plane that rises by 0.2 along x, exaggerated to 0.3: m = (-0.3, 0, 1) / sqrt(1.09)."""
    depth = np.broadcast_to(0.2 * PAD.points[..., 0], (60, 80)).astype(np.float32)
    image = shade(depth, PAD, Optics())
    m = np.array([-0.3, 0, 1]) / np.sqrt(1.09)
    lights = [
        np.array([np.cos(0.45) * np.cos(a), np.cos(0.45) * np.sin(a), np.sin(0.45)]) for a in np.radians([0, 120, 240])
    ]
    colours = np.array([[0.85, 0.10, 0.10], [0.10, 0.75, 0.15], [0.12, 0.20, 0.85]])
    expected = 0.05 + sum(max(m @ light, 0) * colour for light, colour in zip(lights, colours, strict=True))
    np.testing.assert_allclose(image[10:70, 10:50], np.broadcast_to(255 * expected, (60, 40, 3)), atol=0.51)


def test_side_that_faces_a_light_is_brighter() -> None:
    """The ball presses the gel towards the camera: red comes from the tip's end."""
    image = TactileCamera(1).render(pressed(0.0072), shapes.sphere(0.008))[0, 0].astype(int)
    middle = 45  # x = 2 mm of 32 mm: pixel 40 + 5
    red = image[:, 22, 0]  # y = -3 mm: pixel 30 - 7.5
    assert red[middle + 5] > 255 * GREY[0] + 20
    assert red[middle - 5] < 255 * GREY[0] - 10


def test_mirrored_depths_and_lights_give_the_mirrored_image() -> None:
    depth = (1e-3 * np.random.default_rng(0).random((2, 60, 80))).astype(np.float32)
    optics = Optics()
    mirrored = replace(optics, lights=tuple(replace(light, azimuth=-light.azimuth) for light in optics.lights))
    one, other = shade(depth, PAD, optics).astype(int), shade(depth[:, ::-1], PAD, mirrored).astype(int)
    assert np.ptp(one) > 50
    assert np.abs(other[:, :, ::-1] - one).max() <= 1


def test_depths_are_those_of_the_readable_text() -> None:
    one, motion = shapes.cylinder(0.006, 0.01, edge=0.001), pressed(0.0095)
    depth = TactileCamera(1).depth(motion, one)[0, 1]
    taxels = np.concatenate([PAD.points.reshape(-1, 2), np.zeros((4800, 1))], axis=1)

    def measure(p: np.ndarray) -> np.ndarray:
        return reference.distance(shapes.Kind.CYLINDER, one.size[0].astype(float), p - motion.position[0, 1])

    expected = reference.profile(measure, taxels).reshape(60, 80)
    assert expected.max() == pytest.approx(5e-4, abs=1e-8)
    assert np.abs(depth - expected).max() < 2e-6


def test_light_of_one_colour_leaves_the_others_dark() -> None:
    optics = Optics(lights=(Light(0.0, 1.0, (1.0, 0.0, 0.0)),), ambient=0.0)
    image = shade(np.zeros((60, 80), np.float32), PAD, optics)
    assert (image[..., 0] == round(255 * np.sin(1.0))).all()
    assert (image[..., 1:] == 0).all()


def test_difference_is_grey_where_nothing_changed() -> None:
    bare, touched = (TactileCamera(1).render(pressed(z), shapes.sphere(0.008)) for z in (0.02, 0.0072))
    change = difference(touched, bare)
    assert (change[0, 0, 0] == 127).all()
    assert np.ptp(change.astype(int)) > 40


def test_bad_input_is_refused() -> None:
    with pytest.raises(FledgeError, match="5 pixels"):
        TactileCamera(1, Pad(rows=4, columns=80))
