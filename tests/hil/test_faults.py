"""The fault matrix: every row passes, a row that must fail does, and the link does what it is told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fledge_hil import cli, fault_flight, fault_matrix, faults
from fledge_hil.board import build_board
from fledge_hil.fault_flight import Rig
from fledge_hil.faults import FAULTS, Fault
from fledge_hil.impaired import ImpairedCrazyflie
from fledge_hil.lossy_link import LinkFaults, LossyLink
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

MakeDrone = Callable[..., VirtualCrazyflie]


@pytest.fixture(scope="module")
def rig(trained_policy: Policy, board_cache: Path) -> Rig:
    """Host tier, direct client."""
    return Rig(trained_policy, build_board(trained_policy, board_cache))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_row_passes(rig: Rig, fault: Fault) -> None:
    """One seed each; all ten, and the figure-eight, are flown by `fledge hil --faults all`."""
    assert fault_flight.fly(rig, fault, 2 * FAULTS.index(fault)).reasons == ()


@pytest.mark.parametrize("name", ["link loss", "NaN blip", "flipped bit"])
def test_the_emulated_processor_reacts_the_same(rig: Rig, name: str) -> None:
    (fault,) = faults.choose(name)
    host = fault_flight.fly(rig, fault, 1)
    emulated = fault_flight.fly(dataclasses.replace(rig, processor="emulated"), fault, 1)
    assert emulated.reasons == ()
    assert emulated.recording.table.tobytes() == host.recording.table.tobytes()


@pytest.mark.parametrize("name", ["lost", "long gap"])
def test_the_same_rows_over_cflib(rig: Rig, name: str) -> None:
    (fault,) = faults.choose(name)
    assert fault_flight.fly(dataclasses.replace(rig, client="cflib"), fault, 0).reasons == ()


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("motor dead", "flies on", "ended early"),
        ("motor dead", "lands", "ended tilted"),
        ("none", "lands", "it ended with: plan completed"),
        ("none", "refuses", "it flew"),
        ("none", "stops", "it ended with"),
        ("wrong contract", "flies on", "refused"),
        ("NaN blip", "flies on", "not_finite"),
    ],
)
def test_a_wrong_expectation_fails(rig: Rig, name: str, outcome: faults.Outcome, reason: str) -> None:
    (fault,) = faults.choose(name)
    flight = fault_flight.fly(rig, dataclasses.replace(fault, outcome=outcome), 0)
    assert any(reason in each for each in flight.reasons)


def test_a_guard_that_should_have_spoken_fails_the_row(rig: Rig) -> None:
    flight = fault_flight.fly(rig, dataclasses.replace(FAULTS[0], guards=(faults.Guard.BATTERY,)), 0)
    assert flight.reasons == ("the guard said nothing, not battery",)


def test_the_document_holds_expectation_outcome_and_track(rig: Rig, tmp_path: Path) -> None:
    matrix = fault_matrix.run(rig, faults.choose("NaN blip, wrong contract"), range(2))
    tree = json.loads(fault_matrix.save(matrix, tmp_path).read_text())
    assert tree["passed"]
    blip, refused = tree["rows"]
    assert (blip["passed"], blip["endings"]) == (2, {"guard: not finite": 2})
    assert len(blip["trajectories"]["1"]) > 20
    assert blip["trajectories"]["1"][0][4] == 1
    assert refused["trajectories"] == {}


def test_an_interrupted_matrix_goes_on_and_ends_as_if_it_had_not_been(
    rig: Rig, trained_policy: Policy, board_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The verb, killed in its third flight and while it wrote a line."""
    policies.save(trained_policy, tmp_path / "policy.npz")
    out, flown, whole = tmp_path / "out", [0], fault_flight.fly
    arguments = ["hil", str(tmp_path / "policy.npz"), "--faults", "wrong contract,NaN blip", "--seeds", "2"]
    arguments += ["--drone.processor", "host", "--drone.cache", str(board_cache), "--out", str(out)]

    def fly(rig: Rig, fault: Fault, seed: int) -> fault_flight.FaultFlight:
        flown[0] += 1
        if flown[0] == 4:  # the first is the flight without a fault
            raise KeyboardInterrupt
        return whole(rig, fault, seed)

    monkeypatch.setattr(fault_flight, "fly", fly)
    assert cli.run(arguments) == 130
    lines = (out / "faults.jsonl").read_text()
    assert lines.count("\n") == 3
    (out / "faults.jsonl").write_text(lines + '{"fault": "NaN bl')
    assert cli.run(arguments) == 0
    assert flown[0] == 4 + 3
    assert "going on with 2 flights of " in capsys.readouterr().out
    assert not (out / "faults.jsonl").exists()
    undisturbed = fault_matrix.run(rig, faults.choose("wrong contract,NaN blip"), range(2))
    assert (out / "faults.json").read_text() == fault_matrix.document(undisturbed)
    assert "guard: not finite" in (out / "report.html").read_text()


def test_what_another_policy_left_is_not_used(rig: Rig, tmp_path: Path) -> None:
    book = fault_matrix.kept(rig, tmp_path / "faults.jsonl")
    book.add({"fault": "none", "seed": 0, "reasons": [], "ended": "", "began": None, "track": []})
    assert len(fault_matrix.kept(rig, book.path)) == 1
    assert len(fault_matrix.kept(rig, book.path, fresh=True)) == 0
    book.add({"fault": "none", "seed": 0, "reasons": [], "ended": "", "began": None, "track": []})
    assert len(fault_matrix.kept(dataclasses.replace(rig, processor="emulated"), book.path)) == 0


def test_unknown_faults_are_named() -> None:
    with pytest.raises(FledgeError, match="no fault 'locusts'; choose all, or some of: none, lost"):
        faults.choose("lost,locusts")


# ---- the link --------------------------------------------------------------------------------------------------------


def through(link_faults: LinkFaults, packets: int = 2000) -> list[tuple[int, int]]:
    """(number, ms of arrival) of packets that are sent one per millisecond."""
    link, arrived = LossyLink(link_faults, seed=1), []
    for now in range(packets + 200):
        if now < packets:
            link.put(now.to_bytes(4, "little"), now)
        arrived += [(int.from_bytes(datagram, "little"), now) for datagram in link.take(now)]
    return arrived


def test_a_good_link_changes_nothing() -> None:
    assert through(LinkFaults()) == [(number, number) for number in range(2000)]


def test_losses_and_repetitions_are_as_many_as_asked() -> None:
    assert len(through(LinkFaults(lose=0.2))) == pytest.approx(1600, abs=70)
    assert len(through(LinkFaults(duplicate=0.3))) == pytest.approx(2600, abs=80)
    assert through(LinkFaults(cut=True)) == []


def test_lateness_keeps_the_order_only_when_it_is_constant() -> None:
    constant, varying = through(LinkFaults(late_ms=(40, 40))), through(LinkFaults(late_ms=(0, 40)))
    assert all(at - number == 40 for number, at in constant)
    assert [number for number, _ in varying] != sorted(number for number, _ in varying)
    assert len(varying) == 2000


def test_an_unimpaired_drone_gives_the_same_bytes(make_drone: MakeDrone, rig: Rig) -> None:
    plain = make_drone(seed=4)
    from fledge_hil.rig import board_of

    impaired = ImpairedCrazyflie(plain.plant.robot, rig.policy.contract, board_of(rig.files, "host"), plain.settings)
    for drone in (plain, impaired):
        for _ in range(300):
            drone.step_ms()
    assert plain.recorder.content == impaired.recorder.content
