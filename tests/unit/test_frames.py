"""Quaternions by hand: w, x, y, z, body to world."""

import numpy as np
import torch
from fledge_sim import frames

HALF = np.sqrt(0.5)
LEFT_TURN = np.array([HALF, 0, 0, HALF])
"""90 deg about z: cos 45 deg, sin 45 deg z."""


def test_left_turn_takes_forward_to_left() -> None:
    assert np.allclose(frames.rotate(LEFT_TURN, np.array([1.0, 0, 0])), [0, 1, 0])
    assert np.allclose(frames.rotate_back(LEFT_TURN, np.array([0, 1.0, 0])), [1, 0, 0])


def test_product_follows_hamilton() -> None:
    i, j, k = np.eye(4)[1:]
    assert np.array_equal(frames.multiply(i, j), k)
    assert np.array_equal(frames.multiply(j, i), -k)
    assert np.array_equal(frames.multiply(i, i), [-1, 0, 0, 0])


def test_product_applies_the_right_factor_first() -> None:
    roll = np.array([HALF, HALF, 0, 0])  # 90 deg about x takes y to z, and z to -y
    both = frames.multiply(LEFT_TURN, roll)
    # z -> -y by the roll, then -y -> x by the left turn
    assert np.allclose(frames.rotate(both, np.array([0, 0, 1.0])), [1, 0, 0])


def test_columns_of_the_matrix_are_the_body_axes() -> None:
    # left turn: x -> y, y -> -x, z -> z
    assert np.allclose(frames.rotation_matrix(LEFT_TURN), [[0, -1, 0], [1, 0, 0], [0, 0, 1]])


def test_matrix_and_rotation_agree_for_a_batch() -> None:
    generator = np.random.default_rng(0)
    q, vector = frames.sample_uniform(generator, 100), generator.standard_normal((100, 3))
    matrix = frames.rotation_matrix(q)
    assert np.allclose((matrix @ vector[:, :, None])[..., 0], frames.rotate(q, vector))
    assert np.allclose(np.linalg.det(matrix), 1)


def test_yaw_and_angle() -> None:
    assert np.isclose(frames.yaw_of(LEFT_TURN), np.pi / 2)
    assert np.isclose(frames.angle_of(LEFT_TURN), np.pi / 2)
    assert np.isclose(frames.angle_of(-LEFT_TURN), np.pi / 2)  # q and -q are one attitude
    assert np.allclose(frames.from_yaw(np.array(np.pi / 2)), LEFT_TURN)
    tiny = frames.from_axis_angle(np.array([0, 1.0, 0]), np.array(1e-9))
    assert np.isclose(frames.angle_of(tiny), 1e-9)


def test_spin_about_z_changes_only_w_and_z() -> None:
    # level, 2 rad/s about z: q_dot = 1/2 (1,0,0,0)(0,0,0,2) = (0, 0, 0, 1)
    assert np.array_equal(frames.rate(np.array([1.0, 0, 0, 0]), np.array([0, 0, 2.0])), [0, 0, 0, 1])


def test_normalise() -> None:
    assert np.allclose(frames.normalise(np.array([3.0, 0, 4.0, 0])), [0.6, 0, 0.8, 0])  # |(3, 4)| = 5


def test_firmware_order_and_back() -> None:
    xyzw = np.array([1.0, 2, 3, 4])
    assert np.array_equal(frames.from_xyzw(xyzw), [4, 1, 2, 3])
    assert np.array_equal(frames.to_xyzw(frames.from_xyzw(xyzw)), xyzw)


def test_torch_gives_what_numpy_gives() -> None:
    generator = np.random.default_rng(1)
    q, p = frames.sample_uniform(generator, 7), frames.sample_uniform(generator, 7)
    vector = generator.standard_normal((7, 3))
    tq, tp, tv = (torch.from_numpy(array) for array in (q, p, vector))
    pairs = [
        (frames.multiply(q, p), frames.multiply(tq, tp)),
        (frames.rotate(q, vector), frames.rotate(tq, tv)),
        (frames.rotation_matrix(q), frames.rotation_matrix(tq)),
        (frames.rate(q, vector), frames.rate(tq, tv)),
        (frames.yaw_of(q), frames.yaw_of(tq)),
        (frames.angle_of(q), frames.angle_of(tq)),
    ]
    assert all(np.allclose(ours, theirs.numpy(), rtol=0, atol=1e-15) for ours, theirs in pairs)


def test_uniform_attitudes_have_the_angle_of_uniform_attitudes() -> None:
    q = frames.sample_uniform(np.random.default_rng(2), 20_000)
    # density (1 - cos a)/pi on 0..pi: mean pi/2 + 2/pi = 2.207, standard deviation 0.65, so 0.005 for the mean
    assert abs(frames.angle_of(q).mean() - (np.pi / 2 + 2 / np.pi)) < 0.02
    # the third body axis is uniform on the sphere: its height is uniform on -1..1, mean 0 and variance 1/3
    height = frames.rotate(q, np.array([0, 0, 1.0]))[:, 2]
    assert abs(height.mean()) < 0.02
    assert abs(height.var() - 1 / 3) < 0.01


def test_bounded_attitudes_stay_in_bounds_and_use_them() -> None:
    angle = frames.angle_of(frames.sample_uniform(np.random.default_rng(3), 5000, 0.5))
    assert angle.max() <= 0.5 + 1e-12
    # for small bounds the density is proportional to a^2, so the mean is 3/4 of the bound
    assert abs(angle.mean() - 0.375) < 0.01
