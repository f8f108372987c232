"""Parts of the report that only runs in the loop have: the open-loop comparison, and what the link did."""

from __future__ import annotations

import numpy as np

from fledge_hil.loop_client import Traffic
from fledge_hil.markup import Markup, card, element, facts, join, note, section
from fledge_hil.parity import Parity
from fledge_hil.report_figures import BLUE, RED, figure_canvas

_EXPLAINED = (
    "The same states and targets went to the device and to the same C on this computer. While the policy has the "
    "motors, all bits of what it asks of them are compared; while it has not, the guard's reason: what the firmware's "
    "own controller then sends is not the policy's."
)


def parity_cards(parity: Parity) -> Markup:
    """The figures that people ask for first."""
    first = parity.first
    return join(
        [
            card("Ticks compared", _grouped(parity.ticks), parity.source),
            card("Flown by the policy", _grouped(parity.flown), "compared to the last bit"),
            card("Different", _grouped(parity.different), f"by up to {parity.largest:.3g} of 1"),
            card(
                "First that differs",
                "none" if first is None else _grouped(first.tick),
                "" if first is None else first.field,
            ),
        ]
    )


def parity_section(parity: Parity) -> Markup:
    """Findings and the difference over time."""
    first = parity.first
    rows = [
        ("inputs", parity.source),
        ("device", f"{parity.device.device_type}, {parity.device.firmware}, contract {parity.device_contract:08x}"),
        ("C on the host", f"contract {parity.host_contract:08x}"),
        ("ticks that differ", f"{parity.different} of {parity.ticks}"),
        ("largest difference of a motor", f"{parity.largest:.3g} of full thrust"),
    ]
    if first is not None:
        place = f"tick {first.tick}, number {first.tick_of_run} of run {first.run}"
        rows.append(("first that differs", f"{place}: {first.field}, device {first.device:.9g}, C {first.host:.9g}"))
    parts = [facts(rows), note(_EXPLAINED)]
    if parity.largest > 0:
        caption = element("figcaption", element("b", "Largest difference of the four motors"))
        parts.append(element("figure", caption, _gaps(parity)))
    return section("Open-loop parity", *parts)


def _gaps(parity: Parity) -> Markup:
    gaps = np.array(parity.differences)
    with figure_canvas(9.2, 2.3, "parity") as (figure, text):
        axes = figure.subplots()
        axes.plot(np.arange(len(gaps)), gaps, ".", color=BLUE, ms=3)
        if parity.first is not None:
            axes.axvline(parity.first.tick, color=RED, lw=1, ls=(0, (4, 3)), label="first that differs")
            axes.legend(loc="upper right")
        axes.set_xlabel("tick")
        axes.set_ylabel("|device - C| [1]")
        axes.set_ylim(0, 1.1 * parity.largest)
    return text.markup


def link_section(traffic: Traffic) -> Markup:
    """Counters of a link."""
    rows = [
        ("questions", _grouped(traffic.questions)),
        ("asked again for want of an answer", _grouped(traffic.repeated)),
        ("answers that came twice", _grouped(traffic.duplicates)),
        ("answers overtaken by newer ones", _grouped(traffic.overtaken)),
        ("states without an answer (free run)", _grouped(traffic.unanswered)),
        ("unreadable bytes on the app channel", _grouped(traffic.unreadable)),
        ("refused", ", ".join(f"{count} {reason}" for reason, count in sorted(traffic.refused.items())) or "none"),
    ]
    return section("Link", facts(rows))


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
