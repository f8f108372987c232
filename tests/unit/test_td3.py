"""TD3 as a trainer: resume, ablations, policy; worlds as its learner sees them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.environment import EnvConfig, default_observation
from fledge_sim.errors import FledgeError
from fledge_train import ablation, evaluate, trainer
from fledge_train.td3 import Td3
from fledge_train.td3_config import Td3Config, environment_of, paper_view
from fledge_train.worlds import Worlds

TINY = Td3Config(steps=3000, history=4, hidden=(16, 16), batch=32, critic_warm_up=500, actor_warm_up=800)


@pytest.mark.parametrize("name", ablation.VARIANTS)
def test_every_variant_trains_and_is_measured_in_the_full_simulation(name: str) -> None:
    config = ablation.VARIANTS[name].without(dataclasses.replace(TINY, steps=1000))
    run = Td3(config)
    run.advance()
    robot = robots.load(config.robot)
    policy = run.policy()
    assert policy.contract.robot_sha256 == robot.sha256
    assert [term.noise for term in policy.contract.observation[:4]] == [0.001, 0.001, 0.002, 0.002]
    assert evaluate.hover(policy, robot, evaluate.Conditions(), 4).episodes == 4
    assert (config == dataclasses.replace(TINY, steps=1000)) == (name == ablation.COMPLETE)


def test_a_divergence_keeps_the_last_good_weights() -> None:
    run = Td3(TINY)
    run.advance()
    good = policies.to_bytes(run.policy())
    run._critics[0].parameter[:] = np.nan
    with pytest.raises(trainer.Diverged, match="not finite") as caught:
        run.advance()
    assert policies.to_bytes(caught.value.policy) == good


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 10), ("batch", 0), ("critic_interval", 0), ("discount", 1.5), ("history", 65)]
)
def test_numbers_that_cannot_work_are_refused(field: str, value: Any) -> None:
    with pytest.raises(FledgeError, match=field.split("_")[-1]):
        dataclasses.replace(TINY, **{"history": 12, field: value})


def test_noise_is_drawn_anew_for_successor_and_next_state() -> None:
    """Of a state that is left and of the same state as successor, the truth is one and the noise two."""
    robot = robots.load("crazyflie_paper")
    worlds = Worlds(environment_of(TINY, robot), 1, 0, paper_view(robot))
    worlds.begin(np.random.Generator(np.random.PCG64(0)), 200)
    rows = []
    for _ in range(200):
        worlds.look()
        moved = worlds.step(np.full((1, 4), robot.hover_action, np.float32))
        rows.append((moved.transition[0].copy(), bool(moved.ended[0])))
    pairs = [(before, after) for (before, ended), (after, _) in itertools.pairwise(rows) if not ended]
    truth, sensed = slice(0, 28), slice(28, 46)
    next_truth, next_sensed = slice(46, 74), slice(74, 92)
    assert all(np.array_equal(before[next_truth], after[truth]) for before, after in pairs)
    seen = np.array([after[sensed] - after[truth][:18] for _, after in pairs])
    as_successor = np.array([before[next_sensed] - after[truth][:18] for before, after in pairs])
    for noise in (seen, as_successor):
        assert noise[:, :12].std() == pytest.approx(1e-3, rel=0.1)
        assert noise[:, 12:].std() == pytest.approx(2e-3, rel=0.1)
    assert abs(np.corrcoef(seen[:, 12:].ravel(), as_successor[:, 12:].ravel())[0, 1]) < 0.1
    assert any(ended for _, ended in rows)


def test_the_last_state_of_an_episode_is_the_successor_and_terminates() -> None:
    robot = robots.load("crazyflie_paper")
    config = EnvConfig(robot, observation=default_observation(0), episode_steps=36)
    worlds = Worlds(config, 8, 0)
    worlds.begin(np.random.Generator(np.random.PCG64(0)), 100)
    terminated = truncated = 0
    t, s = worlds.truth.shape[1], worlds.sensed
    for _ in range(100):
        worlds.look()
        moved = worlds.step(np.full((8, 4), -1.0, np.float32))
        row, going_on = moved.transition, moved.transition[:, -1]
        outside = (np.abs(row[:, t + s : t + s + 3]) > 0.6).any(axis=1)
        assert np.array_equal(going_on == 0, outside)
        terminated += int(outside.sum())
        truncated += int((moved.ended & ~outside).sum())
        assert (np.abs(worlds.truth[:, :3]) <= 0.6).all()
    assert terminated > 0
    assert truncated > 0
