"""A virtual arm behind a pseudo-terminal: any program that opens serial ports can talk to it.

Bytes keep their times: an answer appears no earlier than a real servo's would, and later where this machine is busy.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from types import TracebackType

from fledge_sim.errors import FledgeError

from fledge_hil.arm.virtual_arm import TICK_US, VirtualArm

IDLE = 0.005
"""[s] between two looks at the mechanics while nobody says anything."""
BEHIND_US = 200_000
"""Mechanics that are further behind the clock than this skip the rest: the program was stopped."""
CHUNK = 4096


class PseudoTerminal:
    """Serves a virtual arm; `port` is what the master opens, `pads_port` what its pads talk to, if it has some.

    Use as a context: a thread of its own, or call `serve`.
    """

    def __init__(self, virtual: VirtualArm) -> None:
        """Opens the terminal. Raises FledgeError where the system has none."""
        self._master, self._slave = _terminal()
        self._pads = None if virtual.pads is None else _terminal()
        self.port = os.ttyname(self._slave)
        self.pads_port = None if self._pads is None else os.ttyname(self._pads[1])
        if self._pads is not None:
            os.set_blocking(self._pads[0], False)
        self.virtual = virtual
        self.failure: BaseException | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def serve(self, seconds: float = float("inf")) -> None:
        """Answer for so long, or until `stop`."""
        start = time.monotonic()
        behind = self.virtual.time_us
        while not self._ended.is_set() and (now := time.monotonic() - start) < seconds:
            now_us = behind + now * 1e6
            self._move(now_us)
            due = self.virtual.bus.next_us()
            wait = IDLE if due is None else max(0.0, min(IDLE, (due - now_us) * 1e-6))
            if select.select([self._master], [], [], wait)[0]:
                with contextlib.suppress(OSError):  # the last master has gone
                    self.virtual.send(os.read(self._master, CHUNK), behind + (time.monotonic() - start) * 1e6)
            if heard := self.virtual.bus.receive(behind + (time.monotonic() - start) * 1e6):
                os.write(self._master, heard)
            if self._pads is not None and (felt := self.virtual.felt()):
                with contextlib.suppress(BlockingIOError):  # nobody reads
                    os.write(self._pads[0], felt)

    def stop(self) -> None:
        """`serve` returns."""
        self._ended.set()

    def __enter__(self) -> PseudoTerminal:
        self._thread = threading.Thread(target=self._run, name="virtual servos", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
        for handle in (self._master, self._slave, *(self._pads or ())):
            os.close(handle)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            self.serve()
        except BaseException as error:
            self.failure = error

    def _move(self, now_us: float) -> None:
        if now_us - self.virtual.time_us > BEHIND_US:
            self.virtual.time_us = int(now_us - TICK_US) // TICK_US * TICK_US
        while self.virtual.time_us + TICK_US <= now_us:
            self.virtual.advance()


def _terminal() -> tuple[int, int]:
    """Both ends."""
    try:
        master, slave = os.openpty()
        tty.setraw(slave)
    except OSError as error:
        raise FledgeError(f"no pseudo-terminal: {error.strerror or error}; close other terminals") from error
    return master, slave
