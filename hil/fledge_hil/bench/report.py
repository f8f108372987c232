"""What a benchmark says: tables, the machine they were measured on, and what is missing from them."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rich.table
from fledge_sim import __version__, kernel
from fledge_sim.errors import FledgeError
from rich.console import Console

from fledge_hil import screen

FILE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""
Cell = str | float | int | None


def require_known(what: str, asked: Sequence[str], known: Sequence[str]) -> None:
    """Raise FledgeError for a name that there is not; `what`: a word for what it would be of."""
    if strange := sorted(set(asked) - set(known)):
        raise FledgeError(f"no {what} '{strange[0]}'; choose from: {'; '.join(known)}")


@dataclass(frozen=True)
class Machine:
    """Where the figures come from."""

    processor: str
    cores: int
    """That this process may use."""
    instruction_set: str
    """That the native kernel runs on."""
    system: str
    python: str
    versions: dict[str, str]
    """Of fledge and of the packages that matter; a package that is not installed is left out."""
    load: float | None
    """Average number of busy processes over the minute before; above 0 the figures are pessimistic."""


@dataclass(frozen=True)
class Table:
    """Rows of numbers with a unit in each heading."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything one call measured."""

    subject: str
    machine: Machine
    tables: tuple[Table, ...]
    absent: tuple[str, ...] = ()
    """One sentence per thing that could not be measured, with what to install."""

    def to_json(self) -> str:
        """The same figures for machines, unrounded."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"


def this_machine(packages: Sequence[str]) -> Machine:
    """Describe this machine; `packages` are named by their distribution."""
    versions = {"fledge": __version__}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        instruction_set=kernel.instruction_set(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions=versions,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _processor() -> str:
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def show(report: Report) -> None:
    """Print every table, then the machine."""
    for table in report.tables:
        _draw(table)
        for note in table.notes:
            screen.say(f"  {note}")
        screen.say()
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    load = "" if machine.load is None else f", load {machine.load:.1f}"
    screen.say(f"{machine.processor}, {machine.cores} cores, {machine.instruction_set}{load}; {machine.system}")
    screen.say(f"Python {machine.python}; {versions}")
    for sentence in report.absent:
        screen.say(f"absent: {sentence}")


def _draw(table: Table) -> None:
    """As screen.table, but a label stays on one line however many figures follow it."""
    drawn = rich.table.Table(title=table.title, title_justify="left", header_style="bold", title_style="bold")
    for index, head in enumerate(table.heads):
        drawn.add_column(head, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in table.rows:
        drawn.add_row(*map(_text, row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(drawn)


def _text(cell: Cell) -> str:
    """Three significant digits; a dash for what was not measured."""
    if cell is None:
        return "-"
    if isinstance(cell, str | int):
        return str(cell)
    if 0 < abs(cell) < 1e-3:
        return f"{cell:.1e}"
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
