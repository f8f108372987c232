"""Can the insertion be done? A controller that knows peg and hole does it; one that trusts its senses does not."""

import dataclasses

import numpy as np
import pytest
from arm_inserting import inserting, turned
from fledge_sim import arm, arm_presets
from fledge_sim.arm_env import ArmEnv

pytest.importorskip("mujoco.batch")
SO101 = arm.load("so101")


@pytest.mark.parametrize(
    ("knows", "sign", "low", "high"), [(True, 1.0, 0.8, 1.0), (False, 1.0, 0.0, 0.7), (True, -1.0, 0, 0.1)]
)
def test_insertion_needs_to_know_the_grip(knows: bool, sign: float, low: float, high: float) -> None:
    env = ArmEnv(arm_presets.insertion(SO101), 24, seed=1)
    env.reset()
    done = np.zeros(24, bool)
    for _ in range(60 if sign > 0 else 30):
        env.step(inserting(env, knows, sign))
        done |= env.outcome.success.numpy()
    assert low <= done.mean() <= high


def test_without_errors_senses_are_enough() -> None:
    config = arm_presets.insertion(SO101)
    easy = dataclasses.replace(config, level=dict.fromkeys(config.task.coordinates, 0.0))
    env = ArmEnv(easy, 8, seed=1)
    env.reset()
    for _ in range(60):
        env.step(inserting(env, knows=False))
    assert env.outcome.success.float().mean() > 0.9


def test_a_pressed_peg_stays_on_the_wall() -> None:
    """Down without looking: what is inside the hole's depth has come through the hole, not through its walls."""
    env = ArmEnv(arm_presets.insertion(SO101), 24, seed=3)
    env.reset()
    task, sunk = env.worlds.task, []
    for _ in range(30):
        state = env.worlds.state(slice(None))
        lower, _ = task.held.place(state.q)
        down = np.tile([0.0, 0.0, -0.006], (24, 1))
        env.step(turned(SO101, state.q, lower - state.tip, down, np.zeros((24, 3))))
        relative, _ = task.relative(env.worlds.state(slice(None)))
        beside = np.abs(relative[:, :2]).max(1) > task.memory["clearance"] + 0.004
        sunk.append(relative[beside, 2])
    # of a peg tilted by 0.3 rad that has an edge in the hole, the middle is up to 2.4 mm lower than the other edge
    assert np.concatenate(sunk).min() > -0.0015
