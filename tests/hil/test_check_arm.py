"""The check of an arm's policy: the same proofs, in the words of an arm, within an arm's budget."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import package, quantize
from fledge_export.calibration import Calibration
from fledge_hil import check, check_formats, check_report
from fledge_hil.check import Reference, check_source
from fledge_hil.check_formats import Proof
from fledge_hil.cli import run
from fledge_sim import arm as arms
from fledge_sim import policy as policies
from fledge_sim.policy import Policy
from rich.console import Console

MakePolicy = Callable[..., Policy]


def seen(policy: Policy, seed: int) -> Calibration:
    """Random rows in the place of episodes."""
    size = policy.contract.observation_size
    rows = np.random.default_rng(seed).normal(0, 0.2, (400, size)).astype(np.float32)
    return Calibration(rows, np.zeros((400, policy.contract.recurrent_size), np.float32), seed, 1, 400)


@pytest.fixture(scope="module")
def policy(make_arm_policy: MakePolicy) -> Policy:
    """Of the arm as its file has it now."""
    made = make_arm_policy("gru", (6,), 5)
    contract = dataclasses.replace(made.contract, robot_sha256=arms.load("so101").sha256, weights_sha256="")
    return policies.assemble(contract, made.weights)


@pytest.fixture(scope="module")
def proof(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    int16, reports = quantize.quantize(policy, "int16", seen(policy, 0)), {}
    for each in (policy, int16):
        folder = tmp_path_factory.mktemp(each.contract.quantisation)
        package.export(each, folder)
        reports[each.contract.quantisation] = check_source(each, folder, Reference(policy, seen(policy, 1)))
    return Proof(reports, {})


def test_everything_that_is_no_flight_is_checked(proof: Proof) -> None:
    assert proof.passed
    names = {line.name for line in proof.reports["float32"].lines}
    assert names >= {"parity: torch", "parity: onnxruntime", "parity: host C", "parity: emulated Cortex-M4F"}
    assert names >= {"self-test", "flipped bit", "input independence", "one path", "lint", "time", "stack"}
    assert "history reuse" not in names
    tick = next(line for line in proof.reports["float32"].lines if line.name == "control tick")
    assert "1000 allowed" in tick.detail
    whole, own = (int(found) for found in re.findall(r"(\d+)(?: us on the worst path|; 1000)", tick.detail))
    assert 0 < own < whole < 1000


def test_it_speaks_of_an_arm(proof: Proof) -> None:
    text = io.StringIO()
    Console(width=110, file=text).print(check_formats.render(proof))
    assert "gru 26-6-5, " in text.getvalue()  # 3 * 5 joints, tip, goal, one past action of 5
    assert "for so101" in text.getvalue()
    both = (text.getvalue() + proof.to_json()).lower()
    assert not any(word in both for word in ("motor", "flight", "hover", "fly"))
    assert "steps in motion" in both


def test_its_budget_is_a_millisecond(proof: Proof, policy: Policy, make_policy: MakePolicy) -> None:
    assert check_report.allowed(policy.contract).time == 1000
    assert check_report.allowed(make_policy("mlp", (8,)).contract).time == 500
    time = next(line for line in proof.reports["float32"].lines if line.name == "time")
    assert "at most 1000 allowed" in time.detail


def test_the_tick_of_the_other_arm_is_bounded(make_arm_policy: MakePolicy, tmp_path: Path) -> None:
    """Other numbers of joints, other loops in the machine code."""
    arm = arms.load("open_manipulator_x")
    made = make_arm_policy("mlp", (8,), 4)
    action = dataclasses.replace(made.contract.joint_action, joints=tuple(joint.name for joint in arm.joints[:4]))
    contract = dataclasses.replace(made.contract, robot=arm.name, robot_sha256=arm.sha256, action=action)
    package.export(policies.assemble(contract, made.weights), tmp_path)
    (line,) = check._control_tick(tmp_path, contract)
    assert line.passed, line.detail


def test_an_arm_that_is_not_here_has_no_tick(make_arm_policy: MakePolicy, tmp_path: Path) -> None:
    """The firmware's tables come from the arm's file; the policy by itself is checked all the same."""
    lines = list(check._control_tick(tmp_path, make_arm_policy("gru", (6,), 5).contract))
    assert lines == []


@pytest.mark.parametrize("verb", ["sim", "hil"])
def test_what_flies_refuses_it(verb: str, policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policies.save(policy, tmp_path / "policy.npz")
    assert run([verb, str(tmp_path / "policy.npz")]) == 2
    assert "moves the joints of 'so101' and cannot fly; give a quadrotor's" in capsys.readouterr().err
