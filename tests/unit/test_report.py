"""The report: a page any browser understands, the same numbers in JSON, and honesty about what is missing."""

import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fledge_hil import recording as recordings
from fledge_hil.flight_log import COLUMNS, FlightLog, Phase
from fledge_hil.recording import Recording
from fledge_hil.report import HTML, JSON, Proof, ProofLine, Report, write
from fledge_sim import policy as policy_file
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm, TrainingRecord
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

VOID = {"meta", "br", "link", "img", "input", "hr"}
PHASES = (Phase("hover", 0.0, 4.0), Phase("figure-eight", 4.01, 8.0), Phase("land", 8.0, 9.0))


def policy() -> Policy:
    network = NetworkShape("gru", (4,))
    contract = Contract(
        robot="crazyflie",
        robot_sha256="ab" * 32,
        device_type="Crazyflie 2.1",
        observation=(ObservationTerm("position_error", 3, "m", "heading", clip=0.6, scale=2.0, noise=0.001),),
        action=ActionMapping("thrust_fraction", low=0.12, high=1.0, hover=0.3),
        network=network,
        training=TrainingRecord("shac", seed=7, code_version="0.1.0", config={"note": "<config & more>"}),
    )
    shapes = policy_file.weight_shapes(network, 3)
    return policy_file.assemble(contract, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})


POLICY = policy()


def flight() -> FlightLog:
    """9 s; 3 cm beside the reference all the time."""
    time = np.arange(901) / 100
    table = np.zeros((901, len(COLUMNS)))
    reference = {"rx": np.sin(time), "ry": np.sin(2 * time) / 2, "rz": 0.7}
    values = {"time": time, **reference, "x": reference["rx"] + 0.03, "y": reference["ry"], "z": 0.7, "mode": 1}
    for name, value in {**values, "inferences": 5 * np.arange(901), "battery": 4.0, "a1": 0.5}.items():
        table[:, COLUMNS.index(name)] = value
    sha = POLICY.contract.sha256
    return FlightLog("udp://1.2.3.4:5", "Crazyflie 2.1", "fledge 0", sha, table, PHASES, ("Hello",), 3.0)


def truth(log: FlightLog) -> Recording:
    table = np.zeros((len(log.table), len(recordings.COLUMNS)), np.float32)
    for ours, theirs in (("", "xyz"), ("estimate_", "xyz"), ("reference_", ("rx", "ry", "rz"))):
        for axis, column in zip("xyz", theirs, strict=True):
            table[:, recordings.COLUMNS.index(ours + axis)] = log.column(column)[:, 0]
    table[:, 0] = log.table[:, 0]
    return Recording(table)


def full() -> Report:
    log = flight()
    lines = (ProofLine("parity", True, "all bits equal"), ProofLine("self-test", True, "8 vectors"))
    return Report(
        name="run 1",
        policy=POLICY,
        log=log,
        recording=truth(log),
        proof=Proof(lines, 13842, (83.25, 92.5, 108.75), 168e6),
        evaluation={"hover": {"survival": 0.875, "error": 0.0125}, "figure_eight": ({"survival": 1, "rmse": 0.03},)},
        wall_seconds={"train": 5.5, "flight": 3.0},
        sizes={"policy.c": 41234},
        versions={"numpy": "1.2.3"},
        command="fledge fly --seed 7",
        created="2030-01-02 03:04",
    )


def bare() -> Report:
    return Report("bare", POLICY, flight())


class Page(HTMLParser):
    """Checks nesting; collects text, ids and references."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action", "data", "srcset"):
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def written(directory: Path, report: Report) -> tuple[str, dict[str, Any]]:
    write(directory, report)
    return (directory / HTML).read_text(encoding="utf-8"), json.loads((directory / JSON).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return written(tmp_path_factory.mktemp("full"), full())


def test_page_is_balanced_and_has_its_five_figures(reported: tuple[str, dict[str, Any]]) -> None:
    page = Page(reported[0])
    assert page.tags.count("svg") == 5
    assert page.tags.count("h1") == 1
    assert "script" not in page.tags


def test_page_loads_nothing(reported: tuple[str, dict[str, Any]]) -> None:
    text = reported[0]
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", text)
    assert all(reference.startswith(("#", "data:")) for reference in Page(text).references)


def test_ids_are_unique_and_every_reference_has_one(reported: tuple[str, dict[str, Any]]) -> None:
    page = Page(reported[0])
    assert len(set(page.ids)) == len(page.ids)
    local = {reference[1:] for reference in page.references if reference.startswith("#")}
    assert local | set(re.findall(r"url\(#([^)]+)\)", reported[0])) <= set(page.ids)


def test_page_tells_every_part(reported: tuple[str, dict[str, Any]]) -> None:
    words = Page(reported[0]).words
    for text in (
        *("Passed.", "hover RMSE 3.0 cm", "figure-eight RMSE 3.0 cm", "all bits equal", "13 842", "108.8 µs"),
        *("not measured on silicon", "5.50 s", "8.50 s", "41 234 bytes", "± 0.6", "native 100 Hz, inference 500 Hz"),
        *(POLICY.contract.sha256, "shac", "87.5%", "1.25 cm", "numpy", "1.2.3", "Hello", "fledge fly --seed 7"),
        *("GRU-4", "2030-01-02 03:04", "3 times real time", "truth"),
    ):
        assert text in words, text


def test_json_holds_the_scores(tmp_path: Path) -> None:
    findings = write(tmp_path, full())
    tree = json.loads((tmp_path / JSON).read_text(encoding="utf-8"))
    assert tree["scores"] == json.loads(json.dumps(dataclasses.asdict(findings.scores)))
    assert tree["scores"]["hover"]["truth"]["rmse"] == pytest.approx(0.03, rel=1e-4)
    assert tree["verdict"] == {"passed": True, "reasons": []}
    assert tree["proof"]["microseconds"] == [83.25, 92.5, 108.75]
    assert tree["evaluation"]["hover"]["error"] == 0.0125
    assert tree["contract"] == json.loads(POLICY.contract.canonical_json())


def test_same_report_gives_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", full())
    write(tmp_path / "b", full())
    for name in (HTML, JSON):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_missing_parts_are_named_not_invented(tmp_path: Path) -> None:
    text, tree = written(tmp_path, bare())
    words = Page(text).words
    for sentence in (
        "was not checked in this run",
        "there is no truth for this flight",
        "The command was not recorded",
    ):
        assert sentence in words
    assert "Motor commands" not in words
    assert tree["scores"]["hover"]["truth"] is None
    assert tree["proof"] is None
    assert tree["verdict"]["passed"]


def test_aborted_flight_fails_with_its_reasons(tmp_path: Path) -> None:
    log = dataclasses.replace(flight(), aborted="guard handed over", phases=PHASES[:1], table=flight().table[:350])
    text, tree = written(tmp_path, dataclasses.replace(full(), log=log, recording=None))
    words = Page(text).words
    assert "Failed: the flight ended early: guard handed over" in words
    assert "figure-eight was not flown" in words
    assert "Passed" not in words
    assert tree["verdict"]["reasons"] == ["the flight ended early: guard handed over", "figure-eight was not flown"]


def test_flight_that_never_began_still_gives_a_page(tmp_path: Path) -> None:
    empty = FlightLog("", "", "", "", np.zeros((0, len(COLUMNS))), (), (), 0.0, "no packet arrived")
    text, tree = written(tmp_path, dataclasses.replace(full(), log=empty))
    assert "Failed: the flight ended early: no packet arrived" in Page(text).words
    assert "svg" not in Page(text).tags
    assert tree["scores"]["real_time_factor"] is None


def test_log_of_nothing_but_nan_is_null_in_json(tmp_path: Path) -> None:
    log = flight()
    log.table[:, 1:] = np.nan
    text, tree = written(tmp_path, dataclasses.replace(full(), log=log, evaluation={"hover": {"error": float("inf")}}))
    assert "Failed:" in Page(text).words
    assert tree["evaluation"]["hover"]["error"] is None
    assert tree["scores"]["battery_start"] is None


def test_failed_check_fails_the_report(tmp_path: Path) -> None:
    proof = Proof((ProofLine("parity", False, "step 17 differs"),))
    _, tree = written(tmp_path, dataclasses.replace(full(), proof=proof))
    assert tree["verdict"] == {"passed": False, "reasons": ["check failed: parity (step 17 differs)"]}


def test_every_text_is_escaped(tmp_path: Path) -> None:
    bad = "<script>alert('&')</script>\"$name"
    log = dataclasses.replace(flight(), uri=bad, device_type=bad, firmware=bad, console=(bad,), aborted=bad)
    log = dataclasses.replace(log, phases=(*PHASES[:2], Phase(bad + bad, 8.0, 8.9)))
    report = dataclasses.replace(
        full(),
        name=bad,
        log=log,
        command=bad,
        created=bad,
        versions={bad: bad},
        sizes={bad: 1},
        wall_seconds={bad: 1.0},
    )
    report = dataclasses.replace(
        report, proof=Proof((ProofLine(bad, False, bad),)), evaluation={bad: {"survival": bad}}
    )
    text, tree = written(tmp_path, report)
    page = Page(text)
    assert "script" not in page.tags
    assert page.words.count("<script>alert") > 10
    assert "<config & more>" in page.words
    assert tree["name"] == bad


def test_refused_page_leaves_no_numbers_of_another_flight(tmp_path: Path) -> None:
    write(tmp_path, bare())
    (tmp_path / HTML).unlink()
    (tmp_path / HTML / "in the way").mkdir(parents=True)
    with pytest.raises(FledgeError, match="cannot write"):
        write(tmp_path, bare())
    assert [path.name for path in tmp_path.iterdir()] == [HTML]


def test_refused_numbers_leave_the_old_page(tmp_path: Path) -> None:
    write(tmp_path, bare())
    before = (tmp_path / HTML).read_bytes()
    (tmp_path / JSON).unlink()
    (tmp_path / JSON).mkdir()
    with pytest.raises(FledgeError, match="cannot replace"):
        write(tmp_path, full())
    assert (tmp_path / HTML).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [HTML, JSON]


def test_directory_that_cannot_exist_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FledgeError, match="cannot"):
        write(tmp_path / "file" / "run", bare())


def test_import_does_not_load_matplotlib() -> None:
    program = "import sys, fledge_hil.report; print('matplotlib' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    answer = subprocess.run([sys.executable, "-c", program], env=path, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
