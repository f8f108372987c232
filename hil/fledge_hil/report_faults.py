"""The fault matrix in the report: a table with expectation and outcome, and a small trajectory per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fledge_hil import fault_matrix
from fledge_hil.fault_matrix import TIME, Matrix, Row, X, Y, Z
from fledge_hil.markup import Markup, element, join, note, section, table
from fledge_hil.report_figures import BLUE, ORANGE, QUIET, RED, figure_canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_TOO_FAR = 3.0
"""[m], where the axes end."""


def fault_section(matrix: Matrix) -> Markup:
    """Everything about the matrix."""
    seeds = max(len(row.flights) for row in matrix.rows)
    how = {"direct": "a client in the same process, deterministic", "cflib": "cflib over UDP"}[matrix.client]
    processor = {"emulated": "the emulated Cortex-M4F", "host": "the same C on the host"}[matrix.processor]
    intro = note(
        f"{seeds} seeds per row, each with a body of its own (10 % variation), on {processor}, flown by {how}. "
        "Even seeds meet the fault in hover, odd ones in the figure-eight."
    )
    head = ("", "fault", "done to the drone", "expected", "passed", "how the flights ended")
    rows = [_cells(row) for row in matrix.rows]
    failures = [f"{row.fault.name}, {failure}" for row in matrix.rows for failure in row.failures]
    bad = element("ul", *(element("li", failure) for failure in failures), style_class="reasons") if failures else ""
    caption = element(
        "figcaption",
        element("b", "Around the fault"),
        " Truth, all seeds: height (blue) and horizontal distance from where it was when the fault began (orange), in "
        "metres over seconds.",
    )
    return section("Faults", intro, table(head, rows, numbers=(4,)), bad, element("figure", caption, _drawing(matrix)))


def _cells(row: Row) -> tuple[object, ...]:
    good = row.passed == len(row.flights)
    mark = element("span", "passed" if good else "failed", style_class="good" if good else "bad")
    fault = row.fault
    names = " or ".join(guard.name.lower().replace("_", " ") for guard in fault.guards)
    expected = f"{fault.outcome}, guard {names}" if names else fault.outcome
    endings = ", ".join(f"{count} {what}" for what, count in row.endings.most_common())
    return mark, fault.name, fault.what, expected, f"{row.passed} of {len(row.flights)}", endings


def _drawing(matrix: Matrix) -> Markup:
    """Small multiples of all rows that flew."""
    flown = [row for row in matrix.rows if any(True for _ in fault_matrix.tracks(row))]
    if not flown:
        return join([])
    lines = -(-len(flown) // _COLUMNS)
    with figure_canvas(9.2, 1.45 * lines + 0.2, "faults") as (figure, text):
        grid = figure.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, row in zip(grid, flown, strict=False):
            _small(axes, row)
        for axes in grid[len(flown) :]:
            axes.set_visible(False)
    return text.markup


def _small(axes: Axes, row: Row) -> None:
    for flight in fault_matrix.tracks(row):
        track = np.array(flight.track)
        time, place = track[:, TIME] - (flight.began or 0.0), track[:, X : Y + 1]
        at = place[np.searchsorted(time, 0.0) - 1]
        axes.plot(time, np.linalg.norm(place - at, axis=1), color=ORANGE, lw=0.6, alpha=0.7)
        axes.plot(time, track[:, Z], color=BLUE, lw=0.6, alpha=0.7)
    axes.axvline(0, color=RED, lw=0.6)
    axes.set_ylim(-0.1, _TOO_FAR)
    axes.set_title(row.fault.name, fontsize=8, color=QUIET, pad=2)
    axes.tick_params(labelsize=6.5)
