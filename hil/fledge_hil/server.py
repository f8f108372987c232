"""UDP server around the virtual Crazyflie: packets are served between ticks, one client at a time (holder.py).

Lockstep: device time stands still without a client, keeps pace with the wall clock for a client that goes by it, and
runs as fast as the machine allows for one that acknowledges device time (pace.py). Real time: one device second per
second, always.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_hil.crtp import LINK_IN_USE, Port, console, is_null, split
from fledge_hil.holder import Address, Holder, Verdict
from fledge_hil.pace import Mode, Pace, acknowledged_ms
from fledge_hil.slot import Slot
from fledge_hil.virtual import VirtualCrazyflie

DEFAULT_PORT = 19850
"""cflib's scan looks at 19850 to 19859."""
_RECEIVE_ERRORS = getattr(socket, "IP_RECVERR", 11)
"""Linux: a datagram that nobody took is told to its sender."""


@dataclass(frozen=True)
class ServerSettings:
    """Where and how fast to serve."""

    host: str = "127.0.0.1"
    """Address to bind; the default is reachable from this machine only."""
    port: int = DEFAULT_PORT
    """0 lets the system choose."""
    mode: Mode = "lockstep"
    speed: float = 0.0
    """Lockstep: this many device seconds per second at most, acknowledged or not; 0: see the module's docstring."""


class Server:
    """Owns the socket; `serve` runs until `stop`."""

    def __init__(self, drone: VirtualCrazyflie, settings: ServerSettings, slot: Slot | None = None) -> None:
        """`slot` gives the drone a bootloader."""
        self.settings = settings
        self._drone, self._slot = drone, slot
        self._socket = _bind(settings)
        self._stop = threading.Event()
        self._holder = Holder()
        self._refused: Address | None = None
        self._pace = Pace(settings.mode, settings.speed)
        self._notice: Callable[[str], None] = lambda _: None
        self.busy_seconds = 0.0
        """Wall-clock time spent on ticks."""
        self.busy_ms = 0
        """Device time of those ticks."""

    @property
    def drone(self) -> VirtualCrazyflie:
        """Another one after its flash was written."""
        return self._drone if self._slot is None else self._slot.drone

    @property
    def notice(self) -> Callable[[str], None]:
        """Called with a sentence that somebody at the server might want to read."""
        return self._notice

    @notice.setter
    def notice(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        if self._slot is not None:
            self._slot.notice = notice

    @property
    def uri(self) -> str:
        """For cflib."""
        host, port = self._socket.getsockname()[:2]
        return f"udp://{host}:{port}"

    def stop(self) -> None:
        """Ask `serve` to return; safe from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Release the port."""
        self._socket.close()

    def serve(self, until: Callable[[], bool] | None = None) -> None:
        """Serve until `stop` is called or `until` says so."""
        while not self._stop.is_set() and not (until is not None and until()):
            wait = self.turn()
            if wait > 0:
                select.select([self], [], [], wait)

    def turn(self) -> float:
        """Serve what has arrived, and a tick if one is due: 0 then, else how long there is nothing to do [s]."""
        self._receive()
        self._admit_who_waited()
        if self._slot is not None and not self._slot.running:
            return 0.05
        wait = self._pace.due(self.drone.time_ms, self._holder.alive(time.monotonic()), self.drone.log.streaming)
        if wait <= 0:
            self._advance()
        return max(0.0, wait)

    def fileno(self) -> int:
        """Of the socket, so that a server can be waited for."""
        return self._socket.fileno()

    def _advance(self) -> None:
        start = time.perf_counter()
        packets = self.drone.step_ms()
        self.busy_seconds += time.perf_counter() - start
        self.busy_ms += 1
        for datagram in packets:
            self._send(datagram, self._holder.peer)

    def _send(self, datagram: bytes, to: Address | None) -> None:
        if to is None:
            return
        for _ in range(2):  # an error may be another client's, and kept the packet from leaving
            try:
                self._socket.sendto(datagram, to)
                return
            except ConnectionError:
                self._note_closed()
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    self._holder.close(to)
                return

    def _note_closed(self) -> None:
        """Clients that have closed their sockets."""
        for address in _undelivered(self._socket):
            self._holder.close(address)

    def _receive(self) -> None:
        """Serve everything that is there."""
        while True:
            try:
                datagram, sender = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            except ConnectionError:
                self._note_closed()
                continue
            self._hear(datagram, sender)

    def _hear(self, datagram: bytes, sender: Address) -> None:
        if is_null(datagram) and len(datagram) < 3:  # a scan asks whether anybody is here; it does not take the link
            self._send(datagram, sender)
            return
        if split(datagram) is None and not is_null(datagram):
            return
        verdict = self._holder.hear(sender, datagram, _starts(datagram), time.monotonic())
        if verdict is Verdict.ASK:
            self._send(b"\xff", self._holder.peer)  # from a closed socket comes an error, and nothing else happens
        elif verdict is Verdict.SERVE:
            if sender != self._holder.peer:
                self._hand_over(sender)
            else:
                self._refuse()
            self._serve(datagram)

    def _serve(self, datagram: bytes) -> None:
        """A packet of the client that has the link."""
        if is_null(datagram):
            answers = [] if self._slot is None else self._slot.handle(datagram)
        elif self._slot is not None and not self._slot.running:
            return
        else:
            parts = split(datagram)
            if parts is not None and parts[0] == Port.LINK:
                self._note_echo(parts[2])
            answers = self.drone.handle_packet(datagram)
        for answer in answers:
            self._send(answer, self._holder.peer)

    def _note_echo(self, payload: bytes) -> None:
        device_ms = acknowledged_ms(payload)
        if device_ms is not None:
            self._pace.acknowledge(device_ms)

    # ---- who has the link --------------------------------------------------------------------------------------------

    def _admit_who_waited(self) -> None:
        waited = self._holder.admitted(time.monotonic())
        if waited is not None:
            self._hand_over(waited.sender)
            for datagram in waited.said:
                self._serve(datagram)

    def _hand_over(self, sender: Address) -> None:
        """The one before, if it only was silent, is told."""
        before = self._holder.peer
        self._holder.take(sender, time.monotonic())
        if before is not None and before != sender:
            for line in console("SYS: another client has taken the link\n"):
                self._send(line, before)
        self._pace.new_client()
        self.drone.connect()

    def _refuse(self) -> None:
        """Whoever waited, since the client that has the link was just heard."""
        sender, peer = self._holder.refused(), self._holder.peer
        if sender is None or peer is None:
            return
        for line in console(f"{LINK_IN_USE} by {peer[0]}:{peer[1]}; close that client first\n"):
            self._send(line, sender)
        if sender != self._refused:
            self.notice(f"{sender[0]}:{sender[1]} was refused: {peer[0]}:{peer[1]} has the link")
        self._refused = sender


def _starts(datagram: bytes) -> bool:
    """Whether a connection begins like this: with what is asked of every Crazyflie first, or of a bootloader."""
    parts = split(datagram)
    return is_null(datagram) or (
        parts is not None and (parts[0], parts[1]) in ((Port.LINK, 1), (Port.PLATFORM, 1)) and len(datagram) > 1
    )


def _undelivered(endpoint: socket.socket) -> Iterator[Address]:
    """Where datagrams went that nobody took; nothing on systems that do not tell."""
    while sys.platform == "linux":
        try:
            yield endpoint.recvmsg(64, 512, socket.MSG_ERRQUEUE)[3]
        except OSError:
            return


def _bind(settings: ServerSettings) -> socket.socket:
    if not 0 <= settings.port <= 0xFFFF:
        raise FledgeError(f"port {settings.port} on {settings.host} does not exist; choose one from 1 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, socket.AF_INET, socket.SOCK_DGRAM
        )[0]
    except (OSError, OverflowError) as error:
        raise FledgeError(
            f"unknown host '{settings.host}' or port {settings.port}: {error}; give a local one"
        ) from error
    endpoint = socket.socket(family, kind, protocol)
    try:
        endpoint.bind(address)
    except OSError as error:
        endpoint.close()
        raise FledgeError(
            f"cannot serve on udp {settings.host}:{settings.port} ({error}); "
            "stop what uses the port, or choose another with --port"
        ) from error
    endpoint.setblocking(False)
    if sys.platform == "linux":
        endpoint.setsockopt(socket.IPPROTO_IP, _RECEIVE_ERRORS, 1)
    return endpoint


class BackgroundServer:
    """A server in a thread of this process: `with BackgroundServer(drone) as uri`."""

    def __init__(
        self, drone: VirtualCrazyflie, settings: ServerSettings | None = None, slot: Slot | None = None
    ) -> None:
        self.server = Server(drone, settings or ServerSettings(port=0), slot)
        self._thread = threading.Thread(target=self._run, name="virtual-crazyflie", daemon=True)
        self.failure: BaseException | None = None

    def _run(self) -> None:
        try:
            self.server.serve()
        except BaseException as error:
            self.failure = error  # raised where the server is left; clients see the link go silent

    def __enter__(self) -> str:
        self._thread.start()
        return self.server.uri

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._thread.join(timeout=10)
        self.server.close()
        if self.failure is not None:
            raise self.failure


def save_recording(drone: VirtualCrazyflie, path: Path) -> None:
    """Write what the simulator saw."""
    drone.recorder.save(path)
