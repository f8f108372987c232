"""Tasks with free bodies: the pads' friction holds or does not, worlds on their own, what touch feels when let go."""

import dataclasses

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets
from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_free import FreePeg, grip_lever
from fledge_sim.arm_peg import HeldPeg, Peg
from fledge_sim.errors import FledgeError

pytest.importorskip("mujoco.batch")
SO101 = arm.load("so101")
FREE = arm_presets.insertion(SO101)
FREE = dataclasses.replace(FREE, task=dataclasses.replace(FREE.task, grasp="free"))


def still(env: ArmEnv, steps: int) -> None:
    for _ in range(steps):
        env.step(torch.zeros(env.n, len(env.config.joints)))


@pytest.mark.parametrize(("friction", "held"), [(0.8, True), (0.01, False)])
def test_friction_holds_a_free_peg(friction: float, held: bool) -> None:
    """Two pads of 5 N and 0.8 carry 8 N, the peg weighs 0.3 N; with 0.01 they carry 0.1 N."""
    task = dataclasses.replace(FREE.task, pad_friction=(friction, friction))
    env = ArmEnv(dataclasses.replace(FREE, task=task), 4, seed=1)
    env.reset()
    before = env.worlds.task.held.pose().copy()
    still(env, 20)
    slid = np.abs(env.worlds.task.held.pose() - before)[:, 0]
    assert (slid.max() < 0.002) == held


def test_both_grasps_put_the_peg_in_the_same_place() -> None:
    free, sprung = ArmEnv(FREE, 4, seed=3), ArmEnv(arm_presets.insertion(SO101), 4, seed=3)
    # the teeth of gripper and wrist lean by what they bear, which is not the same
    assert torch.allclose(free.reset()[:, :5], sprung.reset()[:, :5], atol=0.01)
    one, other = free.worlds.task.held, sprung.worlds.task.held
    assert isinstance(one, FreePeg)
    assert isinstance(other, HeldPeg)
    np.testing.assert_allclose(one.pose(), other.pose(), atol=1e-9)
    q = sprung.worlds.plant.q
    for mine, theirs in zip(one.place(q), other.place(q), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_the_lever_of_the_gripper() -> None:
    # the pad's middle is 0.3914 - 0.3166 = 74.8 mm in front of the axis (0, -0.9988, -0.049): 0.0748 * 0.9988 m/rad
    assert grip_lever(SO101) == pytest.approx(0.0748 * 0.9988, rel=1e-4)
    assert grip_lever(arm.load("open_manipulator_x")) == 1.0


def test_a_peg_must_fit_the_gripper() -> None:
    other = arm.load("open_manipulator_x")
    with pytest.raises(FledgeError, match=r"42 mm apart, the peg is 16 mm wide; give Peg\(half_width=0.021\)"):
        ArmEnv(arm_presets.insertion(other), 2)
    config = arm_presets.insertion(other)
    config = dataclasses.replace(config, task=dataclasses.replace(config.task, peg=Peg(half_width=0.021)))
    env = ArmEnv(config, 4, seed=1)
    env.reset()
    before = env.worlds.state(slice(None)).tip
    still(env, 15)
    assert np.abs(env.worlds.state(slice(None)).tip - before).max() < 0.01


@pytest.mark.parametrize("preset", [arm_presets.placement, arm_presets.push], ids=["placement", "push"])
def test_worlds_depend_on_seed_and_number_only_and_continue(preset: object) -> None:
    config: ArmConfig = dataclasses.replace(preset(SO101), episode_steps=9)  # type: ignore[operator]
    outputs = len(config.joints)
    table = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (20, 3, outputs)).astype(np.float32))
    envs = [ArmEnv(config, 3, seed=9), ArmEnv(config, 1, seed=9)]
    assert torch.equal(envs[0].reset()[:1], envs[1].reset())
    for t, action in enumerate(table):
        many, few = envs[0].step(action), envs[1].step(action[:1].contiguous())
        assert torch.equal(many.privileged[:1], few.privileged)
        assert torch.equal(many.groups[:1], few.groups)
        if t == 10:
            state = envs[0].get_state()
    envs[0].set_state(state)
    for action in table[11:]:
        again = envs[0].step(action)
    assert torch.equal(again.privileged, many.privileged)
    assert torch.equal(again.observation, many.observation)


def test_the_pads_feel_the_peg_go() -> None:
    config = dataclasses.replace(arm_presets.placement(SO101), touch="pooled")
    env = ArmEnv(config, 4, seed=2)
    env.reset()
    still(env, 5)
    pressed = env.worlds.touch.pooled.reshape(4, 2, 16, 3)[..., 0].sum((1, 2))
    assert (pressed > 3).all()
    for _ in range(12):
        env.step(torch.tensor([[0.0] * 5 + [1.0]] * 4))
    released = env.worlds.touch.pooled.reshape(4, 2, 16, 3)[..., 0].sum((1, 2))
    # what is left is the sensors' noise and offset, about 0.2 mN on each of 1000 taxels
    assert (np.abs(released) < 0.3 * pressed).all()
