"""The arm in PyBullet against MuJoCo: mass matrix and bias, the same episodes, the same success."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arm_inserting import inserting
from fledge_hil import arm_draft, cli
from fledge_sim import arm, arm_presets
from fledge_sim import policy as policies
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_insertion import InsertionTask
from fledge_sim.arm_kinematics import jacobian
from fledge_sim.arm_model import ModelOptions, mjcf
from fledge_sim.arm_peg import HeldPeg
from fledge_sim.contract import NetworkShape
from fledge_sim.errors import FledgeError

mujoco: Any = pytest.importorskip("mujoco")
pytest.importorskip("pybullet", reason="pybullet is not installed: pip install 'fledge[crosscheck]'")
arm_bullet = pytest.importorskip("fledge_sim.crosscheck.arm_bullet")
arm_bullet_peg = pytest.importorskip("fledge_sim.crosscheck.arm_bullet_peg")
SO101 = arm.load("so101")
REACH = arm_presets.reach(SO101)
INSERTION = arm_presets.insertion(SO101)


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


def test_mass_matrix_and_bias_of_arm_and_peg_agree() -> None:
    """And where the peg is: by Bullet's kinematics, by ours."""
    task = INSERTION.task
    compiled = mujoco.MjModel.from_xml_string(mjcf(SO101, task.model(SO101, 0.002)))
    compiled.dof_armature[:] = compiled.dof_damping[:] = 0
    data, plant = mujoco.MjData(compiled), arm_bullet_peg.PegPlant(SO101, task, 1, 1)
    (engine,) = plant._arms
    generator, full = np.random.default_rng(1), np.zeros((compiled.nv, compiled.nv))
    held = HeldPeg(SO101, task.peg, plant)
    for _ in range(10):
        data.qpos[:6] = generator.uniform(SO101.lower, SO101.upper)
        data.qpos[6:] = generator.uniform(-0.01, 0.01, 6)
        data.qvel[:] = generator.uniform(-1, 1, compiled.nv)
        mujoco.mj_forward(compiled, data)
        mujoco.mj_fullM(compiled, data, full)
        assert np.abs(engine.mass_matrix(data.qpos) - full).max() < 1e-8 * np.abs(full).max()
        assert np.abs(engine.bias(data.qpos, data.qvel) - (data.qfrc_bias)).max() < 1e-9
        plant.qpos[0] = data.qpos
        lower, rotation = held.place(plant.q)
        middle = lower[0] + rotation[0, :, 0] * (task.peg.center - task.peg.bottom)
        engine.contacts(data.qpos, data.qvel, 0.002)
        place = engine._call("getBasePositionAndOrientation", engine._peg)[0]
        np.testing.assert_allclose(place, middle, atol=1e-7)


def test_contacts_say_how_joints_move_a_gap() -> None:
    """A peg a little inside a wall's top: Jacobians against differences of the gap."""
    env = arm_bullet.env(INSERTION, 1, seed=2)
    env.reset()
    plant, still = env.worlds.plant, np.zeros(12)
    (engine,) = plant._arms
    lower, _ = env.worlds.task.held.place(plant.q)
    walls = plant.field("geom_pos")[0, 1:5]
    engine.place_hole(lower[0] + [-walls[0, 0], 0.0, 1e-4], np.array([1.0, 0, 0, 0]), walls)
    gap, jacobian = engine.contacts(plant.qpos[0], still, 0.0)
    assert -2e-3 < gap.min() < 0
    np.testing.assert_allclose(jacobian[::3, plant.joints - 1], 0, atol=1e-12)  # the gripper moves no peg
    shifted = [engine.contacts(plant.qpos[0] + 1e-6 * row, still, 0.0)[0].min() for row in np.eye(12)[:9]]
    np.testing.assert_allclose((shifted - gap.min()) / 1e-6, jacobian[3 * np.argmin(gap), :9], atol=2e-3)


def test_a_controller_inserts_in_both_engines() -> None:
    """It knows peg and hole; the same two episodes."""
    found = []
    for env in (ArmEnv(INSERTION, 2, seed=8), arm_bullet.env(INSERTION, 2, seed=8)):
        env.reset()
        for _ in range(45):
            env.step(inserting(env, knows=True))
        found.append(env.outcome)
    assert found[0].success.all()
    assert found[1].success.all()
    np.testing.assert_allclose(found[0].distance, found[1].distance, atol=2e-3)


def test_eval_measures_in_both(tmp_path: Path) -> None:
    """A policy that nobody trained goes nearly the same way: MuJoCo's row first."""
    contract = dataclasses.replace(arm_draft.draft(29, "so101", "reach", "test"), network=NetworkShape("mlp", (4,)))
    generator = np.random.default_rng(5)
    shapes = policies.weight_shapes(contract.network, contract.observation_size, contract.outputs)
    weights = {name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    policies.save(policies.assemble(contract, weights), tmp_path / "p.npz")
    figures = tmp_path / "f.json"
    arguments = ["eval", str(tmp_path / "p.npz"), "--engine", "pybullet", "--engine-episodes", "2"]
    assert cli.run([*arguments, "--json", str(figures)]) == 0
    ours, theirs = json.loads(figures.read_text()).values()
    assert ours["episodes"] == theirs["episodes"] == 2
    assert 0 < abs(ours["error"] - theirs["error"]) < 0.01


def test_other_objects_are_refused() -> None:
    with pytest.raises(FledgeError, match="this task has objects"):
        arm_bullet.env(arm_presets.push(SO101), 1)
    free = dataclasses.replace(INSERTION, task=InsertionTask(grasp="free"))
    with pytest.raises(FledgeError, match="this task has objects"):
        arm_bullet.env(free, 1)
