"""What an evaluation looks like to a person: a table per task, or candidates and engines side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fledge_train.evaluate import SETTLED, Hover, Recovery, Tracking
from fledge_train.suite import Case, Figures

from fledge_hil import screen
from fledge_hil.evaluation import LABELS, Measured

HOVER = "hover: 5 s from thrown starts (up to 90 degrees, 1 m/s), lost beyond 0.6 m; noise and disturbances on"
EIGHT = "figure-eight of 2 m x 1 m: one round, lost beyond 0.6 m; noise and disturbances on"
RECOVERY = "recovery within 8 s: thrown with any attitude, up to 2 m/s and 10 rad/s per axis, rotors at any speed"
CELL = "share kept, then error in cm: of hover the mean over the last second, of figure-eights the RMSE"
TITLES = {"hover": HOVER, "figure-eight": EIGHT, "recovery": RECOVERY}


def one(robot: str, cases: Sequence[Case], figures: Mapping[str, Figures]) -> None:
    """Every figure of one candidate."""
    measured = [(case, figures[case.name]) for case in cases]
    hovers([(case.label, f) for case, f in measured if isinstance(f, Hover)], robot)
    eights([(case.label, f) for case, f in measured if isinstance(f, Tracking)])
    recoveries([(case.label, f) for case, f in measured if isinstance(f, Recovery)])


def hovers(rows: Sequence[tuple[str, Hover]], robot: str) -> None:
    """Survival, precision, smoothness."""
    screen.table(
        f"{robot}, {HOVER}",
        ("case", "episodes", "survival", "error, last second", "settled", "action jerk"),
        (
            (
                label,
                str(h.episodes),
                screen.percent(h.survival),
                screen.centimetres(h.error),
                _seconds(h.settling_time),
                _number(h.action_jerk),
            )
            for label, h in rows
        ),
    )
    screen.say(
        f"  settled: median time until survivors stay within {100 * SETTLED:g} cm; jerk: change per 10 ms, of +-1"
    )


def eights(rows: Sequence[tuple[str, Tracking]]) -> None:
    """Errors along the curve."""
    screen.table(
        EIGHT,
        ("period", "episodes", "survival", "RMSE", "mean error", "worst RMSE"),
        (
            (
                label,
                str(t.episodes),
                screen.percent(t.survival),
                *(screen.centimetres(value) for value in (t.rmse, t.mean, t.worst)),
            )
            for label, t in rows
        ),
    )


def recoveries(rows: Sequence[tuple[str, Recovery]]) -> None:
    """Throws; nothing without rows."""
    if not rows:
        return
    screen.table(
        RECOVERY,
        ("case", "episodes", "recovered", "of those upside down", "upright after", "height lost"),
        (
            (
                label,
                str(r.episodes),
                screen.percent(r.recovered),
                "-" if r.recovered_upside_down is None else screen.percent(r.recovered_upside_down),
                _seconds(r.upright_time),
                "-" if r.height_lost is None else f"{r.height_lost:.2f} m",
            )
            for label, r in rows
        ),
    )


def beside(cases: Sequence[Case], measured: Sequence[Measured]) -> None:
    """Candidates in columns: what share was kept, and how precisely."""
    for task, title in TITLES.items():
        chosen = [case for case in cases if case.task == task]
        if chosen:
            screen.table(
                title,
                ("case", *(each.candidate.name for each in measured)),
                ((case.label, *(_cell(each.figures[case.name]) for each in measured)) for case in chosen),
            )
    screen.say(f"  {CELL}")


def engines(cases: Sequence[Case], measured: Sequence[Measured]) -> None:
    """The same candidate and episodes in several engines, the first of which is the measure."""
    first, *others = measured
    heads = ["case", "episodes", LABELS[first.engine]]
    for each in others:
        heads += [LABELS[each.engine], "ratio"]
    rows = []
    for case in cases:
        row = [f"{case.task}, {case.label}", str(case.episodes), _cell(first.figures[case.name])]
        for each in others:
            row += [_cell(each.figures[case.name]), _ratio(each.figures[case.name], first.figures[case.name])]
        rows.append(row)
    screen.table(f"{first.candidate.name} in several engines: the same episodes, seeds and noise", heads, rows)
    screen.say(f"  {CELL}; ratio of the errors to fledge's")


def error_of(figures: Figures) -> float | None:
    """The figure that stands for the precision of a case [m]."""
    if isinstance(figures, Recovery):
        return None
    return figures.error if isinstance(figures, Hover) else figures.rmse


def _cell(figures: Figures) -> str:
    if isinstance(figures, Recovery):
        return screen.percent(figures.recovered)
    kept = f"{100 * figures.survival:.1f}%"
    error = error_of(figures)
    return f"{kept} {'-' if error is None else f'{100 * error:.2f}':>5}"


def _ratio(figures: Figures, measure: Figures) -> str:
    error, reference = error_of(figures), error_of(measure)
    return f"{error / reference:.3f}" if error is not None and reference else "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
