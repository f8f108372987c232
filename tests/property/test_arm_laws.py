"""Laws of the arm's kinematics, for every arm that ships."""

import numpy as np
import pytest
from fledge_sim import arm, arm_kinematics
from hypothesis import given, settings
from hypothesis import strategies as st

ARMS = [arm.load(name) for name in arm.names()]


def draw_joints(model: arm.Arm, seed: int, n: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).uniform(model.lower[:-1], model.upper[:-1], (n, len(model.chain)))


@settings(max_examples=10, deadline=None)
@given(model=st.sampled_from(ARMS), seed=st.integers(0, 2**32))
def test_what_the_inverse_finds_is_there(model: arm.Arm, seed: int) -> None:
    """Of any pose within the limits whose wrist is in front: same position, same pitch, same side of the palm."""
    q = draw_joints(model, seed)
    position, rotation = arm_kinematics.forward(model, q)
    pitch = q[:, 1:4].sum(-1)
    roll = q[:, 4] * model.chain[4].axis[0] if len(model.chain) == 5 else 0.0
    found = arm_kinematics.inverse(model, position, pitch, roll)
    ok = np.isfinite(found).all(-1)
    assert ok.mean() > 0.6
    again, rotation_again = arm_kinematics.forward(model, found[ok])
    assert np.abs(again - position[ok]).max() < 1e-12
    front = np.abs(np.mod(found[ok, 0] - q[ok, 0] + 1, 2 * np.pi) - 1) < 1e-6
    assert np.abs(rotation_again - rotation[ok])[front].max() < 1e-7
    assert (found[ok] >= np.array(model.lower[:-1])).all()
    assert (found[ok] <= np.array(model.upper[:-1])).all()


@settings(max_examples=10, deadline=None)
@given(model=st.sampled_from(ARMS), seed=st.integers(0, 2**32))
def test_the_jacobian_is_the_derivative(model: arm.Arm, seed: int) -> None:
    """Central differences of position and orientation, error of order h^2."""
    q, step = draw_joints(model, seed, 20), 1e-5
    jacobian = arm_kinematics.jacobian(model, q)
    for index in range(len(model.chain)):
        shift = np.eye(len(model.chain))[index] * step
        (ahead, rotation_ahead), (behind, rotation_behind) = (
            arm_kinematics.forward(model, q + sign * shift) for sign in (1, -1)
        )
        assert np.abs((ahead - behind) / (2 * step) - jacobian[:, :3, index]).max() < 1e-8
        spin = (rotation_ahead - rotation_behind) / (2 * step) @ np.swapaxes(arm_kinematics.forward(model, q)[1], 1, 2)
        vector = np.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], -1)
        assert np.abs(vector - jacobian[:, 3:, index]).max() < 1e-8


@pytest.mark.parametrize("model", ARMS, ids=lambda model: model.name)
def test_out_of_reach_is_not_a_number(model: arm.Arm) -> None:
    assert np.isnan(arm_kinematics.inverse(model, [2.0, 0.0, 0.1], 0.0)).all()
    assert np.isnan(arm_kinematics.inverse(model, [0.2, 0.0, 0.1], 3.0)).all()


def test_turning_the_base_turns_the_pose() -> None:
    model = ARMS[1]
    q = draw_joints(model, 7)
    q[:, 0] = np.linspace(-0.8, 0.8, len(q))
    turned = q + np.array([0.4, 0, 0, 0, 0])
    position, rotation = arm_kinematics.forward(model, q)
    position_turned, rotation_turned = arm_kinematics.forward(model, turned)
    turn, point = arm_kinematics.axis_rotation(model.chain[0].axis, np.float64(0.4)), np.array(model.chain[0].point)
    np.testing.assert_allclose((position - point) @ turn.T + point, position_turned, atol=1e-12)
    np.testing.assert_allclose(turn @ rotation, rotation_turned, atol=1e-12)
