"""Several drones in one process, and clients of cflib that fly them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cflib.crtp
import pytest
from cflib.crazyflie.swarm import CachedCfFactory, Swarm
from cflib.crazyflie.syncCrazyflie import SyncCrazyflie
from fledge_hil.fleet import Fleet
from fledge_hil.server import ServerSettings
from fledge_hil.verbs import sim
from fledge_sim.errors import FledgeError

FAST = {"processor": "host", "port": 0, "realtime": True}


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(20000, 40000, count + 1):
        try:
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as low,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as high,
            ):
                low.bind(("127.0.0.1", first))
                high.bind(("127.0.0.1", first + count - 1))
                return first
        except OSError:
            continue
    raise AssertionError("no free ports")


@pytest.fixture
def four(board_cache: Path) -> Iterator[Fleet]:
    options = sim.Options(cache=board_cache, drones=4, **FAST)  # type: ignore[arg-type]
    slots = sim.build_drones(options)
    fleet = Fleet([slot.drone for slot in slots], ServerSettings(port=0, mode="realtime"), slots)
    stop = threading.Event()
    thread = threading.Thread(target=fleet.serve, args=(stop.is_set,))
    thread.start()
    yield fleet
    stop.set()
    thread.join()
    fleet.close()


def test_a_swarm_takes_off_flies_and_lands(four: Fleet) -> None:
    cflib.crtp.init_drivers()

    def fly(link: SyncCrazyflie) -> None:
        commander = link.cf.high_level_commander
        commander.takeoff(0.5, 1.0)
        time.sleep(2.0)
        commander.go_to(0.3, 0.0, 0.0, 0.0, 1.5, relative=True)
        time.sleep(2.5)

    def land(link: SyncCrazyflie) -> None:
        link.cf.high_level_commander.land(0.0, 1.0)
        time.sleep(2.0)

    drones = [server.drone for server in four.servers]
    with Swarm({server.uri for server in four.servers}, factory=CachedCfFactory()) as swarm:
        swarm.parallel_safe(fly)
        for number, drone in enumerate(drones):
            assert drone.plant.truth[:3] == pytest.approx([0.3, 0.5 * number, 0.5], abs=0.12)
        positions = swarm.get_estimated_positions()
        assert len(positions) == 4
        swarm.parallel_safe(land)
    assert all(drone.plant.truth[2] < 0.05 for drone in drones)
    assert len({drone.radio_address for drone in drones}) == 4


def test_a_port_in_use_releases_the_others_and_says_which(board_cache: Path) -> None:
    first = free_ports(3)
    slots = sim.build_drones(sim.Options(cache=board_cache, drones=3, **FAST))  # type: ignore[arg-type]
    drones = [slot.drone for slot in slots]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first + 2))
        with pytest.raises(FledgeError, match=f"127.0.0.1:{first + 2}.*another with --port"):
            Fleet(drones, ServerSettings(port=first))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", first))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"robot": "ornithopter"}, "ornithopter"),
        ({"drones": 0}, "--drones lies in 1 to 100"),
        ({"decks": ("bcTeapot",)}, "no deck is called 'bcTeapot'"),
        ({"wind": float("nan")}, "wind and gusts"),
        ({"charge": 2.0}, "--charge lies in 0 to 1"),
        ({"format": "int8"}, "--format is of a policy"),
        ({"host": "no.such.host.invalid"}, "unknown host"),
    ],
)
def test_bad_options_are_one_sentence(board_cache: Path, wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence) as caught:
        sim.run(sim.Options(cache=board_cache, **{**FAST, **wrong}))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_files_of_further_drones_are_numbered() -> None:
    path = Path("runs/flight.csv.gz")
    assert sim._numbered(path, 0) == path
    assert sim._numbered(path, 2) == Path("runs/flight-2.csv.gz")
