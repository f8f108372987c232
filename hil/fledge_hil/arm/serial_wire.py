"""A serial port as the driver's wire: 1 Mbit/s, raw, a tick per millisecond of the wall clock; no further package."""

from __future__ import annotations

import os
import termios
import time
import tty

from fledge_sim.errors import FledgeError

BAUD = 1_000_000
TICK = 0.001
"""[s]"""
FORGIVEN_MS = 20
"""A tick may take so long without the firmware being told; servos keep their goals meanwhile."""
CHUNK = 4096


class SerialWire:
    """A servo bus behind an adapter; use as a context."""

    def __init__(self, port: str) -> None:
        """Opens it. Raises FledgeError if it cannot be opened, or has no such speed."""
        try:
            self._handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise FledgeError(
                f"cannot open {port}: {error.strerror or error}; is the adapter plugged in, and may you use it?"
            ) from error
        try:
            self._configure()
        except (termios.error, AttributeError) as error:
            os.close(self._handle)
            raise FledgeError(
                f"{port} cannot be set to {BAUD} bit/s; give the serial port of a servo adapter"
            ) from error
        self.port = port
        self._next = time.monotonic() + TICK
        self._lost_ms = 0

    def _configure(self) -> None:
        tty.setraw(self._handle)
        attributes = termios.tcgetattr(self._handle)
        speed = getattr(termios, f"B{BAUD}")
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self._handle, termios.TCSANOW, attributes)
        termios.tcflush(self._handle, termios.TCIOFLUSH)

    def tick(self, data: bytes) -> bytes:
        """See Wire. Raises FledgeError when the port has gone."""
        try:
            if data:
                os.write(self._handle, data)
            self._wait()
            return self._read()
        except OSError as error:
            raise FledgeError(
                f"{self.port} has gone: {error.strerror or error}; the servos hold their last goals"
            ) from error

    def lag_ms(self) -> int:
        """See Wire."""
        lost, self._lost_ms = self._lost_ms, 0
        return lost

    def _read(self) -> bytes:
        try:
            return os.read(self._handle, CHUNK)
        except BlockingIOError:
            return b""

    def _wait(self) -> None:
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        elif (late_ms := int((now - self._next) * 1000)) > FORGIVEN_MS:
            self._lost_ms += late_ms
        self._next = max(self._next, now) + TICK

    def __enter__(self) -> SerialWire:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
