"""One packet to the drone: whom it is for, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fledge_sim import __version__

from fledge_hil import supervisor_port
from fledge_hil.crtp import NULL_PACKET, Port, is_null, packet, split
from fledge_hil.link import Platform, link
from fledge_hil.localization import Localization
from fledge_hil.memories import MemoryService
from fledge_hil.setpoint import FlightModes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fledge_hil.virtual import VirtualCrazyflie


class Ports:
    """The services that have no state of flight: platform, memories, localization; and the way to those that have."""

    def __init__(self, drone: VirtualCrazyflie, receive: Callable[[bytes], list[bytes]]) -> None:
        """`receive` answers the app channel."""
        self._drone = drone
        self.localization = Localization(drone)
        self.memories = MemoryService(drone.settings.decks, drone.radio_address)
        version = f"fledge {__version__}"
        self._platform = Platform(drone.plant.robot.device_type, version, drone.arm, drone.recover, receive)

    def answer(self, datagram: bytes) -> list[bytes]:
        """Answers to one datagram; anything malformed is answered with nothing or an error code."""
        if is_null(datagram):
            return [NULL_PACKET]
        parts = split(datagram)
        if parts is None:
            return []
        port, channel, payload = parts
        drone = self._drone
        if port == Port.LINK:
            return link(channel, payload)
        if port == Port.PLATFORM:
            return self._platform.handle(channel, payload)
        if port == Port.LOG:
            return drone.log.handle(channel, payload, drone.time_ms)
        if port == Port.PARAM:
            return drone.parameters.handle(channel, payload)
        if port == Port.MEMORY:
            return self.memories.handle(channel, payload)
        if port == Port.SUPERVISOR:
            return supervisor_port.answer(drone, channel, payload)
        if port == Port.LOCALIZATION:
            return self.localization.handle(channel, payload)
        return self._command(port, channel, payload)

    def _command(self, port: int, channel: int, payload: bytes) -> list[bytes]:
        drone = self._drone
        if port == Port.COMMANDER:
            drone.commander.rpyt(payload, drone.time_ms, self._flight_modes())
        elif port == Port.COMMANDER_GENERIC:
            drone.commander.generic(channel, payload, drone.time_ms)
        elif port == Port.HIGH_LEVEL and drone.parameters["commander.enHighLevel"].value:
            if not drone.supervisor.armed:
                drone.say("SUP: not armed, high-level command ignored\n")
            answer = drone.commander.high_level(payload, drone.time_ms, drone.plant.estimate)
            return [packet(Port.HIGH_LEVEL, channel, answer)]
        return []

    def _flight_modes(self) -> FlightModes:
        def on(name: str) -> bool:
            return bool(self._drone.parameters[f"flightmode.{name}"].value)

        rates = not on("stabModeRoll") and not on("stabModePitch")
        return FlightModes(rates, on("althold"), on("poshold"), on("posSet"))
