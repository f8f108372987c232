"""An export directory: complete, the same each time, and untouched when anything goes wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fledge_export import package
from fledge_export.emit_c import EmitError, emit
from fledge_export.package import ExportDirectoryError
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

MakePolicy = Callable[..., Policy]
FILES = {"policy.c", "policy.h", "policy.onnx", "manifest.json"}


@pytest.fixture(scope="module")
def policy(make_policy: MakePolicy) -> Policy:
    return make_policy("gru", (5,))


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond `size` bytes of any file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_manifest_tells_size_and_digest_of_every_file(policy: Policy, tmp_path: Path) -> None:
    manifest = package.export(policy, tmp_path / "export")
    written = contents(tmp_path / "export")
    assert set(written) == FILES
    assert manifest.contract_sha256 == policy.contract.sha256
    assert manifest.robot == "crazyflie"
    assert manifest.sizes == {name: len(data) for name, data in written.items() if name != "manifest.json"}
    for name, digest in manifest.sha256.items():
        assert digest == hashlib.sha256(written[name]).hexdigest()
    assert json.loads(written["manifest.json"])["contract_sha256"] == policy.contract.sha256


def test_the_same_policy_gives_the_same_files(policy: Policy, tmp_path: Path) -> None:
    package.export(policy, tmp_path / "a")
    package.export(policy, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_complete_export_verifies(policy: Policy, tmp_path: Path) -> None:
    manifest = package.export(policy, tmp_path)
    assert package.verify(tmp_path) == manifest


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_export_without_one_of_its_files_is_refused(policy: Policy, tmp_path: Path, name: str) -> None:
    package.export(policy, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ExportDirectoryError, match="export again"):
        package.verify(tmp_path)


def test_an_edited_file_is_named(policy: Policy, tmp_path: Path) -> None:
    package.export(policy, tmp_path)
    with (tmp_path / "policy.c").open("a") as stream:
        stream.write("/* tuned by hand */\n")
    with pytest.raises(ExportDirectoryError, match=r"policy\.c changed"):
        package.verify(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 1}', "null"])
def test_a_damaged_manifest_is_refused(policy: Policy, tmp_path: Path, text: str) -> None:
    package.export(policy, tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ExportDirectoryError, match="no complete export"):
        package.verify(tmp_path)


def test_a_file_in_place_of_the_directory_is_refused_and_kept(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "export").write_text("mine")
    with pytest.raises(ExportDirectoryError, match="cannot export to"):
        package.export(policy, tmp_path / "export")
    assert (tmp_path / "export").read_text() == "mine"


def test_a_full_disk_leaves_no_new_directory(policy: Policy, tmp_path: Path) -> None:
    with files_of_at_most(6000), pytest.raises(ExportDirectoryError, match="free space"):
        package.export(policy, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_export_as_it_was(policy: Policy, make_policy: MakePolicy, tmp_path: Path) -> None:
    package.export(policy, tmp_path)
    before = contents(tmp_path)
    with files_of_at_most(6000), pytest.raises(ExportDirectoryError):
        package.export(make_policy("gru", (5,), seed=1), tmp_path)
    assert contents(tmp_path) == before
    assert package.verify(tmp_path).contract_sha256 == policy.contract.sha256


def test_a_directory_in_a_files_place_changes_nothing(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").mkdir()
    with pytest.raises(ExportDirectoryError, match=r"policy\.onnx is a directory"):
        package.export(policy, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.onnx"]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_never_become_a_policy(policy: Policy, poison: float) -> None:
    weights = {name: array.copy() for name, array in policy.weights.items()}
    weights["output.weight"][2, 3] = poison
    with pytest.raises(FledgeError, match=r"output\.weight.*training run diverged"):
        policies.assemble(policy.contract, weights)


@pytest.mark.parametrize("layer", ["gru.weight_input", "gru.weight_hidden", "output.weight"])
def test_weights_whose_sums_overflow_are_refused_before_anything_is_written(
    policy: Policy, tmp_path: Path, layer: str
) -> None:
    weights = {name: array.copy() for name, array in policy.weights.items()}
    weights[layer][-1] = 1e37
    with pytest.raises(EmitError, match="overflow"):
        package.export(policies.assemble(policy.contract, weights), tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_candidate_layer_is_bounded_by_the_observation(policy: Policy) -> None:
    """Weights of 1 on inputs up to 1e37: the sum overflows although the weights are small."""
    first = dataclasses.replace(policy.contract.observation[0], clip=1e37)
    contract = dataclasses.replace(policy.contract, observation=(first, *policy.contract.observation[1:]))
    weights = {name: np.zeros_like(array) for name, array in policy.weights.items()}
    weights["gru.weight_input"][-1] = 1.0
    with pytest.raises(EmitError, match="candidate_input"):
        emit(policies.assemble(contract, weights))
