"""What a pilot needs of a connection, over whatever carries packets: requests, parameters, log, commands.

One thread: packets are taken from the link only inside these calls, so nothing happens behind the pilot's back. cflib
waits for ever for an answer that was lost; here every wait ends, and every loss is one sentence.
"""

from __future__ import annotations

import errno
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fledge_sim.errors import FledgeError

from fledge_hil.crtp import Port
from fledge_hil.toc import LOG_TYPES

REPLY_TIMEOUT = 2.0
"""[s] for any answer, and the longest silence of the log."""
REPEAT_EVERY = 0.25
"""[s] after which a request without an answer is sent again."""
LOG_KINDS: Mapping[str, tuple[int, str]] = {**LOG_TYPES, "fp16": (8, "e")}
"""Type code and struct letter of what a log block may hold."""
_PER_PACKET = 9
"""Variables that fit into one packet of a log block's definition."""
_DELETE, _CREATE, _APPEND, _START = 2, 6, 7, 8
_STAMP_BITS = 24

Packet = tuple[int, int, bytes]
"""Port, channel, payload."""


class LinkError(FledgeError):
    """The link did not come up, or was lost."""


@dataclass(frozen=True)
class Sample:
    """One log packet."""

    block: str
    time: float
    """Device time [s] since the first packet of the connection; wraps are undone."""
    values: Mapping[str, float]


@dataclass(frozen=True)
class _Block:
    name: str
    variables: tuple[str, ...]
    layout: struct.Struct


class Client(ABC):
    """One open link; see the module's docstring."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.console: list[str] = []
        self._line = ""
        self._samples: deque[Sample] = deque()
        self._blocks: dict[int, _Block] = {}
        self._stamp_ms: int | None = None
        self.on_wait: Callable[[], None] = _nothing
        """Called again and again while an answer is waited for."""
        self.hurries = True
        """Whether a simulated drone is told what has arrived, so that its clock runs as fast as this client can."""

    # ---- what a transport provides -----------------------------------------------------------------------------------

    @abstractmethod
    def send(self, port: int, channel: int, payload: bytes) -> None:
        """One packet to the drone. Raises LinkError when the link is known to be down."""

    @abstractmethod
    def _receive(self, seconds: float) -> Packet | None:
        """The next packet, or None when none came within so many seconds of `clock`. Raises LinkError."""

    @abstractmethod
    def clock(self) -> float:
        """What time-outs are measured with [s]."""

    @abstractmethod
    def _parameter_entry(self, name: str) -> tuple[int, str] | None:
        """Number and struct letter of a parameter."""

    @abstractmethod
    def _log_entry(self, name: str) -> int | None:
        """Number of a log variable."""

    def _digested(self, block: int, stamp_ms: int) -> None:  # noqa: B027 - most links have nobody to tell
        """A log packet was taken."""

    # ---- requests ----------------------------------------------------------------------------------------------------

    def request(self, port: Port, channel: int, payload: bytes, key: int = 1) -> bytes:
        """Send until an answer comes that starts with the same `key` bytes. Raises LinkError without one."""
        answer = self.ask(port, channel, payload, key, REPLY_TIMEOUT)
        if answer is None:
            raise LinkError(f"{self.uri} did not answer a request on port {int(port)} within {REPLY_TIMEOUT:.0f} s")
        return answer

    def ask(self, port: Port, channel: int, payload: bytes, key: int, timeout: float) -> bytes | None:
        """As `request`, but None without an answer in time."""
        deadline, again = self.clock() + timeout, 0.0
        while (now := self.clock()) < deadline:
            self.on_wait()
            if now >= again:
                self.send(port, channel, payload)
                again = now + REPEAT_EVERY
            packet = self._take(min(deadline, again) - self.clock())
            if packet is not None and packet[:2] == (port, channel) and packet[2][:key] == payload[:key]:
                return packet[2]
        return None

    def receive(self, seconds: float) -> Packet | None:
        """The next packet of any kind within so many seconds, for those who talk on a channel of their own."""
        self.on_wait()
        return self._take(seconds)

    def _take(self, seconds: float) -> Packet | None:
        """The next packet; log data and console go where they belong on the way."""
        packet = self._receive(max(0.0, seconds))
        if packet is None:
            return None
        port, channel, payload = packet
        if port == Port.CONSOLE:
            *lines, self._line = (self._line + payload.decode("utf-8", "replace")).split("\n")
            self.console += lines
        elif port == Port.LOG and channel == 2:
            self._logged(payload)
        return packet

    # ---- parameters --------------------------------------------------------------------------------------------------

    def has_parameter(self, name: str) -> bool:
        """Whether the drone knows it."""
        return self._parameter_entry(name) is not None

    def _parameter(self, name: str) -> tuple[bytes, struct.Struct]:
        entry = self._parameter_entry(name)
        if entry is None:
            raise LinkError(f"the drone has no parameter {name}; flash fledge's firmware")
        return entry[0].to_bytes(2, "little"), struct.Struct("<" + entry[1])

    def parameter(self, name: str) -> float:
        """Its present value, from the drone. Raises LinkError."""
        number, layout = self._parameter(name)
        answer = self.request(Port.PARAM, 1, number, 2)
        if len(answer) < 3 + layout.size:
            raise LinkError(f"the drone did not tell {name} but error {answer[2:].hex()}")
        return float(layout.unpack_from(answer, 3)[0])

    def set_parameter(self, name: str, value: float) -> None:
        """Write until the drone echoes it. Raises LinkError without an echo."""
        number, layout = self._parameter(name)
        payload = number + _pack(layout, value)
        if self.ask(Port.PARAM, 2, payload, len(payload), REPLY_TIMEOUT) is None:
            raise LinkError(f"the drone did not confirm {name} = {value:g} within {REPLY_TIMEOUT:.0f} s")

    def post_parameter(self, name: str, value: float) -> None:
        """Write once, without waiting for an echo."""
        number, layout = self._parameter(name)
        self.send(Port.PARAM, 2, number + _pack(layout, value))

    # ---- log ---------------------------------------------------------------------------------------------------------

    def can_log(self, name: str) -> bool:
        """Whether the drone knows the variable."""
        return self._log_entry(name) is not None

    def start_log(self, name: str, period_ms: int, variables: Mapping[str, str]) -> None:
        """Stream variables (name: kind of LOG_KINDS). Raises LinkError when the drone lacks one."""
        entries = b""
        for variable, kind in variables.items():
            number = self._log_entry(variable)
            if number is None:
                raise LinkError(f"the drone cannot log {variable}, which a flight needs; flash fledge's firmware")
            entries += struct.pack("<BH", LOG_KINDS[kind][0], number)
        block = next((number for number, entry in self._blocks.items() if entry.name == name), len(self._blocks))
        layout = struct.Struct("<" + "".join(LOG_KINDS[kind][1] for kind in variables.values()))
        self._blocks[block] = _Block(name, tuple(variables), layout)
        deadline = self.clock() + REPLY_TIMEOUT
        while not self._define(block, entries) or self._log(_START, block, struct.pack("<H", period_ms)) != 0:
            if self.clock() > deadline:
                raise LinkError(f"the drone did not start the log block '{name}'; restart it")

    def stop_log(self, name: str) -> None:
        """End a block; an answer is not waited for."""
        for number, block in self._blocks.items():
            if block.name == name:
                self.send(Port.LOG, 1, bytes((_DELETE, number)))

    def _define(self, block: int, entries: bytes) -> bool:
        """Delete, create, append: whole or not at all, since a repeated append would add its variables twice."""
        step = 3 * _PER_PACKET
        first, *rest = (entries[start : start + step] for start in range(0, len(entries), step))
        if self._log(_DELETE, block) not in (0, errno.ENOENT) or self._log(_CREATE, block, first) != 0:
            return False
        return all(self._log(_APPEND, block, more) == 0 for more in rest)

    def _log(self, command: int, block: int, rest: bytes = b"") -> int | None:
        """The drone's errno; None without an answer."""
        answer = self.ask(Port.LOG, 1, bytes((command, block)) + rest, 2, REPEAT_EVERY)
        return answer[2] if answer is not None and len(answer) > 2 else None

    def _logged(self, payload: bytes) -> None:
        block = self._blocks.get(payload[0]) if len(payload) > 4 else None
        if block is None or len(payload) < 4 + block.layout.size:
            return
        stamp = int.from_bytes(payload[1:4], "little")
        self._stamp_ms = stamp if self._stamp_ms is None else self._stamp_ms
        half = 1 << (_STAMP_BITS - 1)
        at = self._stamp_ms + (stamp - self._stamp_ms + half) % (1 << _STAMP_BITS) - half
        self._stamp_ms = max(self._stamp_ms, at)
        values = dict(zip(block.variables, block.layout.unpack_from(payload, 4), strict=True))
        self._samples.append(Sample(block.name, at / 1000, values))
        self._digested(payload[0], stamp)

    @property
    def device_time(self) -> float:
        """Of the newest log packet [s]."""
        return (self._stamp_ms or 0) / 1000

    def next_sample(self, timeout: float = REPLY_TIMEOUT) -> Sample:
        """The next log packet. Raises LinkError when the log falls silent."""
        deadline = self.clock() + timeout
        while not self._samples:
            if self.clock() >= deadline:
                raise LinkError(f"no log data from {self.uri} for {timeout:.0f} s")
            self._take(deadline - self.clock())
        return self._samples.popleft()

    def samples(self) -> list[Sample]:
        """Log packets that came and were not asked for yet."""
        taken = list(self._samples)
        self._samples.clear()
        return taken

    # ---- commands ----------------------------------------------------------------------------------------------------

    def arm(self, wanted: bool) -> None:
        """Ask the supervisor; supervisor.info tells what came of it."""
        self.send(Port.SUPERVISOR, 1, bytes((1, wanted)))

    def emergency_stop(self) -> None:
        """Motors off at once, the drone falls and stays locked; sent three times, a radio may lose one."""
        for _ in range(3):
            self.send(Port.SUPERVISOR, 1, b"\3")

    def take_off(self, height: float, seconds: float) -> None:
        """High-level commander: up to `height` [m, world], yaw kept. Raises LinkError, also when refused."""
        self._command(struct.pack("<BBff?f", 7, 0, height, 0.0, True, seconds), "take-off")

    def land(self, height: float, seconds: float) -> None:
        """High-level commander: down to `height` [m, world], yaw kept; then it lets go. Raises LinkError."""
        self._command(self.landing(height, seconds), "landing")

    @staticmethod
    def landing(height: float, seconds: float) -> bytes:
        """Payload of that command, for those who cannot wait for an answer."""
        return struct.pack("<BBff?f", 8, 0, height, 0.0, True, seconds)

    def go_to(self, position: tuple[float, float, float], yaw: float, seconds: float) -> None:
        """High-level commander: to a place [m, world] and heading [rad]. Raises LinkError, also when refused."""
        self._command(struct.pack("<BBBBfffff", 12, 0, 0, 0, *position, yaw, seconds), "flight to a place")

    def lean(self, roll_deg: float, pitch_deg: float, height: float) -> None:
        """Attitude set-point at a height [m]: streamed, it ages within half a second. Nose up positive."""
        self.send(Port.COMMANDER_GENERIC, 0, struct.pack("<Bffff", 9, roll_deg, pitch_deg, 0.0, height))

    def hold(self, position: tuple[float, float, float]) -> None:
        """Position set-point [m, world], yaw 0: streamed, it ages within half a second."""
        self.send(Port.COMMANDER_GENERIC, 0, struct.pack("<Bffff", 7, *position, 0.0))

    def let_go(self) -> None:
        """No more streamed set-points: the high-level commander may take over."""
        self.send(Port.COMMANDER_GENERIC, 1, struct.pack("<BI", 0, 0))

    def _command(self, payload: bytes, what: str) -> None:
        """A repeated take-off is answered with `busy` when the first one arrived and its answer was lost."""
        answer = self.request(Port.HIGH_LEVEL, 0, payload, 3)
        if len(answer) < 4 or answer[3] not in (0, errno.EBUSY):
            raise LinkError(f"the drone refused the {what} (error {answer[3] if len(answer) > 3 else 'unknown'})")

    def echo_time(self, payload: bytes, timeout: float) -> float | None:
        """[s] until the drone echoed a packet; None when it did not."""
        start = self.clock()
        self.send(Port.LINK, 0, payload)
        while (left := start + timeout - self.clock()) > 0:
            packet = self._take(left)
            if packet is not None and packet == (Port.LINK, 0, payload):
                return self.clock() - start
        return None


def _nothing() -> None:
    """For those who have nothing to do."""


def _pack(layout: struct.Struct, value: float) -> bytes:
    return layout.pack(value if layout.format[-1:] in ("f", "d") else round(value))
