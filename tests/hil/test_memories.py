"""Memories through cflib's own classes, and by hand at their edges."""

from __future__ import annotations

import errno
import struct
import threading
import time
from typing import Any

import pytest
from cflib.crazyflie import Crazyflie
from cflib.crazyflie.mem import MemoryElement, Poly4D
from fledge_hil.crtp import Port, packet
from fledge_hil.memories import Kind, MemoryService
from fledge_hil.settings import RADIO_ADDRESS
from fledge_hil.virtual import VirtualCrazyflie


def one(crazyflie: Crazyflie, kind: int) -> Any:
    (found,) = crazyflie.mem.get_mems(kind)
    return found


def wait(event: threading.Event) -> None:
    assert event.wait(5), "cflib's callback did not come"


def test_cflib_finds_the_memories_of_a_crazyflie_and_its_decks(connected: Crazyflie) -> None:
    kinds = [memory.type for memory in connected.mem.mems]
    assert kinds[:3] == [Kind.EEPROM, Kind.TRAJECTORY, Kind.TESTER]
    decks = connected.mem.get_mems(MemoryElement.TYPE_1W)
    assert [deck.elements["Board name"] for deck in decks] == ["bcFlow2", "bcLighthouse4"]
    assert all(deck.valid and deck.vid == 0xBC for deck in decks)
    assert len({deck.addr for deck in decks}) == 2


def test_cflib_reads_the_configuration(connected: Crazyflie) -> None:
    memory, done = one(connected, MemoryElement.TYPE_I2C), threading.Event()
    memory.update(lambda _: done.set())
    wait(done)
    assert memory.valid
    assert memory.elements["radio_address"] == RADIO_ADDRESS
    assert memory.elements["radio_channel"] == 80


def test_the_memory_tester_passes(connected: Crazyflie, drone: VirtualCrazyflie) -> None:
    tester, read, written = one(connected, MemoryElement.TYPE_MEMORY_TESTER), threading.Event(), threading.Event()
    tester.read_data(5, 1000, lambda _: read.set())
    wait(read)
    assert tester.readValidationSuccess
    tester.write_data(5, 1000, lambda *_: written.set())
    wait(written)
    assert drone.ports.memories.tester.errors == 0
    connected.mem.write(tester, 0, bytes((1, 1, 1)))
    deadline = time.monotonic() + 5
    while drone.ports.memories.tester.errors < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drone.ports.memories.tester.errors == 2
    connected.param.set_value("memTst.resetW", 1)
    while drone.ports.memories.tester.errors and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drone.ports.memories.tester.errors == 0


def test_an_uploaded_trajectory_arrives_whole(connected: Crazyflie, drone: VirtualCrazyflie) -> None:
    memory = one(connected, MemoryElement.TYPE_TRAJ)
    memory.trajectory = [Poly4D(k + 0.5, Poly4D.Poly([float(k)] * 8)) for k in range(5)]
    assert memory.write_data_sync(64)
    content = bytes(drone.ports.memories.trajectories.content)
    assert content[64 : 64 + 5 * 132] == b"".join(bytes(piece.pack()) for piece in memory.trajectory)
    assert not memory.write_data_sync(4000)  # does not fit


def ask(service: MemoryService, channel: int, payload: bytes) -> bytes:
    (reply,) = service.handle(channel, payload)
    return reply[1:]


@pytest.fixture
def service() -> MemoryService:
    return MemoryService(("bcLedRing",), RADIO_ADDRESS)


@pytest.mark.parametrize(
    ("number", "start", "length", "error"),
    [(9, 0, 1, errno.ENOENT), (1, 4096, 1, errno.EIO), (1, 4090, 7, errno.EIO), (1, 0, 25, errno.EIO)],
)
def test_reading_elsewhere_is_an_error(
    service: MemoryService, number: int, start: int, length: int, error: int
) -> None:
    request = struct.pack("<BIB", number, start, length)
    assert ask(service, 1, request) == request[:5] + bytes((error,))


def test_writes_are_read_back_up_to_the_last_byte(service: MemoryService) -> None:
    place = struct.pack("<BI", 1, 4096 - 24)
    assert ask(service, 2, place + bytes(range(24))) == place + b"\0"
    assert ask(service, 1, place + b"\x18") == place + b"\0" + bytes(range(24))
    assert ask(service, 2, place + bytes(25)) == place + bytes((errno.EIO,))


def test_short_and_unknown_requests_are_answered_with_nothing_or_themselves(service: MemoryService) -> None:
    assert service.handle(0, b"") == []
    assert service.handle(0, b"\7") == []
    assert service.handle(1, b"\1\0\0\0\0") == []
    assert service.handle(3, bytes(8)) == []
    assert service.handle(0, b"\2\x63") == [packet(Port.MEMORY, 0, b"\2\x63")]
