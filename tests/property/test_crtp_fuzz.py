"""Whatever arrives on the link, and in whatever state the drone is, it goes on living and answering."""

from __future__ import annotations

import contextlib
import math
import random
import socket
import struct

import pytest
from fledge_hil.board import BoardFiles, HostBoard, build_board
from fledge_hil.crtp import MAX_PAYLOAD, Port, decompress_quaternion, packet, split
from fledge_hil.server import Server, ServerSettings
from fledge_hil.setpoint import Setpoint, parse_generic, parse_rpyt
from fledge_hil.toc import Number
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights
from hypothesis import example, given, settings
from hypothesis import strategies as st

ARM = packet(Port.SUPERVISOR, 1, b"\1\1")


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Untrained: what it does with the motors is part of the fuzz."""
    contract = contract_of(robots.load("crazyflie"), ActorConfig(), SensorConfig(), TrainingRecord("none", 0, "test"))
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


@pytest.fixture(scope="module")
def files(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> BoardFiles:
    return build_board(policy, tmp_path_factory.mktemp("fuzz-boards"))


def boot(policy: Policy, files: BoardFiles) -> VirtualCrazyflie:
    return VirtualCrazyflie(robots.load("crazyflie"), policy.contract, HostBoard(files.library))


number32 = st.floats(width=32)
"""NaN, infinities and denormals included."""


def _floats(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


commands = st.one_of(
    st.tuples(st.sampled_from((0, 1, 2, 5, 6, 7, 8, 9, 10, 11)), st.lists(number32, min_size=4, max_size=7)).map(
        lambda made: packet(Port.COMMANDER_GENERIC, 0, struct.pack(f"<B{len(made[1])}f", made[0], *made[1]))
    ),
    st.tuples(st.sampled_from((7, 8)), number32, number32, st.booleans(), number32).map(
        lambda made: packet(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", made[0], 0, *made[1:]))
    ),
    st.tuples(st.booleans(), st.booleans(), st.lists(number32, min_size=5, max_size=5)).map(
        lambda made: packet(Port.HIGH_LEVEL, 0, struct.pack("<BB??5f", 12, 0, made[0], made[1], *made[2]))
    ),
    st.tuples(number32, number32, number32, st.integers(0, 65535)).map(
        lambda made: packet(Port.COMMANDER, 0, struct.pack("<fffH", *made))
    ),
    st.integers(0, 2**32 - 1).map(lambda ms: packet(Port.COMMANDER_GENERIC, 1, struct.pack("<BI", 0, ms))),
    st.tuples(st.integers(0, 80), number32).map(lambda made: packet(Port.PARAM, 2, struct.pack("<Hf", *made))),
    st.lists(number32, min_size=3, max_size=7).map(
        lambda made: packet(Port.LOCALIZATION, int(len(made) > 3), bytes((8,) * (len(made) > 3)) + _floats(made))
    ),
    st.tuples(st.sampled_from((9, 10)), number32, st.booleans(), number32, st.booleans(), number32).map(
        lambda made: packet(Port.HIGH_LEVEL, 0, struct.pack("<BBf?f?f", made[0], 0, *made[1:]))
    ),
    st.tuples(st.booleans(), st.booleans(), st.lists(number32, min_size=5, max_size=5)).map(
        lambda made: packet(Port.HIGH_LEVEL, 0, struct.pack("<BB??5f", 11, 0, made[0], made[1], *made[2]))
    ),
    st.tuples(st.integers(0, 11), st.integers(0, 1), st.integers(0, 4200), st.integers(0, 255)).map(
        lambda made: packet(Port.HIGH_LEVEL, 0, struct.pack("<BBBBIB", 6, made[0], 1, *made[1:]))
    ),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 11), number32).map(
        lambda made: packet(Port.HIGH_LEVEL, 0, struct.pack("<BB???Bf", 13, 0, *made))
    ),
    st.tuples(st.integers(0, 7), st.integers(0, 2**32 - 1), st.binary(max_size=25)).map(
        lambda made: packet(Port.MEMORY, 2, struct.pack("<BI", *made[:2]) + made[2])
    ),
    st.tuples(st.integers(0, 7), st.integers(0, 9000), st.integers(0, 255)).map(
        lambda made: packet(Port.MEMORY, 1, struct.pack("<BIB", *made))
    ),
    st.just(ARM),
)
"""Well-formed, with any numbers inside."""

noise = st.tuples(st.sampled_from(list(Port)), st.integers(0, 3), st.binary(max_size=MAX_PAYLOAD)).map(
    lambda made: packet(*made)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(commands, noise, st.binary(max_size=40)), max_size=12), st.integers(0, 120))
@example([ARM, packet(Port.HIGH_LEVEL, 0, struct.pack("<BBff?f", 7, 0, 3e38, 0, True, 1e-45))], 100)
@example([ARM, packet(Port.COMMANDER_GENERIC, 0, struct.pack("<B4f", 7, 3e38, -3e38, 3e38, 3e38))], 100)
@example([ARM, packet(Port.COMMANDER_GENERIC, 0, struct.pack("<B4f", 8, 3e38, 3e38, 3e38, -3e38))], 120)
def test_no_packet_stops_the_drone(policy: Policy, files: BoardFiles, datagrams: list[bytes], ticks: int) -> None:
    drone = boot(policy, files)
    for _ in range(60):
        drone.step_ms()
    for datagram in datagrams:
        answers = drone.handle_packet(datagram)
        for _ in range(ticks):
            answers += drone.step_ms()
        assert all(0 < len(answer) <= MAX_PAYLOAD + 1 for answer in answers)
    assert drone.handle_packet(packet(Port.LINK, 0, b"still there?")) == [packet(Port.LINK, 0, b"still there?")]
    assert drone.time_ms == 60 + ticks * len(datagrams)
    assert all(math.isfinite(value) for value in drone.plant.truth)


SHOWER = 100_000
CALLS = tuple(
    packet(port, channel, bytes((command,)) + bytes(range(arguments)))
    for port, channel, command, arguments in (
        (Port.PARAM, 0, 3, 0), (Port.PARAM, 0, 2, 2), (Port.PARAM, 1, 5, 1), (Port.PARAM, 2, 5, 5),
        (Port.PARAM, 3, 7, 2),
        (Port.LOG, 0, 3, 0), (Port.LOG, 0, 2, 2), (Port.LOG, 1, 6, 7), (Port.LOG, 1, 7, 7), (Port.LOG, 1, 8, 3),
        (Port.LOG, 1, 5, 0), (Port.MEMORY, 0, 1, 0), (Port.MEMORY, 1, 1, 5), (Port.MEMORY, 2, 1, 25),
        (Port.COMMANDER, 0, 0, 13), (Port.COMMANDER_GENERIC, 0, 7, 16), (Port.COMMANDER_GENERIC, 0, 6, 28),
        (Port.COMMANDER_GENERIC, 1, 0, 4), (Port.HIGH_LEVEL, 0, 7, 14), (Port.HIGH_LEVEL, 0, 12, 24),
        (Port.HIGH_LEVEL, 0, 6, 8), (Port.HIGH_LEVEL, 0, 13, 9), (Port.SUPERVISOR, 0, 12, 0),
        (Port.SUPERVISOR, 1, 1, 1),
        (Port.PLATFORM, 0, 1, 1), (Port.PLATFORM, 1, 2, 0), (Port.PLATFORM, 2, 1, 27), (Port.LOCALIZATION, 1, 8, 28),
        (Port.LINK, 0, 1, 8), (Port.LINK, 1, 0, 0), (15, 3, 0xFF, 24), (15, 3, 0xFE, 24),
    )
)  # fmt: skip
"""One of each kind that the drone knows, and of the bootloaders'."""


def _broken(generator: random.Random) -> bytes:
    """A packet with some bytes changed, cut or lengthened, or nothing but noise."""
    if generator.random() < 0.2:
        return generator.randbytes(generator.randrange(41))
    datagram = bytearray(generator.choice(CALLS))
    for _ in range(generator.randrange(4)):
        datagram[generator.randrange(len(datagram))] = generator.choice(
            (0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256))
        )
    if generator.random() < 0.2:
        datagram = datagram[: generator.randrange(len(datagram) + 1)]
    return bytes(datagram) + (generator.randbytes(generator.randrange(9)) if generator.random() < 0.1 else b"")


def test_a_shower_of_broken_packets_leaves_the_server_serving(policy: Policy, files: BoardFiles) -> None:
    """100,000 datagrams through the socket, from the client that has the link and from a stranger."""
    generator = random.Random(2026)
    drone = boot(policy, files)
    server = Server(drone, ServerSettings(port=0, mode="realtime"))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        for each in (client, stranger):
            each.connect(("127.0.0.1", int(server.uri.rsplit(":", 1)[1])))
            each.setblocking(False)
        for batch in range(SHOWER // 100):
            for _ in range(100):
                (stranger if generator.random() < 0.1 else client).send(_broken(generator))
            echo = packet(Port.LINK, 0, b"batch %d" % batch)
            client.send(echo)
            server.turn()
            drone.step_ms()
            assert echo in _received(client)
            _received(stranger)
        assert math.isfinite(sum(drone.plant.truth))
    server.close()


def _received(client: socket.socket) -> list[bytes]:
    """All that has come since the last time."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(client.recv(64))
    return found


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.booleans())
def test_every_log_variable_can_be_packed_at_any_time(
    policy: Policy, files: BoardFiles, order: list[int], lost: bool
) -> None:
    """In every type that the link knows, also while the estimator answers NaN."""
    drone = boot(policy, files)
    drone.faults.position_nan = lost
    count = len(drone.log.toc.index)
    for type_code in (order[0] + 1, order[1] + 5):
        for first in range(0, count, 6):
            entries = b"".join(struct.pack("<BH", type_code, n) for n in range(first, min(count, first + 6)))
            assert drone.handle_packet(packet(Port.LOG, 1, bytes((6, 1)) + entries))[0][-1] == 0
            drone.handle_packet(packet(Port.LOG, 1, bytes((8, 1, 1, 0))))
            assert any(datagram[0] == 0x52 for datagram in drone.step_ms() + drone.step_ms())
            drone.handle_packet(packet(Port.LOG, 1, bytes((2, 1))))


def _numbers(setpoint: Setpoint) -> list[Number]:
    return [
        *setpoint.position_world,
        *setpoint.velocity_world,
        *(setpoint.velocity_heading or ()),
        setpoint.roll_deg,
        setpoint.pitch_deg,
        setpoint.yaw_deg or 0.0,
        setpoint.yaw_rate_deg_s,
        setpoint.height or 0.0,
    ]


payloads = st.tuples(st.integers(0, 12), st.lists(number32, min_size=4, max_size=7)).map(
    lambda made: struct.pack(f"<B{len(made[1])}f", made[0], *made[1])
)


@given(st.one_of(st.binary(max_size=MAX_PAYLOAD), payloads, payloads.map(lambda payload: payload[1:])))
def test_a_setpoint_is_finite_or_refused(payload: bytes) -> None:
    for setpoint in (parse_generic(payload), parse_rpyt(payload)):
        if setpoint is not None:
            assert all(math.isfinite(value) for value in _numbers(setpoint))
            assert 0 <= setpoint.thrust_fraction <= 1


@given(st.integers(0, 2**32 - 1))
def test_every_word_is_a_unit_quaternion(word: int) -> None:
    squared = sum(value * value for value in decompress_quaternion(word))
    assert squared >= 1 - 1e-12
    assert squared <= 1.5 + 1e-12  # three elements at their largest magnitude: no quaternion packs to that


@given(st.binary(min_size=1, max_size=MAX_PAYLOAD + 1))
def test_split_and_packet_are_inverse(datagram: bytes) -> None:
    parts = split(datagram)
    if parts is not None:
        again = packet(Port(parts[0]), parts[1], parts[2]) if parts[0] in list(Port) else None
        assert again is None or again == bytes((datagram[0] & 0xF3,)) + datagram[1:]
