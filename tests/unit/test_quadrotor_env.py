"""The native environment: what a step gives, how episodes end and begin, what is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import randomize, robot
from fledge_sim.environment import (
    EnvConfig,
    LookAhead,
    Reward,
    Sensors,
    Task,
    Termination,
    default_observation,
)
from fledge_sim.environment_privileged import PRIVILEGED_FIRST
from fledge_sim.environment_rows import Row
from fledge_sim.errors import FledgeError
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.rows import State
from fledge_sim.tasks import InitialState

CRAZYFLIE = robot.load("crazyflie")
H = CRAZYFLIE.hover_action
STILL = InitialState(position=0.0, angle_deg=0.0, velocity=0.0, angular_velocity=0.0, rotor_action=(H, H))
EXACT = EnvConfig(CRAZYFLIE, randomization=randomize.none(), sensors=Sensors(noise=False))


def hover(n: int) -> torch.Tensor:
    return torch.full((n, 4), CRAZYFLIE.hover_action)


def test_shapes_and_types() -> None:
    env = QuadrotorEnv(dataclasses.replace(EXACT, privileged=True, observation=default_observation(3)), n=5)
    assert env.reset().shape == (5, 30)
    step = env.step(hover(5))
    assert (step.observation.shape, step.reward.shape) == ((5, 30), (5,))
    assert step.terminated.dtype == step.truncated.dtype == torch.bool
    assert step.terminated.shape == step.truncated.shape == (5,)
    assert step.privileged is not None
    assert step.privileged.shape == (5, env.privileged_size)
    assert all(x.dtype == torch.float32 for x in (step.observation, step.reward, step.privileged))


def test_what_a_step_gave_is_never_overwritten() -> None:
    env = QuadrotorEnv(EXACT, n=33)
    env.reset()
    first = env.step(hover(33))
    kept = [x.clone() for x in first[:4]]
    for _ in range(5):
        env.step(torch.rand(33, 4))
    assert all(torch.equal(a, b) for a, b in zip(first[:4], kept, strict=True))


def test_a_step_can_be_written_into_an_earlier_one() -> None:
    config = dataclasses.replace(EXACT, privileged=True)
    plain, reusing = (QuadrotorEnv(config, n=19) for _ in range(2))
    plain.reset()
    reusing.reset()
    out = reusing.step(hover(19))
    plain.step(hover(19))
    for _ in range(3):
        action = torch.rand(19, 4)
        expected, given = plain.step(action), reusing.step(action, out=out)
        assert given is out
        assert all(torch.equal(a, b) for a, b in zip(expected[:4], given[:4], strict=True))
    for stranger in (QuadrotorEnv(config, n=18), QuadrotorEnv(EXACT, n=19)):
        stranger.reset()
        with pytest.raises(FledgeError, match="out is not a step of this environment"):
            reusing.step(hover(19), out=stranger.step(hover(stranger.n)))


def test_reward_by_hand() -> None:
    """A state is set, gravity and thrust leave position and attitude nearly alone over a step of 0.1 ms.

    e = (0.3, 0, 0.4): |e|^2 = 0.25, |e| = 0.5. Turn by 60 degrees about x: qx = sin 30 = 0.5, tilt = 0.25; yaw = 0.
    v = (0, 2, 0): 4. w = (0, 0, 3): 9. Action 0.5 on all, hover h, before the first step: 4 (0.5 - h)^2 twice.
    """
    reward = Reward(
        survival=3, scale=0.5, position=2, distance=1, velocity=0.1, tilt=4, yaw=7, angular_velocity=0.01,
        action=1, action_rate=2,
    )  # fmt: skip
    env = QuadrotorEnv(dataclasses.replace(EXACT, reward=reward, step=1e-4), n=1)
    env.reset()
    state = np.zeros((17, 1), np.float32)
    state[State.POSITION : State.POSITION + 3, 0] = 0.3, 0, 0.4
    state[State.QUATERNION : State.QUATERNION + 2, 0] = math.cos(math.pi / 6), 0.5
    state[State.VELOCITY + 1], state[State.ANGULAR_VELOCITY + 2] = 2, 3
    state[State.ROTOR_SPEED :] = CRAZYFLIE.hover_rotor_speed
    env.physical_state = state
    step = env.step(torch.full((1, 4), 0.5))
    action = 4 * (0.5 - CRAZYFLIE.hover_action) ** 2
    cost = 2 * 0.25 + 0.5 + 0.1 * 4 + 4 * 0.25 + 0.01 * 9 + action + 2 * action
    assert step.reward.item() == pytest.approx(3 - 0.5 * cost, abs=2e-3)


def test_terminated_and_time_limit_are_told_apart() -> None:
    limits = Termination(position=0.3)
    config = dataclasses.replace(EXACT, task=Task(STILL), termination=limits, episode_steps=50)
    config = dataclasses.replace(config, reward=Reward(terminal=-7.0))
    env = QuadrotorEnv(config, n=2)
    env.reset()
    action = hover(2)
    action[1] = 1.0  # climbs out of the box
    terminated, truncated = [], []
    for _ in range(50):
        step = env.step(action)
        terminated.append(step.terminated.clone())
        truncated.append(step.truncated.clone())
        if step.terminated[1]:
            assert step.reward[1] == -7
            assert step.final_observation[1, 2] >= 0.3 > step.observation[1, 2]
    ends, times = torch.stack(terminated), torch.stack(truncated)
    assert not ends[:, 0].any()
    assert times[:, 0].nonzero().flatten().tolist() == [49]
    assert ends[:, 1].any()
    assert not (ends & times).any()


def test_final_observation_is_the_true_last() -> None:
    """Without an end at step 7 the same worlds go on: what they then see is what `final_observation` said."""
    short, long = (QuadrotorEnv(dataclasses.replace(EXACT, episode_steps=k), n=20, seed=3) for k in (7, 100))
    short.reset()
    long.reset()
    for k in range(7):
        action = torch.rand(20, 4, generator=torch.Generator().manual_seed(k)) * 0.2
        ended, going = short.step(action), long.step(action)
        assert torch.equal(ended.final_observation, going.observation)
    assert ended.truncated.all()
    assert not torch.equal(ended.observation, ended.final_observation)
    rewarded = torch.equal(ended.reward, going.reward)
    assert rewarded


def test_a_new_episode_is_a_fresh_robot_and_start() -> None:
    env = QuadrotorEnv(EnvConfig(CRAZYFLIE, episode_steps=2), n=3)
    env.reset()
    before = env.get_state().memory
    env.step(hover(3))
    env.step(hover(3))
    after = env.get_state().memory
    assert (after[Row.EPISODE].view(np.uint32) == 1).all()
    assert (after[Row.AGE].view(np.uint32) == 0).all()
    for row in (Row.PARAMETER, Row.COMMAND_DELAY, Row.NOISE_SCALE, Row.STATE):
        assert (after[row] != before[row]).all()


def test_action_history_is_oldest_first_and_starts_at_hover() -> None:
    env = QuadrotorEnv(dataclasses.replace(EXACT, observation=default_observation(3)), n=1)
    first = env.reset()[0, 18:]
    assert torch.allclose(first, torch.full((12,), CRAZYFLIE.hover_action))
    actions = torch.linspace(-1, 1, 20).reshape(5, 1, 4) * 0.5
    for action in actions:
        seen = env.step(action).observation[0, 18:]
    assert torch.equal(seen, actions[-3:].reshape(-1))
    clipped = env.step(torch.full((1, 4), 5.0)).observation[0, -4:]
    assert torch.equal(clipped, torch.ones(4))


@pytest.mark.parametrize("delay", [0.0, 0.4, 1.0, 1.7, 2.0])
def test_command_delay_mixes_actions(delay: float) -> None:
    """u_t = sum_k max(0, 1 - |d - k|) a_t-k; a step response of the rotors tells which."""
    spread = dataclasses.replace(randomize.none(), control_delay=(delay, delay))
    late, prompt = (QuadrotorEnv(dataclasses.replace(EXACT, randomization=s), n=1) for s in (spread, randomize.none()))
    late.reset()
    prompt.reset()
    actions = [H, H, H, H + 0.3, H + 0.1, H - 0.2, H]
    for t in range(2, len(actions)):
        weights = [max(0.0, 1 - abs(delay - k)) for k in range(3)]
        mixed = sum(w * actions[t - k] for k, w in enumerate(weights))
        late.step(torch.full((1, 4), actions[t]))
        prompt.step(torch.full((1, 4), mixed))
    a, b = late.physical_state, prompt.physical_state
    assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_normalised_observation_clips_and_scales() -> None:
    """Every term, what is sensed as well as past actions."""
    terms = tuple(
        dataclasses.replace(term, clip=0.1, scale=3.0) if term.name in ("position_error", "action_history") else term
        for term in default_observation(2)
    )
    raw, scaled = (
        QuadrotorEnv(dataclasses.replace(EXACT, observation=terms, normalised=flag), n=8) for flag in (False, True)
    )
    seen = [(raw.reset(), scaled.reset())]
    seen.append((raw.step(hover(8) - 0.15).observation, scaled.step(hover(8) - 0.15).observation))
    for plain, normal in seen:
        assert torch.allclose(normal[:, :3], plain[:, :3].clamp(-0.1, 0.1) * 3)
        assert torch.equal(normal[:, 3:18], plain[:, 3:18])
        assert torch.allclose(normal[:, 18:], plain[:, 18:].clamp(-0.1, 0.1) * 3)
    assert seen[1][0][:, 18:].min() < 0.1 < seen[1][0][:, 18:].max()


def test_privileged_is_the_truth() -> None:
    env = QuadrotorEnv(EnvConfig(CRAZYFLIE, privileged=True), n=6)
    env.reset()
    step = env.step(hover(6))
    assert step.privileged is not None
    state = env.physical_state
    assert np.allclose(step.privileged[:, :3], state[:3].T)
    assert np.allclose(step.privileged[:, 15:18], state[State.ANGULAR_VELOCITY : State.ROTOR_SPEED].T)
    assert np.allclose(step.privileged[:, 18], 1 - 1 / 500)
    relative = state[State.ROTOR_SPEED :].T / CRAZYFLIE.hover_rotor_speed - 1
    assert np.allclose(step.privileged[:, PRIVILEGED_FIRST : PRIVILEGED_FIRST + 4], relative, atol=1e-6)


def test_staggered_first_episodes_end_at_different_times() -> None:
    env = QuadrotorEnv(dataclasses.replace(EXACT, task=Task(STILL), episode_steps=100, staggered=True), n=200)
    env.reset()
    ages = env.get_state().memory[Row.AGE].view(np.uint32)
    assert np.unique(ages).size > 50
    assert ages.max() < 100
    counts = [int(env.step(hover(200)).truncated.sum()) for _ in range(100)]
    assert sum(counts) == 200
    assert max(counts) < 20


def test_reset_touches_only_masked_worlds() -> None:
    env = QuadrotorEnv(EnvConfig(CRAZYFLIE), n=37)
    env.reset()
    env.step(hover(37))
    before = env.get_state().memory
    mask = np.arange(37) % 3 == 1
    seen = env.reset(torch.from_numpy(mask))
    after = env.get_state().memory
    assert before[:, ~mask].tobytes() == after[:, ~mask].tobytes()
    assert (after[Row.EPISODE].view(np.uint32) == mask).all()
    assert (seen[~torch.from_numpy(mask)] == 0).all()
    assert (seen[torch.from_numpy(mask)].abs().sum(1) > 0).all()


def test_seeds_per_world() -> None:
    seeds = [7, 9, 7]
    many = QuadrotorEnv(EnvConfig(CRAZYFLIE), n=3, seed=seeds).reset()
    for row, seed in zip(many, seeds, strict=True):
        assert torch.equal(row, QuadrotorEnv(EnvConfig(CRAZYFLIE), n=1, seed=seed).reset()[0])
    again = QuadrotorEnv(EnvConfig(CRAZYFLIE), n=3, seed=1)
    again.reset()
    again.step(hover(3))
    assert torch.equal(again.reset(seed=seeds), many)


def test_action_with_a_graph_is_detached() -> None:
    env = QuadrotorEnv(EXACT, n=2)
    env.reset()
    step = env.step(hover(2).requires_grad_() * 1.0)
    assert not step.observation.requires_grad


def test_strided_action_is_read_as_it_is() -> None:
    plain, strided = QuadrotorEnv(EXACT, n=6), QuadrotorEnv(EXACT, n=6)
    plain.reset()
    strided.reset()
    columns = torch.rand(4, 6)
    assert torch.equal(plain.step(columns.T.contiguous()).observation, strided.step(columns.T).observation)


def test_bad_action_is_refused_and_nothing_changes() -> None:
    env = QuadrotorEnv(EXACT, n=40)
    env.reset()
    before = env.get_state()
    for bad in (math.nan, math.inf, -math.inf):
        action = hover(40)
        action[17, 2] = bad
        action[30, 0] = bad
        with pytest.raises(FledgeError, match="action of world 17 is not finite"):
            env.step(action)
    for wrong in (hover(39), hover(40).double(), hover(40).flatten()):
        with pytest.raises(FledgeError, match=r"it must be \(40, 4\) float32 on the CPU"):
            env.step(wrong)
    with pytest.raises(FledgeError, match="it must be a torch tensor"):
        env.step(hover(40).numpy())  # type: ignore[arg-type]
    after = env.get_state()
    assert before.memory.tobytes() == after.memory.tobytes()
    assert before.head == after.head


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n": 0}, "n is 0, ask for 1 to"),
        ({"n": -3}, "n is -3"),
        ({"threads": 0}, "threads is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": [1, 2, 3]}, "there are 3 seeds for 2 worlds"),
    ],
)
def test_bad_sizes_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence):
        QuadrotorEnv(**{"config": EXACT, "n": 2, **change})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"step": 0.0}, "step is 0.0 s, give 1e-4 to 0.1"),
        ({"step": math.nan}, "step is nan"),
        ({"episode_steps": 0}, "episode_steps is 0"),
        ({"sensors": Sensors(delay=(0.0, 2.5))}, r"sensors.delay is \(0.0, 2.5\)"),
        ({"sensors": Sensors(position_dropout=(0.5, 1.5))}, "sensors.position_dropout"),
        ({"sensors": Sensors(bias_position=-1.0)}, "bias_position is -1.0"),
        ({"reward": Reward(position=math.inf)}, "reward.position is inf"),
        ({"task": Task(look_ahead=LookAhead(2, 0.013))}, "look_ahead.spacing is 0.013 s, give a multiple"),
        ({"observation": default_observation(look_ahead=2)}, "'look_ahead' has size 12, expected"),
        ({"observation": ()}, "observation terms repeat or are missing"),
        ({"observation": default_observation()[::-1]}, "action_history must be the last"),
    ],
)
def test_bad_configurations_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence):
        dataclasses.replace(EXACT, **change)


def test_bad_masks_and_states_are_refused() -> None:
    env = QuadrotorEnv(EXACT, n=4)
    env.reset()
    with pytest.raises(FledgeError, match=r"mask has shape \(3,\)"):
        env.reset(torch.ones(3, dtype=torch.bool))
    with pytest.raises(FledgeError, match="dtype"):
        env.reset(torch.ones(4))
    with pytest.raises(FledgeError, match="either mask or seed"):
        env.reset(torch.ones(4, dtype=torch.bool), seed=3)
    with pytest.raises(FledgeError, match="state has shape"):
        env.set_state(QuadrotorEnv(EXACT, n=5).get_state())
    wrong = env.physical_state
    wrong[0, 2] = np.nan
    with pytest.raises(FledgeError, match="physical_state of world 2 is not finite"):
        env.physical_state = wrong
    with pytest.raises(FledgeError, match="parameters must be a float32 array"):
        env.parameters = env.parameters[:-1]
