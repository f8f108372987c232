"""Verbs that have subjects: `fledge VERB SUBJECT [options]`, each subject a module with `Options`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tyro
from fledge_sim.errors import FledgeError


@dataclass(frozen=True)
class Subject:
    """Of a verb."""

    module: str
    """Imported once the subject is chosen, and not before."""
    what: str
    """A line of help."""


@dataclass(frozen=True)
class Selection:
    """A subject and its options."""

    subject: str
    module: Any
    options: Any


def parse(subjects: Mapping[str, Subject], arguments: Sequence[str], prog: str) -> Selection:
    """Options of the subject named first; `--help` alone lists the subjects. Raises FledgeError for no subject."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(subjects, prog))
        raise SystemExit(0 if arguments else 2)
    name, *rest = arguments
    if name not in subjects:
        raise FledgeError(f"no subject '{name}'; choose one of {', '.join(subjects)}")
    module: Any = importlib.import_module(subjects[name].module)
    options = tyro.cli(module.Options, args=rest, prog=f"{prog} {name}", description=module.__doc__)
    return Selection(name, module, options)


def _overview(subjects: Mapping[str, Subject], prog: str) -> str:
    width = max(map(len, subjects))
    lines = "\n".join(f"  {name:<{width}}  {subject.what}" for name, subject in subjects.items())
    hint = f"The subject is required; `{prog} SUBJECT --help` lists its options."
    return f"usage: {prog} SUBJECT [options]\n\n{lines}\n\n{hint}"
