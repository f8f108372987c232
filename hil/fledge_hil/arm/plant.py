"""What the servos move: a row of joints without a body, for tests of the bus; the arm itself is arm_plant.py."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from fledge_sim.arm import Arm
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Plant(Protocol):
    """Mechanics of an arm: servos give torques, the plant gives back where the joints are."""

    load: Vector
    """Outer torque (joints,) [N m, N]."""
    resistance: Vector
    """Further damping of each joint, (joints,) [N m/(rad/s), N/(m/s)]."""

    @property
    def position(self) -> Vector:
        """(joints,) [rad, m]"""

    @property
    def velocity(self) -> Vector:
        """(joints,) [rad/s, m/s]"""

    def step(self, torque: Vector, seconds: float) -> None:
        """Move on.

        Args:
            torque: (joints,) of the servos' motors at standstill, at their horns [N m].
            seconds: 1 ms or so.
        """


class JointPlant:
    """Joints by themselves: armature, damping, Coulomb friction and an outer torque; stops at their limits."""

    def __init__(self, arm: Arm, position: Vector | None = None) -> None:
        """At `position` (joints,) [rad], or at zero, at rest."""
        self._servo = arm.servo
        self._lower, self._upper = np.array(arm.lower), np.array(arm.upper)
        self._position = np.zeros(len(arm.joints)) if position is None else np.array(position, np.float64)
        self._velocity = np.zeros(len(arm.joints))
        self.load: Vector = np.zeros(len(arm.joints))
        self.resistance: Vector = np.zeros(len(arm.joints))

    @property
    def position(self) -> Vector:
        """See Plant."""
        return self._position

    @property
    def velocity(self) -> Vector:
        """See Plant."""
        return self._velocity

    def step(self, torque: Vector, seconds: float) -> None:
        """Semi-implicit Euler, J dv/dt = torque + load - d v - friction; friction stops, but never drives."""
        servo = self._servo
        inertia, damping = servo.armature, servo.damping + self.resistance
        free = (self._velocity * inertia + seconds * (torque + self.load)) / (inertia + seconds * damping)
        stopping = seconds * servo.coulomb_friction / (inertia + seconds * damping)
        self._velocity = np.sign(free) * np.maximum(np.abs(free) - stopping, 0.0)
        wanted = self._position + seconds * self._velocity
        self._position = np.clip(wanted, self._lower, self._upper)
        self._velocity = np.where(wanted == self._position, self._velocity, 0.0)
