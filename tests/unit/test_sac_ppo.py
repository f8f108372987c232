"""SAC and PPO as trainers: resume, divergence, numbers that cannot work, policies that fly and export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_train import algorithms, evaluate, ppo_config, sac_config, trainer
from fledge_train.td3_config import Td3Config
from fledge_train.trainer import Config

NUMBERS = ppo_config.PpoNumbers(environments=16, horizon=8, epochs=2, minibatches=2)
RUNS: dict[str, Callable[[], Any]] = {
    "sac": lambda: dataclasses.replace(sac_config.hover(), steps=6000, updates=1, batch=32, warm_up=500),
    "sac memoryless": lambda: dataclasses.replace(
        sac_config.without_history(), steps=6000, updates=1, batch=32, warm_up=500
    ),
    "ppo": lambda: dataclasses.replace(ppo_config.hover(), iterations=12, ppo=NUMBERS),
    "ppo memoryless": lambda: dataclasses.replace(ppo_config.without_history(), iterations=12, ppo=NUMBERS),
}


RESUMED: dict[str, Callable[[], Any]] = RUNS | {
    "td3": lambda: Td3Config(steps=3000, history=4, hidden=(16, 16), batch=32, critic_warm_up=500, actor_warm_up=800),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_run_continues_from_its_state_to_the_same_bytes(name: str) -> None:
    config: Config = RESUMED[name]()
    through = trainer.start(config)
    through.advance()
    kept = {key: array.copy() for key, array in through.state().items()}
    rest = [through.advance() for _ in range(2)]
    assert through.done
    resumed = trainer.start(config)
    resumed.restore(kept)
    assert [resumed.advance() for _ in range(2)] == rest
    assert policies.to_bytes(resumed.policy()) == policies.to_bytes(through.policy())
    left, right = through.state(), resumed.state()
    assert set(left) == set(right)
    assert all(np.array_equal(left[key], right[key]) for key in left)
    for part in kept:
        with pytest.raises(FledgeError, match=part):
            trainer.start(config).restore({key: value for key, value in kept.items() if key != part})


@pytest.mark.parametrize("name", RUNS)
def test_a_divergence_keeps_the_last_good_weights(name: str) -> None:
    run: Any = trainer.start(RUNS[name]())
    run.advance()
    good = policies.to_bytes(run.policy())
    critic = run._critics[0] if "sac" in name else run._learner.critic
    critic.parameter[:] = np.nan
    with pytest.raises(trainer.Diverged, match="not finite") as caught:
        run.advance()
    assert policies.to_bytes(caught.value.policy) == good


def test_the_untrained_actor_hovers_in_the_mean() -> None:
    """Before the first update the policy's action is near hover, whatever it sees."""
    for name in ("sac", "ppo"):
        config: Any = RUNS[name]()
        policy = trainer.start(config).policy()
        seen = np.random.Generator(np.random.PCG64(0)).standard_normal((50, policy.contract.observation_size))
        action, _ = policies.forward(policy, 0.1 * seen.astype(np.float32), np.zeros((50, 0), np.float32))
        assert np.abs(action - policy.contract.action.hover).max() < 0.15


def test_both_are_on_the_command_line() -> None:
    for name in ("td3", "sac", "ppo"):
        algorithm = algorithms.find(name)
        for preset in algorithm.presets.values():
            config = preset(robot="crazyflie", seed=3)
            assert (config.algorithm, config.robot, config.seed) == (name, "crazyflie", 3)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: sac_config.SacConfig(batch=0), "batch"),
        (lambda: sac_config.SacConfig(replay=100), "replay"),
        (lambda: sac_config.SacConfig(temperature=0.0), "temperature"),
        (lambda: sac_config.SacConfig(hidden=()), "hidden"),
        (lambda: ppo_config.PpoConfig(iterations=0), "iterations"),
        (lambda: ppo_config.PpoNumbers(minibatches=0), "minibatches"),
        (lambda: ppo_config.PpoNumbers(discount=1.0), "discount"),
        (lambda: ppo_config.PpoNumbers(deviation_least=0.5), "deviation"),
    ],
)
def test_numbers_that_cannot_work_are_refused(make: Callable[[], object], word: str) -> None:
    with pytest.raises(FledgeError, match=word):
        make()


def hovers(config: Config) -> evaluate.Hover:
    run = trainer.start(config)
    while not run.done:
        run.advance()
    return evaluate.hover(run.policy(), robots.load(config.robot), evaluate.Conditions(), 100)


def test_ppo_learns_to_hover_in_seconds() -> None:
    hover = hovers(dataclasses.replace(ppo_config.hover(), iterations=70))
    assert hover.survival > 0.5
    assert hover.error is not None
    assert hover.error < 0.3


@pytest.mark.slow
def test_sac_learns_to_hover() -> None:
    """About 15 s of one core."""
    hover = hovers(sac_config.hover())
    assert hover.survival > 0.5
    assert hover.error is not None
    assert hover.error < 0.4
