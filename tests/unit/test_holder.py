"""Who has a virtual drone's link, by a clock of the test's own."""

from __future__ import annotations

from fledge_hil.holder import SILENCE, Holder, Verdict

FIRST, SECOND, THIRD = (("127.0.0.1", port) for port in (5001, 5002, 5003))


def held() -> Holder:
    """By FIRST, since 10 s."""
    holder = Holder()
    assert holder.hear(FIRST, b"\xd1", True, 10.0) is Verdict.SERVE
    holder.take(FIRST, 10.0)
    return holder


def test_a_new_client_waits_until_the_first_is_heard_and_is_refused_then() -> None:
    holder = held()
    assert holder.hear(SECOND, b"\xd1\0", True, 10.1) is Verdict.ASK
    assert holder.hear(SECOND, b"\xf0\1", False, 10.2) is Verdict.DROP
    assert holder.admitted(10.3) is None
    assert holder.hear(FIRST, b"\xf0", False, 10.4) is Verdict.SERVE
    assert holder.refused() == SECOND
    assert holder.refused() is None
    assert holder.admitted(10.4) is None


def test_a_new_client_gets_the_link_with_all_it_said_once_the_first_is_silent() -> None:
    holder = held()
    holder.hear(SECOND, b"\xd1\0", True, 10.5)
    holder.hear(SECOND, b"\xf0\1", False, 10.6)
    assert holder.hear(THIRD, b"\xd1\0", True, 10.7) is Verdict.DROP  # one waits at a time
    assert holder.admitted(10.0 + 0.99 * SILENCE) is None
    waited = holder.admitted(10.0 + 1.01 * SILENCE)
    assert waited is not None
    assert (waited.sender, list(waited.said)) == (SECOND, [b"\xd1\0", b"\xf0\1"])


def test_a_closed_socket_makes_room_at_once_and_a_strangers_does_not() -> None:
    holder = held()
    holder.hear(SECOND, b"\xd1\0", True, 10.1)
    holder.close(THIRD)
    assert holder.admitted(10.1) is None
    holder.close(FIRST)
    waited = holder.admitted(10.1)
    assert waited is not None
    assert waited.sender == SECOND


def test_late_packets_of_a_client_before_are_dropped_and_anything_is_served_after_silence() -> None:
    holder = held()
    assert holder.hear(SECOND, b"\x50\1", False, 10.5) is Verdict.DROP
    assert holder.hear(SECOND, b"\x50\1", False, 10.0 + 1.01 * SILENCE) is Verdict.SERVE
