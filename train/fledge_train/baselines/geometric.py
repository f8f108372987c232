"""A geometric tracking controller on SE(3) after Lee, Leok and McClamroch (CDC 2010), as Mellinger and Kumar fly it.

    a     = -k_x e_p - k_v e_v - k_i int e_p + d2r/dt2 + g                     wanted specific thrust, world
    R_d   : body z along a, body y square to world x
    e_R   = (R_d^T R - R^T R_d)^v / sqrt(1 + tr(R_d^T R))                        (Lee 2012: monotone up to 180 degrees)
    w_d   : the turn of R_d that the reference's jerk asks for
    dw/dt = -k_R e_R - k_w (w - R^T R_d w_d)
    thrust = m a . body z,  torque = J dw/dt + w x J w

The reference's acceleration is taken `ahead` seconds from now, against what lag and delay are left. Gains are in units
of motion, so that mass, inertia and thrust curve of the robot make them fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fledge_sim import frames
from fledge_sim.contract import Contract
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32

from fledge_train.baselines import sensed
from fledge_train.baselines.allocation import Allocation
from fledge_train.baselines.cascade import INTEGRAL_MAX, Float64, Gain, act, within_tilt
from fledge_train.baselines.sensed import SPACING, Sensed, columns
from fledge_train.executor import Execution
from fledge_train.flights import DT


@dataclass(frozen=True)
class GeometricGains:
    """See the module's equations."""

    position: Gain = 9.0
    """k_x [1/s^2]."""
    velocity: Gain = 5.0
    """k_v [1/s]."""
    integral: Gain = 5.0
    """k_i [1/s^3]."""
    reach: Gain = 0.5
    """Bound on the position error that counts, per axis [m]."""
    tilt_max: Gain = 1.2
    """Largest tilt of the wanted thrust, tangent [1]."""
    attitude: Gain = 150.0
    """k_R of roll and pitch [1/s^2]."""
    rate: Gain = 20.0
    """k_w of roll and pitch [1/s]."""
    yaw: Gain = 20.0
    """k_R of yaw [1/s^2]."""
    yaw_rate: Gain = 8.0
    """k_w of yaw [1/s]."""
    ahead: Gain = 0.03
    """[s]"""
    lift_min: Gain = 1.0
    """Thrust while tilted by more than 45 degrees is at least this [weights]: rotors lag, and it is needed soon."""
    lead: Gain = 3.0
    """Against the rotors' lag (allocation.Allocation)."""


@dataclass(frozen=True)
class Geometric:
    """The controller for a robot; fledge_train.executor.Controller."""

    robot: Robot
    gains: GeometricGains

    @property
    def contract(self) -> Contract:
        """What it observes."""
        return sensed.contract(self.robot, "geometric tracking")

    def begin(self, episodes: int, calls: int) -> Execution:
        """Runs whole at every call."""
        return GeometricExecution(self.robot, self.gains, episodes, DT / calls)


class GeometricExecution:
    """n episodes; the integral is all that it remembers, besides the rotor speeds of the allocation."""

    def __init__(self, robot: Robot, gains: GeometricGains, n: int, period: float) -> None:
        self.history = np.zeros((n, 0), np.float32)
        self._robot, self._gains, self._period = robot, columns(gains, n), period
        self._allocation = Allocation(robot, gains.lead, n, period)
        g = self._gains
        self._stiffness = np.concatenate([g.attitude, g.attitude, g.yaw], axis=1)
        self._damping = np.concatenate([g.rate, g.rate, g.yaw_rate], axis=1)
        self._drift = np.zeros((n, 3))

    def native(self, observation: Float32) -> Float32:
        """See Execution."""
        seen = sensed.take_apart(observation)
        thrust = self._specific_thrust(seen)
        turning = self._angular_acceleration(seen, thrust)
        return act(self._allocation, self._robot, seen, thrust, turning, self._gains.lift_min[:, 0])

    intermediate = native

    def _specific_thrust(self, seen: Sensed) -> Float64:
        """a, (n, 3) [m/s^2]."""
        g = self._gains
        error = np.clip(seen.position_error, -g.reach, g.reach)
        self._drift -= self._period * g.integral * np.clip(error, -0.2, 0.2)
        self._drift = np.clip(self._drift, -INTEGRAL_MAX, INTEGRAL_MAX)
        forward = seen.reference_acceleration + (g.ahead - SPACING / 2) * seen.reference_jerk
        back = -g.position * error - g.velocity * seen.velocity_error
        return within_tilt(self._robot, back + self._drift + forward, g.tilt_max)

    def _angular_acceleration(self, seen: Sensed, thrust: Float64) -> Float64:
        wanted = level_heading(thrust)
        relative = np.einsum("nji,njk->nik", seen.rotation, wanted)
        turning = np.einsum("nij,nj->ni", relative, reference_rate(wanted, thrust, seen.reference_jerk))
        back = -self._stiffness * attitude_error(relative)
        return np.asarray(back - self._damping * (seen.angular_velocity - turning))


def level_heading(thrust: Float64) -> Float64:
    """R_d, (n, 3, 3): body z along `thrust`, body y square to world x and to its left."""
    z = thrust / np.linalg.norm(thrust, axis=1, keepdims=True)
    y = np.stack([np.zeros(len(z)), z[:, 2], -z[:, 1]], axis=1)  # z x (1, 0, 0)
    y /= np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-9)
    return np.stack([frames.cross(y, z), y, z], axis=2)


def attitude_error(relative: Float64) -> Float64:
    """e_R, (n, 3) [1], body, of R^T R_d (n, 3, 3): 2 sin(angle / 2) along the axis, the angle itself when small."""
    twist = np.stack(
        [
            relative[:, 1, 2] - relative[:, 2, 1],
            relative[:, 2, 0] - relative[:, 0, 2],
            relative[:, 0, 1] - relative[:, 1, 0],
        ],
        axis=1,
    )
    trace = np.einsum("nii->n", relative)
    return np.asarray(twist / np.sqrt(np.maximum(1 + trace, 1e-3))[:, None])


def reference_rate(wanted: Float64, thrust: Float64, jerk: Float64) -> Float64:
    """w_d, (n, 3) [rad/s], axes of R_d: db_3/dt = (j - (b_3 . j) b_3) / |a|, and no turn about body z."""
    size = np.linalg.norm(thrust, axis=1)
    along_x, along_y = (np.einsum("ni,ni->n", wanted[:, :, axis], jerk) / size for axis in (0, 1))
    return np.stack([-along_y, along_x, np.zeros_like(size)], axis=1)
