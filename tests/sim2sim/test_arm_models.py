"""The generated models of the arms, in MuJoCo, against the kinematics and the readable servo."""

import dataclasses

import numpy as np
import pytest
from fledge_sim import arm, arm_kinematics, servo
from fledge_sim.arm_model import ModelOptions, mjcf, pad_pose

mujoco = pytest.importorskip("mujoco")
ARMS = [arm.load(name) for name in arm.names()]


def made(model: arm.Arm, options: ModelOptions | None = None) -> tuple[object, object]:
    compiled = mujoco.MjModel.from_xml_string(mjcf(model, options or ModelOptions()))
    return compiled, mujoco.MjData(compiled)


@pytest.mark.parametrize("model", ARMS, ids=lambda model: model.name)
def test_the_tip_is_where_mujoco_has_it(model: arm.Arm) -> None:
    compiled, data = made(model)
    generator = np.random.default_rng(1)
    for _ in range(50):
        q = generator.uniform(model.lower, model.upper)
        data.qpos[:] = q
        mujoco.mj_kinematics(compiled, data)
        position, rotation = arm_kinematics.forward(model, q)
        np.testing.assert_allclose(data.site("tip").xpos, position, atol=1e-12)
        np.testing.assert_allclose(data.site("tip").xmat.reshape(3, 3), rotation, atol=1e-12)


@pytest.mark.parametrize("model", ARMS, ids=lambda model: model.name)
def test_the_pads_face_each_other_where_they_grip(model: arm.Arm) -> None:
    compiled, data = made(model)
    data.qpos[-1] = model.grip_position
    mujoco.mj_kinematics(compiled, data)
    fixed, moving = data.site("pad_fixed"), data.site("pad_moving")
    closing = np.array(model.closing_axis)
    np.testing.assert_allclose(moving.xpos - fixed.xpos, closing * model.grip_width, atol=1e-9)
    np.testing.assert_allclose((moving.xpos + fixed.xpos) / 2, model.tip, atol=1e-9)
    for site, out in ((fixed, closing), (moving, -closing)):
        frame = site.xmat.reshape(3, 3)
        np.testing.assert_allclose(frame[:, 2], out, atol=1e-9)
        np.testing.assert_allclose(frame[:, 0], [1, 0, 0], atol=1e-9)
        assert np.linalg.det(frame) == pytest.approx(1)
    center, _ = pad_pose(model, moving=False)
    np.testing.assert_allclose(center, fixed.xpos, atol=1e-9)


def test_masses_and_gravity_torque() -> None:
    model = ARMS[1]
    compiled, data = made(model)
    mujoco.mj_forward(compiled, data)
    # about the shoulder's axis at q = 0: g sum m (x - 0.0692) over the five links behind it
    arm_of = [9.81 * joint.mass * (joint.com[0] - 0.0692) for joint in model.joints[1:]]
    assert -data.qfrc_bias[1] == pytest.approx(sum(arm_of), rel=1e-6)
    assert compiled.body_mass.sum() == pytest.approx(sum(joint.mass for joint in model.joints))


@pytest.mark.parametrize(("target", "load"), [(0.3, 0.0), (1.5, 0.0), (-0.1, 0.8), (0.02, -0.3)])
def test_a_joint_follows_the_readable_servo(target: float, load: float) -> None:
    """One joint about a vertical axis, no play: the same set-points in, the same motion out."""
    model = ARMS[1]
    stiff = dataclasses.replace(model.servo, backlash=0.0, load_friction=0.0)
    model = dataclasses.replace(model, servo=stiff)
    compiled, data = made(model, ModelOptions(timestep=0.002, collisions=False))
    compiled.opt.gravity[:] = 0
    mujoco.mj_forward(compiled, data)
    full = np.zeros((6, 6))
    mujoco.mj_fullM(compiled, data, full)
    inertia = full[0, 0]
    state, position, velocity, gap = servo.at_rest(0.0), 0.0, 0.0, 0.0
    data.qfrc_applied[0] = load
    for _ in range(500):
        for _ in range(10):
            state, torque = servo.step(stiff, state, target, position, velocity, 2e-4)
            velocity += 2e-4 * (float(torque) + load) / inertia
            position += 2e-4 * velocity
        data.ctrl[0] = state.setpoint
        mujoco.mj_step(compiled, data)
        gap = max(gap, abs(data.qpos[0] - position))
    assert gap < 0.02 * max(abs(target), abs(position))
    assert data.qpos[0] == pytest.approx(position, abs=1e-3)


@pytest.mark.parametrize("model", ARMS, ids=lambda model: model.name)
def test_the_first_joint_turns_freely_inside_the_base(model: arm.Arm) -> None:
    compiled, data = made(model)
    for angle in (-1.0, 0.0, 1.0):
        data.qpos[0] = angle
        mujoco.mj_forward(compiled, data)
        assert data.ncon == 0
