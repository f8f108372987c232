"""The client's side of hardware in the loop: questions over the app channel, asked again when no answer comes.

Packets may be lost, come late, in another order or twice: every question has a sequence number, of which the device
makes one tick whatever the link does, and all that was odd is counted. Above any `Client`, so over unmodified cflib.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from fledge_hil import injection
from fledge_hil.client import Client, LinkError
from fledge_hil.crtp import Port
from fledge_hil.injection import (
    Answer,
    InjectedState,
    Ready,
    Refusal,
    RefusalReason,
    Reply,
    Schedule,
    TargetSet,
    Vector,
)
from fledge_hil.link import APP_CHANNEL

REPEAT_EVERY = 0.05
"""[s] without an answer, after which a question is sent again."""
CLOSER = "bring radio and drone closer"
"""What to do about a link that falls silent."""
PATIENCE = 2.0
"""[s] until a question is given up."""
_PASSING = (RefusalReason.BUSY, RefusalReason.HALF_MISSING)
"""Refusals of a question that was repeated or torn apart on the way: it is asked again."""
_HALF = 128
"""Sequence numbers wrap at 256: so many are ahead, as many behind."""


@dataclass
class Traffic:
    """What the link did."""

    questions: int = 0
    """States, targets and beginnings, each counted once."""
    repeated: int = 0
    """Sent once more because no answer came in time."""
    duplicates: int = 0
    """Answers that came twice."""
    overtaken: int = 0
    """Answers that came after a newer one."""
    unanswered: int = 0
    """Free run: states without an answer; lost, or replaced by the next within a millisecond."""
    unreadable: int = 0
    """Bytes on the app channel that are no answer."""
    refused: Counter[str] = field(default_factory=Counter)
    """By reason."""


class LoopClient:
    """One run after the other on one link."""

    def __init__(self, client: Client) -> None:
        self.client, self.traffic = client, Traffic()
        self.left = True
        """Whether the device is known to be out of the loop again; set when it is left."""
        self._runs = self._targets = self._states = 0
        self._answered = -1
        """Number of the newest state that was answered; counts on where the sequence numbers wrap."""
        self._sent_at: dict[int, float] = {}
        """Free run: when each unanswered state was sent."""

    # ---- lockstep ----------------------------------------------------------------------------------------------------

    def begin(self, schedule: Schedule, period_ms: int = 1) -> Ready:
        """A new run; the policy starts afresh. Raises LinkError, InjectionError."""
        self._runs += 1
        self._answered = self._states - 1
        self._sent_at.clear()
        packet = injection.encode_begin(self._runs, schedule, period_ms)
        reply = self._ask((packet,), lambda reply: isinstance(reply, Ready) and _is(reply, self._runs), "the start")
        assert isinstance(reply, Ready)
        return reply

    def aim(self, position_world: Vector, velocity_world: Vector = (0.0, 0.0, 0.0)) -> None:
        """The target from now on [m, m/s]. Raises LinkError."""
        packet = self._target(position_world, velocity_world)
        number = self._targets
        self._ask((packet,), lambda reply: isinstance(reply, TargetSet) and _is(reply, number), "a target")

    def ask(self, state: InjectedState, exact: bool) -> Answer:
        """What the device answers to a state, in float32 if `exact`. Raises LinkError, InjectionError."""
        number = self._states
        packets = injection.encode_exact_state(number, state) if exact else (injection.encode_state(number, state),)
        self._states += 1
        reply = self._ask(packets, lambda reply: isinstance(reply, Answer) and _is(reply, number), "a state")
        assert isinstance(reply, Answer)
        self._answered = number
        return reply

    def _ask(self, packets: tuple[bytes, ...], wanted: Callable[[Reply], bool], what: str) -> Reply:
        clock, traffic = self.client.clock, self.traffic
        traffic.questions += 1
        deadline, again = clock() + PATIENCE, clock() + REPEAT_EVERY
        self._send(packets)
        while (now := clock()) < deadline:
            if now >= again:
                traffic.repeated += 1
                self._send(packets)
                again = now + REPEAT_EVERY
            reply = self._next(min(deadline, again) - now)
            if reply is None:
                continue
            if wanted(reply):
                return reply
            if isinstance(reply, Refusal):
                self._refused(reply, packets)
                again = 0.0 if reply.reason is RefusalReason.HALF_MISSING else again
            else:
                self._astray(reply)
        raise LinkError(f"{self.client.uri} did not answer {what} for {PATIENCE:.0f} s; {CLOSER}")

    # ---- free run ----------------------------------------------------------------------------------------------------

    def aim_on(self, position_world: Vector, velocity_world: Vector) -> None:
        """As `aim`, without waiting: the next one makes good for one that was lost."""
        self.traffic.questions += 1
        self._send((self._target(position_world, velocity_world),))

    def post(self, state: InjectedState) -> None:
        """A state, in integers, without waiting; its answer comes with `collect`."""
        self.traffic.questions += 1
        self._sent_at[self._states] = self.client.clock()
        self._send((injection.encode_state(self._states, state),))
        self._states += 1

    def collect(self, until: float) -> list[tuple[Answer, float]]:
        """Answers that come before `until` on the client's clock, in order and once, each with its round trip [s]."""
        found = []
        while (left := until - self.client.clock()) > 0:
            reply = self._next(left)
            if isinstance(reply, Refusal):
                self._refused(reply, ())
            elif isinstance(reply, Answer):
                number = self._number(reply.sequence)
                sent = self._sent_at.pop(number, None)
                if sent is None or number <= self._answered:
                    self._astray(reply)
                    continue
                self._answered = number
                found.append((reply, self.client.clock() - sent))
        return found

    def close(self) -> None:
        """After a free run: what is still unanswered."""
        self.traffic.unanswered += len(self._sent_at)
        self._sent_at.clear()

    def _number(self, sequence: int) -> int:
        """Which state a sequence number means: of the last 256."""
        newest = self._states - 1
        return newest - ((newest - sequence) & 0xFF)

    # ---- packets -----------------------------------------------------------------------------------------------------

    def _target(self, position_world: Vector, velocity_world: Vector) -> bytes:
        self._targets += 1
        return injection.encode_target(self._targets, position_world, velocity_world)

    def _send(self, packets: tuple[bytes, ...]) -> None:
        for packet in packets:
            self.client.send(Port.PLATFORM, APP_CHANNEL, packet)

    def _next(self, seconds: float) -> Reply | None:
        packet = self.client.receive(max(0.0, seconds))
        if packet is None or packet[:2] != (Port.PLATFORM, APP_CHANNEL):
            return None
        try:
            return injection.parse_reply(packet[2])
        except injection.InjectionError:
            self.traffic.unreadable += 1
            return None

    def _refused(self, refusal: Refusal, packets: tuple[bytes, ...]) -> None:
        """Raises InjectionError if asking again is of no use; of packets that came late nothing depends."""
        self.traffic.refused[refusal.reason.name.lower()] += 1
        is_meant = not packets or any(packet[:2] == bytes((refusal.kind, refusal.sequence)) for packet in packets)
        if is_meant and refusal.reason not in _PASSING:
            raise injection.InjectionError(refusal.sentence)

    def _astray(self, reply: Reply) -> None:
        """One that nobody waits for."""
        behind = (self._answered - reply.sequence) & 0xFF if isinstance(reply, Answer) else 0
        if behind == 0:
            self.traffic.duplicates += 1
        elif behind < _HALF:
            self.traffic.overtaken += 1


def _is(reply: Reply, number: int) -> bool:
    return reply.sequence == number & 0xFF
