"""Checkpoints: whole, atomic, and refused by name when they are of another run."""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fledge_sim.errors import FledgeError
from fledge_train import checkpoint, config, trainer
from fledge_train.checkpoint import CheckpointError
from fledge_train.config import TrainConfig
from fledge_train.trainer import Progress, Trainer

HISTORY = (Progress(20, 60, 12800, 0.5, 1.5, {"cost": 3.0}, 0.25),)


def cfg(**changes: object) -> TrainConfig:
    return dataclasses.replace(config.robust(), **{"iterations": 60, "pool": 64, **changes})  # type: ignore[arg-type]


@pytest.fixture
def begun() -> Trainer:
    running = trainer.start(cfg())
    running.advance()
    return running


@pytest.fixture
def path(begun: Trainer, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "checkpoint.npz", begun, HISTORY)
    return tmp_path / "checkpoint.npz"


def test_what_was_saved_is_loaded(begun: Trainer, path: Path) -> None:
    kept = checkpoint.load(path)
    assert kept.history == HISTORY
    assert kept.contract == begun.contract or kept.contract.sha256 == begun.contract.sha256
    state = begun.state()
    assert kept.state.keys() == state.keys()
    assert all(np.array_equal(kept.state[name], state[name]) for name in state)
    assert all(kept.state[name].dtype == state[name].dtype for name in state)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"iterations": 80}, "training.config.iterations: 80 here, 60 there"),
        ({"robot": "crazyflie_paper"}, "robot: crazyflie_paper here, crazyflie there"),
        ({"actor": config.ActorConfig("mlp", (32, 32), 8)}, "network"),
        ({"seed": 3}, "seed: 3 here, 0 there"),
    ],
)
def test_another_run_is_refused_by_name(path: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        checkpoint.restore(trainer.start(cfg(**changes)), checkpoint.load(path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"algorithm": "td3"}, "is of algorithm td3, this is shac"),
        ({"code_version": "0.0.9 abc"}, "is of fledge 0.0.9 abc, this is .*; use that version"),
        ({"instruction_set": "abacus"}, "is of instruction set abacus, this is .*; go on where it began"),
        ({"config_sha256": "0" * 64}, "another configuration"),
    ],
)
def test_another_algorithm_or_version_is_refused_by_name(
    path: Path, changes: dict[str, str], sentence: str, begun: Trainer
) -> None:
    kept = dataclasses.replace(checkpoint.load(path), **changes)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=sentence):
        checkpoint.restore(begun, kept)


def test_another_format_is_refused_by_name(begun: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 7)
    checkpoint.save(tmp_path / "future.npz", begun, HISTORY)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="has format 7, not 1"):
        checkpoint.load(tmp_path / "future.npz")


def test_a_truncated_checkpoint_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.load(path)


def test_a_flipped_bit_is_refused_or_makes_no_difference(path: Path) -> None:
    whole, kept = path.read_bytes(), checkpoint.load(path)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        place, bit = int(random.integers(len(whole))), int(random.integers(8))
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 1 << bit,)) + whole[place + 1 :])
        try:
            read = checkpoint.load(path)
        except CheckpointError:
            refused += 1
        else:  # dates and flags of the archive
            assert all(np.array_equal(read.state[name], kept.state[name]) for name in kept.state)
            assert read.history == kept.history
    assert refused > 60


def test_a_changed_number_is_found_by_the_digest(path: Path) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["state.learner.parameter"][0] += 1
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="digest"):
        checkpoint.load(path)


def test_what_is_no_checkpoint_is_refused(path: Path) -> None:
    np.savez(path, a=np.zeros(3))
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        checkpoint.load(path.with_name("absent.npz"))


def test_a_writer_that_fails_leaves_the_old_file_whole(
    path: Path, begun: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def refuse(stream: object, **arrays: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", refuse)
    with pytest.raises(FledgeError, match=r"cannot write .*No space left"):
        checkpoint.save(path, begun, HISTORY)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file_whole(path: Path) -> None:
    """The kernel itself refuses, in the middle of the file: RLIMIT_FSIZE below its size."""
    size = path.stat().st_size
    before = path.read_bytes()
    code = (
        "import dataclasses, resource, sys; from pathlib import Path\n"
        "from fledge_sim.errors import FledgeError; from fledge_train import checkpoint, config, trainer\n"
        "running = trainer.start(dataclasses.replace(config.robust(), iterations=60, pool=64)); running.advance()\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, {size // 2}))\n"
        "try: checkpoint.save(Path(sys.argv[1]), running, ())\n"
        "except FledgeError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "cannot write" in done.stdout
    assert "File too large" in done.stdout
    assert done.stderr == ""
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_the_record_is_readable_text(path: Path) -> None:
    with np.load(path) as archive:
        record = json.loads(archive["record"].tobytes())
    assert record["format"] == checkpoint.FORMAT
    assert record["algorithm"] == "shac"
    assert json.loads(record["contract"])["training"]["config"]["iterations"] == 60
