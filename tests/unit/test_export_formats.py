"""Several formats in one export: where they lie, that they verify, and that a refusal leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, build, package
from fledge_export.build import BuildError
from fledge_export.calibrate import calibrate
from fledge_export.calibration import Calibration
from fledge_export.package import ExportDirectoryError
from fledge_hil import formats
from fledge_hil.cli import run
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.quantization import QuantizationError

MakePolicy = Callable[..., Policy]
OWN = {"policy.c", "policy.h", "robot.h", "policy.npz"}


@pytest.fixture(scope="module")
def policy(make_policy: MakePolicy) -> Policy:
    """For the crazyflie as its file is now, so that it can fly in the simulator."""
    made = make_policy("gru", (5,))
    contract = dataclasses.replace(made.contract, robot_sha256=robots.load("crazyflie").sha256)
    return policies.assemble(contract, made.weights)


@pytest.fixture(scope="module")
def calibration(policy: Policy) -> Calibration:
    return calibrate(policy, flights=4, steps=50)


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_all_formats_lie_side_by_side_and_verify(policy: Policy, calibration: Calibration, tmp_path: Path) -> None:
    manifest = package.export(policy, tmp_path, ["all"], calibration=calibration)
    quantised = {f"{form}/{name}" for form in ("int16", "int8") for name in OWN}
    assert files(tmp_path) == {"policy.c", "policy.h", "robot.h", "policy.onnx", "manifest.json", *quantised}
    assert package.verify(tmp_path) == manifest
    assert set(manifest.contracts) == {"float32", "int16", "int8"}
    for form in ("int16", "int8"):
        stored = policies.load(tmp_path / form / "policy.npz")
        assert stored.contract.sha256 == manifest.contracts[form]
        assert f'POLICY_CONTRACT_SHA256 "{stored.contract.sha256}"' in (tmp_path / form / "policy.h").read_text()


def test_an_edited_file_of_a_format_is_named(policy: Policy, calibration: Calibration, tmp_path: Path) -> None:
    package.export(policy, tmp_path, ["c-int8"], calibration=calibration)
    (tmp_path / "int8/policy.c").write_text("/* mine */")
    with pytest.raises(ExportDirectoryError, match=r"int8/policy\.c changed"):
        package.verify(tmp_path)


def test_the_same_policy_gives_the_same_bytes_in_every_format(policy: Policy, tmp_path: Path) -> None:
    """Calibration flights included."""
    package.export(policy, tmp_path / "a", ["c-int8", "c-int16"])
    package.export(policy, tmp_path / "b", ["c-int16", "c-int8"])
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert all(
        (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files(tmp_path / "a")
    )


def test_a_quantised_policy_exports_as_itself(policy: Policy, calibration: Calibration, tmp_path: Path) -> None:
    int8 = package.quantised(policy, "int8", calibration)
    package.export(int8, tmp_path)
    assert files(tmp_path) == {"policy.c", "policy.h", "robot.h", "manifest.json"}
    assert "int8" in (tmp_path / "policy.c").read_text().splitlines()[1]


@pytest.mark.parametrize("form", ["c-int16", "c-float32", "onnx"])
def test_a_quantised_policy_becomes_nothing_else(
    policy: Policy, calibration: Calibration, tmp_path: Path, form: package.Format
) -> None:
    int8 = package.quantised(policy, "int8", calibration)
    with pytest.raises(QuantizationError, match="float32"):
        package.export(int8, tmp_path / "export", [form])
    assert list(tmp_path.iterdir()) == []


def test_layers_without_integers_leave_no_file(policy: Policy, make_policy: MakePolicy, tmp_path: Path) -> None:
    made = make_policy("mlp", (5,))
    network = dataclasses.replace(made.contract.network, activation="relu")
    relu = policies.assemble(dataclasses.replace(policy.contract, network=network), made.weights)
    with pytest.raises(QuantizationError, match=r"'relu'.*c-float32"):
        package.export(relu, tmp_path / "export", ["all"])
    assert list(tmp_path.iterdir()) == []


def test_a_policy_for_another_robot_cannot_be_calibrated(make_policy: MakePolicy, tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="trained for another robot"):
        package.export(make_policy("gru", (5,)), tmp_path / "export", ["c-int8"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("target", "product"), [("host", "policy-host.so"), ("cortex-m4f", "policy-cortex-m4f.o")])
def test_a_target_is_compiled_with_the_export(
    policy: Policy, tmp_path: Path, target: bare.Target, product: str
) -> None:
    manifest = package.export(policy, tmp_path, ["c-float32"], target=target)
    assert product in manifest.sizes
    assert (tmp_path / product).stat().st_size > 1000
    if target == "host":
        assert bare.HostPolicy(tmp_path / product, policy).self_test() == 0
    again = package.export(policy, tmp_path / "again", ["c-float32"], target=target)
    assert again.sha256[product] == manifest.sha256[product]


def test_without_a_compiler_nothing_is_written(policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BuildError, match="pip install ziglang"):
        package.export(policy, tmp_path / "export", ["c-float32"], target="cortex-m4f")
    assert list(tmp_path.iterdir()) == []


def test_calibration_is_the_same_for_the_same_seed(policy: Policy, calibration: Calibration) -> None:
    again = calibrate(policy, flights=4, steps=50)
    assert again.observations.tobytes() == calibration.observations.tobytes()
    assert again.states.tobytes() == calibration.states.tobytes()
    assert calibrate(policy, seed=1, flights=4, steps=50).observations.tobytes() != again.observations.tobytes()
    assert calibration.observations.shape == (200, policy.contract.observation_size)
    assert np.isfinite(calibration.observations).all()


def test_the_command_line_exports_every_format(
    policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies.save(policy, tmp_path / "policy.npz")
    assert run(["export", str(tmp_path / "policy.npz"), "--format", "c-int8", "onnx"]) == 0
    assert "int8/policy.npz" in capsys.readouterr().out
    assert json.loads((tmp_path / "export/manifest.json").read_text())["quantisation"] == "float32"
    assert run(["export", str(tmp_path / "export/int8/policy.npz"), "--format", "c-int16"]) == 2
    assert "made from the float32 one" in capsys.readouterr().err


def test_a_format_on_the_command_line_gives_the_policy_of_the_export(policy: Policy, tmp_path: Path) -> None:
    policies.save(policy, tmp_path / "policy.npz")
    package.export(policy, tmp_path, ["c-int8"])
    stored = policies.load(tmp_path / "int8/policy.npz")
    assert formats.load(tmp_path / "policy.npz", "int8").contract == stored.contract
    assert formats.load(tmp_path / "policy.npz", None).contract == policy.contract
