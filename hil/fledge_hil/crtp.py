"""CRTP packets: ports, header byte, and the codecs that more than one module needs.

One datagram is one packet: a header byte, then 0 to 30 bytes, little endian. Header: port in the high nibble, channel
in the two low bits; the two bits between belong to the radio link and are ignored.
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum

MAX_PAYLOAD = 30
"""Bytes after the header."""

NULL_PACKET = b"\xff"
"""What a scan sends; any answer means that a drone is there."""


LINK_IN_USE = "SYS: link in use"
"""How a virtual drone's console begins for a client that it refuses; fits into one packet."""


class Port(IntEnum):
    """Who a packet is for."""

    CONSOLE = 0
    PARAM = 2
    COMMANDER = 3
    MEMORY = 4
    LOG = 5
    LOCALIZATION = 6
    COMMANDER_GENERIC = 7
    HIGH_LEVEL = 8
    SUPERVISOR = 9
    PLATFORM = 13
    LINK = 15


def packet(port: Port, channel: int, payload: bytes) -> bytes:
    """Datagram to send; the payload is cut at MAX_PAYLOAD, as the firmware's buffer would."""
    return bytes(((port << 4) | (channel & 3),)) + payload[:MAX_PAYLOAD]


def split(datagram: bytes) -> tuple[int, int, bytes] | None:
    """(port, channel, payload); None for an empty, oversized or null packet."""
    if not 0 < len(datagram) <= MAX_PAYLOAD + 1 or is_null(datagram):
        return None
    return datagram[0] >> 4, datagram[0] & 3, datagram[1:]


def is_null(datagram: bytes) -> bool:
    """Whether this is the link's keep-alive, which carries nothing."""
    return len(datagram) > 0 and datagram[0] & 0xF3 == 0xF3


def console(text: str) -> list[bytes]:
    """Packets that print `text` on the client's console; plain ASCII, so that a split never breaks a character."""
    raw = text.encode("ascii", "replace")
    return [packet(Port.CONSOLE, 0, raw[start : start + MAX_PAYLOAD]) for start in range(0, len(raw), MAX_PAYLOAD)]


def unpack(layout: struct.Struct, payload: bytes) -> tuple[float, ...] | None:
    """Fields at the start of `payload`; None when it is too short or holds a NaN or an infinity."""
    if len(payload) < layout.size:
        return None
    fields: tuple[float, ...] = layout.unpack_from(payload)
    return fields if all(math.isfinite(value) for value in fields) else None


def decompress_quaternion(word: int) -> tuple[float, float, float, float]:
    """(x, y, z, w) from the 32-bit form: index of the largest in two bits, then sign and 9-bit magnitude of the others.

    Magnitudes are fractions of 1/sqrt(2); the largest element is positive and follows from the unit length.
    """
    largest = word >> 30
    elements = [0.0, 0.0, 0.0, 0.0]
    for index in (3, 2, 1, 0):
        if index == largest:
            continue
        magnitude = (word & 0x1FF) / 0x1FF * math.sqrt(0.5)
        elements[index] = -magnitude if word & 0x200 else magnitude
        word >>= 10
    elements[largest] = math.sqrt(max(0.0, 1.0 - sum(value * value for value in elements)))
    return elements[0], elements[1], elements[2], elements[3]
