"""`fledge eval`: what it flies, what it writes, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fledge_hil import cli, evaluation
from fledge_sim import policy as policies
from fledge_sim import robot
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_train import config, evaluate, networks, suite

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own traces


def policy_for(name: str) -> Policy:
    """Untrained: it falls, which is enough to be measured."""
    cfg = config.robust(name)
    contract = networks.contract_of(robot.load(name), cfg.actor, cfg.sensors, TrainingRecord("none", 0, "test"))
    return policies.assemble(contract, networks.initial_weights(contract, cfg.actor.output_gain, 0))


Choose = Callable[..., tuple[suite.Case, ...]]
QUICK, ELSEWHERE = suite.quick, suite.elsewhere
FLOWN = ("hover", "hover_randomized", "figure_eight_3.5_s")


@pytest.fixture(autouse=True)
def few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb flies two hovers and the fastest figure-eight, which takes the least time."""

    def short(whole: Choose) -> Choose:
        return lambda *given: tuple(case for case in whole(*given) if case.name in FLOWN)

    monkeypatch.setattr(suite, "quick", short(QUICK))
    monkeypatch.setattr(suite, "elsewhere", short(ELSEWHERE))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "policy.npz"
    policies.save(policy_for("crazyflie"), path)
    return path


def evaluated(*arguments: object, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "figures.json"
    assert cli.run(["eval", *map(str, arguments), "--json", str(path)]) == 0
    tree: dict[str, Any] = json.loads(path.read_text())
    return tree


def test_quick_cases_are_those_that_a_run_keeps(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tasks under the same conditions, with the same seeds and as many episodes."""
    flown: list[tuple[Any, ...]] = []

    def hover(policy: Policy, vehicle: Robot, conditions: evaluate.Conditions, episodes: int = 0) -> evaluate.Hover:
        flown.append((None, conditions, episodes))
        return evaluate.Hover(episodes, 0.0, None, None, None)

    def eight(
        policy: Policy, vehicle: Robot, period: float, conditions: evaluate.Conditions, episodes: int = 48
    ) -> evaluate.Tracking:
        flown.append((period, conditions, episodes))
        return evaluate.Tracking(episodes, period, None, None, None, 0.0)

    monkeypatch.setattr(evaluate, "hover", hover)
    monkeypatch.setattr(evaluate, "track_figure_eight", eight)
    policy = policies.load(saved)
    evaluate.evaluate(policy, robot.load("crazyflie"), episodes=120, seed=3)
    cases = QUICK(policy.contract, 120, 3)
    assert flown == [(case.period, case.conditions, case.episodes) for case in cases]


def test_the_json_says_who_flew_what_under_which_conditions(saved: Path, tmp_path: Path) -> None:
    tree = evaluated(saved, "--episodes", 4, "--seed", 9, tmp_path=tmp_path)
    policy = policies.load(saved)
    assert tree["robot"] == {"name": "crazyflie", "sha256": robot.load("crazyflie").sha256}
    assert tree["flown"][0]["contract"]["sha256"] == policy.contract.sha256
    assert tree["flown"][0]["engine"] == "native"
    assert tree["cases"]["hover_randomized"]["delay_s"] == 0.0
    assert tree["cases"]["hover"]["seed"] == 9
    assert tree["cases"]["hover_randomized"]["spread"]["mass"] == 0.2
    assert tree["cases"]["hover"]["spread"] == {"disturbance_force": 0.05, "disturbance_torque": 1e-4}
    assert tree["fledge"]


def test_thorough_covers_pushes_gusts_delays_and_throws() -> None:
    cases = {case.name: case for case in suite.thorough(policy_for("crazyflie").contract)}
    assert cases["hover"].episodes == cases["hover_randomized"].episodes == 1000
    assert [cases[f"hover_delay_{ms}_ms"].conditions.delay for ms in (10, 20, 30)] == [0.01, 0.02, 0.03]
    assert [cases[f"hover_push_x{x}"].conditions.spread.disturbance_force for x in (2, 3, 4)] == pytest.approx(
        [0.1, 0.15, 0.2]
    )
    assert cases["hover_gusts"].conditions.gusts == 0.1
    for period in ("15", "5.5", "3.5"):
        plain, at_once = (cases[f"figure_eight_{period}_s{kind}"] for kind in ("", "_combined"))
        assert plain.episodes == at_once.episodes == 100
        assert at_once.conditions.delay == 0.01
        assert at_once.conditions.spread.mass == 0.2
    assert cases["recovery"].task == "recovery"


def test_seeds_of_a_suite_differ_from_case_to_case() -> None:
    cases = suite.thorough(policy_for("crazyflie").contract)
    hovers = [case.conditions.seed for case in cases if case.task == "hover"]
    assert len(set(hovers)) == len(hovers)


def test_an_exported_model_needs_no_contract(saved: Path, tmp_path: Path) -> None:
    assert cli.run(["export", str(saved), "--directory", str(tmp_path / "export"), "--format", "onnx"]) == 0
    model = next((tmp_path / "export").rglob("*.onnx"))
    ours = evaluated(saved, "--episodes", 4, tmp_path=tmp_path)
    theirs = evaluated(model, "--episodes", 4, tmp_path=tmp_path)
    assert theirs["flown"][0]["contract"] == ours["flown"][0]["contract"]
    assert theirs["flown"][0]["figures"] == ours["flown"][0]["figures"]


def test_a_model_from_elsewhere_is_measured_under_a_contract(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    actor = torch.nn.Sequential(torch.nn.Linear(18, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4), torch.nn.Tanh())
    for weight in actor.parameters():
        weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
    model, contract = tmp_path / "actor.onnx", tmp_path / "contract.json"
    torch.onnx.export(actor, (torch.zeros(1, 18),), str(model), dynamo=False)
    assert cli.run(["import", str(model), "--draft", str(contract), "--robot", "crazyflie_paper"]) == 0
    tree = evaluated(model, "--contract", contract, "--episodes", 4, tmp_path=tmp_path)
    assert tree["robot"]["name"] == "crazyflie_paper"
    assert tree["flown"][0]["contract"]["network"] == "mlp 8"


@pytest.mark.parametrize("batched", [True, False])
def test_a_graph_that_cannot_become_a_policy_is_run_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], batched: bool
) -> None:
    """Layer normalisation, then actions whose bias is hover: level at rest it hovers, as the plain part of it does."""
    torch = pytest.importorskip("torch")
    contract = policy_for("crazyflie").contract
    actor = torch.nn.Sequential(torch.nn.Linear(18, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 4), torch.nn.Tanh())
    actor[2].weight.data *= 0.0
    actor[2].bias.data[:] = float(np.arctanh(contract.action.hover))
    names = {"input_names": ["obs"], "dynamic_axes": {"obs": {0: "n"}}} if batched else {}
    torch.onnx.export(actor, (torch.zeros(1, 18),), str(tmp_path / "m.onnx"), dynamo=False, **names)
    (tmp_path / "c.json").write_text(contract.canonical_json())
    tree = evaluated(tmp_path / "m.onnx", "--contract", tmp_path / "c.json", "--episodes", 3, tmp_path=tmp_path)
    said = capsys.readouterr().out
    assert "cannot become part of a policy" in said
    assert "onnxruntime runs it as it is" in said
    assert "sha256" not in tree["flown"][0]["contract"]
    controller = evaluation.load(tmp_path / "m.onnx", tmp_path / "c.json").controller
    seen = np.random.default_rng(0).normal(0, 1, (3, 18)).astype(np.float32)
    assert np.allclose(controller.begin(3, 1).native(seen), contract.action.hover, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give either a policy file or --baseline"),
        (["{npz}", "--baseline", "pid"], "give either a policy file or --baseline"),
        (["{npz}", "--contract", "{npz}"], "brings its own contract; --contract is for ONNX models"),
        (["{npz}", "--robot", "crazyflie_paper"], "trained for robot 'crazyflie' with other parameters"),
        (["{npz}", "--episodes", "0"], "must be at least 1"),
        (["absent.onnx"], "absent.onnx"),
        (["--baseline", "pid", "--robot", "x500_sim"], "tune --robot x500_sim --kind pid"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    arguments: list[str], sentence: str, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval", *(each.replace("{npz}", str(saved)) for each in arguments)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1


def test_a_model_without_a_contract_says_how_to_write_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    torch.onnx.export(torch.nn.Linear(18, 4), (torch.zeros(1, 18),), str(tmp_path / "m.onnx"), dynamo=False)
    assert cli.run(["eval", str(tmp_path / "m.onnx")]) == 2
    assert "fledge import MODEL --draft FILE" in capsys.readouterr().err


def test_engines_stand_side_by_side(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mujoco", reason="mujoco is not installed: pip install 'fledge[crosscheck]'")
    tree = evaluated(saved, "--engine", "mujoco", "--engine-episodes", 1, tmp_path=tmp_path)
    assert [each["engine"] for each in tree["flown"]] == ["native", "mujoco"]
    assert {each["step_s"] for each in tree["flown"]} == {0.01, 0.005}
    assert "MuJoCo" in capsys.readouterr().out


def test_baselines_stand_beside_a_policy(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = evaluated(saved, "--baselines", "--episodes", 4, tmp_path=tmp_path)
    assert [each["name"] for each in tree["flown"]] == [saved.parent.name, "pid", "geometric"]
    assert tree["flown"][1]["contract"]["gains"]["position"] > 0
    assert tree["flown"][2]["figures"]["figure_eight_3.5_s"]["survival"] == 1
    assert "geometric" in capsys.readouterr().out


def test_another_amount_of_sensor_noise_is_said(saved: Path) -> None:
    contract = policies.load(saved).contract
    plain = evaluation.of_policy(policies.load(saved), "x")
    assert "noise" not in evaluation.describe(plain)
    quiet = (replace(contract.observation[0], noise=0.0), *contract.observation[1:])
    policy = policies.assemble(replace(contract, observation=quiet, weights_sha256=""), policies.load(saved).weights)
    assert "its own sensor noise: position_error 0 m" in evaluation.describe(evaluation.of_policy(policy, "x"))


def test_a_quantised_policy_flies_in_its_own_integers(saved: Path, tmp_path: Path) -> None:
    from fledge_export.specification import stepper
    from fledge_hil import formats

    policy = formats.convert(policies.load(saved), "int8")
    controller = evaluation.of_policy(policy, "int8").controller
    seen = np.random.default_rng(0).normal(0, 0.3, (3, 18)).astype(np.float32)
    action = controller.begin(3, 1).native(seen)
    expected, _ = stepper(policy)(seen, np.zeros((3, policy.contract.recurrent_size), np.float32))
    assert np.array_equal(action, expected.astype(np.float32))
