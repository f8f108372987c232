"""Figures of the report as SVG elements that can stand inside an HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fledge_hil.alignment import recording_time
from fledge_hil.flight_log import FlightLog
from fledge_hil.markup import Markup
from fledge_hil.recording import Recording
from fledge_hil.scores import FIGURE_EIGHT, HOVER, SETTLING, position_error, within
from fledge_hil.verdict import Limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, LINE = "#1d2733", "#6b7787", "#d5dbe3"
BLUE, ORANGE, GREEN, RED, GREY = "#1f6feb", "#d9730d", "#1a7f4b", "#c0362c", "#8b97a6"
MOTOR_COLOURS = (BLUE, ORANGE, GREEN, "#8250df")
PHASE_COLOURS = {HOVER: "#e3eefc", FIGURE_EIGHT: "#e4f4ea"}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, 'DejaVu Sans', sans-serif"
_POINTS = 700
"""Most points per line: more than a screen shows."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fledge",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#edf0f4",
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
}


def figure_eight(log: FlightLog, recording: Recording | None) -> Markup | None:
    """Seen from above, coloured by the distance to the reference; None when it was not flown."""
    rows = log.during(FIGURE_EIGHT, SETTLING[FIGURE_EIGHT])
    position, reference = log.column("x", "y", "z")[rows], log.column("rx", "ry", "rz")[rows]
    time = recording_time(log, recording) if recording is not None else None
    if time is not None and recording is not None:
        seen = within(log, time, FIGURE_EIGHT, SETTLING[FIGURE_EIGHT])
        position = recording.columns("x", "y", "z")[seen].astype(np.float64)
        reference = recording.columns("reference_x", "reference_y", "reference_z")[seen].astype(np.float64)
    good = np.isfinite(position).all(axis=1) & np.isfinite(reference).all(axis=1)
    if good.sum() < 2:
        return None
    with figure_canvas(9.2, 4.8, "eight") as (figure, text):
        axes = figure.subplots()
        _track(figure, axes, position[good], reference[good])
    return text.markup


def error_over_time(log: FlightLog, recording: Recording | None, limits: Limits) -> Markup | None:
    """Distance between position and reference while the policy flew."""
    flown = log.column("mode")[:, 0] == 1
    if not flown.any():
        return None
    error = np.where(flown[:, None], position_error(log), np.nan)
    time = log.column("time")[:, 0]
    with figure_canvas(9.2, 2.7, "error") as (figure, text):
        axes = _over_time(figure, log)
        _plot(axes, time, 100 * np.linalg.norm(error[:, :2], axis=1), color=BLUE, label="horizontal")
        _plot(axes, time, 100 * np.abs(error[:, 2]), color=ORANGE, label="vertical")
        for phase in log.phases:
            if phase.name in SETTLING:
                span = (phase.start + SETTLING[phase.name], phase.end)
                axes.plot(span, [100 * limits.rmse(phase.name)] * 2, color=RED, lw=1, ls=(0, (4, 3)))
        axes.plot([], [], color=RED, lw=1, ls=(0, (4, 3)), label="RMSE limit")
        _label(axes, "position error [cm]")
        axes.set_ylim(bottom=0)
    return text.markup


def height(log: FlightLog, recording: Recording | None) -> Markup | None:
    """Estimate, reference and, where known, truth."""
    if len(log.table) < 2:
        return None
    time = log.column("time")[:, 0]
    flown = log.column("mode")[:, 0] == 1
    with figure_canvas(9.2, 2.5, "height") as (figure, text):
        axes = _over_time(figure, log)
        _plot(axes, time, log.column("z")[:, 0], color=BLUE, label="estimate")
        truth_time = recording_time(log, recording) if recording is not None else None
        if truth_time is not None and recording is not None:
            seen = (truth_time >= time[0]) & (truth_time <= time[-1])
            _plot(axes, truth_time[seen], recording["z"][seen], color=GREEN, label="truth", lw=1)
        reference = np.where(flown, log.column("rz")[:, 0], np.nan)
        _plot(axes, time, reference, color=INK, label="reference", lw=1, ls=(0, (4, 3)))
        _label(axes, "height [m]")
    return text.markup


def actions(log: FlightLog, hover: float) -> Markup | None:
    """What the network asked of the four motors."""
    flown = log.column("mode")[:, 0] == 1
    if not flown.any():
        return None
    time = log.column("time")[:, 0]
    values = np.where(flown[:, None], log.column("a1", "a2", "a3", "a4"), np.nan)
    with figure_canvas(9.2, 2.5, "actions") as (figure, text):
        axes = _over_time(figure, log)
        for motor, colour in enumerate(MOTOR_COLOURS):
            _plot(axes, time, values[:, motor], color=colour, label=f"M{motor + 1}", lw=0.8)
        axes.axhline(hover, color=INK, lw=1, ls=(0, (4, 3)), label="hover")
        axes.set_ylim(-1.05, 1.05)
        _label(axes, "action [-1, 1]")
    return text.markup


def motors(log: FlightLog, recording: Recording | None) -> Markup | None:
    """What reached the motors, as recorded on the virtual drone."""
    time = recording_time(log, recording) if recording is not None else None
    if time is None or recording is None or not log.phases:
        return None
    seen = (time >= log.phases[0].start) & (time <= log.phases[-1].end)
    values = recording.columns("fraction_1", "fraction_2", "fraction_3", "fraction_4")[seen]
    with figure_canvas(9.2, 2.5, "motors") as (figure, text):
        axes = _over_time(figure, log)
        for motor, colour in enumerate(MOTOR_COLOURS):
            _plot(axes, time[seen], values[:, motor], color=colour, label=f"M{motor + 1}", lw=0.8)
        axes.set_ylim(-0.02, 1.02)
        _label(axes, "motor command [1]")
    return text.markup


def _track(figure: Figure, axes: Axes, position: NDArray[np.float64], reference: NDArray[np.float64]) -> None:
    from matplotlib.collections import LineCollection

    kept = slice(None, None, max(1, len(position) // _POINTS))
    position, reference = position[kept], reference[kept]
    error = 100 * np.linalg.norm(position - reference, axis=1)
    axes.plot(reference[:, 0], reference[:, 1], color=INK, lw=0.9, label="reference", zorder=3)
    points = position[:, None, :2]
    track = LineCollection(list(np.concatenate([points[:-1], points[1:]], axis=1)), cmap="viridis_r", lw=2.6)
    track.set_array(error[:-1])
    track.set_capstyle("round")
    axes.add_collection(track)
    axes.plot(*position[0, :2], "o", color="white", mec=INK, ms=6, label="measured from here", zorder=4)
    axes.set_aspect("equal")
    axes.margins(0.06, 0.12)
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    bar = figure.colorbar(track, ax=axes, shrink=0.7, pad=0.03, aspect=28, label="position error [cm]")
    bar.outline.set_visible(False)


def _plot(axes: Axes, time: NDArray[Any], values: NDArray[Any], **style: Any) -> None:
    """A line; of more rows than a screen shows, every n-th."""
    kept = slice(None, None, max(1, len(time) // (2 * _POINTS)))
    axes.plot(time[kept], values[kept], **style)


def _over_time(figure: Figure, log: FlightLog) -> Axes:
    """Axes over device time, at the same place in every figure, with the phases as bands."""
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.75 / width, 0.45 / height, 1 - 2.15 / width, 1 - 0.7 / height))
    _shade(axes, log)
    return axes


def _shade(axes: Axes, log: FlightLog) -> None:
    """Bands with their names above; bands too narrow for a name go without."""
    whole = max(log.device_seconds, 1e-9)
    for phase in log.phases:
        axes.axvspan(phase.start, phase.end, color=PHASE_COLOURS.get(phase.name, "#f5f6f8"), lw=0, zorder=0)
        axes.axvline(phase.start, color=LINE, lw=0.6, zorder=0.5)
        if (phase.end - phase.start) / whole > 0.012 * len(phase.name):
            middle = (phase.start + phase.end) / 2
            transform = axes.get_xaxis_transform()
            axes.text(middle, 1.02, phase.name, transform=transform, ha="center", fontsize=8, color=QUIET)
    if log.phases:
        axes.set_xlim(log.phases[0].start, log.phases[-1].end)


def _label(axes: Axes, what: str) -> None:
    axes.set_xlabel("device time [s]")
    axes.set_ylabel(what)
    axes.yaxis.set_label_coords(-0.065, 0.5)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


class FigureText:
    """Holds the SVG once the figure is closed."""

    markup = Markup("")


@contextmanager
def figure_canvas(width: float, height: float, name: str) -> Iterator[tuple[Figure, FigureText]]:
    """A figure of this size [inch]; leaving the block renders it."""
    import matplotlib
    from matplotlib.figure import Figure

    text = FigureText()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"fledge {name}"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, text
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text.markup = _inline(buffer.getvalue())


def _inline(svg: str) -> Markup:
    """SVG file as an element of an HTML page: no prolog, metadata, namespaces or ids that nothing refers to."""
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body).replace("xlink:href", "href")
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body))
    body = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    return Markup(body.replace("'DejaVu Sans'", _FONT).replace('"DejaVu Sans"', _FONT))
