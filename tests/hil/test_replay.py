"""Replay of logged flights: every bit from ticks, as good as it goes from a flight log, and what must be noticed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import cli, flight_log, pilot, replay, tick_log
from fledge_hil.board import EmulatedBoard, HostBoard, build_board
from fledge_hil.flight_log import FlightLog
from fledge_hil.plans import Plan
from fledge_hil.tick_log import LoggedBoard, TickLog
from fledge_hil.virtual import Settings, VirtualCrazyflie
from fledge_hil.wire import Wire
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

PLAN = Plan(kind="hover", height=0.5, hover_seconds=1.5, climb_seconds=1.5, settle_seconds=0.5)
Flown = tuple[TickLog, FlightLog]


@pytest.fixture(scope="module")
def flown(trained_policy: Policy, board_cache: Path) -> Flown:
    """A short flight on the emulated processor."""
    board = LoggedBoard(EmulatedBoard(build_board(trained_policy, board_cache).elf), trained_policy.contract.sha256)
    drone = VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, board, Settings(seed=2))
    log = pilot.fly_over(Wire(drone), trained_policy, PLAN)
    return board.log, log


def host(policy: Policy, cache: Path) -> HostBoard:
    return HostBoard(build_board(policy, cache).library)


def test_the_c_on_the_host_does_every_tick_of_the_emulated_drone(
    flown: Flown, trained_policy: Policy, board_cache: Path, tmp_path: Path
) -> None:
    tick_log.save(flown[0], tmp_path / "ticks.csv.gz")
    loaded = tick_log.load(tmp_path / "ticks.csv.gz")
    assert loaded.inputs.tobytes() == flown[0].inputs.tobytes()
    found = replay.exact(loaded, host(trained_policy, board_cache), trained_policy)
    assert (found.passed, found.ticks, found.different) == (True, len(flown[0]), 0)


@pytest.mark.parametrize(("tick", "word"), [(3000, 10), (4500, 14), (4999, 1)])
def test_one_bit_of_one_output_is_found(
    flown: Flown, trained_policy: Policy, board_cache: Path, tick: int, word: int
) -> None:
    outputs = flown[0].outputs.copy()
    outputs[tick, word] ^= 1
    bent = dataclasses.replace(flown[0], outputs=outputs)
    found = replay.exact(bent, host(trained_policy, board_cache), trained_policy)
    assert found.different == 1
    assert found.first is not None
    assert (found.first.tick, found.first.field) == (tick, tick_log.field_name(word))


@pytest.fixture(scope="module")
def other(trained_policy: Policy) -> Policy:
    """Two motors exchanged, another bias."""
    weights = dict(trained_policy.weights)
    weights["output.weight"] = weights["output.weight"][[1, 0, 2, 3]]
    weights["output.bias"] = weights["output.bias"] + np.float32(0.2)
    return policies.assemble(dataclasses.replace(trained_policy.contract, weights_sha256=""), weights)


def test_another_policy_differs_from_its_take_over_on(flown: Flown, other: Policy, board_cache: Path) -> None:
    with pytest.raises(FledgeError, match="take the policy that flew"):
        replay.exact(flown[0], host(other, board_cache), other)
    outputs = flown[0].outputs.copy()
    word = next(word for word in range(outputs.shape[1]) if tick_log.field_name(word) == "flight_contract_hash")
    outputs[:, word] = other.contract.hash32
    disguised = TickLog(flown[0].inputs, outputs, other.contract.sha256)
    found = replay.exact(disguised, host(other, board_cache), other)
    assert found.first is not None
    mode = next(word for word in range(outputs.shape[1]) if tick_log.field_name(word) == "flight_mode")
    taken_over = int(np.flatnonzero(outputs[:, mode] == 1)[0])
    assert taken_over <= found.first.tick < taken_over + 500


def test_a_flight_log_fits_its_policy_and_no_other(
    flown: Flown, trained_policy: Policy, other: Policy, board_cache: Path
) -> None:
    own = replay.close(flown[1], host(trained_policy, board_cache))
    assert own.passed
    assert own.rows > 200
    assert not replay.close(flown[1], host(other, board_cache)).passed


def test_the_verb(flown: Flown, trained_policy: Policy, board_cache: Path, tmp_path: Path) -> None:
    policies.save(trained_policy, tmp_path / "policy.npz")
    options = ["--policy", str(tmp_path / "policy.npz"), "--cache", str(board_cache)]
    flight_log.save(flown[1], tmp_path / flight_log.FILE)
    assert cli.run(["replay", str(tmp_path / flight_log.FILE), *options]) == 0
    tick_log.save(flown[0], tmp_path / tick_log.FILE)
    assert cli.run(["replay", str(tmp_path), *options]) == 0
    assert cli.run(["replay", str(tmp_path / "nowhere"), *options]) == 2
    (tmp_path / "empty").mkdir()
    assert cli.run(["replay", str(tmp_path / "empty"), *options]) == 2


def test_pandas_reads_every_log(flown: Flown, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    flight_log.save(flown[1], tmp_path / "flight.csv.gz")
    tick_log.save(flown[0], tmp_path / "ticks.csv.gz")
    frame = pandas.read_csv(tmp_path / "flight.csv.gz", comment="#")
    assert tuple(frame.columns) == flight_log.COLUMNS
    assert np.array_equal(frame["z"].to_numpy(np.float32), flown[1].column("z")[:, 0].astype(np.float32))
    ticks = pandas.read_csv(tmp_path / "ticks.csv.gz", comment="#")
    assert len(ticks) == len(flown[0])
