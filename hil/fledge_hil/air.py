"""Wind on the virtual drone: a constant part and gusts.

    w = mean + g,  dg = -g / tau dt + sigma sqrt(2 / tau) dW   (Ornstein-Uhlenbeck, per axis)

It acts through linear drag (docs/dynamics.md, eq. 8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from fledge_sim.arrays import Float32
from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter

PERIOD = 0.01
"""[s] between updates."""
_BLOCK = 128


@dataclass(frozen=True)
class Wind:
    """What can be chosen about it."""

    speed: float = 0.0
    """Constant part [m/s], horizontal."""
    direction_deg: float = 0.0
    """Where it blows to, from the world's x axis towards y [deg]."""
    gusts: float = 0.0
    """Standard deviation of the fluctuation per axis [m/s]."""
    gust_time: float = 1.0
    """Correlation time of the fluctuation [s]."""
    drag: float = 0.03
    """Linear drag per weight [s/m], for a robot whose file has none: the 2.0 was identified at 9.2e-7 N/(m/s) per rad/s
    of its four rotors together, 8.4e-3 N/(m/s) at hover, with 0.27 N of weight (Förster 2015)."""

    @property
    def blows(self) -> bool:
        """Whether there is any."""
        return self.speed != 0 or self.gusts != 0


class Air:
    """Moves the wind of one drone: writes rows of the kernel's parameters."""

    def __init__(self, wind: Wind, robot: Robot, parameters: Float32, seed: int) -> None:
        self._parameters = parameters
        self._random = np.random.default_rng((seed, 1))
        self._pool: list[list[float]] = []
        self._gust = [0.0, 0.0, 0.0]
        if wind.blows and not parameters[Parameter.DRAG : Parameter.DRAG + 3].any():
            parameters[Parameter.DRAG : Parameter.DRAG + 3] = wind.drag * robot.mass * robot.gravity
        self.change(wind)

    def change(self, wind: Wind) -> None:
        """From now on the air moves like this; drag stays."""
        self.wind = wind
        angle = math.radians(wind.direction_deg)
        self._mean = (wind.speed * math.cos(angle), wind.speed * math.sin(angle), 0.0)
        self._keep = math.exp(-PERIOD / wind.gust_time)
        self._kick = wind.gusts * math.sqrt(1 - self._keep**2)
        self._write()

    def update(self) -> None:
        """One PERIOD."""
        if not self.wind.gusts:
            return
        if not self._pool:
            self._pool = self._random.standard_normal((_BLOCK, 3)).tolist()
        kick = self._pool.pop()
        for axis in range(3):
            self._gust[axis] = self._keep * self._gust[axis] + self._kick * kick[axis]
        self._write()

    def _write(self) -> None:
        for axis in range(3):
            self._parameters[Parameter.WIND + axis, 0] = self._mean[axis] + self._gust[axis]
