"""CRTP port of the supervisor: what it knows, bit by bit, and commands to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fledge_hil.crtp import Port, packet

if TYPE_CHECKING:
    from fledge_hil.virtual import VirtualCrazyflie

_ALL_BITS, _LAST_BIT = 0x0C, 0x0B
_ARM, _RECOVER, _STOP, _FEED_WATCHDOG = 1, 2, 3, 4


def answer(drone: VirtualCrazyflie, channel: int, payload: bytes) -> list[bytes]:
    """Answers to one packet: questions on channel 0, commands on channel 1."""
    if not payload or channel not in (0, 1):
        return []
    reply = _information(drone, payload[0]) if channel == 0 else _command(drone, payload)
    return [packet(Port.SUPERVISOR, channel, reply)] if reply else []


def _information(drone: VirtualCrazyflie, which: int) -> bytes:
    bits = drone.supervisor.bits
    if which == _ALL_BITS:
        return bytes((0x80 | which,)) + bits.to_bytes(2, "little")
    return bytes((0x80 | which, bits >> (which - 1) & 1)) if 1 <= which <= _LAST_BIT else b""


def _command(drone: VirtualCrazyflie, payload: bytes) -> bytes:
    command = payload[0]
    if command == _ARM and len(payload) > 1:
        return bytes((0x81, drone.arm(bool(payload[1])), drone.supervisor.armed))
    if command == _RECOVER:
        recovered = drone.recover()
        return bytes((0x82, recovered, recovered))
    if command == _STOP:
        drone.emergency_stop()
    elif command == _FEED_WATCHDOG:
        drone.supervisor.feed_watchdog()
    return b""
