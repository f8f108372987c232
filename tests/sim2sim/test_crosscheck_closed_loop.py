"""A policy trained in our simulator flies in MuJoCo and in PyBullet as it flies at home."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import cli
from fledge_hil.verbs import train
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.crosscheck import mjcf
from fledge_sim.crosscheck.airframe import Body
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy
from fledge_train import evaluate, shac
from fledge_train.flights import Dynamics, native_dynamics

TIMESTEP = {"mujoco": 1e-2, "pybullet": 1e-3}
"""[s]"""
EPISODES = 4


@pytest.fixture(scope="module")
def policy() -> Policy:
    return shac.train(train.PRESETS["fast"]("crazyflie", "gru", 0)).policy


def hover_and_eight(policy: Policy, dynamics: Dynamics) -> tuple[evaluate.Hover, evaluate.Tracking]:
    robot, conditions = robots.load("crazyflie"), evaluate.Conditions(seed=4, dynamics=dynamics)
    return (
        evaluate.hover(policy, robot, conditions, EPISODES),
        evaluate.track_figure_eight(policy, robot, 5.5, conditions, EPISODES),
    )


@pytest.mark.parametrize("name", ["mujoco", "pybullet"])
def test_a_policy_flies_the_same_in_another_engine(policy: Policy, name: str) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'fledge[crosscheck]'")
    module = importlib.import_module(f"fledge_sim.crosscheck.{name}")
    hover, eight = hover_and_eight(policy, native_dynamics)
    with module.engine(Physics(drag=True), timestep=TIMESTEP[name]) as engine:
        other_hover, other_eight = hover_and_eight(policy, engine.step)
    assert other_hover.survival == hover.survival > 0
    assert other_eight.survival == eight.survival == 1
    assert hover.error is not None
    assert eight.rmse is not None
    tolerance = 1e-5 if name == "mujoco" else 2e-3
    assert other_hover.error == pytest.approx(hover.error, abs=tolerance)
    assert other_eight.rmse == pytest.approx(eight.rmse, abs=tolerance)
    assert eight.rmse < 0.1


def test_swapped_motors_crash(policy: Policy) -> None:
    """The comparison above can fail: with two motors exchanged in the model nothing stays up."""
    pytest.importorskip("mujoco", reason="mujoco is not installed: pip install 'fledge[crosscheck]'")
    module = importlib.import_module("fledge_sim.crosscheck.mujoco")

    def swapped(body: Body, floor: bool) -> str:
        text = mjcf.emit(body, floor)
        return text.replace('"m1" site="m1"', '"m1" site="m2"').replace('"m2" site="m2"', '"m2" site="m1"')

    with module.engine(Physics(drag=True), timestep=1e-2, emit=swapped) as engine:
        conditions = evaluate.Conditions(seed=4, dynamics=engine.step)
        assert evaluate.hover(policy, robots.load("crazyflie"), conditions, 2).survival == 0


def test_the_verb_tabulates_it(policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engines = [name for name in TIMESTEP if importlib.util.find_spec(name)]
    policies.save(policy, tmp_path / "policy.npz")
    arguments = ["--policy", str(tmp_path / "policy.npz"), "--drones", "2", "--duration", "0.05", "--episodes", "1"]
    assert cli.run(["bench", "crosscheck", *arguments, "--json", str(tmp_path / "figures.json")]) == 0
    tree = json.loads((tmp_path / "figures.json").read_text())
    accelerations, thrown, take_off, floor, closed_loop = tree["tables"]
    assert len(accelerations["rows"]) == 2 * len(engines)
    assert len(closed_loop["rows"]) == 1 + len(engines)
    assert len(floor["rows"]) == 2 + len(engines)
    assert all(np.isfinite(cell) for table in (thrown, take_off) for row in table["rows"] for cell in row[1:])
    assert len(tree["absent"]) == 2 - len(engines)
    assert "figure-eight" in capsys.readouterr().out
