"""Push: move a block over the table to a place with the closed fingers; block and place are seen with an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fledge_sim.arm_draws import Channel
from fledge_sim.arm_kinematics import inverse
from fledge_sim.arm_model import ARM_BIT, OBJECT_BIT, SCENE_BIT, ModelOptions
from fledge_sim.arm_task import EmptyHand, Score, first_of, smoothness, under

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import Span
    from fledge_sim.arm_draws import Draws
    from fledge_sim.arm_plant import ArmPlant
    from fledge_sim.arm_task import ArmState, Float64, Index, Memory

TRIES = 8
"""Places of the block drawn per episode, of which the first is taken that the arm can begin over."""
PITCH = 1.2
"""Of the fingers at the beginning [rad]."""


@dataclass(frozen=True)
class PushReward:
    """Per step; d from block to place, t from tip to block, in the plane [m]."""

    distance: float = 10.0
    tip: float = 2.0
    near: float = 1.0
    """near exp(-(d / width)^2)."""
    width: float = 0.02
    """[m]"""
    lost: float = 60.0
    """Once, when the block has gone out of reach or over; more than an episode beside its place costs."""
    floor: float = 20.0
    """Per metre of the tip below `clearance`, up to 0.05 m; group contact."""
    action: float = 0.01
    action_rate: float = 0.02


@dataclass(frozen=True)
class PushTask:
    """Half widths are those of level 1."""

    half: float = 0.018
    """Half the edge of the block [m]."""
    mass: float = 0.05
    """[kg]"""
    azimuth: float = math.radians(35)
    """Half width of block and place about straight ahead [rad]."""
    radius: Span = (0.18, 0.28)
    """Of block and place, from the axis of the first joint [m]."""
    apart: Span = (0.03, 0.10)
    """From the block to its place [m], at level 0 and at level 1 of the coordinate apart."""
    seen_error: float = 0.004
    """Of block and place as seen, per horizontal axis [m]; coordinate seen."""
    friction: Span = (0.3, 1.0)
    """Of the block on table and fingers [1]."""
    above: float = 0.03
    """Of the tip over the block's top at the beginning [m]."""
    clearance: float = 0.012
    """Height of the tip below which the floor is too near [m]."""
    tolerance: float = 0.015
    """Distance in the plane that counts as there [m]."""
    reward: PushReward = field(default_factory=PushReward)

    @property
    def goal_size(self) -> int:
        """Block as seen minus sensed tip, place as seen minus block as seen."""
        return 6

    @property
    def moves_gripper(self) -> bool:
        """The fingers stay closed to the grip."""
        return False

    @property
    def holds(self) -> bool:
        """Nothing between the pads."""
        return False

    @property
    def coordinates(self) -> tuple[str, ...]:
        """How far, and how badly seen."""
        return ("apart", "seen")

    def model(self, arm: Arm, timestep: float) -> ModelOptions:
        """A free block on the table; fingers collide with both."""
        bits = f'contype="{OBJECT_BIT}" conaffinity="{SCENE_BIT | ARM_BIT}"'
        scene = "\n".join(
            [
                '    <body name="block" pos="0 0 0.5">',
                '      <freejoint name="block"/>',
                f'      <geom name="block" type="box" size="{self.half!r} {self.half!r} {self.half!r}" '
                f'mass="{self.mass!r}" {bits} friction="0.6 0.005 0.0001" priority="3" solref="{2 * timestep!r} 1" '
                'solimp="0.98 0.995 0.0005"/>',
                "    </body>",
                f'    <geom name="floor" type="plane" size="1 1 0.1" contype="{SCENE_BIT}" '
                f'conaffinity="{OBJECT_BIT | ARM_BIT}"/>',
            ]
        )
        return ModelOptions(timestep=timestep, arm_collides=False, pads_collide=True, scene=scene)

    def make(self, plant: ArmPlant) -> Push:
        """Of a plant's worlds."""
        return Push(self, plant)


class Push(EmptyHand):
    """See arm_task.Task."""

    def __init__(self, config: PushTask, plant: ArmPlant) -> None:
        super().__init__(plant)
        self.config, n = config, plant.n
        self._block = slice(plant.joints, plant.joints + 7)
        self.memory: Memory = {
            **{name: np.zeros((n, 3)) for name in ("start", "place", "block_error", "place_error")},
            "friction": np.zeros(n),
        }

    def begin(self, worlds: Index, draws: Draws, level: Mapping[str, float]) -> Float64:
        """A block under the fingers' beginning, and a place for it in the same region."""
        config, memory, arm, m = self.config, self.memory, self._plant.arm, len(worlds)
        unit = draws.uniform(Channel.TASK, 4 * TRIES + 8)
        pairs, signed = unit[:, : 4 * TRIES].reshape(m, TRIES, 4), 2 * unit[:, 4 * TRIES :] - 1
        start = self._places(pairs[:, :, :2])
        near, far = config.apart
        angle, length = 2 * np.pi * pairs[:, :, 2], near + level["apart"] * (far - near) * pairs[:, :, 3]
        place = start + np.stack([length * np.cos(angle), length * np.sin(angle), np.zeros_like(angle)], -1)
        over = start + np.array([0.0, 0.0, 2 * config.half + config.above])
        chain = inverse(arm, over, PITCH)
        good = np.isfinite(chain[..., 0]) & self._inside(place)
        memory["start"][worlds], memory["place"][worlds] = first_of(start, good), first_of(place, good)
        for name, column in (("block_error", 0), ("place_error", 2)):
            memory[name][worlds, :2] = level["seen"] * config.seen_error * signed[:, column : column + 2]
        low, high = config.friction
        memory["friction"][worlds] = low + (high - low) * unit[:, 4 * TRIES + 4]
        q = first_of(chain, good)
        return np.concatenate([q, np.full((m, 1), arm.grip_position)], 1)

    def _places(self, unit: Float64) -> Float64:
        """On the table (m, TRIES, 3), of unit draws (m, TRIES, 2)."""
        angle, (low, high) = (2 * unit[:, :, 0] - 1) * self.config.azimuth, self.config.radius
        radius, pan = low + (high - low) * unit[:, :, 1], self._plant.arm.joints[0].point
        return np.stack([pan[0] + radius * np.cos(angle), pan[1] + radius * np.sin(angle), np.zeros_like(angle)], -1)

    def _inside(self, place: Float64) -> np.ndarray:
        pan, (low, high) = self._plant.arm.joints[0].point, self.config.radius
        radius = np.hypot(place[..., 0] - pan[0], place[..., 1] - pan[1])
        return np.asarray((radius > low - 0.01) & (radius < high + 0.01))

    def placed(self, worlds: Index) -> None:
        """The block on the table, square to the base."""
        place = self.memory["start"][worlds] + np.array([0.0, 0.0, self.config.half])
        upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(worlds), 1))
        self._plant.qpos[worlds, self._block] = np.concatenate([place, upright], 1)

    def apply(self, worlds: Index) -> None:
        """Friction."""
        block = self._plant.model.geom("block").id
        self._plant.field("geom_friction")[worlds, block, 0] = self.memory["friction"][worlds]

    def goal(self, tip: Float64, worlds: Index | slice) -> Float64:
        """See PushTask.goal_size."""
        block = self._plant.qpos[worlds, self._block][:, :3] + self.memory["block_error"][worlds]
        place = self.memory["place"][worlds] + self.memory["place_error"][worlds]
        place = place + np.array([0.0, 0.0, self.config.half])
        return np.concatenate([block - tip, place - block], 1)

    def truth(self, state: ArmState) -> Float64:
        """Block minus tip, place minus block, distances and nearness, the block's turn and friction."""
        worlds = state.worlds
        to_block, to_place, away, distance = self._between(state)
        near = np.exp(-((distance / self.config.reward.width) ** 2))
        turn = self._plant.qpos[worlds, self._block][:, 3:]
        speed = self._plant.qvel[worlds, self._plant.joints : self._plant.joints + 3]
        sides = np.stack([away * 10, distance * 10, near, self.memory["friction"][worlds]], -1)
        return np.concatenate([to_block * 10, to_place * 10, sides, turn, speed * 5], 1)

    def score(self, state: ArmState, level: Mapping[str, float]) -> Score:
        """Terminates where the block is out of reach or has tipped over."""
        weights, config = self.config.reward, self.config
        _, _, away, distance = self._between(state)
        block = self._plant.qpos[:, self._block]
        lost = (distance > 0.25) | (1 - 2 * (block[:, 4] ** 2 + block[:, 5] ** 2) < 0.7)
        near = weights.near * np.exp(-((distance / weights.width) ** 2))
        task = near - weights.distance * np.minimum(distance, 0.3) - weights.tip * away - weights.lost * lost
        smooth = smoothness(state, weights.action, weights.action_rate)
        groups = np.stack([task, smooth, -weights.floor * under(state, config.clearance)], axis=1)
        return Score(groups, lost, (distance < config.tolerance) & ~lost, distance)

    def _between(self, state: ArmState) -> tuple[Float64, Float64, Float64, Float64]:
        """Tip to block (m, 3), block to place (m, 3), tip to block and block to place in the plane (m,) [m]."""
        block = self._plant.qpos[state.worlds, self._block][:, :3]
        to_block = block - state.tip
        to_place = self.memory["place"][state.worlds] + np.array([0.0, 0.0, self.config.half]) - block
        away, distance = (np.hypot(vector[:, 0], vector[:, 1]) for vector in (to_block, to_place))
        return to_block, to_place, away, distance
