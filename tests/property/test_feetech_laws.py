"""Laws of the servo bus's packets."""

from __future__ import annotations

from fledge_hil.arm.feetech import LENGTH_MAX, Packet, Parser, from_word, to_word
from fledge_hil.arm.servo_bus import ServoBus
from fledge_hil.arm.virtual_servo import VirtualServo
from fledge_sim import arm as arms
from hypothesis import given, settings
from hypothesis import strategies as st

PACKETS = st.builds(Packet, st.integers(0, 0xFE), st.integers(0, 0xFF), st.binary(max_size=LENGTH_MAX - 2))
SERVO = arms.load("so101").servo


@settings(deadline=None)
@given(PACKETS)
def test_decode_is_the_inverse_of_encode(packet: Packet) -> None:
    assert list(Parser().feed(packet.encode())) == [packet]


@settings(max_examples=50, deadline=None)
@given(st.lists(PACKETS, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_packets_do_not_depend_on_how_the_bytes_come(packets: list[Packet], sizes: list[int]) -> None:
    data = b"".join(packet.encode() for packet in packets)
    parser, found, at = Parser(), [], 0
    while at < len(data):
        for size in sizes:
            found += list(parser.feed(data[at : at + size]))
            at += size
    assert found == packets


@settings(deadline=None)
@given(st.binary(max_size=60), PACKETS)
def test_no_rubbish_hides_a_packet_for_ever(rubbish: bytes, packet: Packet) -> None:
    """Whatever was half said before: enough bytes later the packet is found."""
    parser = Parser()
    found = list(parser.feed(rubbish.replace(b"\xff", b"\xfd") + packet.encode()))
    assert found[-1:] == [packet]
    parser = Parser()
    for _ in range(300):  # as if the master asked again and again
        if packet in list(parser.feed(rubbish[:4] + packet.encode())):
            return
    raise AssertionError("never found")


@given(st.integers(-0x7FFF, 0x7FFF))
def test_words_come_back(value: int) -> None:
    assert from_word(to_word(value)) == value


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=24) | PACKETS.map(Packet.encode), max_size=12))
def test_the_bus_survives_any_bytes(said: list[bytes]) -> None:
    """And what it answers is whole packets of its own servos."""
    servos = [VirtualServo(SERVO, number) for number in (1, 2, 3)]
    bus, parser, now = ServoBus(servos), Parser(), 0.0
    heard = []
    for data in said:
        bus.send(data, now)
        now += 200_000.0
        for servo in servos:
            servo.step(0.1, 0.0, 0.001)
        heard += list(parser.feed(bus.receive(now)))
    assert not parser.buffer
    assert not parser.skipped
    assert all(servo.torque_enabled or not servo.step(0.0, 0.0, 0.001) for servo in servos)
