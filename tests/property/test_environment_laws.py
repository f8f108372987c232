"""Laws of the native environment that hold for every configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from fledge_sim import presets, randomize, robot
from fledge_sim.environment import (
    Actuation,
    BatteryUse,
    EnvConfig,
    Gusts,
    LookAhead,
    Sensors,
    Step,
    Task,
    Termination,
    default_observation,
)
from fledge_sim.physics import Physics
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.trajectories import SmoothReference
from hypothesis import given, settings
from hypothesis import strategies as st

CRAZYFLIE = robot.load("crazyflie")
EVERYTHING = EnvConfig(
    CRAZYFLIE,
    Task(reference=SmoothReference(), look_ahead=LookAhead(2, 0.05)),
    observation=default_observation(history=3, look_ahead=2),
    randomization=randomize.any_published_crazyflie(),
    sensors=Sensors(True, (0.0, 2.0), 0.01, 0.01, 0.02, (5.0, 40.0), 1e-3, 1e-3, 1e-3, (0.0, 0.5)),
    gusts=Gusts(0.5, (0.1, 1.0)),
    battery=BatteryUse(resistance=0.2, capacity=0.2),
    actuation=Actuation(dead_zone=True, quantisation=True, compensation=True),
    physics=Physics(drag=True, ground_effect=True, battery=True),
    termination=Termination(position=0.8),
    episode_steps=40,
    staggered=True,
    privileged=True,
)
CONFIGURATIONS = {
    "everything": EVERYTHING,
    "hover": EnvConfig(CRAZYFLIE, episode_steps=30),
    "take_off_and_land": presets.take_off_and_land(CRAZYFLIE),
}
LAWS = settings(max_examples=15, deadline=None)
configurations = st.sampled_from(list(CONFIGURATIONS.values()))
sizes = st.integers(1, 100)
seeds = st.integers(0, 2**64 - 1)
STEPS = 25


def actions(n: int, world_first: int = 0) -> Iterator[torch.Tensor]:
    """Of each step, (n, 4); row i depends on the number of its world only."""
    for k in range(STEPS):
        world = torch.arange(world_first, world_first + n)[:, None] * 4 + torch.arange(4)
        yield torch.sin(0.37 * world + 1.3 * k).mul(0.3).add(CRAZYFLIE.hover_action).float().clamp(-1, 1)


def rollout(env: QuadrotorEnv, first: int = 0) -> list[list[torch.Tensor]]:
    seen = [[env.reset()]]
    for action in actions(env.n, first):
        seen.append(tensors(env.step(action)))
    return seen


def tensors(step: Step) -> list[torch.Tensor]:
    given = [step.observation, step.reward, step.terminated, step.truncated, step.final_observation]
    return [*given, *(x for x in (step.privileged, step.final_privileged) if x is not None)]


def same(a: list[list[torch.Tensor]], b: list[list[torch.Tensor]], rows: slice = slice(None)) -> bool:
    pairs = [pair for left, right in zip(a, b, strict=True) for pair in zip(left, right, strict=True)]
    return all(np.array_equal(x[rows].numpy(), y.numpy(), equal_nan=True) for x, y in pairs)


@LAWS
@given(config=configurations, n=sizes, part=sizes, seed=seeds)
def test_a_world_does_not_depend_on_how_many_there_are(config: EnvConfig, n: int, part: int, seed: int) -> None:
    few = min(n, part)
    assert same(rollout(QuadrotorEnv(config, n, seed)), rollout(QuadrotorEnv(config, few, seed)), slice(few))


@LAWS
@given(config=configurations, n=sizes, first=st.integers(0, 99), seed=seeds)
def test_worlds_of_a_larger_environment_can_be_had_alone(config: EnvConfig, n: int, first: int, seed: int) -> None:
    if first < n:
        alone = QuadrotorEnv(config, n - first, seed, first_world=first)
        assert same(rollout(QuadrotorEnv(config, n, seed)), rollout(alone, first), slice(first, None))


@LAWS
@given(config=configurations, n=sizes, seed=seeds)
def test_same_seed_same_bytes(config: EnvConfig, n: int, seed: int) -> None:
    one, two = QuadrotorEnv(config, n, seed), QuadrotorEnv(config, n, seed)
    assert same(rollout(one), rollout(two))
    assert one.get_state().memory.tobytes() == two.get_state().memory.tobytes()


@pytest.mark.parametrize("config", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_number_of_threads_changes_nothing(config: EnvConfig) -> None:
    """The least number of worlds that is shared among threads is 2048."""
    alone, shared = (QuadrotorEnv(config, 4000, seed=1, threads=threads) for threads in (1, 3))
    assert same(rollout(alone), rollout(shared))
    assert alone.get_state().memory.tobytes() == shared.get_state().memory.tobytes()


@LAWS
@given(config=configurations, n=sizes, seed=seeds, before=st.integers(0, STEPS - 1))
def test_a_state_continues_identically(config: EnvConfig, n: int, seed: int, before: int) -> None:
    env, other = QuadrotorEnv(config, n, seed), QuadrotorEnv(config, n, seed + 1 if seed < 2**64 - 1 else 0)
    env.reset()
    other.reset()
    for k, action in enumerate(actions(n)):
        if k == before:
            other.set_state(env.get_state())
        step = env.step(action)
        if k >= before:
            assert same([tensors(step)], [tensors(other.step(action))])
    assert env.get_state().memory.tobytes() == other.get_state().memory.tobytes()


@LAWS
@given(config=configurations, seed=seeds, mask=st.lists(st.booleans(), min_size=1, max_size=60))
def test_a_masked_reset_is_the_next_episode_and_leaves_the_rest(config: EnvConfig, seed: int, mask: list[bool]) -> None:
    env, twin = QuadrotorEnv(config, len(mask), seed), QuadrotorEnv(config, len(mask), seed)
    env.reset()
    twin.reset()
    chosen = np.array(mask)
    env.reset(torch.from_numpy(chosen))
    untouched, all_new = twin.get_state().memory, twin.reset()
    memory, new = env.get_state().memory, twin.get_state().memory
    assert memory[:, ~chosen].tobytes() == untouched[:, ~chosen].tobytes()
    assert memory[:, chosen].tobytes() == new[:, chosen].tobytes()
    assert all_new.shape == (len(mask), config.observation_size)


@pytest.mark.parametrize("config", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_instruction_sets_agree_to_rounding(config: EnvConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a few steps, before rounding is amplified; the sensors' quantisation may tip over by one quantum."""
    fine = replace(config, sensors=replace(config.sensors, quantisation_angular_velocity=0.0))
    seen = {}
    for name in ("baseline", "avx2", "avx512"):
        monkeypatch.setenv("FLEDGE_ISA", name)
        env = QuadrotorEnv(fine, 50, seed=2)
        seen[name] = [env.reset(), *(env.step(action).final_observation for action in islice(actions(50), 5))]
    for name in ("avx2", "avx512"):
        for a, b in zip(seen["baseline"], seen[name], strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=2e-3), name
