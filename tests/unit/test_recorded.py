"""Runs with a folder: what is left however they end, and going on to the same bytes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_train import algorithms, checkpoint, config, curriculum, recorded, runs, scalars, trainer
from fledge_train.arm_config import ArmPpoConfig
from fledge_train.config import TrainConfig
from fledge_train.ppo_config import PpoConfig, PpoNumbers
from fledge_train.sac_config import SacConfig
from fledge_train.td3_config import Td3Config
from fledge_train.trainer import Config, Diverged, Progress


def tiny(base: TrainConfig) -> TrainConfig:
    return dataclasses.replace(base, iterations=60, pool=64, age_limit=200)


RUNS: dict[str, Callable[[], TrainConfig]] = {
    "gru": lambda: tiny(config.robust()),
    "mlp": lambda: tiny(config.robust(actor="mlp")),
    "quadratic critic": lambda: tiny(config.with_critic(config.robust())),
    "mlp critic": lambda: tiny(config.with_critic(config.robust(), "mlp")),
}


def test_every_algorithm_is_among_them() -> None:
    assert {RUNS["gru"]().algorithm, *OTHERS, *TAUGHT} == set(algorithms.NAMES)
    assert all(cfg.algorithm == name for name, cfg in OTHERS.items())


def stop_after(chunks: int) -> Callable[[Progress], None]:
    left = [chunks]

    def observe(entry: Progress) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return observe


TD3 = Td3Config(steps=3000, history=4, hidden=(16, 16), batch=32, critic_warm_up=500, actor_warm_up=800)
SAC = SacConfig(steps=6000, hidden=(16, 16), critic_hidden=(16, 16), batch=16, warm_up=500, updates=1)
PPO = PpoConfig(iterations=10, ppo=PpoNumbers(64, 8, hidden=(16, 16), critic_hidden=(16, 16), minibatches=2))
ARM = ArmPpoConfig(iterations=6, ppo=PpoNumbers(8, 8, hidden=(16, 16), critic_hidden=(16, 16), minibatches=2))
OTHERS: dict[str, Config] = {"td3": TD3, "sac": SAC, "ppo": PPO, "arm": ARM}
TAUGHT = {"imitation"}
"""Needs a teacher: tests/unit/test_arm_train.py."""


@pytest.mark.parametrize("name", [*RUNS, *OTHERS])
def test_interrupted_and_resumed_is_uninterrupted(name: str, tmp_path: Path) -> None:
    cfg = OTHERS[name] if name in OTHERS else RUNS[name]()
    recorded.train(tmp_path / "whole", cfg)
    parts = tmp_path / "parts"
    first = recorded.train(parts, cfg, stop_after(1))
    assert first.interrupted
    assert (parts / "checkpoint.npz").exists()
    assert recorded.resume(parts, stop_after(1)).interrupted  # and once more
    last = recorded.resume(parts)
    assert not last.interrupted
    assert (parts / "policy.npz").read_bytes() == (tmp_path / "whole" / "policy.npz").read_bytes()
    assert (parts / "config.json").read_bytes() == (tmp_path / "whole" / "config.json").read_bytes()
    whole, resumed = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path / "whole", parts))
    for entry in (*whole["history"], *resumed["history"]):
        del entry["seconds"]
    assert whole["history"] == resumed["history"]


def test_a_finished_run_leaves_no_checkpoint_and_cannot_be_resumed(tmp_path: Path) -> None:
    recorded.train(tmp_path / "x", RUNS["gru"]())
    left = sorted(entry.name for entry in (tmp_path / "x").iterdir())
    assert left == ["config.json", scalars.FILE, "metrics.json", "policy.npz"]
    with pytest.raises(FledgeError, match="finished"):
        recorded.resume(tmp_path / "x")


def test_a_new_run_in_an_old_folder_does_not_inherit_its_checkpoint(tmp_path: Path) -> None:
    recorded.train(tmp_path / "x", RUNS["gru"](), stop_after(1))
    other = dataclasses.replace(RUNS["gru"](), seed=1)
    recorded.train(tmp_path / "x", other)
    with pytest.raises(FledgeError, match="finished"):
        recorded.resume(tmp_path / "x")
    assert runs.load_config(tmp_path / "x") == other


def test_an_edited_configuration_cannot_be_resumed(tmp_path: Path) -> None:
    recorded.train(tmp_path / "x", RUNS["gru"](), stop_after(1))
    file = tmp_path / "x" / "config.json"
    file.write_text(file.read_text().replace('"iterations": 60', '"iterations": 80'))
    with pytest.raises(checkpoint.CheckpointError, match="iterations: 80 here, 60 there"):
        recorded.resume(tmp_path / "x")


def test_a_diverging_run_stops_says_why_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    """A learning rate that takes the weights out of the floats within a step or two."""
    cfg = dataclasses.replace(RUNS["gru"](), learning_rate=curriculum.Cosine(1e-6, 1e38), iterations=2000)
    with pytest.raises(Diverged, match=r"diverged at iteration \d+: .*learning rate.*policy\.npz"):
        recorded.train(tmp_path / "x", cfg)
    policy = policies.load(tmp_path / "x" / "policy.npz")  # refuses NaN
    assert policy.contract.training.config["iterations"] == 2000
    kept = checkpoint.load(tmp_path / "x" / "checkpoint.npz")
    assert all(np.isfinite(array).all() for array in kept.state.values())
    assert (kept.history, kept.state["iteration"]) == ((), 0)  # it was good before the first chunk
    metrics = json.loads((tmp_path / "x" / "metrics.json").read_text())
    assert "diverged" in metrics["ended"]
    with pytest.raises(Diverged):  # the same numbers diverge again
        recorded.resume(tmp_path / "x")


def test_a_poisoned_state_is_never_kept(tmp_path: Path) -> None:
    """NaN that appears in the weights themselves."""
    original = recorded.Keeper.consider

    def poison(self: recorded.Keeper, entry: Progress) -> None:
        original(self, entry)
        if entry.iteration == 40:
            self._running.state()["learner.parameter"][3] = np.nan

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recorded.Keeper, "consider", poison)
        with pytest.raises(Diverged, match="diverged at iteration 40"):
            recorded.train(tmp_path / "x", RUNS["gru"]())
    kept = checkpoint.load(tmp_path / "x" / "checkpoint.npz")
    assert kept.state["iteration"] == 40
    assert np.isfinite(kept.state["learner.parameter"]).all()
    policies.load(tmp_path / "x" / "policy.npz")
    recorded.resume(tmp_path / "x")  # without the poison the run ends well, from the last good state


def test_a_large_state_is_written_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay grows beyond what is copied after every chunk: its run, too, keeps something when it diverges."""
    size = sum(array.nbytes for array in trainer.start(TD3).state().values())
    monkeypatch.setattr(recorded, "SMALL", size + 100_000)  # which the first chunk passes
    seen: list[int] = []

    def poison(entry: Progress) -> None:
        seen.append(int(checkpoint.load(tmp_path / "x" / "checkpoint.npz").state["step"]))
        if entry.iteration == 2000:
            raise Diverged("poisoned", policies.load(tmp_path / "good.npz"))

    policies.save(trainer.start(TD3).policy(), tmp_path / "good.npz")
    with pytest.raises(Diverged, match="poisoned"):
        recorded.train(tmp_path / "x", TD3, poison)
    assert seen == [1000, 1000]
    assert checkpoint.load(tmp_path / "x" / "checkpoint.npz").history[-1].iteration == 1000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", OTHERS)
def test_words_that_are_no_numbers_do_not_look_like_divergence(name: str, seed: int) -> None:
    """Environments pack bits into their memory; a checkpoint with NaN among floats would be refused."""
    running = trainer.start(dataclasses.replace(OTHERS[name], seed=seed))  # type: ignore[type-var]
    running.advance()
    assert recorded.finite(running.state())
    assert any(array.dtype == np.uint32 for array in running.state().values())


def test_checkpoints_are_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "CHECKPOINT_EVERY", 0.0)
    monkeypatch.setattr(recorded, "SHARE", 1e9)
    found: list[int] = []

    def look(entry: Progress) -> None:
        if entry.iteration == 100:  # as if the machine were switched off here
            shutil.copytree(tmp_path / "x", tmp_path / "died")
        kept = checkpoint.load(tmp_path / "x" / "checkpoint.npz") if found or entry.iteration > 20 else None
        found.append(0 if kept is None else int(kept.state["iteration"]))

    cfg = dataclasses.replace(RUNS["gru"](), iterations=200)
    recorded.train(tmp_path / "x", cfg, look)
    assert found == [0, *range(40, 201, 20)]  # after each chunk, before anyone looks
    recorded.resume(tmp_path / "died")
    assert (tmp_path / "died" / "policy.npz").read_bytes() == (tmp_path / "x" / "policy.npz").read_bytes()


def test_a_disk_that_fills_up_during_a_run_is_told_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.train(tmp_path / "x", RUNS["gru"](), stop_after(1))
    before = (tmp_path / "x" / "checkpoint.npz").read_bytes()

    def refuse(stream: object, **arrays: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", refuse)
    with pytest.raises(FledgeError, match=r"cannot write .*checkpoint\.npz: No space left"):
        recorded.resume(tmp_path / "x", stop_after(1))
    assert (tmp_path / "x" / "checkpoint.npz").read_bytes() == before
    monkeypatch.undo()
    assert not recorded.resume(tmp_path / "x").interrupted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"algorithm": "shac"}', "damaged"),
        ('{"algorithm": "magic", "config": {}}', "no algorithm 'magic'; choose one of shac"),
        ('{"algorithm": "shac", "config": {"robot": "x", "colour": 1}}', "unknown colour"),
        ('{"algorithm": "shac", "config": {}}', "missing actor, .*, seed"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(FledgeError, match=sentence):
        runs.load_config(tmp_path)


def test_a_run_that_died_before_its_first_checkpoint_is_not_called_finished(tmp_path: Path) -> None:
    def die(entry: Progress) -> None:
        raise MemoryError

    recorded.train(tmp_path / "x", RUNS["gru"]())
    with pytest.raises(MemoryError):
        recorded.train(tmp_path / "x", RUNS["gru"](), die)
    with pytest.raises(FledgeError, match="before its first; begin it anew"):
        recorded.resume(tmp_path / "x")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="holds no run"):
        recorded.resume(tmp_path)


def test_an_impossible_number_in_a_configuration_is_refused(tmp_path: Path) -> None:
    runs.save_config(tmp_path, RUNS["gru"]())
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"environments": 16', '"environments": 17'))
    with pytest.raises(FledgeError, match="multiple of 16"):
        runs.load_config(tmp_path)
