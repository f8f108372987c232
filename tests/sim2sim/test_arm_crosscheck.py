"""The arm in PyBullet against MuJoCo: mass matrix and bias, the same episodes, the same success."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_kinematics import jacobian
from fledge_sim.arm_model import ModelOptions, mjcf
from fledge_sim.errors import FledgeError

mujoco: Any = pytest.importorskip("mujoco")
pytest.importorskip("pybullet", reason="pybullet is not installed: pip install 'fledge[crosscheck]'")
arm_bullet = pytest.importorskip("fledge_sim.crosscheck.arm_bullet")
SO101 = arm.load("so101")
REACH = arm_presets.reach(SO101)


@pytest.mark.parametrize("name", arm.names())
def test_mass_matrix_and_bias_agree(name: str) -> None:
    model = arm.load(name)
    bare = dataclasses.replace(model.servo, armature=1e-6, motor_constant=1e-3, viscous_friction=0.0)
    compiled = mujoco.MjModel.from_xml_string(
        mjcf(dataclasses.replace(model, servo=bare), ModelOptions(friction="none", collisions=False))
    )
    compiled.dof_armature[:] = compiled.dof_damping[:] = 0
    data, engine = mujoco.MjData(compiled), arm_bullet.BulletArm(model)
    generator, full = np.random.default_rng(0), np.zeros((compiled.nv, compiled.nv))
    for _ in range(30):
        data.qpos[:] = generator.uniform(model.lower, model.upper)
        data.qvel[:] = generator.uniform(-3, 3, compiled.nv)
        mujoco.mj_forward(compiled, data)
        mujoco.mj_fullM(compiled, data, full)
        theirs = engine.mass_matrix(data.qpos)
        assert np.abs(theirs - full).max() < 1e-8 * np.abs(full).max()
        assert np.abs(engine.bias(data.qpos, data.qvel) - data.qfrc_bias).max() < 1e-9
    engine.close()


def test_the_same_episode_in_both_engines() -> None:
    """Half a second of random actions with everything randomized: the arms differ by the integrators alone.

    Where a joint bears next to nothing that decides on which side its teeth lean, and so on up to 18 mrad.
    """
    envs = [ArmEnv(REACH, 3, seed=4), arm_bullet.env(REACH, 3, seed=4)]
    for env in envs:
        env.reset()
    start = envs[0].worlds.plant.q.copy()
    table = np.random.default_rng(0).uniform(-1, 1, (25, 3, 5)).astype(np.float32)
    gaps = []
    for action in table:
        for env in envs:
            env.step(torch.from_numpy(action))
        gaps.append(envs[0].worlds.plant.q - envs[1].worlds.plant.q)
    assert np.abs(envs[0].worlds.plant.q - start).max() > 0.1
    assert np.abs(gaps).max() < 0.018
    assert np.sqrt(np.mean(np.square(gaps))) < 4e-3


def test_a_controller_reaches_in_both_engines() -> None:
    results = []
    for env in (ArmEnv(REACH, 6, seed=8), arm_bullet.env(REACH, 6, seed=8)):
        observation = env.reset()
        for _ in range(70):
            rows = observation.double().numpy()
            moves = jacobian(SO101, rows[:, :6])[:, :3]
            back = np.swapaxes(moves, 1, 2)
            change = (back @ np.linalg.solve(moves @ back + 1e-3 * np.eye(3), rows[:, 21:24, None]))[..., 0]
            action = np.clip(1.5 * change, -1, 1).astype(np.float32)
            observation = env.step(torch.from_numpy(action)).observation
        results.append(env.outcome)
    assert torch.equal(results[0].success, results[1].success)
    assert results[0].success.all()
    np.testing.assert_allclose(results[0].distance, results[1].distance, atol=2e-3)


def test_objects_are_refused() -> None:
    with pytest.raises(FledgeError, match="this task has objects"):
        arm_bullet.env(arm_presets.insertion(SO101), 1)
