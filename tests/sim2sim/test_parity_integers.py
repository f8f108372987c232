"""The published actor's shape in integers: reference, C here, C on the emulated Cortex-M4F two compilers; its time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, parity, quantize
from fledge_export.build import ARM_GCC
from fledge_export.calibration import Calibration
from fledge_export.emit_c import emit
from fledge_hil.check import measure
from fledge_hil.policy_emulated import EmulatedPolicy
from fledge_sim.policy import Policy

MakePolicy = Callable[..., Policy]
BOUND = 290.0
"""[us], upper model, weights in flash."""


@pytest.fixture(scope="module", params=["int16", "int8"])
def policy(request: pytest.FixtureRequest, make_policy: MakePolicy) -> Policy:
    original = make_policy("mlp", (64, 64), 32)
    generator = np.random.default_rng(0)
    observations = generator.normal(0, 0.3, (500, 146)).astype(np.float32)
    return quantize.quantize(
        original, request.param, Calibration(observations, np.zeros((500, 0), np.float32), 0, 1, 500)
    )


@pytest.fixture(scope="module")
def folder(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory, emitted = tmp_path_factory.mktemp("integers"), emit(policy)
    (directory / "policy.c").write_text(emitted.source)
    (directory / "policy.h").write_text(emitted.header)
    return directory


def test_host_gives_every_bit_of_the_reference(policy: Policy, folder: Path) -> None:
    host = bare.HostPolicy(bare.build_library(folder, folder / "host.so"), policy)
    table = parity.compare(policy, {"host": host.step})
    assert table.bit_exact("host")
    assert all(row.bounded for row in table.rows)
    assert [row.inputs for row in table.rows] == ["random", "flight", "edge"]


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_target_gives_every_bit_of_the_reference_in_time(policy: Policy, folder: Path, compiler: str) -> None:
    if compiler == "gcc" and shutil.which(ARM_GCC) is None:
        pytest.skip(f"needs {ARM_GCC}")
    target = EmulatedPolicy(bare.build_image(folder, folder / f"{compiler}.elf", compiler), policy)
    table = parity.compare(policy, {"target": target.step})
    assert table.bit_exact("target")
    assert all(row.bounded for row in table.rows)
    assert measure(target, policy).microseconds[2] <= BOUND


def test_one_level_of_one_weight_shows(policy: Policy, folder: Path) -> None:
    host = bare.HostPolicy(bare.build_library(folder, folder / "host.so"), policy)
    source = (folder / "policy.c").read_text()
    start = source.index("BITS(", source.index("policy_weights[WORDS]") + 20 * 146 * 3)
    changed = source[: start + 5] + f"0x{int(source[start + 5 : start + 15], 16) ^ 1:08x}" + source[start + 15 :]
    (folder / "other").mkdir(exist_ok=True)
    (folder / "other/policy.c").write_text(changed)
    shutil.copy(folder / "policy.h", folder / "other")
    other = bare.HostPolicy(bare.build_library(folder / "other", folder / "other.so"), policy)
    assert host.self_test() == 0
    assert other.self_test() == 1
    assert not parity.compare(policy, {"other": other.step}).bit_exact("other")
