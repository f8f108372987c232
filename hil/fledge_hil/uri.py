"""Addresses of drones: what can be wrong with one, in one sentence that says what to do."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from fledge_hil.client import LinkError

KINDS = "udp://HOST:PORT (virtual drone), usb://0, or radio://0/80/2M/E7E7E7E7E7"
_RADIO = re.compile(r"radio://[^/]+/(\d{1,3})/(250K|1M|2M)(/[0-9A-Fa-f]{1,10})?(\?.*)?")
_SAYINGS = (
    ("cannot find a crazyradio dongle", "no Crazyradio dongle is plugged in; plug one in, or use usb://0"),
    ("cannot find radio with serial", "no Crazyradio dongle of that number is plugged in; the first is radio://0/..."),
    ("could not open usb://", "no Crazyflie answers on USB; plug it in and switch it on"),
    ("resource busy", "another program holds the device; close cfclient or the other `fledge hil`"),
    ("access denied", "no permission for the USB device; install Bitcraze's udev rules, then plug it in again"),
    (
        "insufficient permissions",
        "no permission for the USB device; install Bitcraze's udev rules, then plug it in again",
    ),
    ("connection refused", "nobody serves there; start `fledge sim`, or switch the drone on"),
    ("name or service not known", "the host is unknown; check its name"),
    ("too many packets lost", "too many packets lost; bring radio and drone closer, or choose another channel"),
)
"""What cflib and the system say, in lower case, and what it means."""


def check_uri(uri: str) -> None:
    """Raises LinkError for what cannot be the address of a drone."""
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise LinkError(f"'{uri}' is no address of a drone ({error}); use {KINDS}") from error
    if parts.scheme == "udp":
        if not host or port is None:
            raise LinkError(f"'{uri}' lacks host or port; write udp://127.0.0.1:19850")
    elif parts.scheme == "usb":
        if not re.fullmatch(r"usb://\d+", uri):
            raise LinkError(f"'{uri}' is no USB address; write usb://0 for the first Crazyflie")
    elif parts.scheme == "radio":
        match = _RADIO.fullmatch(uri)
        if match is None or int(match[1]) > 125:
            raise LinkError(f"'{uri}' is no radio address; write radio://DONGLE/CHANNEL 0-125/250K|1M|2M/ADDRESS")
    else:
        raise LinkError(f"'{uri}' is no address of a drone; use {KINDS}")


def explain(reason: str) -> str:
    """Last line of what cflib says, or better words for it."""
    for sign, meaning in _SAYINGS:
        if sign in reason.lower():
            return meaning
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return lines[-1] if lines else "the link broke for an unknown reason"
