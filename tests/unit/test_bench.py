"""`fledge bench`: subjects, the contest between processes, and what the report says about what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from fledge_hil import cli
from fledge_hil.bench import accelerator, contest, footprint, operations, report, sim, sim_tables
from fledge_hil.bench.contest import Effort, Entry
from fledge_hil.bench.peers import worker
from fledge_hil.bench.report import Table

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

    rates = worker.Case(busy, 1000).time(0.05)
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
    ours, other = contest.hold(entries, (4,), 1, BRIEF).results
    assert (other.rate, other.reason) == (None, "no case rendering")
    assert ours.rate is not None
    assert ours.rate.cpu > 0


def test_a_peer_that_dies_is_reported_and_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("worker.py", "numpy_peer.py"):
        (tmp_path / name).write_text((contest.PEERS / name).read_text())
    dying = "import os\nPACKAGES = ()\nCASES = {'step': lambda batch, threads: lambda: os._exit(3)}\n"
    (tmp_path / "dying_peer.py").write_text(dying)
    monkeypatch.setattr(contest, "PEERS", tmp_path)
    entries = [Entry("dying", "dying_peer", "step", ""), Entry("numpy", "numpy_peer", "step", "")]
    first, second, *_ = contest.hold(entries, (1, 2), 1, BRIEF).results
    assert (first.rate, first.reason) == (None, "its process ended with exit code 3")
    assert second.rate is not None


def test_figures_reach_the_file_and_the_ratio_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"bare step": tuple(entry for entry in sim.STEP if entry.label in ("fledge", "numpy"))}
    monkeypatch.setattr(sim, "CONTESTS", few)
    monkeypatch.setattr(operations, "SECONDS", 0.001)
    monkeypatch.setattr(sim_tables, "memory", lambda _: Table("memory", ("",), ()))
    path = tmp_path / "figures.json"
    options = ["--batches", "1", "64", "--threads", "1", "2", "--rounds", "2", "--seconds", "0.01"]
    assert cli.run(["bench", "sim", *options, "--json", str(path)]) == 0
    tree = json.loads(path.read_text())
    alone, _, latency, scaling, arithmetic, _ = tree["tables"]
    rates = {row[0]: row[1:] for row in alone["rows"]}
    assert math.isclose(rates["numpy"][3], rates["fledge"][2] / rates["numpy"][2])
    assert rates["fledge"][1] is rates["fledge"][3] is None
    costs = dict(latency["rows"])
    assert math.isclose(costs["numpy"], 1 / rates["numpy"][0])
    assert [row[2] for row in scaling["rows"]] == [1, 64]
    assert 0 < arithmetic["rows"][2][1] < 100
    assert tree["machine"]["cores"] >= 1
    assert "bare step" in capsys.readouterr().out


def test_operations_of_a_step() -> None:
    """Four stages of some 120 operations; the sums of the integrator, 13 per number, over 17 numbers; |q|."""
    assert 550 < operations.per_step() < 900


def test_memory_of_an_environment_is_what_a_process_grows_by() -> None:
    kept, returned, resident = footprint.measure(100_000)
    assert 17 * 4 + 51 * 4 <= kept < 2000  # at least state and parameters
    assert returned >= 18 * 4 + 4
    assert 0.5 * kept < resident < 2 * (kept + returned) + 100


@pytest.mark.parametrize(
    "options", [["--batches", "0"], ["--threads", "0"], ["--rounds", "0"], ["--seconds", "0"], ["--seconds", "nan"]]
)
def test_nonsense_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "sim", *options]) == 2
    assert "--" in capsys.readouterr().err


def test_every_case_of_ours_runs() -> None:
    """The bench must not drop a row of its own because a case fails."""
    entries = [Entry(case, "fledge_peer", case, "") for case in ("step", "prepared_step", "step_and_adjoint")]
    entries += [Entry(case, "fledge_peer", case, "") for case in ("environment", "environment_complete")]
    entries += [Entry("torch", "torch_peer", case, "") for case in ("step", "step_and_adjoint")]
    entries += [Entry("numpy", "numpy_peer", case, "") for case in ("step", "environment")]
    held = contest.hold(entries, (64,), 1, BRIEF)
    assert held.absent == ()
    assert [result.entry.case for result in held.results if result.rate is None] == []


def test_the_machine_is_described() -> None:
    machine = report.this_machine(("numpy", "no-such-package"))
    assert machine.processor
    assert "numpy" in machine.versions
    assert "no-such-package" not in machine.versions


def test_the_device_table_has_a_rate_for_each_batch() -> None:
    table = accelerator.rates("cpu", (16, 64), compiled=False, duration=0.02)
    assert table.heads[1:] == ("16", "64")
    assert [row[0] for row in table.rows] == ["bare step, eager", "environment step, eager"]
    assert all(float(rate or 0) > 0 for row in table.rows for rate in row[1:])
