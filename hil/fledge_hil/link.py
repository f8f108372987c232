"""Services every Crazyflie answers before anything else: link echo, platform information."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from fledge_hil.crtp import MAX_PAYLOAD, Port, packet

PROTOCOL_VERSION = 12
"""Version 12: supervisor port, second version of parameter queries."""

APP_CHANNEL = 2
"""Of Port.PLATFORM: raw bytes between a client and the app."""

_SOURCE = b"Bitcraze Crazyflie".ljust(MAX_PAYLOAD, b"\0")
"""What cflib compares with to recognise a Crazyflie."""


@dataclass(frozen=True)
class Platform:
    """What the drone says about itself, and how it acts on platform commands."""

    device_type: str
    firmware_version: str
    arm: Callable[[bool], bool]
    recover: Callable[[], bool]
    receive: Callable[[bytes], list[bytes]]
    """A packet of the app channel -> packets that answer it."""

    def handle(self, channel: int, payload: bytes) -> list[bytes]:
        """Port 13: legacy commands, versions, app channel."""
        if channel == APP_CHANNEL:
            return [packet(Port.PLATFORM, APP_CHANNEL, answer) for answer in self.receive(payload)]
        if not payload or channel not in (0, 1):
            return []
        reply = self._command(payload) if channel == 0 else self._version(payload[0])
        return [] if reply is None else [packet(Port.PLATFORM, channel, reply)]

    def _command(self, payload: bytes) -> bytes | None:
        if payload[0] == 1 and len(payload) > 1:
            return payload[:2] + bytes((0 if self.arm(bool(payload[1])) else 1,))
        if payload[0] == 2:
            return payload[:1] + bytes((0 if self.recover() else 1,))
        return payload if payload[0] == 3 else None

    def _version(self, command: int) -> bytes | None:
        if command == 0:
            return struct.pack("<Bi", 0, PROTOCOL_VERSION)
        texts = {1: self.firmware_version, 2: self.device_type}
        return bytes((command,)) + texts[command].encode() + b"\0" if command in texts else None


def link(channel: int, payload: bytes) -> list[bytes]:
    """Port 15: echo, identification; the sink swallows."""
    if channel == 0:
        return [packet(Port.LINK, 0, payload)]
    return [packet(Port.LINK, 1, _SOURCE)] if channel == 1 else []
