"""`fledge bench`: subjects, the contest between processes, and what the report says about what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from fledge_hil import cli
from fledge_hil.bench import contest, report, sim
from fledge_hil.bench.contest import Effort, Entry
from fledge_hil.bench.peers import worker

BRIEF = Effort(rounds=2, seconds=0.01)


def test_every_subject_has_options_with_a_json_file(capsys: pytest.CaptureFixture[str]) -> None:
    from fledge_hil.verbs import bench

    for subject in bench.SUBJECTS:
        with pytest.raises(SystemExit) as ended:
            cli.run(["bench", subject, "--help"])
        assert ended.value.code == 0
        assert "--json" in capsys.readouterr().out


def test_an_unknown_subject_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "speed"]) == 2
    assert "no subject 'speed'; choose one of sim" in capsys.readouterr().err


def test_a_missing_interpreter_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "sim", "--peers-python", "/nowhere/python"]) == 2
    assert "--peers-python" in capsys.readouterr().err


def test_rates_count_environments() -> None:
    """A call that takes a known processor time: 1000 environments in about 5 ms are about 200 000 per second."""

    def busy() -> None:
        end = worker.time.process_time() + 0.005
        while worker.time.process_time() < end:
            pass

    rates = worker.time_call(busy, 1000, 0.05)
    assert 100_000 < rates["cpu"] <= 200_000


def test_an_absent_peer_is_named_with_what_to_install() -> None:
    entries = [
        Entry("numpy", "numpy_peer", "step", "pip install numpy"),
        Entry("nobody", "nobody_peer", "step", "pip install nobody"),
    ]
    held = contest.hold(entries, (1, 16), 1, BRIEF)
    assert [(result.entry.label, result.batch) for result in held.results] == [("numpy", 1), ("numpy", 16)]
    assert held.absent == ("nobody (No module named 'nobody_peer'): pip install nobody",)


def test_a_case_that_a_peer_lacks_is_left_empty() -> None:
    entries = [Entry("numpy", "numpy_peer", "step", ""), Entry("other", "numpy_peer", "rendering", "")]
    by_label = {result.entry.label: result.rate for result in contest.hold(entries, (4,), 1, BRIEF).results}
    assert by_label["other"] is None
    assert by_label["numpy"] is not None
    assert by_label["numpy"].cpu > 0


def test_figures_reach_the_file_and_the_ratio_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = {"step": ("bare step", tuple(entry for entry in sim.STEP if entry.label in ("fledge", "numpy")))}
    monkeypatch.setattr(sim, "SUBJECTS", quick)
    path = tmp_path / "figures.json"
    options = ["--batches", "64", "--threads", "1", "--rounds", "2", "--seconds", "0.01", "--json", str(path)]
    assert cli.run(["bench", "sim", *options]) == 0
    tree = json.loads(path.read_text())
    (table,) = tree["tables"]
    rates = {row[0]: row[1:] for row in table["rows"]}
    assert math.isclose(rates["numpy"][1], rates["fledge"][0] / rates["numpy"][0])
    assert rates["fledge"][1] is None
    assert tree["machine"]["cores"] >= 1
    assert "bare step" in capsys.readouterr().out


def test_the_machine_is_described() -> None:
    machine = report.this_machine(("numpy", "no-such-package"))
    assert machine.processor
    assert "numpy" in machine.versions
    assert "no-such-package" not in machine.versions
