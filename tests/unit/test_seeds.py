"""Several seeds side by side: the same as alone, and nobody's end is another's."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fledge_hil import training_team
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_train import config, recorded, runs, seeds, seeds_summary, shac
from fledge_train.config import TrainConfig
from fledge_train.criterion import Criterion
from fledge_train.evaluate import Evaluation, Hover, Tracking
from fledge_train.seeds import Outcome
from fledge_train.trainer import Progress, TrainResult


def tiny(**changes: Any) -> TrainConfig:
    return dataclasses.replace(config.fast(), **{"iterations": 60, "pool": 64, "seed": 5, **changes})


def filled(kind: type[Any], **values: Any) -> Any:
    """A dataclass of figures; what the test does not care for is 0.5."""
    return kind(**{entry.name: 0.5 for entry in dataclasses.fields(kind)} | values)


def figures(survival: float, error: float | None) -> Evaluation:
    hover, eight = filled(Hover, survival=survival, error=error), filled(Tracking)
    hovers = {e.name: hover for e in dataclasses.fields(Evaluation) if e.name.startswith("hover")}
    eights = {"figure_eight_randomized": eight, "figure_eight_as_flown": eight}
    made: Evaluation = filled(Evaluation, robot="crazyflie", figure_eight=(eight,) * 3, **hovers, **eights)
    return made


def test_side_by_side_is_as_alone(tmp_path: Path) -> None:
    shares: list[tuple[float, int]] = []
    work = seeds.team(tmp_path, tiny(), 3, evaluate=False)
    outcomes = seeds.train(work, 2, lambda share, ended: shares.append((share, ended)))
    assert [(outcome.seed, outcome.end) for outcome in outcomes] == [(5, "done"), (6, "done"), (7, "done")]
    for seed in (5, 6, 7):
        alone = policies.to_bytes(shac.train(tiny(seed=seed)).policy)
        assert (tmp_path / f"seed-{seed}" / "policy.npz").read_bytes() == alone
        assert runs.load_config(tmp_path / f"seed-{seed}") == tiny(seed=seed)
    assert shares[-1] == (1.0, 3)
    assert all(outcome.cpu_seconds and outcome.seconds for outcome in outcomes)


def test_seeds_that_fail_or_die_do_not_lose_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = recorded.train

    def sabotaged(folder: Path, config: Any, observe: Callable[[Progress], None] | None = None) -> TrainResult:
        if config.seed == 5:
            raise FledgeError("no luck")
        if config.seed == 6:
            os._exit(9)
        if config.seed == 7:
            raise ZeroDivisionError("a bug")
        return original(folder, config, observe)

    monkeypatch.setattr(recorded, "train", sabotaged)  # processes are forked: they inherit it
    outcomes = seeds.train(seeds.team(tmp_path, tiny(), 5, evaluate=False), 2)
    assert [outcome.end for outcome in outcomes] == ["failed", "failed", "failed", "done", "done"]
    assert outcomes[0].reason == "no luck"
    assert outcomes[1].reason == "its process died (exit code 9)"
    assert outcomes[2].reason.startswith("ZeroDivisionError: a bug")
    assert "in sabotaged" in (tmp_path / "seed-7" / "traceback.txt").read_text()
    assert (tmp_path / "seed-9" / "policy.npz").exists()


def test_figures_over_seeds_by_hand() -> None:
    def outcome(seed: int, survival: float, error: float | None) -> Outcome:
        return Outcome(seed, Path(f"seed-{seed}"), "done", "", 2.0, 1.0, figures(survival, error))

    failed = Outcome(9, Path("seed-9"), "failed", "no luck")
    outcomes = [outcome(0, 0.9, 0.02), outcome(1, 0.8, 0.03), outcome(2, 0.7, 0.01), outcome(3, 0.9, 0.04), failed]
    summary = seeds_summary.summarise(outcomes, Criterion(survival=0.8, error=0.03))
    assert (summary.seeds, summary.trained, summary.succeeded) == (5, 4, 2)  # 0 and 1; 2 is lost, 3 is far off
    survival = summary.spread["survival"]
    assert (survival.min, survival.max, survival.count) == (0.7, 0.9, 4)
    assert survival.mean == pytest.approx(0.825)
    # ((0.075)^2 + (0.025)^2 + (0.125)^2 + (0.075)^2) / 3 = 0.0275 / 3
    assert survival.deviation == pytest.approx((0.0275 / 3) ** 0.5)
    assert summary.spread["training_cpu_seconds"].mean == 1.0


def test_nobody_survived_is_no_success_and_no_error() -> None:
    lost = [Outcome(0, Path("x"), "done", "", 2.0, 1.0, figures(0.0, None))]
    summary = seeds_summary.summarise(lost, Criterion(survival=0.0, error=1.0))
    assert summary.succeeded == 0
    assert "hover_error" not in summary.spread
    assert seeds_summary.summarise([Outcome(0, Path("x"), "done")], Criterion()).succeeded is None


def test_the_report_counts_names_and_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        seeds.evaluate,
        "evaluate",
        lambda policy, robot: figures(0.9 if policy.contract.training.seed == 5 else 0.6, 0.02),
    )
    team = training_team.begin(tmp_path, tiny(), 2, evaluate=True)
    assert training_team.train(team, Criterion(), 2) == 1
    printed = capsys.readouterr().out
    assert "success: 1 of 2 seeds (survival >= 80.0 %, hover error <= 3.0 cm)" in printed
    assert "seed 6: below the criterion: survival 60.0 %, hover error 2.0 cm" in printed
    assert "75.0 %" in printed  # mean survival
    record = json.loads((tmp_path / "seeds.json").read_text())
    assert [entry["success"] for entry in record["seeds"]] == [True, False]
    assert record["summary"]["spread"]["survival"]["min"] == 0.6
    kept = json.loads((tmp_path / "seed-6" / "metrics.json").read_text())
    assert kept["evaluation"]["hover"]["survival"] == 0.6
    assert training_team.train(team, Criterion(survival=0.5), 2) == 0


@pytest.mark.parametrize(("count", "processes", "word"), [(0, None, "--seeds"), (1, 0, "--processes")])
def test_impossible_counts_are_refused(count: int, processes: int | None, word: str, tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match=word):
        training_team.train(training_team.begin(tmp_path, tiny(), count, False), Criterion(), processes)


def fledge(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fledge_hil.cli", "train", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def test_a_real_ctrl_c_saves_all_and_resume_goes_on_with_all(tmp_path: Path) -> None:
    flags = ("--preset", "fast", "--iterations", "1500", "--no-evaluate", "--processes", "2", "--seeds", "3")
    running = fledge(*flags, "--directory", tmp_path, "--name", "parts")
    for seed in (0, 1):
        wait_for(tmp_path / "parts" / f"seed-{seed}" / "config.json")
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, ""), printed + errors
    assert f"fledge train --resume {tmp_path / 'parts'}" in printed
    ends = {e["seed"]: e["end"] for e in json.loads((tmp_path / "parts" / "seeds.json").read_text())["seeds"]}
    assert ends == {0: "interrupted", 1: "interrupted", 2: "not begun"}
    assert all((tmp_path / "parts" / f"seed-{seed}" / "checkpoint.npz").exists() for seed in (0, 1))

    resumed = fledge("--resume", tmp_path / "parts", "--no-evaluate")
    printed, errors = resumed.communicate(timeout=60)
    assert (resumed.returncode, errors) == (0, ""), printed + errors
    assert "3 of 3 seeds trained" in printed
    for seed in (1, 2):
        whole = shac.train(dataclasses.replace(config.fast(seed=seed), iterations=1500)).policy
        assert (tmp_path / "parts" / f"seed-{seed}" / "policy.npz").read_bytes() == policies.to_bytes(whole)


def test_when_the_parent_is_killed_the_seeds_save(tmp_path: Path) -> None:
    flags = ("--iterations", "100000", "--no-evaluate", "--processes", "1", "--seeds", "2")
    running = fledge(*flags, "--directory", tmp_path, "--name", "x")
    wait_for(tmp_path / "x" / "seed-0" / "config.json")
    running.kill()
    running.communicate(timeout=60)
    wait_for(tmp_path / "x" / "seed-0" / "metrics.json")  # written after the checkpoint
    assert (tmp_path / "x" / "seed-0" / "checkpoint.npz").exists()
    assert not (tmp_path / "x" / "seed-1").exists()
