"""The native pads against the readable text: distances, gradients, and the field over a sequence of contacts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fledge_sim import tactile_reference as reference
from fledge_sim import tactile_shapes as shapes
from fledge_sim.tactile import Depth, Motion, Pad, Shear, TactileField

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


def rotation(generator: np.random.Generator, kind: shapes.Kind) -> np.ndarray:
    """Any; of a plane: solid above the pad, tilted by some degrees."""
    if kind is not shapes.Kind.PLANE:
        return np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turned = np.linalg.qr(np.diag([1.0, -1.0, -1.0]) + generator.uniform(-0.05, 0.05, (3, 3)))[0]
    return turned * np.sign(np.diag(turned)) * [1, -1, -1]


def pressed(one: shapes.Shapes, turned: np.ndarray, place: np.ndarray, points: np.ndarray, depth: float) -> np.ndarray:
    """Position above `place` (2,) at which the deepest taxel is `depth` from the surface."""
    taxels = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
    low, high = -0.03 * (one.kind[0] == shapes.Kind.PLANE), 0.03
    for _ in range(30):
        middle = (low + high) / 2
        at = (taxels - [*place, middle]) @ turned
        deepest = reference.distance(shapes.Kind(one.kind[0]), one.size[0].astype(float), at).min()
        low, high = (middle, high) if deepest < -depth else (low, middle)
    return np.array([*place, low])


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
@pytest.mark.parametrize("depth", list(Depth), ids=lambda rule: rule.name.lower())
@pytest.mark.parametrize("shear", list(Shear), ids=lambda law: law.name.lower())
def test_field_over_a_sequence_of_contacts(one: shapes.Shapes, shear: Shear, depth: Depth) -> None:
    generator = np.random.default_rng(len(name(one)))
    pad, kind = Pad(rows=7, columns=9), shapes.Kind(one.kind[0])
    field = TactileField(1, pad=pad, shear=shear, depth=depth)
    field.law[0] = (47.0, 30.0, 20.0 if shear is Shear.STICK_SLIP else 0.5, 0.7)
    points, anchor = pad.points.reshape(-1, 2), np.zeros((2, pad.taxels, 3))
    turns = np.stack([rotation(generator, kind) for _ in range(2)])
    near, touched = [], 0
    for _ in range(8):
        places = generator.uniform(-0.004, 0.004, (2, 2))
        position = np.stack([pressed(one, turns[i], places[i], points, 8e-4) for i in range(2)])
        twist = generator.normal(size=(2, 2, 3)) * np.array([0.03, 2.0])[:, None, None]
        motion = Motion(*(np.asarray(a[None], np.float32) for a in (position, turns, *twist)))
        force = field.update(motion, one, dt=0.02)[0]
        for i in range(2):
            pose = motion.position[0, i].astype(float), motion.rotation[0, i].astype(float)
            moving = motion.velocity[0, i].astype(float), motion.angular_velocity[0, i].astype(float)
            law, what = field.law[0].astype(float), (kind, one.size[0].astype(float))
            expected, _ = reference.step(anchor[i], points, pose, moving, what, law, 0.02, depth, shear)
            found = force[i].reshape(-1, 3)
            largest = np.abs(expected).max()
            close = 0.006 if depth is Depth.PROFILE else 1e-4
            near.append(np.abs(found - expected).max(axis=1) <= close * largest)
            anchor[i] = field.anchor[0, i].reshape(-1, 3)
            touched += (expected != 0).any(axis=1).sum()
    assert np.mean(near) > 0.985  # the rest lie on edges and steep sides
    assert touched > 20


PROGRAM = """
import numpy as np
from fledge_sim.tactile import Depth, Motion, TactileField
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
