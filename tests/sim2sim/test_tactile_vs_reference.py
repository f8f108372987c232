"""The native pads against the readable text: distances, gradients, and the field over a sequence of contacts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fledge_sim import tactile_reference as reference
from fledge_sim import tactile_shapes as shapes
from fledge_sim.tactile import Motion, Pad, Shear, TactileField

SHAPES = [
    shapes.plane(),
    shapes.sphere(0.008),
    shapes.capsule(0.006, 0.01),
    shapes.box((0.004, 0.007, 0.012)),
    shapes.box((0.004, 0.007, 0.012), edge=0.002),
    shapes.cylinder(0.007, 0.01),
    shapes.cylinder(0.007, 0.01, edge=0.0015),
    shapes.hexagon(0.006, 0.009),
    shapes.hexagon(0.006, 0.009, edge=0.001),
]


def name(one: shapes.Shapes) -> str:
    return shapes.Kind(one.kind[0]).name.lower() + ("_rounded" if one.size[0, 3] else "")


def rotation(generator: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(generator.normal(size=(3, 3)))[0]


@pytest.mark.parametrize("one", SHAPES, ids=name)
def test_distance_and_gradient(one: shapes.Shapes) -> None:
    points = np.random.default_rng(1).uniform(-0.02, 0.02, (4000, 3))
    kind, size = shapes.Kind(one.kind[0]), one.size[0].astype(float)
    found, normal = shapes.distance(one, 0, points)
    expected = reference.distance(kind, size, points)
    np.testing.assert_allclose(found, expected, atol=5e-9)
    if kind is not shapes.Kind.PLANE:
        assert (expected < 0).any()
        assert (expected > 0).any()
    slope = reference.gradient(lambda p: reference.distance(kind, size, p), points)
    wrong = np.abs(normal - slope).max(axis=1) > 1e-4
    assert wrong.mean() < 2e-3  # within single precision of an edge of the medial surface either side is right
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("one", SHAPES, ids=name)
@pytest.mark.parametrize("shear", list(Shear), ids=lambda law: law.name.lower())
def test_field_over_a_sequence_of_contacts(one: shapes.Shapes, shear: Shear) -> None:
    generator = np.random.default_rng(len(name(one)))
    pad = Pad(rows=7, columns=9)
    field = TactileField(1, pad=pad, shear=shear)
    field.law[0] = (47.0, 30.0, 20.0 if shear is Shear.STICK_SLIP else 0.5, 0.7)
    points, anchor = pad.points.reshape(-1, 2), np.zeros((2, pad.taxels, 3))
    rotations = np.stack([rotation(generator) for _ in range(2)])
    touched = 0
    for _ in range(8):
        position = generator.uniform(-0.004, 0.004, (2, 3))
        twist = generator.normal(size=(2, 2, 3)) * np.array([0.03, 2.0])[:, None, None]
        motion = Motion(*(np.asarray(a[None], np.float32) for a in (position, rotations, *twist)))
        force = field.update(motion, one, dt=0.02)[0]
        for i in range(2):
            seen = (
                (motion.position[0, i], motion.rotation[0, i]),
                (motion.velocity[0, i], motion.angular_velocity[0, i]),
            )
            pose, moving = ((a.astype(float), b.astype(float)) for a, b in seen)
            what = shapes.Kind(one.kind[0]), one.size[0].astype(float)
            law = field.law[0].astype(float)
            expected, anchor[i] = reference.step(anchor[i], points, pose, moving, what, law, 0.02, shear)
            found = force[i].reshape(-1, 3)
            largest = np.abs(expected).max()
            near = np.abs(found - expected).max(axis=1) <= 2e-5 * largest + 1e-6
            assert near.mean() > 0.96, np.flatnonzero(~near)  # the rest lies on an edge of the gradient
            anchor[i] = field.anchor[0, i].reshape(-1, 3)
            touched += (expected != 0).any(axis=1).sum()
    assert touched > 100


PROGRAM = """
import numpy as np
from fledge_sim.tactile import Motion, TactileField
from fledge_sim import tactile_shapes as shapes
generator = np.random.default_rng(5)
field, one = TactileField(3), shapes.hexagon(0.007, 0.01, edge=0.001, n=3)
for _ in range(4):
    numbers = [generator.uniform(-0.004, 0.004, (3, 2, 3)).astype(np.float32) for _ in range(3)]
    turn = np.linalg.qr(generator.normal(size=(3, 2, 3, 3)))[0].astype(np.float32)
    force = field.update(Motion(numbers[0], turn, numbers[1], numbers[2]), one, 0.02)
np.save({path!r}, force)
"""


@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_narrower_instruction_sets_agree(isa: str, tmp_path: Path) -> None:
    fields = []
    for wish in ("", isa):
        path = tmp_path / f"field_{wish}.npy"
        environment = {"FLEDGE_ISA": wish, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", PROGRAM.format(path=str(path))], env=environment, check=True)
        fields.append(np.load(path))
    assert np.abs(fields[0]).max() > 0.01
    np.testing.assert_allclose(fields[1], fields[0], atol=1e-5)
