"""The last stage of both baselines: from collective thrust and torque to the four actions, for the nominal robot."""

from __future__ import annotations

import numpy as np
from fledge_sim import kernel
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Allocation:
    """Solves for the rotors, and makes up for their lag.

    A rotor that follows its command with the time constant T reaches a speed sooner if it is asked for more: with the
    lead L the command is n + L (n_wanted - n), and n_wanted is approached with T / L. The speed n is not sensed; it is
    predicted from past commands by the nominal lag.
    """

    def __init__(self, robot: Robot, lead: float | Float64, n: int, period: float) -> None:
        """For `n` episodes, called every `period` [s]; lead L >= 1, one number or (n,)."""
        self._robot = robot
        self._lead = np.broadcast_to(np.asarray(lead, float), (n,))[:, None]
        self._speed = np.full((n, 4), robot.hover_rotor_speed)
        lags = (robot.rotor_time_constant_rise, robot.rotor_time_constant_fall)
        self._rise, self._fall = (1 - np.exp(-period / lag) for lag in lags)
        self._inverse = inverse_mixer(robot)
        self._low, self._high = (float(_thrust(robot, _speed(robot, np.full(4, a)))[0]) for a in (-1.0, 1.0))

    def action(self, collective: Float64, torque_body: Float64) -> Float32:
        """Actions (n, 4) in [-1, 1].

        Args:
            collective: sum of the four thrusts, (n,) [N].
            torque_body: (n, 3) [N m].
        """
        thrust = self._within_limits(collective, torque_body)
        wanted = _speed_of_thrust(self._robot, thrust)
        command = np.maximum(self._speed + self._lead * (wanted - self._speed), 0.0)
        action = np.clip(_action_of_speed(self._robot, command), -1.0, 1.0)
        change = _speed(self._robot, action) - self._speed
        self._speed = self._speed + np.where(change > 0, self._rise, self._fall) * change
        return action.astype(np.float32)

    def _within_limits(self, collective: Float64, torque: Float64) -> Float64:
        """Thrusts (n, 4) [N] that the rotors have: roll and pitch go before lift, and lift before yaw."""
        low, high = self._low, self._high
        turn = torque[:, :2] @ self._inverse[:, 1:3].T
        spread = turn.max(axis=1) - turn.min(axis=1)
        turn *= np.minimum(1.0, (high - low) / np.maximum(spread, 1e-12))[:, None]
        lift = np.clip(collective / 4, low - turn.min(axis=1), high - turn.max(axis=1))
        thrust = np.clip(lift[:, None] + turn, low, high)
        yaw = torque[:, 2:] * self._inverse[:, 3]
        room = np.where(yaw > 0, high - thrust, thrust - low)
        share = np.minimum(1.0, (room / np.maximum(np.abs(yaw), 1e-12)).min(axis=1))
        return np.asarray(thrust + share[:, None] * yaw)


def inverse_mixer(robot: Robot) -> Float64:
    """(4, 4): thrusts [N] of M1..M4 from collective [N] and torque about body x, y, z [N m]."""
    x, y = np.asarray(robot.rotor_position).T
    reaction = robot.torque_per_thrust * np.asarray(robot.rotor_spin)
    return np.asarray(np.linalg.inv(np.stack([np.ones(4), y, -x, reaction])))


def _speed(robot: Robot, action: Float64) -> Float64:
    """Rotor speeds that actions ask for, shapes alike [rad/s]."""
    rows = np.atleast_2d(action).T
    return kernel.setpoint_from_action(robot, rows).T.reshape(action.shape).astype(np.float64)


def _thrust(robot: Robot, speed: Float64) -> Float64:
    """c0 + c1 n + c2 n^2 [N]."""
    c0, c1, c2 = robot.thrust_curve
    return c0 + speed * (c1 + c2 * speed)


def _speed_of_thrust(robot: Robot, thrust: Float64) -> Float64:
    """The larger root of the thrust curve [rad/s]."""
    c0, c1, c2 = robot.thrust_curve
    return np.asarray((np.sqrt(np.maximum(c1 * c1 + 4 * c2 * (thrust - c0), 0.0)) - c1) / (2 * c2))


def _action_of_speed(robot: Robot, speed: Float64) -> Float64:
    """Inverse of `_speed` for the kind of actuation that the robot has."""
    amount = _thrust(robot, speed) if robot.actuation == "thrust_fraction" else speed
    fraction = amount / robot.full_scale
    return 2 * (fraction - robot.fraction_low) / (robot.fraction_high - robot.fraction_low) - 1
