"""A hand on a virtual drone without sockets: sends packets, lets time pass, looks."""

from __future__ import annotations

import struct

import pytest
from fledge_hil.crtp import Port, packet
from fledge_hil.supervisor import State
from fledge_hil.virtual import VirtualCrazyflie


class Hand:
    """Sends packets to a drone and lets time pass."""

    def __init__(self, drone: VirtualCrazyflie) -> None:
        self.drone = drone
        self.console = ""

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            for datagram in self.drone.step_ms():
                if datagram[0] >> 4 == Port.CONSOLE:
                    self.console += datagram[1:].decode()

    def send(self, port: Port, channel: int, payload: bytes) -> list[bytes]:
        return self.drone.handle_packet(packet(port, channel, payload))

    def arm(self, wanted: bool = True) -> bool:
        (answer,) = self.send(Port.SUPERVISOR, 1, bytes((1, wanted)))
        return bool(answer[2])

    def set(self, name: str, value: float) -> None:
        parameter = self.drone.parameters[name]
        number = self.drone.parameters.toc.index[name]
        assert self.send(Port.PARAM, 2, struct.pack("<H", number) + parameter.layout.pack(value))

    def take_off(self, height: float = 0.5, seconds: float = 2.0) -> None:
        assert self.arm()
        self.run(0.1)
        self.send(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, height, 0, True, seconds))
        self.run(seconds + 2)
        assert self.height == pytest.approx(height, abs=0.1)

    def hover_at(self, x: float, y: float, z: float, seconds: float) -> None:
        """Position set-points at 50 Hz."""
        for _ in range(round(seconds * 50)):
            self.send(Port.COMMANDER_GENERIC, 0, b"\7" + struct.pack("<4f", x, y, z, 0))
            self.run(0.02)

    @property
    def position(self) -> list[float]:
        return self.drone.plant.truth[:3]

    @property
    def height(self) -> float:
        return self.drone.plant.truth[2]

    @property
    def state(self) -> State:
        return self.drone.supervisor.state
