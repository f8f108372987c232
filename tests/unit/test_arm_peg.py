"""The peg on its springs: constants by hand, slip at the limit of the friction, coordinates of the curriculum."""

import dataclasses

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_peg import HeldPeg, Peg
from fledge_sim.errors import FledgeError

pytest.importorskip("mujoco.batch")
SO101 = arm.load("so101")
INSERTION = arm_presets.insertion(SO101)
EASY = dataclasses.replace(INSERTION, level=dict.fromkeys(INSERTION.task.coordinates, 0.0))


def made(config: object = INSERTION, n: int = 4) -> tuple[ArmEnv, HeldPeg]:
    env = ArmEnv(config, n, seed=4)
    env.reset()
    return env, env.worlds.task.held


def test_the_springs_of_a_peg_by_hand() -> None:
    # patch from -5 mm to the pad's end at 16 mm, 16 mm wide; two pads of 4000 N/m: 8000, shear a third: 2666.7 N/m
    # tilt 2666.7 (0.021^2 + 0.016^2) / 12 = 0.15489; pitch 8000 0.021^2 / 12 = 0.294; roll 8000 0.016^2 / 12 = 0.17067
    expected = [2666.667, 2666.667, 8000.0, 0.154889, 0.294, 0.170667]
    np.testing.assert_allclose(Peg().spring(SO101), expected, rtol=1e-5)


def test_a_side_force_moves_the_peg_as_the_springs_say() -> None:
    """0.5 N across the peg's lower end in free air: 0.19 mm and 0.125 rad."""
    env, held = made(EASY)
    plant, poses = env.worlds.plant, []
    # gel's factor 1
    held.apply(np.arange(4), np.zeros((4, 6)), np.ones(4))
    for force in (0.0, 0.5):
        load = np.array([0.0, force, 0.0, force * 0.040, 0.0, 0.0])
        for _ in range(40):
            plant.batch.bind("qfrc_applied")[:, 6:12] = load
            controls = np.tile(env.worlds.memory["setpoint"][:, None], (1, 16, 1))
            plant.advance(controls, np.full(4, 0.0025), np.zeros((4, 6)))
        poses.append(held.pose().copy())
    moved = poses[1] - poses[0]
    np.testing.assert_allclose(moved[:, 1], 0.5 / 2666.667, rtol=0.03)
    # hanging, the peg rights itself with 0.030 * 9.81 * 0.0175 = 0.00515 N m/rad
    np.testing.assert_allclose(moved[:, 3], 0.5 * 0.040 / (0.154889 + 0.00515), rtol=0.01)


def test_the_grip_slips_only_beyond_its_friction() -> None:
    _, held = made(EASY)
    rest, gel = np.zeros((4, 6)), np.ones(4)
    pose = np.zeros((4, 6))
    pose[:, 0] = [0.001, 0.003, -0.006, 0.0]
    held.put(np.arange(4), pose)
    slipped = held.slipped(rest, gel, np.full(4, 8.0))
    # 2.67 N and, at 3 mm, 8.0 N are held; 16 N slip until 8 N = 2666.7 * 3 mm are left
    np.testing.assert_allclose(slipped[:, 0], [0, 0, -0.003, 0], atol=1e-6)
    assert (slipped[:, 1:] == 0).all()


def test_levels_scale_the_errors() -> None:
    env, _ = made(EASY, 16)
    memory = env.worlds.task.memory
    assert (memory["rest"] == 0).all()
    assert (memory["error"] == 0).all()
    assert (memory["clearance"] == 0.003).all()
    env.set_level(tilt=0.5, clearance=1.0)
    env.reset()
    tilt = np.abs(memory["rest"][:, 3])
    assert 0.05 < tilt.max() <= 0.075
    assert (memory["rest"][:, [0, 1, 2, 4, 5]] == 0).all()
    assert (memory["clearance"] == 0.001).all()
    with pytest.raises(FledgeError, match=r"level speed = 0\.5"):
        env.set_level(speed=0.5)
    with pytest.raises(FledgeError, match="level of 'tilt' is 2"):
        dataclasses.replace(INSERTION, level={"tilt": 2.0})


def test_insertion_begins_at_rest_above_the_rim() -> None:
    env, _ = made(n=32)
    task = env.worlds.task
    before, _ = task.relative(env.worlds.state(slice(None)))
    for _ in range(8):
        env.step(torch.zeros(32, 5))
    after, axis = task.relative(env.worlds.state(slice(None)))
    assert before[:, 2].min() > 0.001
    # payload, friction and the peg's own swing aside it stays
    assert np.abs(after - before)[:, 2].max() < 0.006
    assert axis[:, 2].min() > np.cos(0.25)


def test_worlds_with_pegs_depend_on_seed_and_number_only_and_continue() -> None:
    config = dataclasses.replace(INSERTION, episode_steps=9)
    table = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (24, 4, 5)).astype(np.float32))
    envs = [ArmEnv(config, 4, seed=9), ArmEnv(config, 2, seed=9)]
    for env in envs:
        env.reset()
    state = None
    for t, action in enumerate(table):
        many, few = envs[0].step(action), envs[1].step(action[:2].contiguous())
        assert torch.equal(many.observation[:2], few.observation)
        assert torch.equal(many.privileged[:2], few.privileged)
        assert torch.equal(many.groups[:2], few.groups)
        state = envs[0].get_state() if t == 11 else state
    last = many
    envs[0].set_state(state)
    for action in table[12:]:
        again = envs[0].step(action)
    assert torch.equal(again.privileged, last.privileged)
    assert torch.equal(again.observation, last.observation)
