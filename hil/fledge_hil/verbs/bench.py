"""Measure, beside peers in the same run: `fledge bench SUBJECT [options]`.

Prints tables with the machine they were measured on; --json FILE also writes the unrounded figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fledge_sim.files import write_atomically

from fledge_hil import screen, subjects
from fledge_hil.bench import report
from fledge_hil.subjects import Selection, Subject

SUBJECTS: Mapping[str, str] = {
    "sim": "steps per second of the simulator, its reverse sweep and its environment, beside other simulators",
    "crosscheck": "the same robot in MuJoCo and in PyBullet: how far free flight and closed loop differ",
    "train": "seconds from process start to a saved policy, what it flies like, and the same for every algorithm",
    "arm": "what an arm learns: reach, and the insertion by what its actor senses and how it was taught",
    "touch": "the force field of the finger pads, their sensors and images, beside MuJoCo's tactile sensor",
    "export": "the exported C beside onnxruntime on this machine, and beside emlearn on the emulated Cortex-M4F",
}
"""Each is a module of fledge_hil.bench with `Options`, which have a field `json` (a file or None), and `measure`."""


def parse(arguments: Sequence[str], prog: str) -> Selection:
    """See subjects.parse."""
    known = {name: Subject(f"fledge_hil.bench.{name}", what) for name, what in SUBJECTS.items()}
    return subjects.parse(known, arguments, prog)


def run(selection: Selection) -> int:
    """Measure, print, write."""
    measured: report.Report = selection.module.measure(selection.options)
    report.show(measured)
    path: Path | None = selection.options.json
    if path is not None:
        write_atomically(path, measured.to_json())
        screen.say(f"figures: {path}")
    return 0
