"""How far device time may run ahead: wall clock, speed limit, and what the client has digested.

A datagram socket drops what its reader does not fetch in time, so a simulation that is faster than the client's Python
would lose log data. A client that wants full speed acknowledges device time with link echoes (see `acknowledge`); a
real drone just echoes them. Clients that do not, such as any cflib script, go by the wall clock: so does device time.
"""

from __future__ import annotations

import struct
import time
from typing import Literal

WINDOW_MS = 200
"""Device time in flight between drone and client."""
STALL = 0.25
"""[s] without progress, after which an acknowledgement counts as lost; a busy machine makes clients wait, too."""
LATE_MS = 100
"""Backlog against the wall clock that is given up, so that a suspended machine does not fast-forward."""
_ACKNOWLEDGE = struct.Struct("<Bd")
_TAG = 1
"""cflib pings with tag 0 and ignores echoes of any other."""

Mode = Literal["lockstep", "realtime"]


def acknowledge(device_ms: int) -> bytes:
    """Payload of a link echo that says: everything up to this device time has arrived."""
    return _ACKNOWLEDGE.pack(_TAG, float(device_ms))


def acknowledged_ms(payload: bytes) -> int | None:
    """Inverse of `acknowledge`; None for any other echo."""
    if len(payload) != _ACKNOWLEDGE.size or payload[0] != _TAG:
        return None
    value = float(_ACKNOWLEDGE.unpack(payload)[1])
    return int(value) if 0 <= value < 2**53 else None


class Pace:
    """Decides, in front of each tick, whether it is due."""

    def __init__(self, mode: Mode, speed: float) -> None:
        self._mode, self._limit = mode, speed
        self._acknowledged: int | None = None
        self._moved = 0.0
        self._rate = 0.0
        self._start, self._start_ms = 0.0, 0

    def new_client(self) -> None:
        """Forget the acknowledgements of the one before."""
        self._acknowledged = None

    def acknowledge(self, device_ms: int, stamp_bits: int = 24) -> None:
        """The client has everything up to `device_ms`, which log packets carry in 24 bits."""
        self._acknowledged = device_ms % (1 << stamp_bits)
        self._moved = time.monotonic()

    def due(self, device_ms: int, client: bool, streaming: bool) -> float:
        """0: tick now; else seconds to wait for packets first.

        Args:
            device_ms: device time.
            client: somebody holds the link.
            streaming: log data flows, so the client can follow device time.
        """
        now = time.monotonic()
        if self._mode == "lockstep" and not client:
            return 0.05
        rate = self._wanted_rate(streaming)
        if rate != self._rate:
            self._rate, self._start, self._start_ms = rate, now, device_ms
        if rate > 0:
            return self._wait_for_clock(device_ms, now)
        return self._wait_for_client(device_ms, now)

    def _wanted_rate(self, streaming: bool) -> float:
        """Device seconds per second; 0: as fast as the client digests."""
        if self._mode == "realtime" or not streaming:
            return 1.0
        return 1.0 if self._acknowledged is None and self._limit <= 0 else self._limit

    def _wait_for_clock(self, device_ms: int, now: float) -> float:
        ahead = (device_ms - self._start_ms) / 1000 - (now - self._start) * self._rate
        if ahead < -LATE_MS / 1000 * max(1.0, self._rate):
            self._start, self._start_ms = now, device_ms
        return max(0.0, ahead / self._rate)

    def _wait_for_client(self, device_ms: int, now: float) -> float:
        assert self._acknowledged is not None
        behind = (device_ms - self._acknowledged) % (1 << 24)
        if behind < WINDOW_MS:
            self._moved = now
            return 0.0
        if now - self._moved > STALL:
            self.acknowledge(device_ms)
            return 0.0
        return 0.001
