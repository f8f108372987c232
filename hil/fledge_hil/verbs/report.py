"""Compare two flights: the figures of both, the change, and their tracks in one drawing.

Give the directories that `fledge hil` or `fledge fly` wrote, or their flight.csv.gz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim.files import write_atomically

from fledge_hil import report_compare, screen


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    one: Annotated[Path, tyro.conf.Positional]
    """First flight."""
    other: Annotated[Path, tyro.conf.Positional]
    """Second flight."""
    out: Path = Path("compare.html")
    """Page to write."""


def run(options: Options) -> int:
    """Compare and write."""
    one, other = report_compare.load(options.one), report_compare.load(options.other)
    screen.table(f"A {one.name}, B {other.name}", ("", "A", "B", "change"), report_compare.rows(one, other))
    write_atomically(options.out, report_compare.page(one, other))
    screen.say(f"report: {options.out}")
    return 0
