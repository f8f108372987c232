"""A client of a virtual Crazyflie in this process: the same packets, without a socket and without threads.

Device time advances only while the client waits, so a flight is a function of its seeds: the same calls give the same
bytes, which a client of its own process cannot promise.
"""

from __future__ import annotations

from collections import deque

from fledge_hil.client import Client, Packet
from fledge_hil.crtp import packet, split
from fledge_hil.virtual import VirtualCrazyflie

URI = "virtual://"


class Wire(Client):
    """The other end of a drone's link."""

    def __init__(self, drone: VirtualCrazyflie) -> None:
        super().__init__(URI)
        self.drone = drone
        self._inbox: deque[bytes] = deque()
        drone.connect()

    def send(self, port: int, channel: int, payload: bytes) -> None:
        """See Client."""
        self._inbox.extend(self.drone.handle_packet(packet(port, channel, payload)))  # type: ignore[arg-type]

    def _receive(self, seconds: float) -> Packet | None:
        until = self.drone.time_ms + max(1, round(1000 * seconds))
        while not self._inbox and self.drone.time_ms < until:
            self._inbox.extend(self.drone.step_ms())
        return split(self._inbox.popleft()) if self._inbox else None

    def clock(self) -> float:
        """Device time [s]."""
        return self.drone.time_ms / 1000

    def _parameter_entry(self, name: str) -> tuple[int, str] | None:
        number = self.drone.parameters.toc.index.get(name)
        return None if number is None else (number, self.drone.parameters[name].layout.format[-1:])

    def _log_entry(self, name: str) -> int | None:
        return self.drone.log.toc.index.get(name)
