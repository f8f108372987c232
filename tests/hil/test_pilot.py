"""The pilot over real UDP: a whole flight, everything it refuses, and every way a flight can end early."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export.layout import pack
from fledge_hil import flight_log, pilot
from fledge_hil.battery import Battery
from fledge_hil.board import EmulatedBoard, Guard, HostBoard, build_board
from fledge_hil.client import LinkError
from fledge_hil.flight_log import FlightLog
from fledge_hil.pilot import Progress, RefusedError
from fledge_hil.plans import Plan
from fledge_hil.server import BackgroundServer
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

SHORT = Plan(height=0.5, hover_seconds=1.0, laps=0.0, climb_seconds=1.5, settle_seconds=0.5)


def fly(
    drone: VirtualCrazyflie, policy: Policy, plan: Plan, progress: Callable[[Progress], None] | None = None
) -> FlightLog:
    """Behind UDP, in lockstep."""
    server = BackgroundServer(drone)
    with server as uri:
        log = pilot.fly(uri, policy, plan, progress)
        wait_until(lambda: not drone.supervisor.armed)
    assert server.failure is None
    return log


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """The last packet of a closing link may still be under way."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def is_down(drone: VirtualCrazyflie) -> bool:
    """On the floor, disarmed."""
    return drone.plant.truth[2] < 0.03 and not drone.supervisor.armed


def error(log: FlightLog, phase: str, skip: float = 0.0) -> np.ndarray:
    """Distance from the reference, rows of a phase [m]."""
    rows = log.during(phase, skip)
    difference: np.ndarray = log.column("x", "y", "z")[rows] - log.column("rx", "ry", "rz")[rows]
    return np.linalg.norm(difference, axis=1)


def test_a_whole_flight(drone: VirtualCrazyflie, trained_policy: Policy, tmp_path: Path) -> None:
    seen: list[Progress] = []
    log = fly(drone, trained_policy, Plan(laps=1.0, hover_seconds=2.0), seen.append)
    assert log.aborted == ""
    assert is_down(drone)
    names = [phase.name for phase in log.phases]
    assert [name for name in ("take-off", "hover", "figure-eight", "land", "touch-down") if name in names] == [
        name for name in names if name in ("take-off", "hover", "figure-eight", "land", "touch-down")
    ]
    assert np.sqrt(np.mean(error(log, "hover") ** 2)) < 0.05
    assert np.sqrt(np.mean(error(log, "figure-eight", 2.0) ** 2)) < 0.15
    assert np.allclose(np.diff(log.table[:, 0]), 0.01)  # nothing lost on the way
    flown = log.during("hover") | log.during("figure-eight")
    assert set(log.column("guard")[flown].ravel()) == {Guard.OK}
    assert set(log.column("mode")[flown].ravel()) == {1}
    assert seen
    assert {progress.phase for progress in seen} >= {"take-off", "hover", "figure-eight", "land"}
    flight_log.save(log, tmp_path / "flight.csv.gz")
    assert np.array_equal(flight_log.load(tmp_path / "flight.csv.gz").table, log.table)


def test_the_emulated_microcontroller_flies_the_same(trained_policy: Policy, board_cache: Path) -> None:
    board = EmulatedBoard(build_board(trained_policy, board_cache).elf)
    drone = VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, board)
    log = fly(drone, trained_policy, SHORT)
    assert log.aborted == ""
    assert np.sqrt(np.mean(error(log, "hover") ** 2)) < 0.05


def test_stock_controller_may_take_off_and_hand_over_in_the_air(
    drone: VirtualCrazyflie, trained_policy: Policy
) -> None:
    log = fly(drone, trained_policy, dataclasses.replace(SHORT, policy_takes_off=False, settle_seconds=2.0))
    assert log.aborted == ""
    assert set(log.column("mode")[log.during("take-off", 0.2)][:-20].ravel()) == {0}
    assert set(log.column("mode")[log.during("hover")].ravel()) == {1}
    assert is_down(drone)


# ---- refusals --------------------------------------------------------------------------------------------------------


def refuse(drone: VirtualCrazyflie, policy: Policy, match: str) -> None:
    """Refused with this sentence, and nothing has moved."""
    with BackgroundServer(drone) as uri, pytest.raises(RefusedError, match=match):
        pilot.fly(uri, policy, SHORT)
    assert not drone.supervisor.armed
    assert not any(drone.recorder.recording["fraction_1"])


def test_another_policy_than_the_drones_is_refused(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    weights = {name: array * np.float32(1.01) for name, array in trained_policy.weights.items()}
    other = policies.assemble(dataclasses.replace(trained_policy.contract, weights_sha256=""), weights)
    here, there = drone.output.contract_hash, other.contract.hash32
    refuse(drone, other, f"runs contract {here:08x}, the policy file is {there:08x}")


def test_every_difference_is_listed(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    contract = dataclasses.replace(trained_policy.contract, device_type="Crazyflie Bolt")
    other = Policy(contract, trained_policy.weights)
    refuse(drone, other, r"for a 'Crazyflie Bolt', this is a 'Crazyflie 2\.1'; .*runs contract")


def test_a_failed_self_test_is_refused_with_the_drones_words(
    trained_policy: Policy, board_cache: Path, tmp_path: Path
) -> None:
    image = bytearray(build_board(trained_policy, board_cache).library.read_bytes())
    image[image.find(pack(trained_policy).values.astype("<f4").tobytes()) + 400] ^= 1
    (tmp_path / "broken.so").write_bytes(image)
    board = HostBoard(tmp_path / "broken.so")
    drone = VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, board)
    refuse(drone, trained_policy, "self-test failed")


def test_a_locked_drone_is_refused(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    drone.emergency_stop()
    refuse(drone, trained_policy, "locked: restart")


def test_an_empty_battery_is_refused(make_drone: Callable[..., VirtualCrazyflie], trained_policy: Policy) -> None:
    refuse(make_drone(battery=Battery(charge=0.0)), trained_policy, r"battery has 3\.4\d? V, charge")


def test_no_drone_is_one_clear_sentence(trained_policy: Policy) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(LinkError, match=f"udp://127.0.0.1:{port}"):
        pilot.fly(f"udp://127.0.0.1:{port}", trained_policy, SHORT)
    assert time.monotonic() - start < 15


def test_a_nonsense_uri_is_one_clear_sentence(trained_policy: Policy) -> None:
    with pytest.raises(LinkError, match="carrier-pigeon"):
        pilot.fly("carrier-pigeon://1", trained_policy, SHORT)


@pytest.mark.parametrize("changes", [{"height": 50.0}, {"laps": -1.0}, {"period": float("nan")}])
def test_plans_out_of_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(FledgeError, match="it must lie in"):
        dataclasses.replace(SHORT, **changes)


# ---- early ends ------------------------------------------------------------------------------------------------------


def during(phase: str, action: Callable[[], None]) -> Callable[[Progress], None]:
    """Progress callback that acts once, when a phase begins."""
    pending = [action]

    def progress(now: Progress) -> None:
        if now.phase == phase and pending:
            pending.pop()()

    return progress


def test_a_guard_event_ends_the_flight_on_the_stock_controller(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    def blind() -> None:
        drone.faults.position_nan = True

    log = fly(drone, trained_policy, dataclasses.replace(SHORT, hover_seconds=20.0), during("hover", blind))
    assert "not_finite" in log.aborted
    assert Guard.NOT_FINITE in log.column("guard")
    assert log.device_seconds < 20
    assert not drone.supervisor.armed
    assert log.phases[-1].name == "emergency landing"


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_in_the_air_lands_and_disarms(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    plan = dataclasses.replace(SHORT, hover_seconds=20.0)
    log = fly(drone, trained_policy, plan, during("hover", interrupt))
    assert log.aborted == "interrupted"
    assert log.phases[-1].name == "emergency landing"
    assert is_down(drone)
    assert drone.supervisor.state.name != "LOCKED"


def test_an_exception_in_the_air_lands_disarms_and_is_not_swallowed(
    drone: VirtualCrazyflie, trained_policy: Policy
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fly(drone, trained_policy, dataclasses.replace(SHORT, hover_seconds=20.0), during("hover", fail))
    assert is_down(drone)


def test_a_drone_that_falls_silent_ends_the_flight(
    drone: VirtualCrazyflie, trained_policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pilot, "PATIENCE", 1.0)
    server = BackgroundServer(drone)
    plan = dataclasses.replace(SHORT, hover_seconds=20.0)
    with server as uri:
        log = pilot.fly(uri, trained_policy, plan, during("hover", server.server.stop))
    assert "no log data" in log.aborted or "lost the link" in log.aborted
