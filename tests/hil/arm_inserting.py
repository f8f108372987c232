"""A controller that inserts a peg, with the truth about peg and hole or without."""

from __future__ import annotations

import numpy as np
import torch
from fledge_sim import arm
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_insertion import Insertion
from fledge_sim.arm_kinematics import forward, jacobian

SO101 = arm.load("so101")
UP = np.array([0.0, 0.0, 1.0])


def turned(model: arm.Arm, q: np.ndarray, from_tip: np.ndarray, shift: np.ndarray, turn: np.ndarray) -> torch.Tensor:
    """Actions whose joint changes move a point of the hand by `shift` [m] and turn the hand by `turn` [rad]."""
    moves = jacobian(model, q)
    linear = moves[:, :3] + np.swapaxes(np.cross(np.swapaxes(moves[:, 3:], 1, 2), from_tip[:, None]), 1, 2)
    rows, wanted = np.concatenate([linear, 0.05 * moves[:, 3:]], 1), np.concatenate([shift, 0.05 * turn], 1)
    back = np.swapaxes(rows, 1, 2)
    change = (back @ np.linalg.solve(rows @ back + 1e-5 * np.eye(6), wanted[..., None]))[..., 0]
    return torch.from_numpy(np.clip(change / 0.08, -1, 1).astype(np.float32))


def inserting(env: ArmEnv, knows: bool, sign: float = 1.0) -> torch.Tensor:
    """Over the hole, upright, square, then down; with the truth, or as if the grip were perfect and the eyes too."""
    task, state = env.worlds.task, env.worlds.state(slice(None))
    assert isinstance(task, Insertion)
    if knows:
        q, (lower, rotation), hole, yaw = state.q, task.held.place(state.q), task.memory["hole"], task.memory["yaw"]
        tip = state.tip
    else:
        q = env.worlds.memory["sensed"]
        tip, rotation = forward(SO101, q)
        lower, hole = tip + rotation[:, :, 0] * task.config.peg.bottom, task.memory["hole"] + task.memory["error"]
        yaw = np.arctan2(hole[:, 1], hole[:, 0] - SO101.joints[0].point[0])
    axis, away = -rotation[:, :, 0], hole - lower
    square = np.arctan2(rotation[:, 1, 1], rotation[:, 0, 1]) - yaw
    square = (square + np.pi / 4) % (np.pi / 2) - np.pi / 4
    turn = np.cross(axis, np.broadcast_to(UP, axis.shape)) - square[:, None] * UP
    above, beside = -away[:, 2], np.hypot(away[:, 0], away[:, 1])
    ready = ((beside < 0.0015) & (axis[:, 2] > 0.998)) | (above < -0.001)
    descent = np.clip(-above - task.config.hole.depth, -0.006, 0.006)
    down = np.where(ready, descent, np.clip(0.004 - above, 0, None))
    shift = sign * np.stack([0.3 * away[:, 0], 0.3 * away[:, 1], down], 1)
    return turned(SO101, q, lower - tip, shift, 0.3 * turn)
