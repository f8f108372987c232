"""stable-baselines3 on the native environment: its meaning of an end, and PPO learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from fledge_sim.environment import EnvConfig
from fledge_sim.errors import FledgeError
from fledge_sim.gymnasium_env import QuadrotorVectorEnv, configure
from fledge_sim.randomize import none
from fledge_sim.sb3 import QuadrotorVecEnv
from fledge_sim.tasks import InitialState
from stable_baselines3 import PPO


def test_ends_are_told_the_way_stable_baselines_wants() -> None:
    # world 0 leaves the box of 0.6 m at full throttle, nobody's time is up before step 60
    config = configure("Hover", episode_steps=60)
    env, same = QuadrotorVecEnv(3, config=config), QuadrotorVectorEnv(3, config=config)
    env.seed(5)
    np.testing.assert_array_equal(env.reset(), same.reset(seed=[5, 6, 7])[0])
    action = np.zeros((3, 4), np.float32)
    action[0] = 1.0
    kinds = set()
    for _ in range(120):
        observation, reward, done, infos = env.step(action)
        expected = same.step(action)
        np.testing.assert_array_equal(observation, expected[0])
        np.testing.assert_array_equal(reward, expected[1])
        np.testing.assert_array_equal(done, expected[2] | expected[3])
        for world, info in enumerate(infos):
            assert bool(info) == done[world]
            if info:
                np.testing.assert_array_equal(info["terminal_observation"], expected[4]["final_obs"][world])
                assert info["TimeLimit.truncated"] == expected[3][world]
                kinds.add(info["TimeLimit.truncated"])
    assert kinds == {True, False}


def test_a_second_reset_goes_on_without_the_seed() -> None:
    env = QuadrotorVecEnv(2)
    env.seed(0)
    first = env.reset()
    assert not np.array_equal(env.reset(), first)
    env.seed(0)
    np.testing.assert_array_equal(env.reset(), first)


def test_worlds_are_not_objects() -> None:
    env = QuadrotorVecEnv(2)
    assert env.get_attr("num_envs") == [2, 2]
    assert env.env_is_wrapped(object) == [False, False]
    with pytest.raises(FledgeError, match="all worlds share one configuration"):
        env.set_attr("config", None)
    with pytest.raises(FledgeError, match="columns of one environment"):
        env.env_method("fly")
    with pytest.raises(FledgeError, match="nothing to wait for"):
        env.step_wait()


def easy_hover() -> EnvConfig:
    config = configure("Hover", randomization=none(), episode_steps=200)
    task = dataclasses.replace(config.task, initial_state=InitialState(0.1, 20.0, 0.3, 0.3))
    return dataclasses.replace(config, task=task)


def mean_return(model: PPO, episodes: int) -> float:
    """Of the first episode of each of `episodes` worlds."""
    env = QuadrotorVectorEnv(episodes, config=easy_hover())
    observation, _ = env.reset(seed=99)
    total, alive = np.zeros(episodes), np.ones(episodes, bool)
    for _ in range(200):
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(action)
        total += reward * alive
        alive &= ~(terminated | truncated)
    return float(total.mean())


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_ppo_learns() -> None:
    env = QuadrotorVecEnv(64, config=easy_hover())
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=64,
        batch_size=512,
        n_epochs=5,
        gamma=0.98,
        learning_rate=2e-3,
        policy_kwargs={"log_std_init": -1.0},
        seed=0,
    )
    before = mean_return(model, 64)
    model.learn(120_000)
    after = mean_return(model, 64)
    assert after > 1.8 * before, f"mean return {before:.0f} before, {after:.0f} after"
