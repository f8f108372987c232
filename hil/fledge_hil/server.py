"""UDP server around the virtual Crazyflie: packets are served between ticks, one client at a time.

Lockstep: device time stands still without a client, keeps pace with the wall clock for a client that goes by it, and
runs as fast as the machine allows for one that acknowledges device time (pace.py). Real time: one device second per
second, always.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_hil.crtp import Port, console, is_null, split
from fledge_hil.pace import Mode, Pace, acknowledged_ms
from fledge_hil.virtual import VirtualCrazyflie

DEFAULT_PORT = 19850
"""cflib's scan looks at 19850 to 19859."""
SILENCE = 1.0
"""[s] without a packet, after which anybody may take the link."""


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

    def __init__(self, drone: VirtualCrazyflie, settings: ServerSettings) -> None:
        self.drone, self.settings = drone, settings
        self._socket = _bind(settings)
        self._stop = threading.Event()
        self._peer: tuple[str, int] | None = None
        self._heard = 0.0
        self._pace = Pace(settings.mode, settings.speed)
        self.notice: Callable[[str], None] = lambda _: None
        """Called with a sentence that somebody at the server might want to read."""
        self.busy_seconds = 0.0
        """Wall-clock time spent on ticks."""
        self.busy_ms = 0
        """Device time of those ticks."""

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
        wait = self._pace.due(self.drone.time_ms, self._client_present(), self.drone.log.streaming)
        if wait <= 0:
            self._advance()
        return max(0.0, wait)

    def fileno(self) -> int:
        """Of the socket, so that a server can be waited for."""
        return self._socket.fileno()

    def _client_present(self) -> bool:
        """Between clients device time stands still in lockstep, so that nobody finds a drained battery."""
        return self._peer is not None and time.monotonic() - self._heard < SILENCE

    def _advance(self) -> None:
        start = time.perf_counter()
        packets = self.drone.step_ms()
        self.busy_seconds += time.perf_counter() - start
        self.busy_ms += 1
        for datagram in packets:
            self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        if self._peer is None:
            return
        try:
            self._socket.sendto(datagram, self._peer)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.ECONNREFUSED):
                self._peer = None

    def _receive(self) -> None:
        """Serve everything that is there."""
        while True:
            try:
                datagram, sender = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # a client went away: the refusal of an earlier answer is reported here
            self._serve_one(datagram, sender)

    def _serve_one(self, datagram: bytes, sender: tuple[str, int]) -> None:
        if is_null(datagram):  # a scan asks whether anybody is here; it does not take the link
            with contextlib.suppress(OSError):
                self._socket.sendto(datagram, sender)
            return
        if sender != self._peer and not self._admit(datagram, sender):
            return
        self._heard = time.monotonic()
        parts = split(datagram)
        if parts is not None and parts[0] == Port.LINK:
            self._note_echo(parts[2])
        for answer in self.drone.handle_packet(datagram):
            self._send(answer)

    def _note_echo(self, payload: bytes) -> None:
        device_ms = acknowledged_ms(payload)
        if device_ms is not None:
            self._pace.acknowledge(device_ms)

    def _admit(self, datagram: bytes, sender: tuple[str, int]) -> bool:
        """A new client takes the link by starting a connection; late packets of the one before do not."""
        parts = split(datagram)
        starts = parts is not None and (parts[0], parts[1]) in ((Port.LINK, 1), (Port.PLATFORM, 1))
        silent = self._peer is None or time.monotonic() - self._heard > SILENCE
        if parts is None or not (starts or silent):
            return False
        if not silent:
            self._part_with(sender)
        self._peer = sender
        self._pace.new_client()
        self.drone.connect()
        return True

    def _part_with(self, sender: tuple[str, int]) -> None:
        """Tell the client that had the link, and whoever watches the server."""
        if self._peer is None or self._peer == sender:
            return
        for line in console("SYS: another client has taken the link\n"):
            self._send(line)
        self.notice(f"{sender[0]}:{sender[1]} takes the link from {self._peer[0]}:{self._peer[1]}")


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
    return endpoint


class BackgroundServer:
    """A server in a thread of this process: `with BackgroundServer(drone) as uri`."""

    def __init__(self, drone: VirtualCrazyflie, settings: ServerSettings | None = None) -> None:
        self.server = Server(drone, settings or ServerSettings(port=0))
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
