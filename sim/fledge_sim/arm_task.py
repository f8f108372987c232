"""What a task of the arm is: a scene, beginnings, a goal to be seen, a reward in groups, and what counts as success.

Its configuration is frozen; what it remembers per world is in arrays that the environment keeps with its own, so that
an environment's state is one thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fledge_sim.arm import Arm
    from fledge_sim.arm_draws import Draws
    from fledge_sim.arm_model import ModelOptions
    from fledge_sim.arm_plant import ArmPlant
    from fledge_sim.arm_touch import ArmTouch
    from fledge_sim.tactile_sensor import SensorModel

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]
Memory = dict[str, Float64]
"""Arrays (n, ...) of a task, by name."""

GROUPS = ("task", "smoothness", "contact")
"""Of every task's reward."""


@dataclass(frozen=True)
class ArmState:
    """The truth after a step; n worlds."""

    plant: ArmPlant
    worlds: Index | slice
    """Which of the plant's; n counts them."""
    q: Float64
    """(n, J) [rad, m]"""
    v: Float64
    """(n, J) [rad/s, m/s]"""
    tip: Float64
    """Of the grip frame, base axes, (n, 3) [m]."""
    target: Float64
    """That the policy's action led to, (n, J)."""
    action: Float64
    """(n, A) in [-1, 1]; zero after a beginning."""
    action_before: Float64


@dataclass(frozen=True)
class Score:
    """Of the state that a step led to."""

    groups: Float64
    """(n, G), in the order of GROUPS."""
    terminated: NDArray[np.bool_]
    """(n,)"""
    success: NDArray[np.bool_]
    """(n,): the task is fulfilled now."""
    distance: Float64
    """(n,): to what the task asks for [m]."""


class TaskConfig(Protocol):
    """See the module's docstring; frozen, part of ArmConfig."""

    @property
    def goal_size(self) -> int:
        """Numbers of the term goal."""

    @property
    def moves_gripper(self) -> bool:
        """Whether the policy controls the gripper as well."""

    @property
    def holds(self) -> bool:
        """Whether something is between the pads, which touch can feel."""

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Of its curriculum, each with a level from 0 to 1."""

    def model(self, arm: Arm, timestep: float) -> ModelOptions:
        """Scene, contacts and what is in the hand."""

    def make(self, plant: ArmPlant) -> Task:
        """The task of a plant's worlds."""


class Task(Protocol):
    """A task of n worlds; what it remembers is in `memory`, nowhere else."""

    memory: Memory

    def begin(self, worlds: Index, draws: Draws, level: Mapping[str, float]) -> Float64:
        """Draw an episode of worlds (m,) into memory; returns joint positions (m, J) to begin from."""

    def placed(self, worlds: Index) -> None:
        """Put what is not the arm where the episode has it, after the arm has been put."""

    def load(self, worlds: Index) -> Float64:
        """What the servos press at the beginning, (m, J) [N m, N]: the grip."""

    def apply(self, worlds: Index) -> None:
        """Write what memory says of worlds (m,) into the plant's model."""

    def before(self, timestep: Float64) -> None:
        """What has to happen before the physics of a period, for example slip in the hand."""

    def touch(self, period: float, threads: int, model: SensorModel | None = None) -> ArmTouch:
        """Pads for what is in the hand."""

    def touched(self, touch: ArmTouch, worlds: Index) -> None:
        """Begin episodes of worlds (m,) in `touch`."""

    def feel(self, touch: ArmTouch) -> None:
        """Sample `touch` at the end of a period."""

    def goal(self, tip: Float64, worlds: Index | slice) -> Float64:
        """Term goal (m, goal_size) of worlds (m,) for the sensed tip (m, 3)."""

    def truth(self, state: ArmState) -> Float64:
        """What only the critic knows of the task, (m, numbers), each near the order of one."""

    def score(self, state: ArmState, level: Mapping[str, float]) -> Score:
        """Reward, end and success of all worlds."""


class EmptyHand:
    """What a task without anything in the hand has nothing to do for; see Task."""

    def __init__(self, plant: ArmPlant) -> None:
        self._plant = plant

    def placed(self, worlds: Index) -> None:
        """Nothing but the arm."""

    def load(self, worlds: Index) -> Float64:
        """Nothing in the hand."""
        return np.zeros((len(worlds), self._plant.joints))

    def apply(self, worlds: Index) -> None:
        """Nothing but the arm."""

    def before(self, timestep: Float64) -> None:
        """Nothing but the physics."""

    def touch(self, period: float, threads: int, model: SensorModel | None = None) -> ArmTouch:
        """Refused by ArmConfig already."""
        raise FledgeError("there is nothing in the hand to be felt")

    def touched(self, touch: ArmTouch, worlds: Index) -> None:
        """Nothing in the hand."""

    def feel(self, touch: ArmTouch) -> None:
        """Nothing in the hand."""


def smoothness(state: ArmState, action: float, action_rate: float) -> Float64:
    """Group smoothness (n,): minus the mean squares of the action and of its change, weighted."""
    change = state.action - state.action_before
    return np.asarray(-action * (state.action**2).mean(1) - action_rate * (change**2).mean(1))


def first_of(candidates: Float64, good: np.ndarray) -> Float64:
    """The first good candidate of every row, else the first: (m, T, k) and (m, T) to (m, k)."""
    return np.asarray(candidates[np.arange(len(candidates)), np.argmax(good, axis=1)])


def under(state: ArmState, clearance: float) -> Float64:
    """How far the tip is below a height of `clearance`, (n,), at most 0.05 m."""
    return np.asarray(np.clip(clearance - state.tip[:, 2], 0.0, 0.05))
