"""High-level commander's planner: take off, go to, land, spiral and uploaded trajectories, one at a time."""

from __future__ import annotations

from enum import Enum

from fledge_hil.motion import Axes, Motion, Sample, Segment, Spiral, nearest
from fledge_hil.trajectories import Track

__all__ = ["Axes", "Phase", "Planner", "Sample", "Segment"]


class Phase(Enum):
    """What the planner is doing."""

    IDLE = "idle"
    FLYING = "flying"
    LANDING = "landing"


class Planner:
    """Turns commands into a Sample at any time."""

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self._motion: Motion | None = None

    def stop(self) -> None:
        """Forget the plan; nothing is commanded any more."""
        self.phase, self._motion = Phase.IDLE, None

    def _start(self, time: float, here: Sample) -> Sample:
        return self._motion.at(time) if self._motion is not None else here

    def vertical(
        self, time: float, here: Sample, height: float, yaw: float | None, duration: float, land: bool
    ) -> bool:
        """Take off or land at the present x and y; yaw None keeps it. False when the command makes no sense."""
        if duration <= 0 or (not land and self.phase is not Phase.IDLE):
            return False
        start = self._start(time, here)
        x, y, _, held = start.position
        goal = (x, y, height, held if yaw is None else nearest(yaw, held))
        self._motion = Segment(start, Sample(goal), time, duration)
        self.phase = Phase.LANDING if land else Phase.FLYING
        return True

    def height_from(self, time: float, here: Sample) -> float:
        """Height that a take-off or landing commanded now would start from [m]."""
        return self._start(time, here).position[2]

    def go_to(self, time: float, here: Sample, goal: Axes, duration: float, relative: bool, linear: bool) -> bool:
        """Fly to a place; relative adds the present plan's position and yaw."""
        if duration <= 0:
            return False
        start = self._start(time, here)
        base = start.position if relative else (0.0, 0.0, 0.0, 0.0)
        x, y, z, yaw = (goal[axis] + base[axis] for axis in range(4))
        end = Sample((x, y, z, nearest(yaw, start.position[3])))
        self._motion, self.phase = Segment(start, end, time, duration, linear), Phase.FLYING
        return True

    def spiral(self, time: float, here: Sample, spiral: Spiral, duration: float) -> bool:
        """Fly part of a spiral from where the plan is."""
        if duration <= 0:
            return False
        self._motion, self.phase = spiral.segment(self._start(time, here), time, duration), Phase.FLYING
        return True

    def follow(self, time: float, here: Sample, track: Track, relative: bool, relative_yaw: bool) -> None:
        """Fly a trajectory, where it lies or shifted to where the plan is."""
        if relative:
            track.begin_at(self._start(time, here).position, relative_yaw)
        self._motion, self.phase = track, Phase.FLYING

    def finished(self, time: float) -> bool:
        """Whether nothing is under way."""
        return self._motion is None or self._motion.ended(time)

    def at(self, time: float) -> Sample | None:
        """What to command now; None when idle. A landing that has ended turns the planner idle."""
        if self._motion is None:
            return None
        if self.phase is Phase.LANDING and self._motion.ended(time):
            self.stop()
            return None
        return self._motion.at(time)
