"""Reach: bring the grip frame's origin to a point that is seen with an error, and keep it there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fledge_sim.arm_draws import Channel
from fledge_sim.arm_kinematics import inverse, tip_position
from fledge_sim.arm_model import ModelOptions
from fledge_sim.arm_task import EmptyHand, Score, first_of, smoothness, under

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import Span
    from fledge_sim.arm_draws import Draws
    from fledge_sim.arm_plant import ArmPlant
    from fledge_sim.arm_task import ArmState, Float64, Index, Memory

TRIES = 6
"""Goals drawn per episode, of which the first that the arm can reach is taken; likewise first positions."""
PITCHES = (0.0, 0.5, 1.0, 1.5)
"""Of the fingers [rad], with which a goal may be reached."""


@dataclass(frozen=True)
class ReachReward:
    """Per step: task = near exp(-(d / width)^2) - distance d, d the distance of goal and tip [m]."""

    distance: float = 2.0
    near: float = 1.0
    width: float = 0.01
    """[m]"""
    action: float = 0.01
    """On the mean square of the action."""
    action_rate: float = 0.02
    """On the mean square of its change."""
    floor: float = 20.0
    """Per metre of the tip below `clearance`, up to 0.05 m; group contact."""


@dataclass(frozen=True)
class ReachTask:
    """No contact is simulated; the floor is in the reward."""

    azimuth: float = math.radians(70)
    """Half width about straight ahead [rad]."""
    radius: Span = (0.15, 0.33)
    """From the axis of the first joint [m]."""
    height: Span = (0.04, 0.28)
    """[m]"""
    start: float = 0.6
    """Half width of the first positions about the rest pose, per joint [rad]."""
    goal_noise: float = 0.001
    """Half width of the constant error of the goal that the policy sees, per axis [m]."""
    clearance: float = 0.01
    """Height of the tip below which the floor is too near [m]."""
    tolerance: float = 0.01
    """Distance that counts as reached [m]."""
    reward: ReachReward = ReachReward()

    @property
    def goal_size(self) -> int:
        """Goal minus tip."""
        return 3

    @property
    def moves_gripper(self) -> bool:
        """The gripper stays where it is."""
        return False

    @property
    def holds(self) -> bool:
        """Nothing in the hand."""
        return False

    @property
    def coordinates(self) -> tuple[str, ...]:
        """No curriculum."""
        return ()

    def model(self, arm: Arm, timestep: float) -> ModelOptions:
        """The arm alone."""
        return ModelOptions(timestep=timestep, collisions=False)

    def make(self, plant: ArmPlant) -> Reach:
        """Of a plant's worlds."""
        return Reach(self, plant)


class Reach(EmptyHand):
    """See arm_task.Task."""

    def __init__(self, config: ReachTask, plant: ArmPlant) -> None:
        super().__init__(plant)
        self.config = config
        self.memory: Memory = {"goal": np.zeros((plant.n, 3)), "error": np.zeros((plant.n, 3))}
        """Goal [m, base], and its error as seen."""

    def begin(self, worlds: Index, draws: Draws, level: Mapping[str, float]) -> Float64:
        """A goal within reach, and a pose about rest with the tip above the floor."""
        config, arm, m, joints = self.config, self._plant.arm, len(worlds), self._plant.joints
        unit = draws.uniform(Channel.TASK, 3 * TRIES + 3 + joints * TRIES)
        self.memory["goal"][worlds] = self._goal(unit[:, : 3 * TRIES].reshape(m, TRIES, 3))
        self.memory["error"][worlds] = (2 * unit[:, 3 * TRIES : 3 * TRIES + 3] - 1) * config.goal_noise
        spread = (2 * unit[:, 3 * TRIES + 3 :].reshape(m, TRIES, joints) - 1) * config.start
        q = np.clip(rest_pose(arm) + spread, np.array(arm.lower) + 0.06, np.array(arm.upper) - 0.06)
        q[:, :, -1] = arm.grip_position
        return first_of(q, tip_position(arm, q)[:, :, 2] > 3 * config.clearance)

    def _goal(self, unit: Float64) -> Float64:
        """(m, 3) from unit draws (m, TRIES, 3); uniform in azimuth, radius and height."""
        config, arm = self.config, self._plant.arm
        angle = (2 * unit[:, :, 0] - 1) * config.azimuth
        spans = ((1, config.radius), (2, config.height))
        radius, height = (low + (high - low) * unit[:, :, i] for i, (low, high) in spans)
        pan = arm.joints[0].point
        x, y = pan[0] + radius * np.cos(angle), pan[1] + radius * np.sin(angle)
        goals = np.stack([x, y, height], -1)
        reachable = [np.isfinite(inverse(arm, goals, pitch)[..., 0]) for pitch in PITCHES]
        return first_of(goals, np.any(reachable, axis=0))

    def goal(self, tip: Float64, worlds: Index | slice) -> Float64:
        """Goal as seen minus sensed tip."""
        return self.memory["goal"][worlds] + self.memory["error"][worlds] - tip

    def truth(self, state: ArmState) -> Float64:
        """True goal minus true tip, its length d, exp(-d / 3 cm): a critic is slow to make these of the coordinates."""
        away = self.memory["goal"][state.worlds] - state.tip
        distance = np.sqrt((away * away).sum(1, keepdims=True))
        return np.concatenate([away, distance, np.exp(-distance / 0.03)], axis=1)

    def score(self, state: ArmState, level: Mapping[str, float]) -> Score:
        """Never terminates."""
        weights, away = self.config.reward, self.memory["goal"] - state.tip
        distance = np.sqrt((away * away).sum(1))
        near = weights.near * np.exp(-((distance / weights.width) ** 2))
        smooth = smoothness(state, weights.action, weights.action_rate)
        groups = np.stack(
            [near - weights.distance * distance, smooth, -weights.floor * under(state, self.config.clearance)], axis=1
        )
        nowhere = np.zeros(len(distance), np.bool_)
        return Score(groups, nowhere, distance < self.config.tolerance, distance)


def rest_pose(arm: Arm) -> Float64:
    """Upper arm raised a little back, forearm level, fingers down by half a radian, (J,)."""
    q = np.zeros(len(arm.joints))
    q[1:4] = -0.4, 0.6, 0.3
    q[-1] = arm.grip_position
    return q
