"""The arm's environment: worlds on their own, states that continue, episodes, the way to the servos, refusals."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets
from fledge_sim.arm_config import NOMINAL, ArmConfig, ArmRandomization, ArmSensors
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_kinematics import forward
from fledge_sim.arm_servos import ServoPath
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError

pytest.importorskip("mujoco.batch")
SO101 = arm.load("so101")
REACH = arm_presets.reach(SO101)
QUIET = ArmSensors(encoder=False, bias=0.0, position_noise=0.0, velocity_noise=0.0, delay=(0.0, 0.0))


def actions(n: int, steps: int, outputs: int = 5) -> list[torch.Tensor]:
    """Row i is the same whatever n is."""
    table = np.random.default_rng(3).uniform(-1, 1, (8, steps, outputs)).astype(np.float32)
    return [torch.from_numpy(table[:n, step].copy()) for step in range(steps)]


def rolled(env: ArmEnv, steps: int = 30) -> list[Step]:
    return [env.step(action) for action in actions(env.n, steps)]


def test_a_world_depends_on_seed_and_number_only() -> None:
    short = dataclasses.replace(REACH, episode_steps=12, staggered=True)
    envs = [ArmEnv(short, 8, seed=5, threads=2), ArmEnv(short, 3, seed=5)]
    first = [env.reset() for env in envs]
    assert torch.equal(first[0][:3], first[1])
    for many, few in zip(rolled(envs[0]), rolled(envs[1]), strict=True):
        for name in ("observation", "reward", "privileged", "groups", "truncated"):
            assert torch.equal(getattr(many, name)[:3], getattr(few, name)), name
    alone = ArmEnv(short, 1, seed=5, first_world=2)
    assert torch.equal(alone.reset()[0], first[0][2])
    last = [alone.step(action[2:3]) for action in actions(3, 30)][-1]
    assert torch.equal(last.observation[0], few.observation[2])
    assert not torch.equal(ArmEnv(short, 3, seed=6).reset(), first[1])


def test_a_state_continues_with_the_same_bytes() -> None:
    config = dataclasses.replace(REACH, episode_steps=10, randomization=ArmRandomization(push_probability=0.3))
    env, other = ArmEnv(config, 4, seed=1), ArmEnv(config, 4, seed=1)
    env.reset()
    rolled(env, 7)
    state = env.get_state()
    expected = rolled(env, 20)
    other.reset()
    rolled(other, 13)
    other.set_state(state)
    for one, two in zip(expected, rolled(other, 20), strict=True):
        assert torch.equal(one.observation, two.observation)
        assert torch.equal(one.privileged, two.privileged)
    with pytest.raises(FledgeError, match="another configuration or number of worlds"):
        ArmEnv(config, 3).set_state(state)


def test_episodes_end_and_begin_in_the_same_step() -> None:
    env = ArmEnv(dataclasses.replace(REACH, episode_steps=5), 4)
    env.reset()
    steps = rolled(env, 5)
    assert [bool(step.truncated.any()) for step in steps] == [False] * 4 + [True]
    last = steps[-1]
    assert last.truncated.all()
    assert not torch.equal(last.ended_observation, last.observation)
    # the episode behind it has begun: nothing has been commanded yet, the whole of it is left
    assert (last.observation[:, -5:] == 0).all()
    assert (last.ended_observation[:, -5:] != 0).any()
    assert torch.equal(last.groups.sum(1), last.reward)
    assert env.reward_groups == ("task", "smoothness", "contact")


def test_reset_touches_only_masked_worlds() -> None:
    env, same = ArmEnv(REACH, 4), ArmEnv(REACH, 4)
    for each in (env, same):
        each.reset()
        rolled(each, 3)
    observation = env.reset(torch.tensor([False, True, False, False]))
    assert (observation[[0, 2, 3]] == 0).all()
    ahead, behind = rolled(env, 2)[-1], rolled(same, 2)[-1]
    assert torch.equal(ahead.observation[[0, 2, 3]], behind.observation[[0, 2, 3]])
    assert not torch.equal(ahead.observation[1], behind.observation[1])


def test_what_is_sensed_without_errors_is_the_truth() -> None:
    config = dataclasses.replace(REACH, randomization=NOMINAL, sensors=QUIET)
    config = dataclasses.replace(config, task=dataclasses.replace(config.task, goal_noise=0.0))
    env = ArmEnv(config, 4)
    env.reset()
    last = rolled(env, 10)[-1]
    q, v = env.worlds.plant.q, env.worlds.plant.v
    # the encoder is on the motor's side of the play
    assert np.abs(last.observation[:, :6].numpy() - q).max() <= SO101.servo.backlash + 1e-6
    np.testing.assert_allclose(last.observation[:, 6:12].numpy(), v, atol=1e-5)
    sensed = last.observation[:, :6].double().numpy()
    np.testing.assert_allclose(last.observation[:, 18:21].numpy(), forward(SO101, sensed)[0], atol=1e-6)
    goal = last.observation[:, 18:21] + last.observation[:, 21:24]
    np.testing.assert_allclose(goal.numpy(), env.worlds.task.memory["goal"], atol=1e-6)


def test_the_target_stays_near_the_joint_and_inside_the_limits() -> None:
    env = ArmEnv(dataclasses.replace(REACH, randomization=NOMINAL, sensors=QUIET), 2)
    env.reset()
    gripper = env.worlds.memory["target"][:, 5].copy()
    for _ in range(100):
        sensed = env.worlds.memory["sensed"].copy()
        env.step(torch.ones(2, 5))
        target = env.worlds.memory["target"]
        assert (target - sensed < 0.15 + 1e-9).all()
        assert (target < np.array(SO101.upper) - 0.05 + 1e-9)[:, :5].all()
    np.testing.assert_allclose(target[:, 0], SO101.upper[0] - 0.05, atol=1e-9)
    assert (target[:, 5] == gripper).all()


def test_a_command_takes_its_delay_and_the_set_point_its_time() -> None:
    path = ServoPath(SO101, 10)
    commands = np.stack([np.full((1, 6), value) for value in (0.3, 0.2, 0.1)], axis=1)
    now, zeros = np.full(1, 0.002), np.zeros((1, 6))
    # 25 ms behind a period of 20 ms: the command before the last until 5 ms, the last one until the end
    slow = path.setpoints(commands, zeros + 0.1, now, np.full(1, 0.025), np.ones(1))[0, :, 0]
    step = 5.1 * 0.002
    expected = [0.1] * 3 + [0.1 + step * k for k in range(1, 8)]
    np.testing.assert_allclose(slow, expected, atol=1e-12)
    at_once = path.setpoints(commands, zeros + 0.3, now, np.zeros(1), np.ones(1))
    np.testing.assert_allclose(at_once, 0.3)
    # teeth lean wholly to one side at 0.05 N m
    np.testing.assert_allclose(path.play(np.array([[0.5, -0.025] + [0.0] * 4]), zeros + 0.01)[0, :3], [0.01, -0.005, 0])


@pytest.mark.parametrize("speed", [1e12, float("nan")])
def test_a_world_that_explodes_begins_again_and_hurts_no_other(speed: float, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log here
    env, same = ArmEnv(REACH, 3), ArmEnv(REACH, 3)
    for each in (env, same):
        each.reset()
        rolled(each, 2)
    env.worlds.plant.qvel[1] = speed
    step, other = rolled(env, 1)[0], rolled(same, 1)[0]
    assert step.terminated.tolist() == [False, True, False]
    for name in ("observation", "ended_observation", "privileged", "groups", "reward"):
        assert torch.isfinite(getattr(step, name)).all(), name
        assert torch.equal(getattr(step, name)[[0, 2]], getattr(other, name)[[0, 2]]), name
    assert not env.outcome.success[1]
    assert torch.isfinite(rolled(env, 3)[-1].observation).all()


def test_without_friction_there_is_no_bristle_and_the_motion_differs() -> None:
    slick, dry = (ArmEnv(dataclasses.replace(REACH, frictionless=each), 2) for each in (True, False))
    assert slick.worlds.plant.model.na == 0
    assert dry.worlds.plant.model.na == 6
    moved = []
    for env in (slick, dry):
        env.reset()
        moved.append(rolled(env, 10)[-1].privileged)
    assert not torch.allclose(*moved, atol=1e-3)


def test_missed_frames_hold_and_pushes_push() -> None:
    lost = dataclasses.replace(NOMINAL, missed_frame=0.999999)
    env = ArmEnv(dataclasses.replace(REACH, randomization=lost, sensors=QUIET), 4)
    env.reset()
    before = env.worlds.memory["setpoint"].copy()
    rolled(env, 5)
    np.testing.assert_allclose(env.worlds.memory["setpoint"], before, atol=SO101.servo.encoder_step)
    pushed = dataclasses.replace(NOMINAL, push_probability=0.999999, push_torque=(0.3, 0.3))
    env = ArmEnv(dataclasses.replace(REACH, randomization=pushed), 4)
    env.reset()
    rolled(env, 1)
    push = np.abs(env.worlds.memory["push"])
    assert (push.max(1) == 0.3).all()
    assert ((push > 0).sum(1) == 1).all()


def test_every_goal_is_in_the_region_and_nearly_all_within_reach() -> None:
    env = ArmEnv(REACH, 2000)
    env.reset()
    goal = env.worlds.task.memory["goal"]
    relative = goal - np.array(SO101.joints[0].point)
    radius = np.hypot(relative[:, 0], relative[:, 1])
    assert radius.min() >= 0.15
    assert radius.max() <= 0.33
    assert np.abs(np.arctan2(relative[:, 1], relative[:, 0])).max() <= np.radians(70)
    assert goal[:, 2].min() >= 0.04
    assert goal[:, 2].max() <= 0.28


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"period": 0.0}, "period is 0.0 s"),
        ({"substeps": 0}, "substeps is 0"),
        ({"sensors": ArmSensors(delay=(0.0, 0.03))}, "sensors.delay"),
        ({"randomization": ArmRandomization(stiffness=(1.3, 0.7))}, "randomization.stiffness"),
        ({"touch": "pooled"}, "something in the hand"),
        ({"level": {"depth": 0.5}}, "level of 'depth'.*none"),
    ],
)
def test_bad_configurations_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(FledgeError, match=message):
        dataclasses.replace(REACH, **changes)


def test_without_mujoco_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("fledge_sim.arm_plant.importlib.import_module", missing)
    with pytest.raises(FledgeError, match=r"MuJoCo 3.17 or later; pip install 'fledge\[arm\]'"):
        ArmEnv(REACH, 1)


def test_bad_calls_are_refused_and_change_nothing() -> None:
    with pytest.raises(FledgeError, match="n is 0"):
        ArmEnv(REACH, 0)
    env = ArmEnv(REACH, 2)
    env.reset()
    before = env.get_state()
    with pytest.raises(FledgeError, match=r"must be \(2, 5\) float32"):
        env.step(torch.zeros(2, 4))
    with pytest.raises(FledgeError, match="action of world 1 is not finite"):
        env.step(torch.tensor([[0.0] * 5, [float("nan")] * 5]))
    with pytest.raises(FledgeError, match="coordinates: none"):
        env.set_level(depth=0.5)
    after = env.get_state()
    assert all((before.memory[name] == after.memory[name]).all() for name in before.memory)
    assert isinstance(env.config, ArmConfig)
