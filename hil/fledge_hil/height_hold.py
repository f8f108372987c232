"""Thrust of set-points that give an attitude: theirs, or what holds a height."""

from __future__ import annotations

import math

from fledge_sim.robot import Robot

from fledge_hil.board import SetpointMode
from fledge_hil.estimate import Estimate
from fledge_hil.setpoint import Setpoint

BANDWIDTH = 2.0
"""[1/s], of the height hold; critically damped."""
BLIND_WEIGHT = 0.95
"""[1], thrust over weight while the height is unknown: sinks slowly, as the stock controller does."""


def levelled(setpoint: Setpoint) -> Setpoint:
    """Level attitude at the height of a set-point that is too old, as the firmware's supervisor does."""
    if setpoint.mode is SetpointMode.NONE:
        return setpoint
    manual = setpoint.mode in (SetpointMode.ATTITUDE, SetpointMode.RATE)
    height = setpoint.height if manual else setpoint.position_world[2]
    return Setpoint(SetpointMode.ATTITUDE, height=height, thrust_fraction=setpoint.thrust_fraction)


def thrust_fraction(setpoint: Setpoint, robot: Robot, estimate: Estimate) -> float:
    """Thrust of an attitude set-point; to hold a height, m (g + k^2 e + 2 k (climb - v)) over the tilt's cosine."""
    if setpoint.height is None or setpoint.mode is not SetpointMode.ATTITUDE:
        return setpoint.thrust_fraction
    k = BANDWIDTH
    error = setpoint.height - estimate.position_world[2]
    x, y, _, _ = estimate.quaternion_xyzw
    upward = robot.gravity + k * k * error + 2 * k * ((setpoint.climb or 0.0) - estimate.velocity_world[2])
    thrust = robot.mass * upward / max(0.5, 1 - 2 * (x * x + y * y)) / (4 * robot.thrust_max)
    blind = BLIND_WEIGHT * robot.mass * robot.gravity / (4 * robot.thrust_max)
    return max(0.0, min(1.0, thrust)) if math.isfinite(thrust) else blind
