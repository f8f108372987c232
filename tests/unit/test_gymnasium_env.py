"""The tasks in gymnasium: its own checker, its own vector environment as the second opinion, and its wrappers."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from fledge_sim import robot
from fledge_sim.errors import FledgeError
from fledge_sim.gymnasium_env import TASKS, QuadrotorSingleEnv, QuadrotorVectorEnv, configure
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray


def actions(env: Any, steps: int, seed: int = 0) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, (steps, env.num_envs, 4)).astype(np.float32)


@pytest.mark.parametrize("task", TASKS)
def test_gymnasiums_checker_has_nothing_to_say(task: str) -> None:
    env = gymnasium.make(f"fledge/{task}-v0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("task", TASKS)
def test_make_vec_makes_every_task(task: str) -> None:
    env = gymnasium.make_vec(f"fledge/{task}-v0", num_envs=3, robot="crazyflie_brushless", threads=2)
    assert isinstance(env, QuadrotorVectorEnv)
    assert env.config.robot.name == "crazyflie_brushless"
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    observation, info = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    assert info == {}
    observation, reward, terminated, truncated, _ = env.step(actions(env, 1)[0])
    assert env.observation_space.contains(observation)
    assert reward.shape == terminated.shape == truncated.shape == (3,)


def test_all_at_once_is_what_gymnasium_makes_of_one_after_the_other() -> None:
    n, config = 5, configure("Recover", episode_steps=7)
    ours = QuadrotorVectorEnv(n, config=config)
    theirs = SyncVectorEnv([lambda: QuadrotorSingleEnv(config)] * n, autoreset_mode=AutoresetMode.SAME_STEP)
    seeds = [3, 1, 4, 1, 5]
    np.testing.assert_array_equal(ours.reset(seed=seeds)[0], theirs.reset(seed=seeds)[0])
    ended = 0
    for action in actions(ours, 40):
        one, two = ours.step(action), theirs.step(action)
        for a, b in zip(one[:4], two[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert one[4].keys() == two[4].keys()
        for world in np.flatnonzero(one[2] | one[3]):
            np.testing.assert_array_equal(one[4]["final_obs"][world], two[4]["final_obs"][world])
            ended += 1
        if one[4]:
            np.testing.assert_array_equal(one[4]["_final_obs"], two[4]["_final_obs"])
    assert ended >= 25  # 40 steps of episodes of 7 at most: five ends in each of five worlds


def test_world_i_does_not_depend_on_the_number_of_worlds() -> None:
    few, many = QuadrotorVectorEnv(2), QuadrotorVectorEnv(33, threads=2)
    np.testing.assert_array_equal(few.reset(seed=9)[0], many.reset(seed=9)[0][:2])
    for action in actions(many, 20):
        np.testing.assert_array_equal(few.step(action[:2])[0], many.step(action)[0][:2])


def test_time_is_up_after_episode_steps_and_the_last_observation_is_kept() -> None:
    # standing still is no end: hover limits are wide, so only time ends these episodes
    env = gymnasium.make_vec("fledge/Recover-v0", num_envs=2, episode_steps=3)
    env.reset(seed=0)
    for step in range(6):
        observation, _, terminated, truncated, info = env.step(np.zeros((2, 4), np.float32))
        assert not terminated.any()
        assert truncated.tolist() == [step % 3 == 2] * 2
        if step % 3 == 2:
            assert not np.array_equal(info["final_obs"][0], observation[0])
        else:
            assert info == {}


def test_statistics_of_gymnasiums_wrapper() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        gymnasium.make_vec("fledge/Recover-v0", num_envs=2, episode_steps=4)
    )
    env.reset(seed=0)
    total = np.zeros(2)
    for _ in range(4):
        _, reward, _, _, info = env.step(np.zeros((2, 4), np.float32))
        total += reward
    np.testing.assert_allclose(info["episode"]["r"], total, rtol=1e-6)
    assert info["episode"]["l"].tolist() == [4, 4]


def test_a_mask_resets_the_chosen_worlds_only() -> None:
    env = QuadrotorVectorEnv(3)
    env.reset(seed=0)
    before = env.step(actions(env, 1)[0])[0]
    after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert (before == after).all(axis=1).tolist() == [True, False, True]


def test_without_a_seed_two_environments_differ() -> None:
    assert not np.array_equal(QuadrotorVectorEnv(2).reset()[0], QuadrotorVectorEnv(2).reset()[0])


def test_naming_the_module_is_enough() -> None:
    code = """
import gymnasium
worlds = gymnasium.make_vec("fledge_sim.gymnasium_env:fledge/Hover-v0", num_envs=2)
print(worlds.reset(seed=0)[0].shape)
"""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True)
    assert (result.stdout.strip(), result.stderr) == ("(2, 22)", "")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FledgeError, match="there is no task 'Flip'; choose one of Hover"):
        configure("Flip")
    with pytest.raises(FledgeError, match="an environment has no colour; the fields of EnvConfig"):
        configure("Hover", colour="blue")
    with pytest.raises(FledgeError, match="no robot 'crazyfly'"):
        gymnasium.make_vec("fledge/Hover-v0", num_envs=1, robot="crazyfly")
    env = QuadrotorVectorEnv(2, robot=robot.load("x500"))
    with pytest.raises(FledgeError, match=r"call reset\(\) before step"):
        env.step(np.zeros((2, 4), np.float32))
    env.reset(seed=0)
    with pytest.raises(FledgeError, match="action of world 1 is not finite"):
        env.step(np.array([[0] * 4, [0, 0, np.nan, 0]], np.float32))
    with pytest.raises(FledgeError, match=r"it must be \(2, 4\)"):
        env.step(np.zeros((2, 3), np.float32))
    single = QuadrotorSingleEnv(configure(episode_steps=1))
    single.reset(seed=0)
    single.step(np.zeros(4, np.float32))
    with pytest.raises(FledgeError, match="the episode has ended"):
        single.step(np.zeros(4, np.float32))
