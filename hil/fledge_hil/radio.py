"""A client over cflib, unmodified: udp:// to a virtual drone, usb:// and radio:// to a real one.

cflib finds the drone, fetches its tables and keeps the link; what is asked afterwards goes through `Client`, whose
waits end. The clock of a flight is the time stamp of the drone's log packets, so the same code flies a drone that
runs faster than real time.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import cflib.crtp
from cflib.crazyflie import Crazyflie
from cflib.crtp.crtpstack import CRTPPacket

from fledge_hil.client import Client, LinkError, Packet
from fledge_hil.crtp import LINK_IN_USE, Port
from fledge_hil.pace import acknowledge
from fledge_hil.uri import check_uri, explain

CONNECT_TIMEOUT = 10.0
"""[s] for the tables of contents; a radio needs a few."""
ACKNOWLEDGE_EVERY = 3
"""Log packets of the first block per acknowledgement of device time; simulated drones only."""


class Radio(Client):
    """One open link. Use `connect`."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.crazyflie = Crazyflie()
        self._packets: queue.SimpleQueue[Packet] = queue.SimpleQueue()
        self._lost = ""
        self._opened, self._ready = threading.Event(), threading.Event()
        self._received = 0
        cf = self.crazyflie
        cf.link_established.add_callback(lambda _: self._opened.set())
        cf.fully_connected.add_callback(lambda _: self._ready.set())
        cf.connection_failed.add_callback(lambda _, reason: self._fail(reason))
        cf.connection_lost.add_callback(lambda _, reason: self._fail(reason))
        cf.disconnected_link_error.add_callback(lambda _, reason: self._fail(reason))
        cf.packet_received.add_callback(self._keep)

    def _fail(self, reason: str) -> None:
        self._lost = explain(str(reason))
        self._ready.set()

    def _keep(self, packet: Any) -> None:
        """In cflib's thread: all but the tables."""
        if packet.port == Port.CONSOLE and bytes(packet.data).startswith(LINK_IN_USE.encode()):
            self._fail("another client has the link; close that one first")
        if packet.channel or packet.port not in (Port.LOG, Port.PARAM, Port.MEMORY):
            self._packets.put((packet.port, packet.channel, bytes(packet.data)))

    def open(self) -> None:
        """Connect and fetch all tables and values. Raises LinkError."""
        check_uri(self.uri)
        self.crazyflie.open_link(self.uri)
        self._ready.wait(CONNECT_TIMEOUT)
        if self._lost:
            raise LinkError(f"cannot connect to {self.uri}: {self._lost}")
        if not self._ready.is_set():
            answer = "answers, but the connection did not complete" if self._opened.is_set() else "does not answer"
            raise LinkError(
                f"{self.uri} {answer} within {CONNECT_TIMEOUT:.0f} s; is another client connected? restart the drone"
            )

    # ---- transport ---------------------------------------------------------------------------------------------------

    def send(self, port: int, channel: int, payload: bytes) -> None:
        """See Client."""
        if self._lost:
            raise LinkError(f"lost the link to {self.uri}: {self._lost}")
        packet = CRTPPacket()
        packet.set_header(port, channel)
        packet.data = payload
        self.crazyflie.send_packet(packet)

    def _receive(self, seconds: float) -> Packet | None:
        if self._lost and self._packets.empty():
            raise LinkError(f"lost the link to {self.uri}: {self._lost}")
        with contextlib.suppress(queue.Empty):
            return self._packets.get(timeout=min(0.1, max(seconds, 1e-4)))
        return None

    def clock(self) -> float:
        """Wall-clock [s]."""
        return time.monotonic()

    def _parameter_entry(self, name: str) -> tuple[int, str] | None:
        element = self.crazyflie.param.toc.get_element_by_complete_name(name)
        return None if element is None else (element.ident, element.pytype.strip("<"))

    def _log_entry(self, name: str) -> int | None:
        element = self.crazyflie.log.toc.get_element_by_complete_name(name)
        return None if element is None else int(element.ident)

    def _digested(self, block: int, stamp_ms: int) -> None:
        self._received += block == 0
        if block == 0 and self._received % ACKNOWLEDGE_EVERY == 0 and self.simulated and self.hurries:
            self.send(Port.LINK, 0, acknowledge(stamp_ms))

    @property
    def simulated(self) -> bool:
        """Only simulated drones speak UDP."""
        return self.uri.startswith("udp:")

    def close(self) -> None:
        """Close; whatever cflib thinks of a broken link is of no interest any more."""
        with contextlib.suppress(Exception):
            self.crazyflie.close_link()


@contextlib.contextmanager
def connect(uri: str) -> Iterator[Radio]:
    """Open a link; closes it on every way out. Raises LinkError."""
    logging.getLogger("cflib").setLevel(logging.CRITICAL)
    if not cflib.crtp.CLASSES:
        cflib.crtp.init_drivers()
    radio = Radio(uri)
    try:
        radio.open()
        yield radio
    finally:
        radio.close()
