"""Who has a virtual drone's link: the first client keeps it while it lives, the next one is told so.

On USB the system itself lets one program in. A radio has no sessions: a second dongle on the same address gets half of
the packets, and both links break. A socket could serve anybody, so the rule has to be made: as on USB. A client lives
while its socket exists and it was heard within a second; cflib pings ten times as often. Where the system does not
tell that a socket was closed, which Linux does, the next client waits for that second, and nothing it said is lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

Address = tuple[str, int]
SILENCE = 1.0
"""[s] without a packet, after which anybody may take the link."""
_KEPT = 64
"""Datagrams of a client that waits."""


class Verdict(Enum):
    """What to do with a packet."""

    SERVE = "serve"
    DROP = "drop"
    ASK = "ask"
    """Somebody new wants the link: find out whether the one who has it still exists."""


@dataclass(frozen=True)
class Waiting:
    """A client that wants the link, and what it has said."""

    sender: Address
    said: deque[bytes]


class Holder:
    """See the module's docstring. Time is the caller's [s]."""

    def __init__(self) -> None:
        self.peer: Address | None = None
        self.waiting: Waiting | None = None
        self._heard = 0.0
        self._closed = False

    def alive(self, now: float) -> bool:
        """Somebody has the link and was heard lately."""
        return self.peer is not None and now - self._heard < SILENCE

    def take(self, sender: Address, now: float) -> None:
        """The link belongs to a client from now on."""
        self.peer, self.waiting, self._heard, self._closed = sender, None, now, False

    def hear(self, sender: Address, datagram: bytes, starts: bool, now: float) -> Verdict:
        """A packet came. `starts`: it is one with which a connection begins; late packets of others are dropped."""
        if sender == self.peer:
            self._heard, self._closed = now, False
            return Verdict.SERVE
        if self.waiting is not None and self.waiting.sender == sender:
            if len(self.waiting.said) < _KEPT:
                self.waiting.said.append(datagram)
            return Verdict.DROP
        if self._free(now) or not starts:
            return Verdict.SERVE if self._free(now) else Verdict.DROP
        if self.waiting is None:
            self.waiting = Waiting(sender, deque([datagram]))
            return Verdict.ASK
        return Verdict.DROP

    def close(self, address: Address) -> None:
        """The system says that nobody listens there any more."""
        self._closed = self._closed or address == self.peer

    def admitted(self, now: float) -> Waiting | None:
        """The client that waited, once the one before is gone."""
        return self.waiting if self.waiting is not None and self._free(now) else None

    def refused(self) -> Address | None:
        """The client that waited, when the one who has the link turned out to live: to be asked after hearing it."""
        if self.waiting is None:
            return None
        sender, self.waiting = self.waiting.sender, None
        return sender

    def _free(self, now: float) -> bool:
        return self._closed or not self.alive(now)
