"""Placement: stand the peg upright on a place of the table that is seen with an error, and let go of it.

The peg is held by the pads' friction alone (arm_free.py); where it sits in the hand is drawn as for the insertion. The
policy has the gripper as well: success is a peg that stands there on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fledge_sim.arm_draws import Channel
from fledge_sim.arm_free import FreePeg, free_text, grip_lever
from fledge_sim.arm_model import OBJECT_BIT, SCENE_BIT, ModelOptions
from fledge_sim.arm_peg import Peg
from fledge_sim.arm_start import TRIES, AboveStart
from fledge_sim.arm_task import Score, smoothness
from fledge_sim.arm_touch import ArmTouch

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_config import Span
    from fledge_sim.arm_draws import Draws
    from fledge_sim.arm_plant import ArmPlant
    from fledge_sim.arm_task import ArmState, Float64, Index, Memory
    from fledge_sim.tactile_sensor import SensorModel

FLOOR_TEXT = f'    <geom name="floor" type="plane" size="1 1 0.1" contype="{SCENE_BIT}" conaffinity="{OBJECT_BIT}"/>'


@dataclass(frozen=True)
class PlacementReward:
    """Per step; d from the peg's lower end to its place [m], tilt from upright [rad]."""

    distance: float = 10.0
    tilt: float = 0.5
    near: float = 1.0
    """near exp(-(d / width)^2 - (tilt / 0.1)^2)."""
    width: float = 0.01
    """[m]"""
    success: float = 2.0
    """While it stands alone."""
    fallen: float = 60.0
    """Once, when it lies; more than an episode far from the place costs, or it pays to drop it."""
    action: float = 0.01
    action_rate: float = 0.02


@dataclass(frozen=True)
class PlacementTask:
    """Half widths are those of level 1; at level 0 an error is absent."""

    peg: Peg = field(default_factory=Peg)
    start: AboveStart = field(default_factory=lambda: AboveStart(height=(0.008, 0.020)))
    place_error: float = 0.004
    """Of the place as seen, per horizontal axis [m]; coordinate place."""
    depth_error: float = 0.004
    """Of the peg in the hand [m]; coordinate depth."""
    tilt_error: float = 0.25
    """[rad]; coordinate tilt."""
    pad_friction: Span = (0.6, 1.0)
    friction: Span = (0.3, 1.2)
    """Of the peg on the table [1]."""
    tolerance: float = 0.010
    """From the peg's lower end to its place [m]."""
    upright: float = 0.1
    """Largest tilt of a peg that stands [rad]."""
    fallen: float = 0.8
    """Tilt of a peg that does not get up again [rad]."""
    open: float = 0.05
    """How far beyond the grip the gripper has let go [rad, m]."""
    reward: PlacementReward = field(default_factory=PlacementReward)

    @property
    def goal_size(self) -> int:
        """Place as seen minus sensed tip."""
        return 3

    @property
    def moves_gripper(self) -> bool:
        """To let go."""
        return True

    @property
    def holds(self) -> bool:
        """The peg."""
        return True

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Errors."""
        return ("place", "depth", "tilt")

    def model(self, arm: Arm, timestep: float) -> ModelOptions:
        """A free peg, pads that can hold it, and the table."""
        self.peg.check_fit(arm)
        scene = free_text(self.peg, 0.6, 2 * timestep) + "\n" + FLOOR_TEXT
        return ModelOptions(timestep=timestep, arm_collides=False, pads_collide=True, scene=scene)

    def make(self, plant: ArmPlant) -> Placement:
        """Of a plant's worlds."""
        return Placement(self, plant)


class Placement:
    """See arm_task.Task."""

    def __init__(self, config: PlacementTask, plant: ArmPlant) -> None:
        self.config, self._plant, n = config, plant, plant.n
        self.held = FreePeg(plant.arm, config.peg, plant)
        self.memory: Memory = {
            **{name: np.zeros((n, 3)) for name in ("place", "error")},
            "rest": np.zeros((n, 6)),
            **{name: np.zeros(n) for name in ("pad_friction", "friction")},
        }

    def begin(self, worlds: Index, draws: Draws, level: Mapping[str, float]) -> Float64:
        """A place within reach, a peg somewhere in the hand above it."""
        config, memory, m = self.config, self.memory, len(worlds)
        unit = draws.uniform(Channel.TASK, 2 * TRIES + 12)
        signed, rest = 2 * unit[:, 2 * TRIES :] - 1, np.zeros((m, 6))
        places = unit[:, : 2 * TRIES].reshape(m, TRIES, 2)
        q, place, _ = config.start.draw(self._plant.arm, places, signed[:, :3], 0.0, config.peg.bottom)
        memory["place"][worlds] = place
        memory["error"][worlds, :2] = level["place"] * config.place_error * signed[:, 3:5]
        rest[:, 0] = level["depth"] * config.depth_error * signed[:, 5]
        rest[:, 3] = level["tilt"] * config.tilt_error * signed[:, 6]
        memory["rest"][worlds] = rest
        for name, column in (("pad_friction", 7), ("friction", 8)):
            low, high = getattr(config, name)
            memory[name][worlds] = low + (high - low) * (signed[:, column] + 1) / 2
        return q

    def placed(self, worlds: Index) -> None:
        """The peg in the hand."""
        self.held.put(worlds, self.memory["rest"][worlds])

    def load(self, worlds: Index) -> Float64:
        """The grip."""
        press = np.zeros((len(worlds), self._plant.joints))
        press[:, -1] = -self.config.peg.grip * grip_lever(self._plant.arm)
        return press

    def apply(self, worlds: Index) -> None:
        """Frictions."""
        self.held.hold(worlds, self.memory["pad_friction"][worlds])
        peg = self._plant.model.geom("peg").id
        self._plant.field("geom_friction")[worlds, peg, 0] = self.memory["friction"][worlds]

    def before(self, timestep: Float64) -> None:
        """The contacts slip by themselves."""

    def touch(self, period: float, threads: int, model: SensorModel | None = None) -> ArmTouch:
        """Pads on the peg."""
        return ArmTouch(self._plant.arm, self.config.peg, self._plant.n, period, threads, model)

    def touched(self, touch: ArmTouch, worlds: Index) -> None:
        """Begin episodes."""
        touch.begin(worlds, self.held.pose(worlds), np.ones(len(worlds)), self.memory["pad_friction"][worlds])

    def feel(self, touch: ArmTouch) -> None:
        """Sample: the pads part as the gripper opens."""
        opened = np.maximum(0.0, self._opening()) * grip_lever(self._plant.arm)
        touch.sample(self.held.pose(), np.ones(self._plant.n), opened=opened)

    def goal(self, tip: Float64, worlds: Index | slice) -> Float64:
        """Place as seen minus sensed tip."""
        return self.memory["place"][worlds] + self.memory["error"][worlds] - tip

    def truth(self, state: ArmState) -> Float64:
        """Peg over its place, its axis, peg in the hand, distance and nearness, and the episode's draws."""
        memory, worlds = self.memory, state.worlds
        lower, axis, distance, tilt = self._standing(state)
        scale = np.array([200, 200, 200, 5, 5, 5.0])
        near = np.exp(-((distance / self.config.reward.width) ** 2))[:, None]
        return np.concatenate(
            [
                lower * 50,
                axis[:, :2] * 5,
                np.clip(self.held.pose(worlds) * scale, -5, 5),
                memory["rest"][worlds] * scale,
                distance[:, None] * 50,
                tilt[:, None] * 5,
                near,
                self._opening()[worlds, None] * 10,
                memory["error"][worlds, :2] * 200,
                np.stack([memory[name][worlds] for name in ("pad_friction", "friction")], -1),
            ],
            axis=1,
        )

    def score(self, state: ArmState, level: Mapping[str, float]) -> Score:
        """Terminates where the peg lies."""
        weights, config = self.config.reward, self.config
        _, _, distance, tilt = self._standing(state)
        alone = self._opening() > config.open
        success = alone & (distance < config.tolerance) & (tilt < config.upright)
        fallen = tilt > config.fallen
        near = np.exp(-((distance / weights.width) ** 2) - (tilt / 0.1) ** 2)
        task = weights.near * near - weights.distance * np.minimum(distance, 0.3) - weights.tilt * tilt
        task += weights.success * success - weights.fallen * fallen
        smooth = smoothness(state, weights.action, weights.action_rate)
        return Score(np.stack([task, smooth, np.zeros_like(task)], axis=1), fallen, success, distance)

    def _opening(self) -> Float64:
        """Of the gripper beyond the grip, (n,) [rad, m]."""
        return self._plant.q[:, -1] - self._plant.arm.grip_position

    def _standing(self, state: ArmState) -> tuple[Float64, Float64, Float64, Float64]:
        """Lower end from its place (m, 3) [m], axis up (m, 3), distance (m,) [m], tilt (m,) [rad]."""
        lower, rotation = self.held.place(state.q, state.worlds)
        relative, axis = lower - self.memory["place"][state.worlds], -rotation[:, :, 0]
        tilt = np.arccos(np.clip(axis[:, 2], -1.0, 1.0))
        return relative, axis, np.sqrt((relative * relative).sum(1)), tilt
