"""The tasks: each a complete environment, from first state to reward and end; variants come from `replace`.

Reward terms are those of fledge_sim.environment.Reward; `hover` has the paper's own weights.
"""

from __future__ import annotations

from dataclasses import replace

from fledge_sim.environment import EnvConfig, LookAhead, Reward, Task, Termination, default_observation
from fledge_sim.physics import Physics
from fledge_sim.robot import Robot
from fledge_sim.rows import FLOOR_COMPRESSION
from fledge_sim.tasks import InitialState, ReferenceDistribution, standing_initial_state, thrown_initial_state
from fledge_sim.trajectories import SmoothReference, WaypointReference

Reference = ReferenceDistribution | SmoothReference | WaypointReference

TRACKING = Reward(position=10.0, velocity=0.2, tilt=1.0, yaw=5.0, angular_velocity=0.005, action=0.01, action_rate=0.1)
"""Following a curve needs tilt, so it costs little; a steady action costs less than a trembling one."""
FIGURE_EIGHT_PERIODS = (15.0, 5.5, 3.5)
"""Slow, normal and fast [s]: peaks of 0.59, 1.62 and 2.54 m/s for a half width of 1 m."""


def hover(robot: Robot) -> EnvConfig:
    """Reach the origin from up to 0.2 m and 90 degrees away and stay; reward and limits of the paper."""
    return EnvConfig(robot)


def track(robot: Robot, reference: Reference | None = None, ahead: LookAhead = LookAhead()) -> EnvConfig:
    """Follow a moving reference, from close to it; by default a mixture of hover, figure-eights and Lissajous curves.

    Args:
        robot: vehicle.
        reference: what to follow.
        ahead: future references in the observation.
    """
    return EnvConfig(
        robot,
        Task(InitialState(angle_deg=30.0), reference or ReferenceDistribution(), ahead),
        observation=default_observation(look_ahead=ahead.count),
        reward=TRACKING,
        termination=Termination(position=1.0),
        episode_steps=1000,
    )


def figure_eight(robot: Robot, period: float = 5.5, ahead: LookAhead = LookAhead()) -> EnvConfig:
    """The curve that controllers are compared on, 2 m by 1 m; two rounds."""
    curve = ReferenceDistribution(1.0, 0.0, (period, period), (1.0, 1.0), acceleration=20.0)
    return _lasting(track(robot, curve, ahead), 2 * period)


def smooth(robot: Robot, ahead: LookAhead = LookAhead()) -> EnvConfig:
    """Random smooth curves, no two alike."""
    return track(robot, SmoothReference(), ahead)


def waypoints(
    robot: Robot, points: tuple[tuple[float, float, float], ...] = (), ahead: LookAhead = LookAhead()
) -> EnvConfig:
    """From point to point, random ones unless given, with a rest at each."""
    return track(robot, WaypointReference(points), ahead)


def recover(robot: Robot) -> EnvConfig:
    """Thrown in any attitude, spinning: come to rest at the origin."""
    return EnvConfig(
        robot,
        Task(thrown_initial_state()),
        reward=Reward(velocity=0.1, angular_velocity=0.005),
        termination=Termination(position=5.0, velocity=20.0, angular_velocity=60.0),
        episode_steps=1000,
    )


def take_off_and_land(robot: Robot, height: float = 0.5, move: float = 2.0, hold: float = 1.0) -> EnvConfig:
    """From the floor with stopped rotors up, stay, and down again; success is fledge_sim.tasks.settled at the end.

    Args:
        robot: vehicle.
        height: of the centre of mass at the top, above the floor [m].
        move: time to climb, and to descend [s].
        hold: rest at the top and on the floor [s].
    """
    floor = robot.leg_height - FLOOR_COMPRESSION
    points = ((0.0, 0.0, floor), (0.0, 0.0, height), (0.0, 0.0, floor))
    config = EnvConfig(
        robot,
        Task(standing_initial_state(), WaypointReference(points, move=(move, move), hold=(hold, hold))),
        physics=Physics(floor=True, ground_effect=True, substeps=10),
        reward=Reward(position=10.0, velocity=0.5),
        termination=Termination(position=1.0, tilt_deg=75.0),
    )
    return _lasting(config, 2 * (move + hold))


def _lasting(config: EnvConfig, seconds: float) -> EnvConfig:
    return replace(config, episode_steps=round(seconds / config.step))
