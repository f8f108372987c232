"""What a quadrotor does on the floor, in any engine: drop, slide, tip over, take off.

Contact models differ (our springs sink in by a millimetre, MuJoCo's constraints are soft, Bullet's are impulses), so
engines are compared by what is seen from outside: where it rests, which side is up, how far it slid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim import frames
from fledge_sim.crosscheck.comparison import Step
from fledge_sim.robot import Robot
from fledge_sim.rows import State, hover_state, parameter_rows

Float64 = NDArray[np.float64]
DT = 0.01
"""[s]"""
DURATION = 1.5
"""[s]"""
DROP = 0.04
"""[m]"""
SLIDE_SPEED = 1.0
"""[m/s]"""
THRUST_TO_WEIGHT = 1.2


@dataclass(frozen=True)
class Landing:
    """What one engine made of the four scenes; lengths from the floor to the centre of mass."""

    rest_height: float
    """After a drop with a tilt of 15 degrees [m]; expected: the leg height."""
    rest_tilt: float
    """Angle of body z against world z then [rad]; expected: 0."""
    slide_distance: float
    """From 1 m/s on its feet [m]; expected: v^2 / (2 mu g), were it not to topple or to bounce."""
    tipped_height: float
    """Dropped upside down but for 20 degrees [m]; expected: the rotor height."""
    tipped_tilt: float
    """[rad]; expected: pi, on its back."""
    climb: float
    """Height gained from the floor in 0.5 s with thrust rising to 1.2 weights [m]."""


def land(step: Step, robot: Robot) -> Landing:
    """All scenes; rotors at rest except in the last."""
    rest = _last(_run(step, robot, _dropped(robot, 15.0)))
    tipped = _last(_run(step, robot, _dropped(robot, 160.0)))
    slide = _run(step, robot, _sliding)
    climb = _run(step, robot, _on_feet, THRUST_TO_WEIGHT)
    return Landing(
        rest_height=float(rest[State.POSITION + 2]),
        rest_tilt=_tilt(rest),
        slide_distance=float(np.linalg.norm(_last(slide)[State.POSITION : State.POSITION + 2])),
        tipped_height=float(tipped[State.POSITION + 2]),
        tipped_tilt=_tilt(tipped),
        climb=float(climb[round(0.5 / DT) - 1, State.POSITION + 2] - robot.leg_height),
    )


def expected_slide(robot: Robot, friction: float) -> float:
    """v^2 / (2 mu g) [m] of a block."""
    return SLIDE_SPEED**2 / (2 * friction * robot.gravity)


Start = Callable[[Robot, Float64], None]
"""Changes a level, resting state (17,) into the first of a scene."""


def _run(step: Step, robot: Robot, start: Start, thrust_to_weight: float = 0.0) -> Float64:
    """Trajectory (steps, 17) of one robot."""
    state = hover_state(robot, 1).astype(np.float64)
    state[State.ROTOR_SPEED :] = 0
    start(robot, state[:, 0])
    command = np.full((4, 1), robot.hover_rotor_speed * thrust_to_weight**0.5)
    parameters, trajectory = parameter_rows(robot, 1).astype(np.float64), []
    for _ in range(round(DURATION / DT)):
        state = step(state, command, parameters, DT)
        trajectory.append(state[:, 0])
    return np.array(trajectory)


def _dropped(robot: Robot, tilt_deg: float) -> Start:
    """DROP above the height at which any attitude just touches."""
    points = np.array([(*xy, max(robot.leg_height, robot.rotor_height)) for xy in robot.rotor_position])
    reach = np.linalg.norm(points, axis=1).max()

    def start(robot: Robot, state: Float64) -> None:
        state[State.POSITION + 2] = DROP + reach
        axis = np.array([np.cos(0.3), np.sin(0.3), 0.0])
        state[State.QUATERNION : State.VELOCITY] = frames.from_axis_angle(axis, np.radians(tilt_deg))

    return start


def _on_feet(robot: Robot, state: Float64) -> None:
    state[State.POSITION + 2] = robot.leg_height


def _sliding(robot: Robot, state: Float64) -> None:
    _on_feet(robot, state)
    state[State.VELOCITY] = SLIDE_SPEED


def _last(trajectory: Float64) -> Float64:
    last: Float64 = trajectory[-1]
    return last


def _tilt(state: Float64) -> float:
    up = frames.rotate(state[State.QUATERNION : State.VELOCITY], np.array([0.0, 0.0, 1.0]))
    return float(np.arccos(np.clip(up[2], -1, 1)))
