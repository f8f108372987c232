"""The whole proof over float32, int16 and int8: what it says, and that each broken promise fails its own line."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fledge_export import package
from fledge_export.build import ARM_GCC
from fledge_export.calibrate import calibrate
from fledge_export.emit_c import emit
from fledge_hil import check_formats
from fledge_hil.check import Reference, check_source
from fledge_hil.check_formats import Proof
from fledge_hil.check_report import CheckReport
from fledge_hil.cli import run
from fledge_sim import policy as policies
from fledge_sim.contract import NetworkShape
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.quantization import QuantizationError
from rich.console import Console

SECOND_COMPILER = f"parity: {ARM_GCC}"


@pytest.fixture(scope="module")
def int8(trained_policy: Policy) -> Policy:
    return package.quantised(trained_policy, "int8")


@pytest.fixture(scope="module")
def proof(trained_policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return check_formats.check_formats(trained_policy, tmp_path_factory.mktemp("formats"))


def text_of(proof: Proof) -> str:
    text = io.StringIO()
    Console(width=110, file=text).print(check_formats.render(proof))
    return text.getvalue()


def failed(report: CheckReport) -> set[str]:
    return {line.name for line in report.lines if not line.passed} - {SECOND_COMPILER}


def test_every_format_of_a_trained_policy_passes(proof: Proof) -> None:
    assert proof.passed
    assert list(proof.reports) == ["float32", "int16", "int8"]
    assert proof.skipped == {}
    assert len({report.contract_sha256 for report in proof.reports.values()}) == 3


def test_integers_are_smaller_and_faster(proof: Proof) -> None:
    float32, int16, int8 = proof.reports.values()
    assert float32.sizes.constants > int16.sizes.constants > int8.sizes.constants
    assert max(int16.cycles[2], int8.cycles[2]) < float32.cycles[2]


def test_the_screen_fits_and_names_every_figure(proof: Proof) -> None:
    lines = text_of(proof).splitlines()
    assert len(lines) <= 32
    assert all(len(line) <= 110 for line in lines)
    for word in ("torch", "onnxruntime", "emulated", "time independent", "stack", "flash", "RAM", "cycles, upper"):
        assert any(word in line for line in lines), word


def test_json_holds_every_line_in_full(proof: Proof) -> None:
    tree = json.loads(proof.to_json())
    assert tree["passed"] is True
    assert tree["formats"]["int8"]["quantisation"] == "int8"
    assert {line["name"] for line in tree["formats"]["int16"]["lines"]} >= {"parity: torch", "input independence"}


def test_a_failure_is_printed_in_full_and_fails_the_proof(proof: Proof) -> None:
    report = proof.reports["int8"]
    line = dataclasses.replace(report.lines[0], passed=False, detail="off by a mile")
    broken = Proof({"int8": dataclasses.replace(report, passed=False, lines=(line,))}, {"int16": "no integers"})
    text = text_of(broken)
    assert not broken.passed
    assert "FAILED int8, torch: off by a mile" in text
    assert "int16 left out: no integers" in text


def altered(policy: Policy, directory: Path, pattern: str, replacement: str) -> CheckReport:
    emitted = emit(policy)
    source, count = re.subn(pattern, replacement, emitted.source, count=1)
    assert count == 1
    (directory / "policy.c").write_text(source)
    (directory / "policy.h").write_text(emitted.header)
    return check_source(policy, directory)


def test_last_digit_of_a_coefficient_is_caught(int8: Policy, tmp_path: Path) -> None:
    report = altered(int8, tmp_path, r"HORNER\(-954423360\)", "HORNER(-954423361 + 9)")
    assert failed(report) == {"parity: host C", "parity: emulated Cortex-M4F", "self-test"}


def test_a_target_kernel_that_differs_is_caught(int8: Policy, tmp_path: Path) -> None:
    report = altered(int8, tmp_path, r'ADD_PAIR\(", ror #8"\)', r'ADD_PAIR(", ror #16")')
    assert failed(report) >= {"parity: emulated Cortex-M4F", "self-test"}
    assert "parity: host C" not in failed(report)


def test_branch_on_data_is_caught(int8: Policy, tmp_path: Path) -> None:
    report = altered(int8, tmp_path, r"BOTH\(TURN_BACK\)", r'BOTH(TURN_BACK) if (z[i] > 0) __asm__ volatile("nop");')
    assert failed(report) == {"input independence", "one path"}


def test_double_precision_is_caught(int8: Policy, tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="double"):
        altered(int8, tmp_path, r"\* 0x1p-30f;", "* 0x1p-30;")


def test_integers_of_another_policy_are_too_far_from_the_reference(
    trained_policy: Policy, int8: Policy, tmp_path: Path
) -> None:
    weights = {name: array.copy() for name, array in trained_policy.weights.items()}
    weights["output.bias"] += 0.1
    other = policies.assemble(trained_policy.contract, weights)
    package.export(int8, tmp_path)
    report = check_source(int8, tmp_path, Reference(other, calibrate(trained_policy, seed=1, steps=40)))
    assert failed(report) == {"parity: torch", "parity: onnxruntime"}


def test_a_network_without_integers_is_checked_in_floats_and_says_why(trained_policy: Policy, tmp_path: Path) -> None:
    contract = dataclasses.replace(trained_policy.contract, network=NetworkShape("mlp", (8,), activation="relu"))
    shapes = policies.weight_shapes(contract.network, contract.observation_size)
    weights = {name: np.full(shape, 0.01, np.float32) for name, shape in shapes.items()}
    policy = policies.assemble(contract, weights)
    proof = check_formats.check_formats(policy, tmp_path)
    assert list(proof.reports) == ["float32"]
    assert "relu" in proof.skipped["int16"]
    with pytest.raises(QuantizationError, match="relu"):
        check_formats.check_formats(policy, tmp_path, ["int8"])


def test_the_verb_checks_a_quantised_file_as_it_is(
    int8: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies.save(int8, tmp_path / "policy.npz")
    assert run(["check", str(tmp_path / "policy.npz")]) == 0
    assert "int8" in capsys.readouterr().out
    assert list(json.loads((tmp_path / "export/check.json").read_text())["formats"]) == ["int8"]


def test_a_quantised_file_is_measured_against_the_policy_it_came_from(
    trained_policy: Policy, int8: Policy, tmp_path: Path
) -> None:
    for name, policy in (("float32", trained_policy), ("int8", int8)):
        policies.save(policy, tmp_path / f"{name}.npz")
    arguments = [str(tmp_path / "int8.npz"), "--against", str(tmp_path / "float32.npz")]
    assert run(["check", *arguments]) == 0
    lines = json.loads((tmp_path / "export/check.json").read_text())["formats"]["int8"]["lines"]
    detail = next(line["detail"] for line in lines if line["name"] == "parity: torch")
    rounding_of_weights_alone_costs = 1e-3
    assert float(detail.split("differ by ")[1].split(" ")[0]) > rounding_of_weights_alone_costs
    assert run(["check", str(tmp_path / "int8.npz"), "--against", str(tmp_path / "int8.npz")]) == 2
