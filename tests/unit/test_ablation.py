"""The ablation's statistics on numbers worked out by hand, and its verb from beginning to end, twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fledge_hil import cli
from fledge_sim.errors import FledgeError
from fledge_train import ablation
from fledge_train.ablation import COMPLETE, Measured


def measured(survival: tuple[float, ...], error: tuple[float | None, ...] | None = None) -> Measured:
    return Measured(survival, error or (0.2,) * len(survival))


def test_chance_is_the_share_of_deals_that_lose_as_much() -> None:
    """Of the 6 ways to deal 1, 2, 3, 4 in pairs, only {3, 4} against {1, 2} loses as much as it: one in six."""
    assert ablation.chance((3.0, 4.0), (1.0, 2.0)) == pytest.approx(1 / 6, abs=0.01)
    assert ablation.chance((1.0, 2.0), (3.0, 4.0)) == pytest.approx(1.0, abs=0.01)
    assert ablation.chance((0.5,) * 10, (0.5,) * 10) == 1.0
    assert ablation.chance((0.9,) * 10, (0.1,) * 10) < 0.001


def test_findings_replicate_where_a_loss_is_a_loss_in_both() -> None:
    good, bad = (0.90, 0.88, 0.91, 0.86, 0.89), (0.1, 0.2, 0.15, 0.0, 0.3)
    findings = ablation.judge(
        {
            COMPLETE: measured(good),
            "asymmetric critic": measured(bad, (0.4, None, 0.5, None, 0.3)),  # mattered: 2 of 10 flights
            "rotor delay": measured(good),  # mattered: 0 of 10
            "observation noise": measured(good),  # did not: 9 of 10
            "disturbances": measured(bad),  # did not: 9 of 10
        }
    )
    assert {f.removed: f.replicates for f in findings} == {
        COMPLETE: None,
        "asymmetric critic": True,
        "rotor delay": False,
        "observation noise": True,
        "disturbances": False,
    }
    critic = next(f for f in findings if f.removed == "asymmetric critic")
    assert (critic.survival_min, critic.survival_max) == (0.0, 0.3)
    assert critic.error == pytest.approx(0.4)
    with pytest.raises(FledgeError, match="complete recipe"):
        ablation.judge({"rotor delay": measured(good)})


def test_the_reward_without_a_curriculum_is_its_end() -> None:
    reward = ablation.target_reward()
    for updates in (0, 5, 30):
        assert [getattr(reward, name).at(updates) for name in ("position", "velocity", "action")] == [40.0, 1.0, 1.0]
    assert reward.orientation.at(0) == 5.0


def test_the_verb_trains_what_is_missing_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ablate", "--steps", "1500", "--seeds", "2", "--episodes", "4", "--processes", "1"]
    command += ["--directory", str(tmp_path), "--variants", "action history"]
    assert cli.run(command) == 0
    first = capsys.readouterr().out
    assert "action history" in first
    assert "replicate" in first
    tree = json.loads((tmp_path / "ablation" / "ablation.json").read_text())
    assert set(tree["seeds"]) == {COMPLETE, "action history"}
    assert [finding["seeds"] for finding in tree["findings"]] == [2, 2]
    policies = sorted(tmp_path.glob("ablation/*/seed-*/policy.npz"))
    assert len(policies) == 4
    written = [path.stat().st_mtime_ns for path in policies]
    assert cli.run(command) == 0
    assert [path.stat().st_mtime_ns for path in policies] == written
    assert json.loads((tmp_path / "ablation" / "ablation.json").read_text()) == tree


def test_bad_input_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["ablate", "--variants", "wings", "--directory", str(tmp_path)]) == 2
    assert "no variant 'wings'" in capsys.readouterr().err
    assert cli.run(["ablate", "--seeds", "1", "--directory", str(tmp_path)]) == 2
    folder = tmp_path / "ablation" / "nothing" / "seed-0"
    folder.mkdir(parents=True)
    command = ["ablate", "--steps", "1500", "--seeds", "2", "--episodes", "4", "--directory", str(tmp_path)]
    assert cli.run([*command, "--variants", "nothing"]) == 0
    capsys.readouterr()
    assert cli.run([*command, "--variants", "nothing", "--steps", "1600"]) == 2
    assert "other numbers" in capsys.readouterr().err
