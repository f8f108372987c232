"""An arm of bus servos, virtual or real: `fledge arm SUBJECT [options]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fledge_hil import subjects
from fledge_hil.subjects import Selection, Subject

SUBJECTS: Mapping[str, Subject] = {
    "sim": Subject(
        "fledge_hil.arm.serve", "serve virtual servos on a serial port, for any program that speaks to real ones"
    ),
    "check": Subject(
        "fledge_hil.arm.prove",
        "prove a policy on the host and the emulated chip: equal bits, longest tick, every fault",
    ),
    "run": Subject("fledge_hil.arm.move", "move a real arm, or a virtual one, with a policy"),
}
"""Each has `Options` and `run`."""


def parse(arguments: Sequence[str], prog: str) -> Selection:
    """See subjects.parse."""
    return subjects.parse(SUBJECTS, arguments, prog)


def run(selection: Selection) -> int:
    """See the subject's module."""
    return int(selection.module.run(selection.options))
