"""What a flight in the loop leaves behind, whichever body flew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fledge_hil.flight_log import FlightLog
from fledge_hil.injection import Answer
from fledge_hil.loop_client import Traffic
from fledge_hil.recording import Recording


@dataclass(frozen=True)
class LoopFlight:
    """One run."""

    log: FlightLog
    recording: Recording | None
    """Truth of the body that flew here; None when it flew on the device."""
    traffic: Traffic
    armed: bool
    """Whether the supervisor said so at the end: must never be."""
    left: bool
    """Whether the device is known to be out of the loop."""
    answers: tuple[Answer, ...] = field(default=(), repr=False)
    """To the states that were injected."""
    round_trips: tuple[float, ...] = field(default=(), repr=False)
    """[s], on the client's clock, one per answer."""


def reasons(armed: bool, left: bool) -> Iterator[str]:
    """What speaks against a run, beside how it flew."""
    if armed:
        yield "the drone was armed in the loop, which its firmware must not allow"
    if not left:
        yield "the drone did not confirm that it left the loop: restart it, or write 0 to fledge.hil"
