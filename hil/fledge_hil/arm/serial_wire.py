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
    """A servo bus behind an adapter, and where there is one the pads' board behind another; use as a context."""

    def __init__(self, port: str, pads: str | None = None) -> None:
        """Opens them.

        Args:
            port: of the servos.
            pads: of the pads' board.
        Raises:
            FledgeError: one cannot be opened, or has no such speed.
        """
        self.port = port
        self._pads: int | None = None
        self._handle = _opened(port, "a servo adapter")
        try:
            self._pads = None if pads is None else _opened(pads, "the pads' board")
        except FledgeError:
            os.close(self._handle)
            raise
        self._next = time.monotonic() + TICK
        self._lost_ms = 0

    def tick(self, data: bytes) -> bytes:
        """See Wire. Raises FledgeError when the port has gone."""
        try:
            if data:
                os.write(self._handle, data)
            self._wait()
            return _read(self._handle)
        except OSError as error:
            raise FledgeError(
                f"{self.port} has gone: {error.strerror or error}; the servos hold their last goals"
            ) from error

    def felt(self) -> bytes:
        """See Wire. A board that has gone is as one that is silent: the firmware's guard speaks."""
        try:
            return b"" if self._pads is None else _read(self._pads)
        except OSError:
            return b""

    def lag_ms(self) -> int:
        """See Wire."""
        lost, self._lost_ms = self._lost_ms, 0
        return lost

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
        if self._pads is not None:
            os.close(self._pads)


def _opened(port: str, what: str) -> int:
    """A raw port of BAUD."""
    try:
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise FledgeError(
            f"cannot open {port}: {error.strerror or error}; is the adapter plugged in, and may you use it?"
        ) from error
    try:
        tty.setraw(handle)
        attributes = termios.tcgetattr(handle)
        attributes[4] = attributes[5] = getattr(termios, f"B{BAUD}")
        termios.tcsetattr(handle, termios.TCSANOW, attributes)
        termios.tcflush(handle, termios.TCIOFLUSH)
    except (termios.error, AttributeError) as error:
        os.close(handle)
        raise FledgeError(f"{port} cannot be set to {BAUD} bit/s; give the serial port of {what}") from error
    return handle


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, CHUNK)
    except BlockingIOError:
        return b""
