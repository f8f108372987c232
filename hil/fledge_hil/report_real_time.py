"""The report's section on punctuality: a table and histograms per clock, never one for two."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fledge_hil.markup import Markup, element, note, section, table
from fledge_hil.real_time import NOTES, QUANTILES, TITLES, Clock, Misses, RealTime, Series
from fledge_hil.report_figures import BLUE, GREEN, ORANGE, figure_canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Clock, str] = {"modelled": BLUE, "measured": GREEN, "host": ORANGE}
_PER_ROW, _TITLE_WIDTH = 3, 36
_UNITS = {"us": "µs", "cycles": "cycles"}
_NOTHING = (
    "This run says nothing about time: the drone logs none, and no tick was priced by the cycle model (--timing)."
)


def real_time_section(found: RealTime) -> Markup:
    """Everything, by clock."""
    if not found.clocks:
        return section("Real time", note(_NOTHING))
    parts = [part for clock in found.clocks for part in _clock(clock, *found.of_clock(clock))]
    return section("Real time", *parts)


def _clock(clock: Clock, series: Sequence[Series], misses: Sequence[Misses]) -> list[Markup]:
    head = ("", "samples", *QUANTILES, "unit")
    rows = [
        (each.name, len(each.values), *(f"{value:.1f}" for value in each.quantiles), _UNITS[each.unit])
        for each in series
    ]
    parts = [element("h3", TITLES[clock])]
    if rows:
        parts.append(table(head, rows, numbers=range(1, 6)))
    parts += [note(_missed(each)) for each in misses]
    parts.append(note(NOTES[clock]))
    if series:
        parts.append(element("figure", _histograms(clock, series)))
    return parts


def _missed(each: Misses) -> str:
    of = "" if each.of is None else f" of {each.of}"
    return f"Deadlines, {each.what}: {each.missed}{of}."


def _histograms(clock: Clock, series: Sequence[Series]) -> Markup:
    rows = -(-len(series) // _PER_ROW)
    with figure_canvas(9.2, 1.9 * rows, f"real time {clock}") as (figure, text):
        places = figure.subplots(rows, _PER_ROW, squeeze=False).flat
        for each, axes in zip(series, places, strict=False):
            _histogram(axes, each, COLOURS[clock])
        for axes in places:  # those that are left
            axes.set_visible(False)
    return text.markup


def _histogram(axes: Axes, series: Series, colour: str) -> None:
    counts, edges = series.histogram()
    widths = [high - low for low, high in itertools.pairwise(edges)]
    axes.bar(edges[:-1], counts, widths, align="edge", color=colour, alpha=0.85, lw=0)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_minor_formatter("")
    axes.set_title("\n".join(textwrap.wrap(series.name, _TITLE_WIDTH)), fontsize=8.5)
    axes.set_xlabel(_UNITS[series.unit])
    axes.ticklabel_format(axis="x", useOffset=False)
