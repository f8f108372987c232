"""Insertion: a square peg in the gripper, a hole whose place is seen with an error, and a grip that nobody sees.

Where the peg sits in the hand is drawn per episode: how deep, how far to the side, how tilted about the axis of the
closing pads. The grip is turned a quarter about the fingers, so that the arm's pitch can undo a tilt. Each error is
a coordinate of the curriculum. The reward is shaped as TacSL's: distance of key points along the peg from where they
shall be, dearer by `concavity` beside the hole below its rim, and a narrow bump.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from fledge_sim.arm_draws import Channel
from fledge_sim.arm_free import FreePeg, free_text, grip_lever
from fledge_sim.arm_hole import Hole
from fledge_sim.arm_model import ModelOptions
from fledge_sim.arm_peg import HeldPeg, Peg, held_text
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

KEYPOINTS = 4
"""Along the peg's axis."""
ERRORS = ("hole", "yaw", "depth", "lateral", "tilt")


@dataclass(frozen=True)
class InsertionReward:
    """Per step; d is the mean distance of the key points [m]."""

    distance: float = 20.0
    """Per metre of d."""
    concavity: float = 3.0
    """Factor on `distance` while the peg is beside the hole and below its rim."""
    bump: float = 1.0
    """bump exp(-(d / width)^2)."""
    width: float = 0.008
    """[m]"""
    success: float = 1.0
    """While inserted."""
    lost: float = 60.0
    """Once, if the peg slips out of the hand; more than an episode beside the hole costs, or it pays to drop it."""
    action: float = 0.01
    action_rate: float = 0.02
    """On mean squares, group smoothness."""
    contact: float = 0.05
    """Per newton of the force on the peg above `gentle`, up to 10 N; times the level of `contact`; group contact."""
    gentle: float = 1.0
    """[N]"""


@dataclass(frozen=True)
class InsertionTask:
    """Half widths are those of level 1; at level 0 an error is absent and the hole at its widest."""

    peg: Peg = field(default_factory=Peg)
    hole: Hole = field(default_factory=Hole)
    grasp: Literal["compliant", "free"] = "compliant"
    """On springs (arm_peg.py), or held by the pads' friction alone (arm_free.py), without touch or contact force."""
    start: AboveStart = field(default_factory=AboveStart)
    hole_error: float = 0.004
    """Half width of the error of the hole's place as seen, per horizontal axis [m]; coordinate hole."""
    yaw_error: float = math.radians(5)
    """Half width of the hole's turn about the vertical [rad]; coordinate yaw."""
    depth_error: float = 0.004
    """Of the peg in the hand [m]; coordinate depth."""
    lateral_error: float = 0.003
    """[m]; coordinate lateral."""
    tilt_error: float = 0.15
    """[rad]; coordinate tilt."""
    clearance: Span = (0.001, 0.003)
    """Between peg and wall, either side [m]: at level 1 and at level 0 of the coordinate clearance."""
    gel: Span = (0.6, 1.4)
    """Factor on the gel's stiffness."""
    pad_friction: Span = (0.6, 1.0)
    """[1]"""
    friction: Span = (0.3, 1.2)
    """Of the peg on hole and floor [1]."""
    lost: float = 0.015
    """Travel of the peg in the hand that counts as lost [m]; 30 times as many radians."""
    tolerance: float = 0.0045
    """Mean distance of the key points that counts as inserted [m], as TacSL's."""
    reward: InsertionReward = field(default_factory=InsertionReward)

    @property
    def goal_size(self) -> int:
        """Hole as seen minus sensed tip."""
        return 3

    @property
    def moves_gripper(self) -> bool:
        """The grip stays."""
        return False

    @property
    def holds(self) -> bool:
        """The peg."""
        return True

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Errors, clearance, and the weight of the contact's penalty."""
        return (*ERRORS, "clearance", "contact")

    def model(self, arm: Arm, timestep: float) -> ModelOptions:
        """Peg, four walls and a floor; the fingers pass through the walls."""
        self.peg.check_fit(arm)
        scene, free = self.hole.text(self.peg.half_width + self.clearance[0]), self.grasp == "free"
        if free:
            scene = free_text(self.peg, 0.6, 2 * timestep) + "\n" + scene
        held = "" if free else held_text(arm, self.peg, 0.6, 2 * timestep)
        return ModelOptions(timestep=timestep, arm_collides=False, pads_collide=free, scene=scene, held=held)

    def make(self, plant: ArmPlant) -> Insertion:
        """Of a plant's worlds."""
        return Insertion(self, plant)


class Insertion:
    """See arm_task.Task."""

    def __init__(self, config: InsertionTask, plant: ArmPlant) -> None:
        self.config, self._plant, n = config, plant, plant.n
        self.held: HeldPeg | FreePeg = (HeldPeg if config.grasp == "compliant" else FreePeg)(
            plant.arm, config.peg, plant
        )
        self.memory: Memory = {
            **{name: np.zeros((n, 3)) for name in ("hole", "error")},
            **{name: np.zeros((n, 6)) for name in ("rest", "start")},
            **{name: np.zeros(n) for name in ("yaw", "clearance", "gel", "pad_friction", "friction")},
        }
        """Hole's middle at the rim [m, base], its error as seen [m], the springs' rest and first rest [m, rad], the
        hole's turn [rad], clearance [m], factor on the gel, frictions [1]."""
        self._keypoints = np.linspace(config.peg.bottom - config.peg.top, 0, KEYPOINTS)
        """Height of the key points above the lower end [m]."""

    def begin(self, worlds: Index, draws: Draws, level: Mapping[str, float]) -> Float64:
        """A hole within reach, a peg somewhere in the hand, the peg's lower end above the rim."""
        config, memory, m = self.config, self.memory, len(worlds)
        unit = draws.uniform(Channel.TASK, 2 * TRIES + 16)
        signed, rest = 2 * unit[:, 2 * TRIES :] - 1, np.zeros((m, 6))
        q, hole, azimuth = config.start.draw(
            self._plant.arm,
            unit[:, : 2 * TRIES].reshape(m, TRIES, 2),
            signed[:, :3],
            config.hole.rim,
            config.peg.bottom,
        )
        memory["hole"][worlds] = hole
        memory["error"][worlds, :2] = level["hole"] * config.hole_error * signed[:, 3:5]
        memory["yaw"][worlds] = azimuth + level["yaw"] * config.yaw_error * signed[:, 5]
        rest[:, 0] = level["depth"] * config.depth_error * signed[:, 6]
        rest[:, 1] = level["lateral"] * config.lateral_error * signed[:, 7]
        rest[:, 3] = level["tilt"] * config.tilt_error * signed[:, 8]
        memory["rest"][worlds] = memory["start"][worlds] = rest
        tight, wide = config.clearance
        memory["clearance"][worlds] = wide + level["clearance"] * (tight - wide)
        for name, column in (("gel", 9), ("pad_friction", 10), ("friction", 11)):
            low, high = getattr(config, name)
            memory[name][worlds] = low + (high - low) * (signed[:, column] + 1) / 2
        return q

    def placed(self, worlds: Index) -> None:
        """The peg where its springs rest."""
        self.held.put(worlds, self.memory["rest"][worlds])

    def load(self, worlds: Index) -> Float64:
        """The grip, where it is what holds the peg."""
        press = np.zeros((len(worlds), self._plant.joints))
        if self.config.grasp == "free":
            press[:, -1] = -self.config.peg.grip * grip_lever(self._plant.arm)
        return press

    def apply(self, worlds: Index) -> None:
        """Springs, hole and friction."""
        memory = self.memory
        if isinstance(self.held, FreePeg):
            self.held.hold(worlds, memory["pad_friction"][worlds])
        self.held.apply(worlds, memory["rest"][worlds], memory["gel"][worlds])
        half = self.config.peg.half_width + memory["clearance"][worlds]
        self.config.hole.apply(self._plant, worlds, memory["hole"][worlds], memory["yaw"][worlds], half)
        peg = self._plant.model.geom("peg").id
        self._plant.field("geom_friction")[worlds, peg, 0] = memory["friction"][worlds]

    def before(self, timestep: Float64) -> None:
        """Slip in the hand."""
        memory = self.memory
        hold = 2 * self.config.peg.grip * memory["pad_friction"]
        memory["rest"][:] = self.held.slipped(memory["rest"], memory["gel"], hold)
        self.held.apply(np.arange(self._plant.n), memory["rest"], memory["gel"])

    def touch(self, period: float, threads: int, model: SensorModel | None = None) -> ArmTouch:
        """Pads on the peg."""
        return ArmTouch(self._plant.arm, self.config.peg, self._plant.n, period, threads, model)

    def touched(self, touch: ArmTouch, worlds: Index) -> None:
        """Begin episodes."""
        memory = self.memory
        force = self.held.force(memory["rest"], memory["gel"])[worlds, :3]
        touch.begin(worlds, self.held.pose(worlds), memory["gel"][worlds], memory["pad_friction"][worlds], force)

    def feel(self, touch: ArmTouch) -> None:
        """Sample."""
        force = self.held.force(self.memory["rest"], self.memory["gel"])
        touch.sample(self.held.pose(), self.memory["gel"], force[:, :3])

    def goal(self, tip: Float64, worlds: Index | slice) -> Float64:
        """Hole as seen minus sensed tip."""
        return self.memory["hole"][worlds] + self.memory["error"][worlds] - tip

    def relative(self, state: ArmState) -> tuple[Float64, Float64]:
        """Of the peg in the hole's axes (x, y, up): lower end from the rim's middle (m, 3) [m], axis up (m, 3)."""
        lower, rotation = self.held.place(state.q, state.worlds)
        yaw = self.memory["yaw"][state.worlds]
        cosine, sine = np.cos(yaw), np.sin(yaw)

        def turned(vector: Float64) -> Float64:
            x, y = cosine * vector[:, 0] + sine * vector[:, 1], cosine * vector[:, 1] - sine * vector[:, 0]
            return np.stack([x, y, vector[:, 2]], -1)

        return turned(lower - self.memory["hole"][state.worlds]), turned(-rotation[:, :, 0])

    def truth(self, state: ArmState) -> Float64:
        """Peg in the hole's axes, how far from home, peg in the hand and its slip, force on it, the episode's draws."""
        memory, worlds = self.memory, state.worlds
        lower, axis = self.relative(state)
        distance = self._distance(lower, axis)[:, None]
        scale = np.array([200, 200, 200, 5, 5, 5.0])
        force = self.held.force(memory["rest"], memory["gel"])[worlds]
        return np.concatenate(
            [
                lower * 50,
                axis[:, :2] * 5,
                distance * 50,
                np.exp(-((distance / self.config.reward.width) ** 2)),
                self.held.pose(worlds) * scale,
                memory["rest"][worlds] * scale,
                force / np.array([5, 5, 5, 0.1, 0.1, 0.1]),
                memory["error"][worlds, :2] * 200,
                memory["yaw"][worlds][:, None],
                memory["clearance"][worlds][:, None] * 500,
                np.stack([memory[name][worlds] for name in ("gel", "pad_friction", "friction")], -1),
            ],
            axis=1,
        )

    def _distance(self, lower: Float64, axis: Float64) -> Float64:
        """Mean distance (m,) of the key points from where they are when the peg stands on the hole's floor [m]."""
        points = lower[:, None] + axis[:, None] * self._keypoints[:, None]
        points[:, :, 2] -= self._keypoints - self.config.hole.depth
        return np.asarray(np.sqrt((points * points).sum(2)).mean(1))

    def score(self, state: ArmState, level: Mapping[str, float]) -> Score:
        """Terminates where the peg is lost."""
        weights, config, memory = self.config.reward, self.config, self.memory
        lower, axis = self.relative(state)
        distance = self._distance(lower, axis)
        half = config.peg.half_width + memory["clearance"]
        beside = (np.abs(lower[:, :2]).max(1) > half) & (lower[:, 2] < 0)
        success = distance < config.tolerance
        task = weights.bump * np.exp(-((distance / weights.width) ** 2)) + weights.success * success
        task -= weights.distance * distance * np.where(beside, weights.concavity, 1.0)
        pose = np.abs(self.held.pose())
        lost = (pose[:, :3].max(1) > config.lost) | (pose[:, 3:].max(1) > 30 * config.lost)
        task -= weights.lost * lost
        force = self.held.force(memory["rest"], memory["gel"])[:, :3]
        size = np.sqrt((force * force).sum(1))
        contact = -weights.contact * level["contact"] * np.clip(size - weights.gentle, 0.0, 10.0)
        groups = np.stack([task, smoothness(state, weights.action, weights.action_rate), contact], axis=1)
        return Score(groups, lost, success & ~lost, distance)
