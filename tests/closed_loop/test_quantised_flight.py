"""A policy in integers flies like the float policy it came from: bounds on actions and on what 200 drones lose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fledge_export import quantize
from fledge_export.calibrate import calibrate
from fledge_export.specification import stepper
from fledge_hil import cli
from fledge_hil.finetuning import fine_tuned
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.policy import Float32, Policy
from fledge_sim.quantization import QuantizationError
from fledge_train import closed_loop, config, shac
from fledge_train.finetune import FinetuneConfig

SHORT = FinetuneConfig(steps=200)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return shac.train(config.fast()).policy


@pytest.fixture(scope="module")
def integers(policy: Policy) -> dict[str, Policy]:
    calibration = calibrate(policy)
    return {name: quantize.quantize(policy, name, calibration) for name in ("int16", "int8")}


def test_actions_on_flights_never_seen_differ_less_than_stated(policy: Policy, integers: dict[str, Policy]) -> None:
    flights = calibrate(policy, seed=9)
    assert quantize.error(integers["int16"], policy, flights).mean <= 1e-3
    assert quantize.error(integers["int8"], policy, flights).mean <= 1e-2


def test_200_drones_for_10_s_lose_less_than_stated(policy: Policy, integers: dict[str, Policy]) -> None:
    robot = robots.load(policy.contract.robot)
    networks = {name: stepper(each) for name, each in integers.items()}
    costs = closed_loop.measure(policy, robot, networks, drones=200, calls=1)
    assert set(costs) == {"hover", "figure-eight", "recovery"}
    for task, each in costs.items():
        assert each.growth("int16") <= 0.01, task
        assert each.growth("int8") <= 0.03, task
        assert each.kept["int8"] >= each.kept["float32"] - 2, task
        assert min(each.kept.values()) > 100, task


def test_a_network_that_errs_is_seen(policy: Policy) -> None:
    """Negative control: actions too small by 0.06 must cost more than integers may."""
    robot = robots.load(policy.contract.robot)
    step = stepper(policy)

    def weak(observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        action, following = step(observation, state)
        return action - np.float32(0.06), following

    costs = closed_loop.measure(policy, robot, {"weak": weak}, drones=20, calls=1)
    assert costs["hover"].growth("weak") > 0.03


def test_fine_tuning_helps_on_flights_never_seen(policy: Policy) -> None:
    result = fine_tuned(policy, "int8", SHORT)
    assert result.after.mean < result.before.mean
    assert result.policy.contract.training.config["finetune"]["steps"] == 200


def test_fine_tuning_repeats_itself(policy: Policy) -> None:
    brief = FinetuneConfig(steps=20, check_every=10, batch=256)
    hashes = {fine_tuned(policy, "int8", brief).policy.contract.sha256 for _ in range(2)}
    assert len(hashes) == 1


def test_what_has_no_integer_form_cannot_be_fine_tuned(policy: Policy, integers: dict[str, Policy]) -> None:
    with pytest.raises(QuantizationError, match="int8 already"):
        fine_tuned(integers["int8"], "int8", SHORT)


def test_the_verb_writes_a_policy_that_export_takes(
    policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.npz"
    policies.save(policy, path)
    assert cli.run(["finetune", str(path), "--steps", "100"]) == 0
    assert "fine-tuned" in capsys.readouterr().out
    assert policies.load(tmp_path / "policy-int8.npz").contract.quantisation == "int8"
    assert cli.run(["export", str(tmp_path / "policy-int8.npz"), "--directory", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "policy.c").exists()
    assert cli.run(["finetune", str(path), "--steps", "0"]) == 2
    assert cli.run(["finetune", str(tmp_path / "none.npz")]) == 2
