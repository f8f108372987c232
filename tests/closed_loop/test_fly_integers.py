"""Integers on the drone: it flies them, answers with their hash, and refuses to pass for the float32 policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fledge_export import package
from fledge_hil import cli, formats, pilot, preflight
from fledge_hil.board import HostBoard, build_board
from fledge_hil.plans import Plan
from fledge_hil.server import BackgroundServer
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import policy as policy_file
from fledge_sim import robot as robots
from fledge_sim.policy import Policy
from fledge_train import config, shac


@pytest.fixture(scope="module")
def trained() -> Policy:
    return shac.train(config.fast()).policy


@pytest.fixture(scope="module")
def int8(trained: Policy) -> Policy:
    return package.quantised(trained, "int8")


def test_the_whole_chain_flies_int8_on_a_robot_file_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text((robots.ROBOTS / "crazyflie.toml").read_text().replace('name = "crazyflie"', 'name = "mine"'))
    arguments = ["--robot", str(mine), "--preset", "fast", "--format", "int8", "--name", "run"]
    assert cli.run(["fly", *arguments, "--directory", str(tmp_path), "--hover-seconds", "3", "--laps", "1"]) == 0
    run = tmp_path / "run"
    trained = policy_file.load(run / "policy.npz")
    assert (trained.contract.robot, trained.contract.quantisation) == ("mine", "float32")
    int8 = formats.convert(trained, "int8", str(mine))
    assert policy_file.load(run / "policy-int8.npz").contract.sha256 == int8.contract.sha256
    report = json.loads((run / "report.json").read_text())
    assert report["verdict"] == {"passed": True, "reasons": []}
    for phase, bound in (("hover", 0.05), ("figure_eight", 0.15)):
        assert 0 < report["scores"][phase]["truth"]["rmse"] < bound


def test_a_drone_with_integers_is_not_taken_for_the_float_policy(trained: Policy, int8: Policy, tmp_path: Path) -> None:
    board = HostBoard(build_board(int8, tmp_path).library)
    drone = VirtualCrazyflie(robots.load("crazyflie"), int8.contract, board)
    assert drone.self_test_passed
    assert drone.output.contract_hash == int8.contract.hash32 != trained.contract.hash32
    now = {"fledge.contract": float(drone.output.contract_hash)}
    assert preflight.mismatches(int8.contract, "Crazyflie 2.1", now) == []
    assert "export and flash it again" in preflight.mismatches(trained.contract, "Crazyflie 2.1", now)[0]
    with BackgroundServer(drone) as uri, pytest.raises(pilot.RefusedError, match="runs contract"):
        pilot.fly(uri, trained, Plan(laps=0.0))
    assert not drone.supervisor.armed
