"""Small pieces of HTML; every text that goes in comes out escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Value as HTML text; Markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def element(name: str, *content: object, style_class: str = "") -> Markup:
    """<name class=...>content</name>"""
    attribute = f' class="{html.escape(style_class)}"' if style_class else ""
    return Markup(f"<{name}{attribute}>{''.join(map(escape, content))}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    """One after the other."""
    return Markup("\n".join(map(escape, parts)))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> Markup:
    """A table that scrolls by itself on a narrow screen; columns in `numbers` are right-aligned."""

    def row(kind: str, cells: Sequence[object]) -> Markup:
        texts = [element(kind, cell, style_class="number" if at in numbers else "") for at, cell in enumerate(cells)]
        return element("tr", *texts)

    top = element("thead", row("th", head)) if any(map(str, head)) else Markup("")
    body = element("tbody", *(row("td", cells) for cells in rows))
    return element("div", element("table", top, body), style_class="scroll")


def facts(rows: Iterable[tuple[object, object]]) -> Markup:
    """Names and values, one per line."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows))


def section(title: str, *content: object) -> Markup:
    """A heading and what belongs to it."""
    return element("section", element("h2", title), *content)


def card(title: str, value: str, detail: str) -> Markup:
    """A figure that people ask for first."""
    return element(
        "div",
        element("div", title, style_class="label"),
        element("div", value, style_class="value"),
        element("div", detail, style_class="detail"),
        style_class="card",
    )


def details(summary: str, *content: object) -> Markup:
    """Folded until asked for."""
    return element("details", element("summary", summary), *content)


def note(text: object) -> Markup:
    """A quiet sentence."""
    return element("p", text, style_class="note")


def code(text: str) -> Markup:
    """Lines as they are."""
    return element("pre", text)
