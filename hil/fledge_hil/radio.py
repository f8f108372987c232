"""A cflib connection that never waits for ever: own time-outs around every wait, every loss turned into one sentence.

The clock is the time stamp of the drone's log packets, so the same code flies a drone that runs faster than real time.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cflib.crtp
from cflib.crazyflie import Crazyflie
from cflib.crazyflie.log import LogConfig
from cflib.crtp.crtpstack import CRTPPacket
from fledge_sim.errors import FledgeError

from fledge_hil.crtp import Port
from fledge_hil.pace import acknowledge

CONNECT_TIMEOUT = 10.0
"""[s] for the tables of contents; a radio needs a few."""
REPLY_TIMEOUT = 2.0
"""[s] for any other answer, and the longest silence of the log."""
ACKNOWLEDGE_EVERY = 3
"""Log packets of the first block per acknowledgement of device time; simulated drones only."""


class LinkError(FledgeError):
    """The link did not come up, or was lost."""


@dataclass(frozen=True)
class Sample:
    """One log packet."""

    block: str
    time: float
    """Device time [s] since the first packet of the connection; wraps are undone."""
    values: dict[str, float]


class Radio:
    """One open link. Use `connect`."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.crazyflie = Crazyflie()
        self.console: list[str] = []
        self.samples: queue.Queue[Sample] = queue.Queue()
        self._lost = ""
        self._opened, self._ready = threading.Event(), threading.Event()
        self._stamp_ms: int | None = None
        self._pending = ""
        self._first_block = ""
        self._received = 0
        self._listen()

    def _listen(self) -> None:
        cf = self.crazyflie
        cf.link_established.add_callback(lambda _: self._opened.set())
        cf.fully_connected.add_callback(lambda _: self._ready.set())
        cf.connection_failed.add_callback(lambda _, reason: self._fail(reason))
        cf.connection_lost.add_callback(lambda _, reason: self._fail(reason))
        cf.disconnected_link_error.add_callback(lambda _, reason: self._fail(reason))
        cf.console.receivedChar.add_callback(self._print)

    def _fail(self, reason: str) -> None:
        lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
        self._lost = lines[-1] if lines else "unknown reason"
        self._ready.set()

    def _print(self, text: str) -> None:
        *lines, self._pending = (self._pending + text).split("\n")
        self.console += lines

    def open(self) -> None:
        """Connect and fetch all tables and values. Raises LinkError."""
        self.crazyflie.open_link(self.uri)
        self._ready.wait(CONNECT_TIMEOUT)
        if self._lost:
            raise LinkError(f"cannot connect to {self.uri} ({self._lost}); is the drone on, or `fledge sim` running?")
        if not self._ready.is_set():
            answer = "answers, but the connection did not complete" if self._opened.is_set() else "does not answer"
            raise LinkError(f"{self.uri} {answer} within {CONNECT_TIMEOUT:.0f} s; restart the drone and try again")

    def check(self) -> None:
        """Raise LinkError if the connection broke."""
        if self._lost:
            raise LinkError(f"lost the link to {self.uri} ({self._lost})")

    # ---- parameters and single requests ------------------------------------------------------------------------------

    def has_parameter(self, name: str) -> bool:
        """Whether the drone knows it."""
        return self.crazyflie.param.toc.get_element_by_complete_name(name) is not None

    def parameter(self, name: str) -> float:
        """Last known value; all are fetched on connection."""
        return float(self.crazyflie.param.get_value(name))

    def set_parameter(self, name: str, value: float) -> None:
        """Write and wait for the drone's echo. Raises LinkError without one."""
        echoed = threading.Event()
        group, item = name.split(".")

        def updated(_: str, now: str) -> None:
            if abs(float(now) - value) <= 1e-6 * max(1.0, abs(value)):
                echoed.set()

        self.crazyflie.param.add_update_callback(group, item, updated)
        try:
            self.crazyflie.param.set_value(name, value)
            if not echoed.wait(REPLY_TIMEOUT):
                self.check()
                raise LinkError(f"the drone did not confirm {name} = {value:g} within {REPLY_TIMEOUT:.0f} s")
        finally:
            self.crazyflie.param.remove_update_callback(group, item, updated)

    def request(self, port: Port, channel: int, payload: bytes) -> bytes:
        """Send a packet and return the answer that starts with the same byte. Raises LinkError without one."""
        answers: queue.Queue[bytes] = queue.Queue()

        def received(packet: Any) -> None:
            if packet.channel == channel and bytes(packet.data)[:1] == payload[:1]:
                answers.put(bytes(packet.data))

        self.crazyflie.add_port_callback(port, received)
        try:
            self._send(port, channel, payload)
            return answers.get(timeout=REPLY_TIMEOUT)
        except queue.Empty:
            raise LinkError(f"the drone did not answer a request on port {int(port)}; restart it") from None
        finally:
            self.crazyflie.remove_port_callback(port, received)

    def _send(self, port: Port, channel: int, payload: bytes) -> None:
        packet = CRTPPacket()
        packet.set_header(port, channel)
        packet.data = payload
        self.crazyflie.send_packet(packet)

    # ---- log ---------------------------------------------------------------------------------------------------------

    def start_log(self, block: str, period_ms: int, variables: dict[str, str]) -> None:
        """Stream variables (name: cflib type). Raises LinkError when the drone lacks one."""
        config = LogConfig(block, period_ms)
        for name, kind in variables.items():
            config.add_variable(name, kind)
        config.data_received_cb.add_callback(self._logged)
        try:
            self.crazyflie.log.add_config(config)
        except (KeyError, AttributeError) as error:
            raise LinkError(f"the drone cannot log what a flight needs ({error}); flash fledge's firmware") from error
        self._first_block = self._first_block or block
        config.start()

    def _logged(self, stamp_ms: int, values: dict[str, float], config: Any) -> None:
        if self._stamp_ms is None:
            self._stamp_ms = stamp_ms
        ahead = (stamp_ms - self._stamp_ms + (1 << 23)) % (1 << 24) - (1 << 23)
        self._stamp_ms += ahead
        self.samples.put(Sample(config.name, self._stamp_ms / 1000, values))
        self._received += config.name == self._first_block
        if config.name == self._first_block and self._received % ACKNOWLEDGE_EVERY == 0 and self.simulated:
            self._send(Port.LINK, 0, acknowledge(stamp_ms))

    @property
    def simulated(self) -> bool:
        """Only simulated drones speak UDP."""
        return self.uri.startswith("udp:")

    def next_sample(self) -> Sample:
        """The next log packet. Raises LinkError when the log falls silent."""
        deadline = time.monotonic() + REPLY_TIMEOUT
        while True:
            self.check()
            try:
                return self.samples.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise LinkError(f"no log data from {self.uri} for {REPLY_TIMEOUT:.0f} s") from None

    def close(self) -> None:
        """Close; whatever cflib thinks of a broken link is of no interest any more."""
        with contextlib.suppress(Exception):
            self.crazyflie.close_link()


@contextlib.contextmanager
def connect(uri: str, log: Callable[[str], None] | None = None) -> Iterator[Radio]:
    """Open a link; closes it on every way out. Raises LinkError."""
    logging.getLogger("cflib").setLevel(logging.CRITICAL)
    cflib.crtp.init_drivers()
    radio = Radio(uri)
    try:
        radio.open()
        if log is not None:
            log(f"connected to {uri}")
        yield radio
    finally:
        radio.close()
