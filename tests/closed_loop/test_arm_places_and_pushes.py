"""Can placement and push be done? Controllers that know the truth do it, but not without letting go or pushing."""

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_kinematics import jacobian
from fledge_sim.arm_placement import Placement
from fledge_sim.arm_push import Push

pytest.importorskip("mujoco.batch")
SO101 = arm.load("so101")
UP = np.array([0.0, 0.0, 1.0])


def turned(q: np.ndarray, from_tip: np.ndarray, shift: np.ndarray, turn: np.ndarray, weight: float) -> np.ndarray:
    """Joint changes over 0.08 rad that move a point of the hand by `shift` [m] and turn the hand by `turn` [rad]."""
    moves = jacobian(SO101, q)
    linear = moves[:, :3] + np.swapaxes(np.cross(np.swapaxes(moves[:, 3:], 1, 2), from_tip[:, None]), 1, 2)
    rows, wanted = np.concatenate([linear, weight * moves[:, 3:]], 1), np.concatenate([shift, weight * turn], 1)
    back = np.swapaxes(rows, 1, 2)
    return np.clip((back @ np.linalg.solve(rows @ back + 1e-5 * np.eye(6), wanted[..., None]))[..., 0] / 0.08, -1, 1)


@pytest.mark.parametrize(("opens", "low", "high"), [(1.0, 0.75, 1.0), (0.0, 0.0, 0.0)])
def test_a_peg_is_stood_up_and_let_go(opens: float, low: float, high: float) -> None:
    env = ArmEnv(arm_presets.placement(SO101), 12, seed=1)
    env.reset()
    task, letting_go = env.worlds.task, np.zeros(12, bool)
    assert isinstance(task, Placement)
    for _ in range(70 if opens else 30):
        state = env.worlds.state(slice(None))
        lower, rotation = task.held.place(state.q)
        axis, away = -rotation[:, :, 0], task.memory["place"] - lower
        turn = np.cross(axis, np.broadcast_to(UP, axis.shape))
        upright = axis[:, 2] > 0.9985
        down = np.where(upright, np.clip(away[:, 2] - 0.001, -0.004, 0.004), np.clip(0.006 + away[:, 2], 0, 0.004))
        shift = np.stack([0.3 * away[:, 0], 0.3 * away[:, 1], down], 1)
        letting_go |= upright & (np.abs(away).max(1) < 0.0025)
        change = turned(state.q, lower - state.tip, shift, 0.3 * turn, 0.05)
        change[letting_go] = 0
        hand = np.where(letting_go, opens, 0.0)[:, None]
        env.step(torch.from_numpy(np.concatenate([change, hand], 1).astype(np.float32)))
    assert low <= env.outcome.success.float().mean() <= high


@pytest.mark.parametrize(("sign", "low", "high"), [(1.0, 0.7, 1.0), (-1.0, 0.0, 0.1)])
def test_a_block_is_pushed_to_its_place(sign: float, low: float, high: float) -> None:
    """From behind the block, low, along the line to its place."""
    env = ArmEnv(arm_presets.push(SO101), 12, seed=1)
    env.reset()
    task, done = env.worlds.task, np.zeros(12, bool)
    assert isinstance(task, Push)
    for _ in range(110 if sign > 0 else 50):
        state = env.worlds.state(slice(None))
        block = env.worlds.plant.qpos[:, 6:9]
        ahead = sign * (task.memory["place"] - block)[:, :2]
        distance = np.linalg.norm(ahead, axis=1, keepdims=True)
        ahead = ahead / np.maximum(distance, 1e-6)
        relative = state.tip[:, :2] - block[:, :2]
        along = (relative * ahead).sum(1, keepdims=True)
        across = relative - along * ahead
        behind = (along < -0.030) & (np.linalg.norm(across, axis=1, keepdims=True) < 0.012)
        pushing = (
            (behind | (along < -0.015)) & (state.tip[:, 2:] < 0.035) & (np.linalg.norm(across, axis=1)[:, None] < 0.015)
        )
        wanted = np.where(pushing, block[:, :2] + 0.01 * ahead, block[:, :2] - 0.055 * ahead)
        height = np.where(behind | pushing, 0.022, 0.075)
        shift = np.clip(0.4 * np.concatenate([wanted - state.tip[:, :2], height - state.tip[:, 2:]], 1), -0.012, 0.012)
        shift[done | (distance[:, 0] < 0.006)] = 0
        change = turned(state.q, np.zeros((12, 3)), shift, np.zeros((12, 3)), 0.01)
        env.step(torch.from_numpy(change.astype(np.float32)))
        done |= env.outcome.success.numpy()
    assert low <= done.mean() <= high
