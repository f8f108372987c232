"""The torch environment keeps its promises: seeds, resets, states, errors; eager and compiled."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from fledge_sim import presets
from fledge_sim import robot as robots
from fledge_sim.environment import Gusts, Sensors, Step
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.torch_env import TorchEnv
from torch import Tensor

torch.set_num_threads(1)  # small tensors: a second thread only waits, and on a busy machine for long
CRAZYFLIE = robots.load("crazyflie")
CONFIG = dataclasses.replace(
    presets.track(CRAZYFLIE),
    sensors=Sensors(delay=(0, 1), gyro_cutoff=(20, 60), position_dropout=(0, 0.2)),
    gusts=Gusts(1.0, (0, 1)),
    physics=Physics(drag=True, battery=True),
    episode_steps=12,
    staggered=True,
    privileged=True,
)


def fly(env: TorchEnv, steps: int, first: int = 0) -> list[Step]:
    """Actions that differ between worlds and steps, but not with n."""
    taken = []
    for t in range(first, first + steps):
        phase = torch.arange(env.n)[:, None] + torch.arange(4) + t
        taken.append(env.step(0.4 * torch.cos(phase)))
    return taken


def same(first: list[Step], second: list[Step], rows: slice = slice(None)) -> bool:
    """Whether everything is equal to the last bit; `rows` of the first."""
    pairs = [pair for a, b in zip(first, second, strict=True) for pair in zip(a, b, strict=True)]
    return all(torch.equal(a[rows], b) for a, b in pairs if isinstance(a, Tensor) and isinstance(b, Tensor))


def test_same_seed_same_bytes_and_another_seed_another_flight() -> None:
    flights = []
    for seed in (3, 3, 4):
        env = TorchEnv(CONFIG, 9, seed=seed)
        env.reset()
        flights.append(fly(env, 20))
    assert same(flights[0], flights[1])
    assert not same(flights[0], flights[2])


def test_a_world_depends_on_its_number_and_the_seed_alone() -> None:
    whole, part, one = TorchEnv(CONFIG, 40, 5), TorchEnv(CONFIG, 17, 5), TorchEnv(CONFIG, 2, [8, 5])
    assert torch.equal(whole.reset()[:17], part.reset())
    assert same(fly(whole, 20), fly(part, 20), slice(17))
    assert torch.equal(one.reset()[1], TorchEnv(CONFIG, 1, 5).reset()[0])
    assert torch.equal(TorchEnv(CONFIG, 3, 5, first_world=14).reset(), TorchEnv(CONFIG, 17, 5).reset()[14:])


def test_an_episode_ends_on_time_and_the_next_begins_in_the_same_step() -> None:
    config = dataclasses.replace(presets.hover(CRAZYFLIE), episode_steps=3)
    config = dataclasses.replace(config, sensors=Sensors(noise=False))
    env = TorchEnv(config, 4)
    env.reset()
    steps = [env.step(torch.zeros(4, 4)) for _ in range(3)]
    assert [bool(step.truncated.any()) for step in steps] == [False, False, True]
    assert bool(steps[2].truncated.all())
    position = env.physical_state[:3].T
    assert torch.equal(steps[2].observation[:, :3], position)
    assert not torch.equal(steps[2].final_observation[:, :3], position)
    assert torch.equal(steps[1].final_observation, steps[1].observation)


def test_reset_touches_masked_worlds_only() -> None:
    env = TorchEnv(CONFIG, 8)
    env.reset()
    fly(env, 3)
    before = env.get_state()
    mask = torch.arange(8) % 3 == 0
    observation = env.reset(mask)
    assert not bool(observation[~mask].any())
    assert bool(observation[mask].any(1).all())
    after = env.get_state()
    assert torch.equal(after.memory.episode, before.memory.episode + mask)
    for new, old in zip(after.memory, before.memory, strict=True):
        if isinstance(new, Tensor):
            assert torch.equal(new[..., ~mask], old[..., ~mask])


def test_a_state_taken_back_gives_the_same_bytes() -> None:
    env = TorchEnv(CONFIG, 7, seed=1)
    env.reset()
    fly(env, 5)
    state = env.get_state()
    first = fly(env, 15, first=5)
    other = TorchEnv(CONFIG, 7, seed=2)
    other.set_state(state)
    assert same(first, fly(other, 15, first=5))


def test_what_is_set_is_what_flies() -> None:
    env = TorchEnv(presets.hover(CRAZYFLIE), 2)
    env.reset()
    state, parameters = env.physical_state, env.parameters
    state[:3], parameters[0] = 0.25, 40.0
    env.physical_state, env.parameters = state, parameters
    assert torch.equal(env.physical_state, state)
    assert torch.equal(env.parameters, parameters)


BAD: dict[str, tuple[Callable[[TorchEnv], object], str]] = {
    "shape": (lambda env: env.step(torch.zeros(3, 4)), r"\(3, 4\).*must be \(2, 4\)"),
    "dtype": (lambda env: env.step(torch.zeros(2, 4, dtype=torch.float64)), "float64"),
    "type": (lambda env: env.step([[0.0] * 4] * 2), "list"),  # type: ignore[arg-type]
    "not finite": (lambda env: env.step(torch.tensor([[0.0] * 4, [0, 0, float("nan"), 0]])), "world 1.*nan"),
    "mask": (lambda env: env.reset(torch.ones(3, dtype=torch.bool)), "mask"),
    "mask and seed": (lambda env: env.reset(torch.ones(2, dtype=torch.bool), seed=1), "either mask or seed"),
    "state": (lambda env: env.set_state(TorchEnv(env.config, 3).get_state()), "state"),
    "seeds": (lambda env: env.reset(seed=[1, 2, 3]), "3 seeds for 2 worlds"),
}


@pytest.mark.parametrize(("call", "sentence"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named_and_changes_nothing(call: Callable[[TorchEnv], object], sentence: str) -> None:
    env, twin = TorchEnv(CONFIG, 2), TorchEnv(CONFIG, 2)
    env.reset(), twin.reset()
    with pytest.raises(FledgeError, match=sentence):
        call(env)
    assert same(fly(env, 3), fly(twin, 3))


def test_there_is_at_least_one_world() -> None:
    with pytest.raises(FledgeError, match="n is 0"):
        TorchEnv(CONFIG, 0)


def close(first: TorchEnv, second: TorchEnv) -> None:
    """Both fly the same episodes to rounding."""
    torch.testing.assert_close(first.reset(), second.reset(), rtol=0, atol=2e-6)
    for ours, theirs in zip(fly(first, 6), fly(second, 6), strict=True):
        assert torch.equal(ours.ended, theirs.ended)
        torch.testing.assert_close(ours.observation, theirs.observation, rtol=0, atol=1e-4)
        torch.testing.assert_close(ours.reward, theirs.reward, rtol=0, atol=1e-4)


def test_the_whole_environment_is_one_graph_without_a_branch_on_data() -> None:
    short = Physics(drag=True, battery=True, integrator="semi_implicit_euler")  # a fourth of the operations to trace
    config = dataclasses.replace(CONFIG, physics=short)
    close(TorchEnv(config, 4, compiled=True, backend="eager"), TorchEnv(config, 4))


@pytest.mark.slow
def test_compiled_to_machine_code_it_flies_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    config = presets.hover(CRAZYFLIE)
    close(TorchEnv(config, 16, compiled=True), TorchEnv(config, 16))
