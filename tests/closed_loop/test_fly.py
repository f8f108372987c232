"""The whole chain by its command: a trained policy flies and passes, a wrongly wired one is caught."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from fledge_hil import cli
from fledge_sim import policy as policy_file
from fledge_train import config, shac

SHORT = ["--hover-seconds", "3", "--laps", "1"]


def test_train_export_prove_fly_report(tmp_path: Path) -> None:
    assert cli.run(["fly", "--preset", "fast", "--directory", str(tmp_path), "--name", "run", *SHORT]) == 0
    run = tmp_path / "run"
    names = ("report.html", "report.json", "policy.npz", "flight.csv.gz", "truth.csv.gz")
    assert all((run / name).stat().st_size > 0 for name in names)
    assert all((run / "export" / name).exists() for name in ("policy.c", "policy.h", "policy.onnx"))
    report = json.loads((run / "report.json").read_text())
    assert report["verdict"] == {"passed": True, "reasons": []}
    for phase, bound in (("hover", 0.05), ("figure_eight", 0.15)):
        truth = report["scores"][phase]["truth"]
        assert 0 < truth["rmse"] < bound
        assert report["scores"][phase]["policy_share"] == 1.0


def test_swapped_motors_fail_the_flight(tmp_path: Path) -> None:
    trained = shac.train(config.fast()).policy
    weights = dict(trained.weights)
    swapped = np.array([1, 0, 2, 3])  # M1 and M2 exchanged, as a wrong motor order would
    weights["output.weight"], weights["output.bias"] = (
        weights[f"output.{part}"][swapped] for part in ("weight", "bias")
    )
    path = tmp_path / "policy.npz"
    policy_file.save(policy_file.assemble(trained.contract, weights), path)
    assert cli.run(["fly", "--policy", str(path), "--directory", str(tmp_path), "--name", "run", *SHORT]) == 1
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert not report["verdict"]["passed"]
    assert report["verdict"]["reasons"]
