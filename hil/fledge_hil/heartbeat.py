"""A dead man's switch on the drone: it lands by itself when the pilot falls silent.

The high-level commander of a Crazyflie keeps hovering for ever when its client is gone. A client that writes the
parameter fledge.heartbeat says: when I do not write again within so many milliseconds, land.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fledge_hil.virtual import VirtualCrazyflie

DESCENT_SPEED, SHORTEST_LANDING = 0.3, 1.5
"""[m/s], [s]"""


class Heartbeat:
    """Counts device time since the last beat; 0 ms: nobody has asked for it."""

    def __init__(self, drone: VirtualCrazyflie) -> None:
        self._drone = drone
        self._limit_ms, self._beat_ms = 0, 0

    def beat(self, limit_ms: float) -> None:
        """The parameter was written."""
        self._limit_ms, self._beat_ms = int(limit_ms), self._drone.time_ms

    def watch(self) -> None:
        """To be called often while the drone flies; an overdue beat lands it, once."""
        if self._limit_ms and self._drone.time_ms - self._beat_ms > self._limit_ms:
            self._limit_ms = 0
            self._land()

    def _land(self) -> None:
        """Stock controller, straight down, whatever a client commanded."""
        drone = self._drone
        drone.say("fledge: no heartbeat, landing\n")
        for name in ("fledge.enable", "fledge.ref"):
            drone.parameters[name].value = 0
        drone.commander.generic(1, b"\0", drone.time_ms)
        seconds = max(SHORTEST_LANDING, drone.plant.estimate.position_world[2] / DESCENT_SPEED)
        landing = struct.pack("<BBff?f", 8, 0, 0.0, 0.0, True, seconds)
        drone.commander.high_level(landing, drone.time_ms, drone.plant.estimate)
