"""The tables of `fledge bench sim`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from fledge_hil.bench import footprint, operations
from fledge_hil.bench.contest import Contest, Effort, Rate, Result
from fledge_hil.bench.report import Cell, Table

MILLION = 1e6
OURS = "fledge"
Held = Mapping[tuple[str, int], Contest]
"""By title and number of threads."""


def rates(title: str, threads: int, held: Contest, effort: Effort) -> Table:
    """One row per simulator; per batch its rate and how many times faster fledge is."""
    batches = list(dict.fromkeys(result.batch for result in held.results))
    labels = list(dict.fromkeys(result.entry.label for result in held.results))
    measured = {(result.entry.label, result.batch): _rate(result) for result in held.results}
    rows = tuple((label, *(cell for batch in batches for cell in _pair(measured, label, batch))) for label in labels)
    unit = "M/s of processor time" if threads == 1 else "M/s of wall-clock time"
    missing = {
        f"{result.entry.label}, {result.batch}: {result.reason}": None for result in held.results if result.reason
    }
    spreads = [result.rate.spread for result in held.results if result.rate is not None]
    return Table(
        title=f"{title}, {threads} thread{'s' * (threads > 1)} [{unit}]",
        heads=("environments per call", *(head for batch in batches for head in (str(batch), "x"))),
        rows=rows,
        notes=(
            f"x: fledge over it. Medians of {effort.rounds} rounds of at least {effort.seconds:g} s, in turns; "
            f"fastest over slowest round: {statistics.median(spreads or [1.0]):.2f} in the median.",
            *missing,
        ),
    )


def _rate(result: Result) -> float | None:
    """[M/s]: what one core does, or what all do together in the time one waits."""
    if result.rate is None:
        return None
    return (result.rate.cpu if result.threads == 1 else result.rate.wall) / MILLION


def _pair(measured: Mapping[tuple[str, int], float | None], label: str, batch: int) -> tuple[Cell, Cell]:
    rate, ours = measured.get((label, batch)), measured.get((OURS, batch))
    return rate, None if rate is None or ours is None or label == OURS else ours / rate


def latency(held: Mapping[str, Contest]) -> list[Table]:
    """What a call with one environment costs [us]; no table where batch 1 was not measured."""
    costs = {
        (result.entry.label, title): MILLION / result.rate.cpu
        for title, contest in held.items()
        for result in contest.results
        if result.batch == 1 and result.rate is not None
    }
    labels = dict.fromkeys(label for label, _ in costs)
    rows: list[tuple[Cell, ...]] = [(label, *(costs.get((label, title)) for title in held)) for label in labels]
    heads = ("", *(title.split(" (")[0] for title in held))
    return [Table("a call with one environment [us]", heads, tuple(rows))] if rows else []


def scaling(held: Held) -> list[Table]:
    """fledge on several threads over fledge on one, in wall-clock time; no table where only one was measured."""
    rows: list[tuple[Cell, ...]] = []
    for (title, threads), contest in held.items():
        if threads == 1 or (title, 1) not in held:
            continue
        alone, together = _ours(held[title, 1]), _ours(contest)
        rows += [
            (title.split(" (")[0], threads, batch, rate.wall / MILLION, rate.wall / alone[batch].wall)
            for batch, rate in together.items()
            if batch in alone
        ]
    heads = ("", "threads", "environments", "M/s of wall-clock time", "over one thread")
    note = "Only as true as the cores were idle; small batches stay on one thread."
    return [Table("fledge on several threads", heads, tuple(rows), (note,))] if rows else []


def _ours(held: Contest) -> dict[int, Rate]:
    return {result.batch: result.rate for result in held.results if result.entry.label == OURS and result.rate}


def peak(held: Held) -> list[Table]:
    """How much of the core's arithmetic the bare step uses; no table without it."""
    steps = [_ours(contest) for (title, threads), contest in held.items() if threads == 1 and title.startswith("bare")]
    if not steps or not steps[0]:
        return []
    count, best = operations.per_step(), max(rate.cpu for rate in steps[0].values())
    used, possible = best * count / 1e9, operations.peak_rate()
    rows: list[tuple[Cell, ...]] = [("bare step, best batch", used)]
    if possible is not None:
        rows += [
            ("measured peak: fused multiply-adds in registers", possible / 1e9),
            ("share of the peak [%]", 100e9 * used / possible),
        ]
    note = f"{count} operations per step, counted in the row-wise text; a fused multiply-add is two."
    return [Table("arithmetic on one core", ("", "GFLOP/s"), tuple(rows), (note,))]


def memory(environments: int) -> Table:
    """Of the native environment, by its own account and by the system's."""
    kept, returned, resident = footprint.measure(environments)
    return Table(
        f"memory of the native environment, {environments} at once",
        ("", "bytes per environment", "GiB for a million"),
        (
            ("kept: state, parameters, sensors", kept, kept * MILLION / 2**30),
            ("returned by a step: observation, reward, flags", returned, returned * MILLION / 2**30),
            ("growth of the process, step held", resident, resident * MILLION / 2**30),
        ),
    )
