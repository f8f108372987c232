"""Laws of the finger pads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fledge_sim import tactile_shapes as shapes
from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Gel, Motion, Pad, Shear, TactileField, pool, relative_motion, wrench
from hypothesis import given, settings
from hypothesis import strategies as st

DT = 0.02
small = st.floats(-1, 1)
vectors = st.tuples(small, small, small).map(np.array)
quick = settings(max_examples=25, deadline=None)


def turn(vector: np.ndarray) -> np.ndarray:
    """Rotation by a rotation vector, by Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def motion(position: object, rotation: object = None, velocity: object = (0, 0, 0), spin: object = (0, 0, 0)) -> Motion:
    """The same in both pads of one environment."""
    arrays = position, np.eye(3) if rotation is None else rotation, velocity, spin
    return Motion(*(np.ascontiguousarray(np.broadcast_to(a, (1, 2, *np.shape(a))), np.float32) for a in arrays))


def pressed(depth: float = 3e-4) -> tuple[float, float, float]:
    """Position of a cube of 2 cm half width that is pressed into the whole pad."""
    return (0.0, 0.0, 0.02 - depth)


CUBE = shapes.box((0.02, 0.02, 0.02))


def test_flat_press_sums_to_pressure_times_area() -> None:
    gel, pad = Gel(damping=0.0), Pad()
    force = TactileField(1, gel=gel).update(motion(pressed()), CUBE, DT)
    # 2e5 Pa / 4 mm * 0.3 mm * (25 mm x 20 mm) = 7.5 N
    np.testing.assert_allclose(wrench(force, pad)[0], [[0, 0, -7.5, 0, 0, 0]] * 2, atol=2e-5)


def test_patch_of_a_narrow_object_sums_to_its_share_of_the_area() -> None:
    narrow = shapes.box((0.02, 0.004, 0.02))  # 8 of 20 rows of 1 mm; their sides lie on borders between taxels
    force = TactileField(1, gel=Gel(damping=0.0)).update(motion(pressed()), narrow, DT)
    assert wrench(force, Pad())[0, 0, 2] == pytest.approx(-7.5 * 8 / 20, rel=1e-5)


def test_pressing_is_felt_more_and_leaving_less() -> None:
    forces = [TactileField(1).update(motion(pressed(), None, (0, 0, v)), CUBE, DT).sum() for v in (-0.1, 0, 0.1)]
    assert forces[0] / forces[1] == pytest.approx(1.05, rel=1e-4)
    assert forces[2] / forces[1] == pytest.approx(0.95, rel=1e-4)
    away = TactileField(1).update(motion(pressed(), None, (0, 0, 50.0)), CUBE, DT)
    assert (away == 0).all()  # never pulls


@quick
@given(vectors, vectors, vectors, st.sampled_from(list(Shear)), st.integers(0, 2**32 - 1))
def test_coulomb_cone_is_never_left(
    place: np.ndarray, speed: np.ndarray, spin: np.ndarray, law: Shear, seed: int
) -> None:
    """With a flat face the normal is the pad's; |shear| <= mu N for every taxel, whatever has happened before."""
    field = TactileField(1, shear=law)
    generator = np.random.default_rng(seed)
    for _ in range(4):
        at = motion((*(0.005 * place[:2]), 0.02 - 4e-4 * generator.random()), None, 0.3 * speed, 20 * spin * (0, 0, 1))
        force = field.update(at, CUBE, DT)
        shear = np.hypot(force[..., 1], force[..., 2])
        assert (shear <= 0.8 * force[..., 0] * (1 + 1e-5) + 1e-9).all()


def test_held_object_keeps_its_shear_and_tacsls_law_forgets_it() -> None:
    kept, forgotten = TactileField(1), TactileField(1, shear=Shear.VELOCITY)
    for field in (kept, forgotten):
        field.update(motion(pressed(), None, (0.01, 0, 0)), CUBE, DT)  # 0.2 mm along the finger
        still = [field.update(motion(pressed()), CUBE, DT) for _ in range(5)]
        sums = [wrench(force, Pad())[0, 0, 0] for force in still]
        if field is kept:
            # 7e4 Pa / 4 mm * 0.2 mm * 500 mm^2 = 1.75 N, below 0.8 * 7.5 N
            np.testing.assert_allclose(sums, 1.75, rtol=1e-5)
        else:
            assert np.abs(sums).max() == 0


def test_sliding_object_pulls_with_the_coulomb_limit_and_back_after_a_turn() -> None:
    field = TactileField(1)
    for _ in range(10):
        force = field.update(motion(pressed(), None, (0.1, 0, 0)), CUBE, DT)
    assert wrench(force, Pad())[0, 0, 0] == pytest.approx(0.8 * 7.5, rel=1e-5)
    # the stretch at the limit is 0.8 * 7.5 N / (1.75e7 Pa/m * 500 mm^2) = 0.6857 mm: twice that back, and it is -limit
    for _ in range(10):
        force = field.update(motion(pressed(), None, (-0.006857, 0, 0)), CUBE, DT)
    assert wrench(force, Pad())[0, 0, 0] == pytest.approx(-0.8 * 7.5, rel=1e-3)


def test_contact_that_is_lost_is_forgotten() -> None:
    field = TactileField(1)
    field.update(motion(pressed(), None, (0.02, 0, 0)), CUBE, DT)
    assert np.abs(field.anchor).max() == pytest.approx(4e-4)
    assert field.touching.all()
    assert (field.update(motion((0, 0, 0.0201)), CUBE, DT) == 0).all()  # 0.1 mm above the gel
    assert not field.touching.any()
    assert (field.anchor == 0).all()
    assert (field.update(motion(pressed()), CUBE, DT)[..., 1:] == 0).all()
    field.update(motion(pressed(), None, (0.02, 0, 0)), CUBE, DT)
    assert (field.update(motion((0, 0, 0.5)), CUBE, DT) == 0).all()  # so far away that no taxel is looked at
    assert (field.anchor == 0).all()


def test_taxels_forget_one_by_one() -> None:
    field, narrow = TactileField(1), shapes.box((0.004, 0.02, 0.02))
    field.update(motion(pressed(), None, (0, 0.01, 0)), narrow, DT)
    field.update(motion((0.02, 0, 0.02 - 3e-4)), shapes.box((0.014, 0.02, 0.02)), DT)  # from x = 6 mm on
    assert (field.anchor == 0).all()


@quick
@given(st.floats(-np.pi, np.pi), vectors, vectors)
def test_turning_object_and_motion_about_the_normal_turns_the_shear(
    angle: float, speed: np.ndarray, tilt: np.ndarray
) -> None:
    """A sphere over a taxel in the middle of a square pad: 90 degrees map the grid onto itself, any angle the sums."""
    pad = Pad(rows=21, columns=21, length=0.02, width=0.02)
    ball = shapes.sphere(0.006)
    results = []
    for about in (np.eye(3), turn(np.array([0, 0, angle])), turn(np.array([0, 0, np.pi / 2]))):
        field = TactileField(1, pad=pad)
        at = motion((0, 0, 0.0055), about @ turn(tilt), about @ (0.05 * speed), about @ (3 * tilt))
        results.append(field.update(at, ball, DT)[0, 0].astype(float))
    quarter = np.rot90(results[0], -1)  # rows are y, columns x
    expected = np.stack([quarter[..., 0], -quarter[..., 2], quarter[..., 1]], axis=-1)
    np.testing.assert_allclose(results[2], expected, atol=2e-7)
    first, turned = (result.sum((0, 1)) for result in results[:2])
    cosine, sine = np.cos(angle), np.sin(angle)
    about = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    np.testing.assert_allclose(turned, about @ first, atol=0.01 * first[0])  # 21 x 21 points are no integral


@quick
@given(vectors, vectors, vectors, vectors, vectors)
def test_moving_everything_in_the_world_changes_nothing(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, e: np.ndarray
) -> None:
    """Pads and object carried along with a rigid motion of the world, its velocity included."""
    world, carried, spin = turn(3 * a), 0.3 * b, c
    pads, object_position = np.array([[[0, 0, 0.0], [0, 0, 0.04]]]), np.array([[0.001, 0.002, 0.02]])
    turns = np.stack([np.eye(3), turn(np.array([np.pi, 0, 0]))])[None]
    speed, rate, grip = 0.02 * d[None], e[None], np.broadcast_to(0.02 * e, (1, 2, 3))
    zero = np.zeros((1, 2, 3))
    still = relative_motion(pads, turns, grip, zero, object_position, turn(d)[None], speed, rate)

    def put(p: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = p @ world.T
        return place + 0.1, v @ world.T + carried + np.cross(spin, place)

    (pad_place, pad_speed), (place, velocity) = put(pads, grip), put(object_position, speed)
    moved = relative_motion(
        pad_place, world @ turns, pad_speed, zero + spin, place, world @ turn(d)[None], velocity, rate @ world.T + spin
    )
    for field in ("position", "rotation", "velocity", "angular_velocity"):
        np.testing.assert_allclose(getattr(moved, field), getattr(still, field), atol=1e-6)


def test_facing_pads_feel_mirror_images() -> None:
    """A ball in the middle between two pads that face each other, tips alike: what moves along x is felt alike."""
    pads = np.array([[[0, 0, 0.0], [0, 0, 0.0155]]])
    turns = np.stack([np.eye(3), np.diag([1.0, -1.0, -1.0])])[None]
    zero = np.zeros((1, 2, 3))
    seen = relative_motion(
        pads,
        turns,
        zero,
        zero,
        np.array([[0, 0.002, 0.00775]]),
        np.eye(3)[None],
        np.array([[0.02, 0.01, 0]]),
        zero[:, 0],
    )
    force = TactileField(1).update(seen, shapes.sphere(0.008), DT)[0]
    assert force[0, ..., 0].sum() > 0.01
    np.testing.assert_allclose(force[1, ::-1] * [1, 1, -1], force[0], atol=1e-6)


def test_environments_do_not_know_of_each_other() -> None:
    generator = np.random.default_rng(3)
    n = 40
    arrays = [generator.uniform(-1, 1, (n, 2, *size)).astype(np.float32) for size in ((3,), (3,), (3,))]
    turns = np.linalg.qr(generator.normal(size=(n, 2, 3, 3)))[0].astype(np.float32)
    many = shapes.box(generator.uniform(0.004, 0.01, (n, 3)), n=n)
    whole = Motion(arrays[0] * np.float32(0.01), turns, arrays[1], arrays[2])
    fields = [TactileField(n, threads=threads) for threads in (1, 4)]
    results = [field.update(whole, many, DT) for field in fields]
    np.testing.assert_array_equal(results[0], results[1])
    one = TactileField(1)
    one.law[:] = fields[0].law[7:8]
    part = Motion(
        *(
            np.ascontiguousarray(getattr(whole, name)[7:8])
            for name in ("position", "rotation", "velocity", "angular_velocity")
        )
    )
    alone = one.update(part, shapes.Shapes(many.kind[7:8], many.size[7:8]), DT)
    np.testing.assert_array_equal(alone[0], results[0][7])
    assert np.abs(results[0]).max() > 0


def test_reset_forgets_the_masked_environments_only() -> None:
    field = TactileField(2)
    both = Motion(*(np.repeat(array, 2, axis=0) for array in vars(motion(pressed(), None, (0.01, 0, 0))).values()))
    field.update(both, shapes.box((0.02, 0.02, 0.02), n=2), DT)
    state = field.get_state()
    field.reset(np.array([True, False]))
    assert (field.anchor[0] == 0).all()
    assert (field.anchor[1, ..., 0] > 0).all()
    field.set_state(state)
    assert (field.anchor[..., 0] > 0).all()


@quick
@given(st.floats(0.1, 20), st.floats(-2, 2), st.floats(-2, 2))
def test_rescaled_field_sums_to_the_given_contact_force(normal: float, x: float, y: float) -> None:
    force = np.broadcast_to(np.array([normal, x, y], np.float32), (1, 2, 3)).copy()
    at = motion((0.001, 0, 0.0077), None, (0.02, -0.01, 0))
    result = TactileField(1).update(at, shapes.sphere(0.008), DT, contact_force=force)
    np.testing.assert_allclose(result.sum((2, 3)), force, rtol=1e-4, atol=1e-4)


@quick
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 6), st.integers(1, 6))
def test_pooling_keeps_the_sum(rows: int, columns: int, down: int, across: int) -> None:
    force = np.random.default_rng(rows).normal(size=(2, rows, columns, 3)).astype(np.float32)
    pooled = pool(force, (down, across))
    assert pooled.shape == (2, down, across, 3)
    np.testing.assert_allclose(pooled.sum((1, 2)), force.sum((1, 2)), atol=1e-4)


def test_pooling_divides_a_taxel_on_a_border_by_area() -> None:
    force = np.zeros((1, 20, 25, 3), np.float32)
    force[0, 3, 6] = (1, 2, 3)  # columns 6.0 to 7.0; the first cell ends at 6.25
    pooled = pool(force)
    np.testing.assert_allclose(pooled[0, 0, :2], [[0.25, 0.5, 0.75], [0.75, 1.5, 2.25]])
    assert (pooled[0, 1:] == 0).all()
    assert (pooled[0, 0, 2:] == 0).all()


def test_bad_input_is_refused_and_changes_nothing() -> None:
    field, good = TactileField(1), motion(pressed(), None, (0.01, 0, 0))
    for wrong in (
        replace(good, position=good.position * np.nan),
        replace(good, velocity=good.velocity[:, :1]),
        replace(good, rotation=good.rotation.astype(float)),
    ):
        with pytest.raises(FledgeError):
            field.update(wrong, CUBE, DT)
    with pytest.raises(FledgeError, match="positive dt"):
        field.update(good, CUBE, 0.0)
    with pytest.raises(FledgeError, match="1 shapes"):
        field.update(good, shapes.plane(2), DT)
    with pytest.raises(FledgeError, match="rounder"):
        shapes.box((0.01, 0.01, 0.01), edge=0.02)
    with pytest.raises(FledgeError, match="finite and positive"):
        shapes.sphere(0.0)
    assert (field.anchor == 0).all()
