"""Measure, beside peers in the same run: `fledge bench SUBJECT [options]`.

Prints tables with the machine they were measured on; --json FILE also writes the unrounded figures.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically

from fledge_hil import screen
from fledge_hil.bench import report

SUBJECTS: Mapping[str, str] = {
    "sim": "steps per second of the simulator, its reverse sweep and its environment, beside other simulators",
    "crosscheck": "the same robot in MuJoCo and in PyBullet: how far free flight and closed loop differ",
    "train": "seconds from process start to a saved policy, what it flies like, and the same for every algorithm",
    "arm": "what an arm learns: reach, and the insertion by what its actor senses and how it was taught",
    "touch": "the force field of the finger pads, their sensors and images, beside MuJoCo's tactile sensor",
    "export": "the exported C beside onnxruntime on this machine, and beside emlearn on the emulated Cortex-M4F",
}
"""Each is a module of fledge_hil.bench with `Options` and `measure`."""


@dataclass(frozen=True)
class Selection:
    """A subject and its options; these have a field `json`, the file to write or None."""

    subject: str
    options: Any


def parse(arguments: Sequence[str], prog: str) -> Selection:
    """Options of the subject named first; `--help` alone lists the subjects."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(prog))
        raise SystemExit(0 if arguments else 2)
    subject, *rest = arguments
    if subject not in SUBJECTS:
        raise FledgeError(f"no subject '{subject}'; choose one of {', '.join(SUBJECTS)}")
    module = importlib.import_module(f"fledge_hil.bench.{subject}")
    options = tyro.cli(module.Options, args=rest, prog=f"{prog} {subject}", description=module.__doc__)
    return Selection(subject, options)


def run(selection: Selection) -> int:
    """Measure, print, write."""
    module = importlib.import_module(f"fledge_hil.bench.{selection.subject}")
    measured: report.Report = module.measure(selection.options)
    report.show(measured)
    path: Path | None = selection.options.json
    if path is not None:
        write_atomically(path, measured.to_json())
        screen.say(f"figures: {path}")
    return 0


def _overview(prog: str) -> str:
    width = max(map(len, SUBJECTS))
    lines = "\n".join(f"  {subject:<{width}}  {what}" for subject, what in SUBJECTS.items())
    hint = f"The subject is required; `{prog} SUBJECT --help` lists its options."
    return f"usage: {prog} SUBJECT [options]\n\n{lines}\n\n{hint}"
