"""A session with an arm: start, bring the tip to goals one after the other, let go; and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from fledge_sim.arm import Arm
from fledge_sim.arm_kinematics import inverse
from fledge_sim.arm_reach import PITCHES, ReachTask
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError

from fledge_hil.arm.driver import ArmStopped, Driver
from fledge_hil.arm.plant import Vector

SETTLED_MS = 100
"""Within the tolerance for so long counts as arrived."""
TRIES = 1000


@dataclass(frozen=True)
class Attempt:
    """One goal."""

    goal: Vector
    """(3,) [m]"""
    distance: float
    """Of the tip in the end, by the firmware's kinematics of the sensed joints [m]."""
    true_distance: float | None
    """By the simulator [m]; None: nobody knows."""
    arrived_s: float | None
    """After which it stayed within the tolerance, by the firmware [s]; None: it did not."""
    stopped: str = ""
    """Why it was given up."""

    @property
    def best(self) -> float:
        """The distance that is closest to the truth [m]."""
        return self.distance if self.true_distance is None else self.true_distance


def check_task(contract: Contract) -> None:
    """Raise FledgeError unless the policy has a goal to be told."""
    if "goal" not in {term.name for term in contract.observation}:
        raise FledgeError("the policy does not look at a goal; choose one that was trained to reach, insert or push")


def draw_goals(arm: Arm, count: int, seed: int) -> Vector:
    """(count, 3) places in front of the arm that its tip can reach [m], as in the training of ReachTask."""
    task, generator = ReachTask(), np.random.default_rng(seed)
    x, y, _ = arm.joints[0].point
    found: list[Vector] = []
    for _ in range(TRIES * count):
        angle, radius, height = (
            generator.uniform(*span) for span in ((-task.azimuth, task.azimuth), task.radius, task.height)
        )
        goal = np.array([x + radius * np.cos(angle), y + radius * np.sin(angle), height])
        if any(np.isfinite(inverse(arm, goal, pitch)).all() for pitch in PITCHES):
            found.append(goal)
        if len(found) == count:
            return np.array(found)
    raise FledgeError(f"arm '{arm.name}' reaches no goals between {task.radius[0]} and {task.radius[1]} m; give --goal")


def visit(
    driver: Driver,
    goals: Iterable[Vector],
    seconds: float,
    tolerance: float,
    true_tip: Callable[[], Vector] | None = None,
    told: Callable[[Attempt], None] | None = None,
) -> list[Attempt]:
    """Bring the tip to each goal.

    Args:
        driver: of an arm that holds.
        goals: each (3,) [m].
        seconds: for each.
        tolerance: within which it has arrived [m].
        true_tip: where the tip is, if somebody knows.
        told: is called after each.
    Returns:
        One per goal, fewer if the arm stopped.
    """
    attempts: list[Attempt] = []
    for goal in goals:
        clock = _Arrival(driver, goal, tolerance)
        stopped = ""
        try:
            driver.move_to(goal.tolist(), seconds)
        except ArmStopped as reason:
            stopped = str(reason)
        finally:
            clock.end()
        away = float(np.linalg.norm(driver.tip - goal))
        true = None if true_tip is None else float(np.linalg.norm(true_tip() - goal))
        attempts.append(Attempt(goal, away, true, clock.seconds, stopped))
        if told is not None:
            told(attempts[-1])
        if stopped:
            break
    return attempts


class _Arrival:
    """When the tip came within the tolerance and stayed there."""

    def __init__(self, driver: Driver, goal: Vector, tolerance: float) -> None:
        self._driver, self._goal, self._tolerance = driver, goal, tolerance
        self._ticks, self._since = 0, 0
        driver.told.append(self._look)

    @property
    def seconds(self) -> float | None:
        """None: it is not there, or has only just come."""
        return self._since / 1000 if self._ticks - self._since >= SETTLED_MS else None

    def end(self) -> None:
        """No more."""
        self._driver.told.remove(self._look)

    def _look(self, _: object) -> None:
        self._ticks += 1
        if np.linalg.norm(self._driver.tip - self._goal) > self._tolerance:
            self._since = self._ticks
