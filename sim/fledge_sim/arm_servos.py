"""The way from the policy's target to the servos' set-points and from the joints to what is sensed; n worlds at once.

servo.py is the law to be read; this is the part of it that is outside MuJoCo's actuators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fledge_sim.servo import PLAY_TORQUE

if TYPE_CHECKING:
    from fledge_sim.arm import Arm

Float64 = NDArray[np.float64]

COMMANDS = 3
"""Past commands that may still be on their way: delays of up to two periods."""


class ServoPath:
    """Constants of an arm's servos in joint units [rad, m]."""

    def __init__(self, arm: Arm, substeps: int) -> None:
        self._substeps = substeps
        self.travel = np.array([joint.travel for joint in arm.joints])
        """Joint per turn of the servo."""
        self._speed = arm.servo.setpoint_speed * self.travel
        self._count = arm.servo.encoder_step * self.travel
        self._beginning = np.arange(substeps, dtype=np.float64)

    def commanded(self, target: Float64) -> Float64:
        """Targets (n, J) as they travel, in whole counts."""
        return np.asarray(np.round(target / self._count) * self._count)

    def setpoints(
        self, commands: Float64, setpoint: Float64, timestep: Float64, delay: Float64, speed: Float64
    ) -> Float64:
        """Set-point of every servo in every substep of a period.

        Args:
            commands: newest first, (n, COMMANDS, J).
            setpoint: at the end of the last period, (n, J).
            timestep: of the physics, (n,) [s].
            delay: from command to set-point, (n,) [s].
            speed: factor on the slew, (n,) [1].
        Returns:
            (n, substeps, J).
        """
        begins = self._beginning * timestep[:, None]
        period = self._substeps * timestep[:, None]
        age = np.clip(np.ceil((delay[:, None] - begins) / period - 1e-9), 0, COMMANDS - 1).astype(np.intp)
        wanted: Float64 = np.take_along_axis(commands, age[:, :, None], axis=1)
        most = self._speed * (speed * timestep)[:, None]
        path, now = np.empty_like(wanted), setpoint
        for k in range(self._substeps):
            now = now + np.minimum(np.maximum(wanted[:, k] - now, -most), most)
            path[:, k] = now
        return path

    def play(self, load: Float64, backlash: Float64) -> Float64:
        """How far the motors are ahead of the links, (n, J), for loads [N m, N] and play (n, J) [rad]."""
        share = np.minimum(np.maximum(load * self.travel / PLAY_TORQUE, -1.0), 1.0)
        return np.asarray(share * backlash * self.travel)

    def encoder(self, position: Float64) -> Float64:
        """Motor positions (n, J) in whole counts."""
        return np.asarray(np.round(position / self._count) * self._count)
