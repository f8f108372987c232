"""Episodes of a policy's own task over the bus: firmware, virtual servos, virtual pads, and the environment's scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fledge_hil.arm.board import ArmBoard
from fledge_hil.arm.driver import ArmStopped, Driver
from fledge_hil.arm.messages import ArmMode, Command
from fledge_hil.arm.pads import PERIOD_MS
from fledge_hil.arm.scene_plant import ScenePlant
from fledge_hil.arm.starts import Stage, Start


@dataclass(frozen=True)
class Episode:
    """What came of one."""

    success: bool
    """At its end."""
    distance: float
    """Then, to what the task asks for [m]."""
    seconds: float
    """That the policy moved the arm."""
    frames: int
    """Of the pads."""
    stopped: str = ""
    """Why it ended early."""


def fly(stage: Stage, board: ArmBoard, episodes: int, seed: int) -> Iterator[Episode]:
    """One episode after the other, the board restarted before each: the first of worlds 0, 1, ... of `seed`."""
    for world in range(episodes):
        board.reset()
        start = stage.start(seed, world)
        assert start.scene is not None
        yield _episode(Driver(stage.config.arm, board, start.virtual), start, start.scene)


def _episode(driver: Driver, start: Start, scene: ScenePlant) -> Episode:
    steps, stopped = 0, ""
    start.watch(driver)
    try:
        start.take_over(driver)
        driver.input.command = Command.MOVE
        driver.run(PERIOD_MS / 1000)
        while steps < scene.config.episode_steps and not stopped:
            driver.run(scene.config.period)
            steps += 1
            if driver.output.mode != ArmMode.MOVING:
                stopped = driver.reason()
            elif scene.score().terminated[0]:
                stopped = "what it moves was lost"
    except ArmStopped as reason:
        stopped = str(reason)
    score = scene.score()
    success = bool(score.success[0]) and not stopped
    seconds, frames = steps * scene.config.period, int(driver.output.pads_frames)
    return Episode(success, float(score.distance[0]), seconds, frames, stopped)
