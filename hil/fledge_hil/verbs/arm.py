"""An arm of bus servos, virtual or real: `fledge arm SUBJECT [options]`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tyro
from fledge_sim.errors import FledgeError

SUBJECTS: Mapping[str, tuple[str, str]] = {
    "sim": ("serve", "serve virtual servos on a serial port, for any program that speaks to real ones"),
    "check": ("prove", "prove a policy on the host and the emulated chip: equal bits, longest tick, every fault"),
    "run": ("move", "move a real arm, or a virtual one, with a policy"),
}
"""Each is a module of fledge_hil.arm with `Options` and `run`."""


@dataclass(frozen=True)
class Selection:
    """A subject and its options."""

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
    module = _module(subject)
    options = tyro.cli(module.Options, args=rest, prog=f"{prog} {subject}", description=module.__doc__)
    return Selection(subject, options)


def run(selection: Selection) -> int:
    """See the subject's module."""
    return int(_module(selection.subject).run(selection.options))


def _module(subject: str) -> Any:
    return importlib.import_module(f"fledge_hil.arm.{SUBJECTS[subject][0]}")


def _overview(prog: str) -> str:
    width = max(map(len, SUBJECTS))
    lines = "\n".join(f"  {subject:<{width}}  {what}" for subject, (_, what) in SUBJECTS.items())
    hint = f"The subject is required; `{prog} SUBJECT --help` lists its options."
    return f"usage: {prog} SUBJECT [options]\n\n{lines}\n\n{hint}"
