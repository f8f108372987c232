"""Policies of an arm, with any number of outputs and in every format: one set of bits on host and target.

Rows of the last layer fill the kernels' passes of four only by chance: 1, 5 and 6 outputs leave some over.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, onnx, onnx_import, parity, quantize
from fledge_export.build import ARM_GCC, WARNINGS, host_compiler
from fledge_export.calibration import Calibration
from fledge_export.emit_c import emit
from fledge_export.header import EmitError
from fledge_export.layout import normaliser
from fledge_export.onnx_errors import OnnxImportError
from fledge_export.parity_torch import torch_engine
from fledge_hil.policy_emulated import EmulatedPolicy
from fledge_sim.contract import Contract, ObservationTerm
from fledge_sim.policy import Policy, assemble

MakePolicy = Callable[..., Policy]
SHAPES = {
    # kind, hidden, outputs, touch, past actions
    "mlp with touch": ("mlp", (20, 13), 5, 24, 2),
    "one output": ("mlp", (7,), 1, 0, 0),
    "more outputs than units": ("gru", (1,), 6, 0, 1),
    "gru": ("gru", (12,), 6, 24, 1),
}
FORMATS = ("float32", "int16", "int8")
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")


def in_format(policy: Policy, form: str) -> Policy:
    """Integers calibrated on what random observations are."""
    if form == "float32":
        return policy
    clip, _ = normaliser(policy)
    seen = (clip * np.random.default_rng(0).normal(0, 0.3, (300, clip.size))).astype(np.float32)
    states = np.zeros((300, policy.contract.recurrent_size), np.float32)
    return quantize.quantize(policy, form, Calibration(seen, states, 0, 1, 300))


def write(policy: Policy, directory: Path) -> Path:
    emitted = emit(policy)
    (directory / "policy.c").write_text(emitted.source)
    (directory / "policy.h").write_text(emitted.header)
    return directory


@pytest.mark.parametrize(
    ("shape", "form"),
    [("mlp with touch", form) for form in FORMATS]
    + [(shape, form) for shape in list(SHAPES)[1:] for form in ("float32", "int8")],
)
def test_host_and_target_give_every_bit_of_the_specification(
    make_arm_policy: MakePolicy, shape: str, form: str, tmp_path: Path
) -> None:
    policy = in_format(make_arm_policy(*SHAPES[shape]), form)
    write(policy, tmp_path)
    host = bare.HostPolicy(bare.build_library(tmp_path, tmp_path / "host.so"), policy)
    target = EmulatedPolicy(bare.build_image(tmp_path, tmp_path / "target.elf"), policy)
    assert host.self_test() == target.self_test() == 0
    table = parity.compare(policy, {"host": host.step, "target": target.step}, steps=20)
    assert [row.inputs for row in table.of("host")] == ["random", "motion", "edge"]
    tolerance = {"float32": parity.TOLERANCE, "int16": 1e-3, "int8": 3e-2}[form]
    assert table.failures("host", "target", tolerance=tolerance) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_torch_and_onnxruntime_agree(make_arm_policy: MakePolicy, shape: str) -> None:
    policy = make_arm_policy(*SHAPES[shape])
    engines = {"torch": torch_engine(policy), "onnxruntime": parity.onnx_engine(policy)}
    assert parity.compare(policy, engines, steps=50).failures() == []


@pytest.mark.parametrize(("shape", "form"), [("mlp with touch", "int16"), ("more outputs than units", "float32")])
def test_no_level_of_optimisation_warns(make_arm_policy: MakePolicy, shape: str, form: str, tmp_path: Path) -> None:
    write(in_format(make_arm_policy(*SHAPES[shape]), form), tmp_path)
    compilers = [(*host_compiler(), "-c")]
    if shutil.which(ARM_GCC):
        compilers.append((ARM_GCC, "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-c"))
    for compiler in compilers:
        for level in LEVELS:
            command = [*compiler, "-std=c99", level, *WARNINGS, "-I", str(tmp_path), str(tmp_path / "policy.c")]
            subprocess.run([*command, "-o", str(tmp_path / "policy.o")], check=True, timeout=60)


def test_an_exported_model_is_imported_with_the_same_bits(make_arm_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_arm_policy("gru", (12,), 5)
    onnx.save(policy, tmp_path / "policy.onnx")
    again = onnx_import.load(tmp_path / "policy.onnx")
    assert again.contract == policy.contract
    assert all(again.weights[name].tobytes() == array.tobytes() for name, array in policy.weights.items())


def test_a_model_of_other_outputs_is_refused_by_their_number(make_arm_policy: MakePolicy, tmp_path: Path) -> None:
    model = onnx.to_model(make_arm_policy("mlp", (8,), 3, history=0))
    del model.metadata_props[:]
    (tmp_path / "actor.onnx").write_bytes(model.SerializeToString())
    foreign = onnx_import.load(tmp_path / "actor.onnx", make_arm_policy("mlp", (8,), 3, history=0).contract)
    assert foreign.contract.outputs == 3
    with pytest.raises(OnnxImportError, match="no input takes the contract's 21 numbers"):
        onnx_import.load(tmp_path / "actor.onnx", make_arm_policy("mlp", (8,), 5, history=0).contract)
    wider = make_arm_policy("mlp", (8,), 2, history=0).contract
    terms = (ObservationTerm("truth", 3, "1", "world", 1.0, 1.0, 0.0), *wider.observation)
    with pytest.raises(OnnxImportError, match="has 3 numbers; the contract moves 2 joints"):
        onnx_import.load(tmp_path / "actor.onnx", _with(wider, terms))


def _with(contract: Contract, terms: tuple[ObservationTerm, ...]) -> Contract:
    return dataclasses.replace(contract, observation=terms)


def test_the_header_says_what_the_firmware_of_an_arm_needs(make_arm_policy: MakePolicy) -> None:
    header = emit(make_arm_policy("mlp", (8,), 2, touch=24)).header
    numbers = dict(re.findall(r"#define POLICY_(\w+) (\S.*)", header))
    assert numbers["OUTPUT_SIZE"] == "2"
    assert numbers["JOINT_NAMES"] == '{"shoulder_pan", "shoulder_lift"}'
    assert numbers["JOINT_INDICES"] == "{0, 1}"
    assert numbers["OFFSET_TIP"] == "6"  # behind position, velocity and load of two joints
    assert (numbers["OFFSET_TOUCH"], numbers["OFFSET_TRUTH"]) == ("12", "(-1)")
    assert (numbers["TOUCH_SIZE"], numbers["JOINTS_SENSED"]) == ("24", "2")
    assert float.fromhex(numbers["ACTION_STEP"].rstrip("f")) == np.float32(0.08)
    assert "HOVER" not in header
    assert "LOOK_AHEAD" not in header


def test_what_only_a_simulator_knows_is_not_exported(make_arm_policy: MakePolicy) -> None:
    policy = make_arm_policy("mlp", (8,), 2, history=0)
    truth = ObservationTerm("truth", 4, "1", "world", 1.0, 1.0, 0.0)
    contract = _with(policy.contract, (*policy.contract.observation, truth))
    weights = {**policy.weights, "dense0.weight": np.zeros((8, contract.observation_size), np.float32)}
    with pytest.raises(EmitError, match="sees the term 'truth', which only a simulator knows"):
        emit(assemble(contract, weights))
