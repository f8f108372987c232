"""`fledge bench export` measures what it names, checks that peers compute the same network, and names who is absent."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fledge_export.calibrate import calibrate
from fledge_hil import cli
from fledge_hil.bench import emlearn_peer, export
from fledge_hil.mcu import Mcu
from fledge_sim import policy as policies
from fledge_sim.policy import Policy, forward
from fledge_train import config, shac

# by its presence: importing it would make numpy raise on underflow in every test that follows
needs_emlearn = pytest.mark.skipif(importlib.util.find_spec("emlearn") is None, reason="pip install emlearn")


@pytest.fixture(scope="module")
def policy() -> Policy:
    small = config.fast(actor="mlp")
    actor = dataclasses.replace(small.actor, hidden=(16,), history=2)
    return shac.train(dataclasses.replace(small, actor=actor, iterations=60)).policy


@needs_emlearn
def test_every_implementation_has_a_row(policy: Policy, tmp_path: Path) -> None:
    policies.save(policy, tmp_path / "p.npz")
    assert (
        cli.run(
            [
                "bench",
                "export",
                "--policy",
                str(tmp_path / "p.npz"),
                "--rounds",
                "1",
                "--json",
                str(tmp_path / "f.json"),
            ]
        )
        == 0
    )
    host, target, quoted = json.loads((tmp_path / "f.json").read_text())["tables"]
    labels = [row[0] for row in host["rows"]]
    assert labels[-1] == export.ONNXRUNTIME
    assert [label for label in labels if label.endswith("from C")] == [f"{form} C, from C" for form in export.FORMATS]
    assert all(row[1] > 0 and row[2] == pytest.approx(1e6 / row[1]) for row in host["rows"])
    instructions = {row[0]: row[1] for row in target["rows"]}
    assert instructions["emlearn float32, zig, this input"] > instructions["fledge float32, any input"] > 0
    assert all(lower <= nominal <= upper for _, _, lower, nominal, upper, _ in target["rows"])
    assert "quoted" in quoted["title"]


@needs_emlearn
def test_emlearns_image_computes_the_policy(policy: Policy, tmp_path: Path) -> None:
    mcu = Mcu(emlearn_peer.build(policy, tmp_path, "zig"))
    for row in calibrate(policy, flights=2, steps=10).observations:
        mcu.write_floats("policy_in", emlearn_peer.inputs(policy, row))
        mcu.call("mailbox_step")
        expected, _ = forward(policy, row.astype(np.float64), np.zeros(0))
        np.testing.assert_allclose(mcu.read_floats("policy_out"), expected, atol=export.SAME_NETWORK)


@needs_emlearn
def test_importing_emlearn_leaves_numpy_as_it_was(policy: Policy, tmp_path: Path) -> None:
    before = np.geterr()
    emlearn_peer.build(policy, tmp_path, "zig")
    assert np.geterr() == before


def test_an_absent_peer_is_named_with_what_to_type(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "emlearn.net", None)
    monkeypatch.setitem(sys.modules, "emlearn", None)
    with pytest.raises(emlearn_peer.PeerAbsentError, match="pip install emlearn"):
        emlearn_peer.build(policy, tmp_path, "zig")


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--policy", "none.npz"]])
def test_bad_input_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "export", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
