"""Several virtual drones in one process, each on a port of its own, in one thread: none waits for a turn of another."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from dataclasses import replace

from fledge_sim.errors import FledgeError

from fledge_hil.server import Server, ServerSettings
from fledge_hil.slot import Slot
from fledge_hil.virtual import VirtualCrazyflie


class Fleet:
    """Owns the servers; `serve` runs until interrupted or `until` says so."""

    def __init__(
        self, drones: Sequence[VirtualCrazyflie], settings: ServerSettings, slots: Sequence[Slot] = ()
    ) -> None:
        """On consecutive ports from settings.port, or all on free ones for 0. Raises FledgeError if one is taken.

        `slots` gives each of the drones a bootloader.
        """
        self.servers: list[Server] = []
        try:
            for number, drone in enumerate(drones):
                here = replace(settings, port=settings.port + number if settings.port else 0)
                self.servers.append(Server(drone, here, slots[number] if slots else None))
        except FledgeError:
            self.close()
            raise

    def serve(self, until: Callable[[], bool] | None = None) -> None:
        """One tick at a time, of each in turn."""
        while until is None or not until():
            wait = min(server.turn() for server in self.servers)
            if wait > 0:
                select.select(self.servers, [], [], wait)

    def close(self) -> None:
        """Release the ports."""
        for server in self.servers:
            server.close()
