"""The report as one HTML page: verdict and headline figures first, then the evidence."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from fledge_hil import report_figures as figures
from fledge_hil.markup import Markup, card, code, details, element, escape, facts, join, note, section, table
from fledge_hil.parity import Parity
from fledge_hil.report import Findings, Report
from fledge_hil.report_faults import fault_section
from fledge_hil.report_loop import link_section, parity_cards, parity_section
from fledge_hil.report_real_time import real_time_section
from fledge_hil.report_tables import contract_tables, evaluation_table, phase_table, proof_table, timing_table
from fledge_hil.scores import PhaseScores, Scores
from fledge_hil.verdict import Limits

TEMPLATE = Path(__file__).parent / "report.html.in"
_UNKNOWN = "not known"
MODES = {
    "flight": "",
    "injected": "hardware in the loop, states injected in lockstep",
    "injected-free-run": "hardware in the loop, states injected as time goes by",
    "in-hardware": "simulation in hardware",
    "parity": "open-loop parity",
}
"""What a mode of `fledge hil` is."""
_UNTIL_STEADY = "without the start, where it gathers speed"


def page(report: Report, findings: Findings) -> str:
    """The whole text of report.html."""
    before = (_parity,) if report.parity is not None else (_flight, _faults)
    after = () if report.parity is not None else (_evidence, _chain)
    sections = (*before, _real_time, _link, *after, _policy, _origin)
    content = join(part for build in sections for part in build(report, findings))
    title = f"{report.name}: {'passed' if findings.verdict.passed else 'failed'}"
    filled = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        name=escape(report.name),
        subtitle=_subtitle(report),
        verdict=_verdict(findings, report.parity),
        cards=parity_cards(report.parity) if report.parity is not None else _cards(findings.scores, report),
        content=content,
    )
    return filled


# ---- top -------------------------------------------------------------------------------------------------------------


def _subtitle(report: Report) -> Markup:
    contract, log = report.policy.contract, report.log
    parts = [
        f"{contract.network.kind.upper()}-{'-'.join(map(str, contract.network.hidden))} policy",
        f"{report.policy.parameter_count} parameters",
        f"{log.device_type} at {log.uri}",
        MODES.get(report.mode, report.mode),
        f"contract {contract.sha256[:8]}",
        report.created,
    ]
    return escape(" · ".join(part for part in parts if part))


def _verdict(findings: Findings, parity: Parity | None) -> Markup:
    verdict = findings.verdict
    if verdict.passed:
        praise = _praise(findings.scores) if parity is None else parity.praise
        return element("p", element("strong", "Passed."), " ", praise, style_class="verdict passed")
    first, *rest = verdict.reasons
    line = element("p", element("strong", "Failed:"), " ", first, style_class="verdict failed")
    more = element("ul", *(element("li", reason) for reason in rest), style_class="reasons")
    return join([line, more] if rest else [line])


def _praise(scores: Scores) -> str:
    judged = {name: phase.judged for name, phase in scores.phases.items()}
    errors = " and ".join(f"{name} RMSE {_cm(each.rmse)}" for name, each in judged.items() if each is not None)
    return f"Complete flight, {errors}, no guard event, no missed deadline."


def _cards(scores: Scores, report: Report) -> Markup:
    limits, landing = report.limits, scores.landing_offset
    cards = [
        *(
            _error_card(f"{name.capitalize()} RMSE", phase, limits.rmse(name))
            for name, phase in scores.phases.items()
            if name in report.planned or phase.judged is not None
        ),
        _inference_card(report),
        _chain_card(report),
        card("Inferences", f"{scores.inferences:,}".replace(",", " "), _missed(scores.deadline_misses)),
        card("Guard events", str(len(scores.guard_events)), f"policy flew {scores.policy_share:.0%} of the log"),
        card("Landing", "-" if landing is None else _cm(landing), "beside its target"),
        _speed_card(scores),
    ]
    return join(cards)


def _error_card(title: str, phase: PhaseScores, bound: float) -> Markup:
    judged = phase.judged
    if judged is None:
        return card(title, "-", "not flown or too short")
    return card(title, _cm(judged.rmse), f"max {_cm(judged.maximum)}, limit {_cm(bound)}")


def _inference_card(report: Report) -> Markup:
    if report.proof is None or report.proof.microseconds is None:
        return card("One inference", "-", "not checked")
    _, nominal, upper = report.proof.microseconds
    return card("One inference", f"{nominal:.0f} µs", f"modelled, upper {upper:.0f} µs")


def _chain_card(report: Report) -> Markup:
    if not report.wall_seconds:
        return card("Whole chain", "-", "time not recorded")
    trained = report.wall_seconds.get("train")
    detail = f"of which training {trained:.1f} s" if trained is not None else "wall-clock"
    return card("Whole chain", f"{sum(report.wall_seconds.values()):.1f} s", detail)


def _speed_card(scores: Scores) -> Markup:
    factor = scores.real_time_factor
    speed = f"{factor:.3g} times real time" if factor is not None else "speed not known"
    return card("Flight", f"{scores.device_seconds:.1f} s", speed)


def _missed(misses: int) -> str:
    return f"{misses} missed deadline{'' if misses == 1 else 's'}"


# ---- sections --------------------------------------------------------------------------------------------------------


def _flight(report: Report, findings: Findings) -> list[Markup]:
    log, recording, scores = report.log, report.recording, findings.scores
    drawn = [
        ("Figure-eight from above", figures.figure_eight(log, recording), _source(scores.figure_eight)),
        ("Position error", figures.error_over_time(log, recording, report.limits), _error_note(report.limits)),
        ("Height", figures.height(log, recording), ""),
        ("Actions of the network", figures.actions(log, report.policy.contract.neutral_action), ""),
        ("Motor commands", figures.motors(log, recording), _motors_note(report)),
    ]
    parts = [_figure(title, drawing, text) for title, drawing, text in drawn if drawing is not None]
    return [section("Flight", phase_table(scores), *parts)]


def _faults(report: Report, findings: Findings) -> list[Markup]:
    return [fault_section(report.faults)] if report.faults is not None else []


def _parity(report: Report, findings: Findings) -> list[Markup]:
    return [parity_section(report.parity)] if report.parity is not None else []


def _real_time(report: Report, findings: Findings) -> list[Markup]:
    return [real_time_section(report.real_time)] if report.real_time is not None else []


def _link(report: Report, findings: Findings) -> list[Markup]:
    return [link_section(report.traffic)] if report.traffic is not None else []


def _figure(title: str, drawing: Markup, text: str) -> Markup:
    caption = element("figcaption", element("b", title), f" {text}" if text else "")
    return element("figure", caption, drawing)


def _motors_note(report: Report) -> str:
    if report.mode.startswith("injected"):
        return "As the drone answered; they moved the body that is simulated here, and no motor."
    return "Recorded on the virtual drone, after the mode switch."


def _source(phase: PhaseScores) -> str:
    if phase.truth is not None:
        return f"Truth of the simulator against the reference on the drone, {_UNTIL_STEADY}."
    return f"The drone's own estimate against its reference, {_UNTIL_STEADY}; there is no truth for this flight."


def _error_note(limits: Limits) -> str:
    return (
        f"The drone's estimate against its reference while the policy flies. Limits on the RMSE: hover "
        f"{_cm(limits.hover_rmse)}, figure-eight {_cm(limits.figure_eight_rmse)}."
    )


def _evidence(report: Report, findings: Findings) -> list[Markup]:
    parts = [section("Proof before the flight", proof_table(report.proof))]
    parts.append(section("Time of one inference, before the flight", timing_table(report.proof)))
    if report.evaluation is not None:
        parts.append(section("In simulation, before the export", evaluation_table(report.evaluation)))
    return parts


def _chain(report: Report, findings: Findings) -> list[Markup]:
    parts = []
    if report.wall_seconds:
        longest = max(*report.wall_seconds.values(), 1e-9)
        rows = [(name, _timed(seconds, seconds / longest)) for name, seconds in report.wall_seconds.items()]
        total = sum(report.wall_seconds.values())
        parts.append(section("Wall-clock", facts([*rows, ("total", element("b", f"{total:.2f} s"))])))
    if report.sizes:
        parts.append(section("Emitted files", facts((name, _bytes(size)) for name, size in report.sizes.items())))
    return parts


def _timed(seconds: float, share: float) -> Markup:
    bar = Markup(f'<span class="bar" style="width:{45 * min(1.0, max(0.0, share)):.1f}%"></span>')
    return join([element("span", f"{seconds:.2f} s", style_class="time"), bar])


def _bytes(size: int) -> str:
    return f"{size:,} bytes".replace(",", " ")


def _policy(report: Report, findings: Findings) -> list[Markup]:
    contract = report.policy.contract
    training = contract.training
    seconds = report.wall_seconds.get("train")
    rows = [
        ("algorithm", training.algorithm),
        ("seed", training.seed),
        ("time", f"{seconds:.2f} s" if seconds is not None else _UNKNOWN),
        ("code version", training.code_version),
    ]
    config = json.dumps(contract.training.config, indent=2, sort_keys=True)
    return [
        section("Contract", *contract_tables(contract)),
        section("Training", facts(rows), details("Whole configuration", code(config))),
    ]


def _origin(report: Report, findings: Findings) -> list[Markup]:
    console = "\n".join(report.log.console)
    said = code(console) if console else note("The drone printed nothing.")
    command = code(report.command) if report.command else note("The command was not recorded.")
    versions = {**report.versions, "firmware of the drone": report.log.firmware or _UNKNOWN}
    return [
        section("Console of the drone", said),
        section("Origin", command, table(("part", "version"), list(versions.items()))),
    ]


def _cm(metres: float) -> str:
    return f"{100 * metres:.1f} cm"
