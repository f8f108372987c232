"""What a person sees is what was said: units in brackets are no colour tags."""

from __future__ import annotations

import pytest
from fledge_hil import screen
from fledge_hil.bench import report


def test_brackets_stay(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table("times [us]", ("", "error [mm]"), [("policy [a]", "1.5")])
    screen.say("runs/[b]/policy.npz")
    table = report.Table("rates", ("", "speed [m/s]"), (("x", 1.0),))
    report.show(report.Report("test", report.this_machine([]), (table,)))
    shown = capsys.readouterr().out
    for text in ("times [us]", "error [mm]", "policy [a]", "runs/[b]/policy.npz", "speed [m/s]"):
        assert text in shown
