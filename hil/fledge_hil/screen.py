"""What a person sees: progress with live figures, and short tables. All text goes through here and looks alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

FILE_WIDTH = 120
"""Columns that a table may have in a file or a pipe."""


class Bar:
    """A progress bar whose right end holds live figures; without a terminal it is silent."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=1.0, figures="")

    def show(self, share: float, figures: str) -> None:
        """Move to a share in 0..1."""
        self._progress.update(self._task, completed=min(1.0, share), figures=figures)
        if not self._progress.live.auto_refresh:
            self._progress.refresh()


@contextmanager
def bar(title: str, threaded: bool = True) -> Iterator[Bar]:
    """`with bar("training") as b: b.show(0.5, "4.2 cm")`; without a thread, one may fork meanwhile."""
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    console = Console(stderr=True, emoji=False)
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, auto_refresh=threaded, disable=hidden) as progress:
        yield Bar(progress, title)


def say(text: str = "") -> None:
    """A line."""
    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(text)


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A small table: first column left, the others right."""
    drawn = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for index, head in enumerate(heads):
        drawn.add_column(head, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        drawn.add_row(*row)
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, FILE_WIDTH)
    console.print(drawn)


def centimetres(metres: float | None) -> str:
    """A length as people read it; a dash for none."""
    return "-" if metres is None else f"{100 * metres:.1f} cm"


def percent(share: float) -> str:
    """A share of one."""
    return f"{100 * share:.1f} %"
