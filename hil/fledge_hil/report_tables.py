"""Tables of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fledge_sim.contract import Contract, Envelope, SetpointSemantics

from fledge_hil.markup import Markup, code, details, element, facts, join, note, table
from fledge_hil.report import Proof
from fledge_hil.scores import SETTLING, Scores, Tracking

_EPISODES = (
    "Errors of the episodes that survived. Episodes of hover begin displaced, tilted and moving at random, from states "
    "that not every drone can catch; episodes of the figure-eight begin in hover."
)
_NOT_SILICON = "Modelled from the executed instructions, not measured on silicon."


def phase_table(scores: Scores) -> Markup:
    """Errors of the judged phases, by estimate and by truth, and the rest of the flight's figures."""
    rows: list[tuple[object, ...]] = []
    for name, phase in scores.phases.items():
        for source, tracking in (("estimate", phase.estimate), ("truth", phase.truth)):
            if tracking is not None:
                rows.append((name, source, *_errors(tracking), f"{phase.policy_share:.0%}", f"{phase.received:.0%}"))
    head = (
        "phase",
        "measured by",
        "RMSE [cm]",
        "horizontal [cm]",
        "mean [cm]",
        "max [cm]",
        "flown by policy",
        "log received",
    )
    without = ", ".join(
        f"{name} without its first {seconds:g} s"
        for name, seconds in SETTLING.items()
        if seconds and name in scores.phases
    )
    errors = table(head, rows, numbers=range(2, 8)) if rows else note("No phase was long enough to be measured.")
    caption = note(f"Distance to the reference, 3-D; horizontal is the RMSE without height; {without}.")
    return join([errors, caption, facts(_rest(scores))])


def _errors(tracking: Tracking) -> tuple[str, ...]:
    values = (tracking.rmse, tracking.horizontal_rmse, tracking.mean, tracking.maximum)
    return tuple(f"{100 * value:.2f}" for value in values)


def _rest(scores: Scores) -> Iterator[tuple[str, str]]:
    landing, start, end = scores.landing_offset, scores.battery_start, scores.battery_end
    yield "landed beside its target by", "not known" if landing is None else f"{100 * landing:.1f} cm"
    yield "battery", "not known" if start is None or end is None else f"{start:.2f} V → {end:.2f} V"
    yield "device time / wall-clock", f"{scores.device_seconds:.2f} s / {scores.wall_seconds:.2f} s"
    yield "missed deadlines", str(scores.deadline_misses)
    events = [f"{event.time:.2f} s: {event.reason}" for event in scores.guard_events]
    yield "guard took the motors", "; ".join(events) or "never"


def proof_table(proof: Proof | None) -> Markup:
    """One line per check."""
    if proof is None or not proof.lines:
        return note("The binary was not checked in this run; the verb check does it.")
    rows = [(_mark(line.passed), line.name, line.detail) for line in proof.lines]
    return table(("", "check", "finding"), rows)


def _mark(passed: bool) -> Markup:
    return element("span", "passed" if passed else "failed", style_class="good" if passed else "bad")


def timing_table(proof: Proof | None) -> Markup:
    """Instructions and modelled time of one inference; what a drone measured is in another section."""
    rows: list[tuple[str, str]] = []
    if proof is not None and proof.instructions is not None:
        rows.append(("instructions per inference", f"{proof.instructions:,}".replace(",", " ")))
    if proof is not None and proof.microseconds is not None:
        names = ("lower", "nominal", "upper")
        rows += [(f"{name} model", f"{time:.1f} µs") for name, time in zip(names, proof.microseconds, strict=True)]
    if proof is not None and proof.clock_hz is not None:
        rows.append(("clock of the model", f"{proof.clock_hz / 1e6:.0f} MHz"))
    if not rows:
        return note("Nothing is known about the time of an inference in this run.")
    return join([facts(rows), note(_NOT_SILICON)])


def evaluation_table(evaluation: Mapping[str, Any]) -> Markup:
    """Entries that have a survival and an error, in the order given; the rest is in the JSON file."""
    rows = [row for name, entry in evaluation.items() for row in _evaluation_rows(name, entry)]
    if not rows:
        return note("No figures that this page knows; report.json has them as they came.")
    head = ("condition", "period", "episodes survived", "mean error", "RMSE")
    return join([table(head, rows, numbers=(1, 2, 3, 4)), note(_EPISODES)])


def _evaluation_rows(name: str, entry: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(entry, (list, tuple)):
        for each in entry:
            yield from _evaluation_rows(name, each)
    if not isinstance(entry, Mapping) or "survival" not in entry:
        return
    period, mean = entry.get("period"), entry.get("error", entry.get("mean"))
    yield (
        name.replace("_", " "),
        _number(period, "{:.1f} s"),
        _number(entry["survival"], "{:.1%}"),
        _number(mean, "{:.2f} cm", 100),
        _number(entry.get("rmse"), "{:.2f} cm", 100),
    )


def _number(value: Any, form: str, factor: float = 1.0) -> str:
    return form.format(factor * value) if isinstance(value, (int, float)) else "-"


def contract_tables(contract: Contract) -> tuple[Markup, ...]:
    """What every input and output of the network means."""
    head = ("input", "size", "unit", "frame", "clip", "scale", "noise in training")
    terms = [
        (term.name, term.size, term.unit, term.frame, f"± {term.clip:g}", f"{term.scale:g}", f"{term.noise:g}")
        for term in contract.observation
    ]
    return (
        table(head, terms, numbers=(1, 4, 5, 6)),
        facts(_contract_lines(contract)),
        details("Canonical JSON", code(contract.canonical_json())),
    )


def _contract_lines(contract: Contract) -> Iterator[tuple[str, str]]:
    action, envelope, setpoint = contract.rotor_action, contract.envelope, contract.setpoint
    assert isinstance(envelope, Envelope)
    assert isinstance(setpoint, SetpointSemantics)
    motors = zip(action.motors, action.spin, strict=True)
    shape = " → ".join(map(str, (contract.observation_size, *contract.network.hidden, 4)))
    yield "network", f"{contract.network.kind}, {shape}, {contract.quantisation}"
    yield "output", f"action [-1, 1] → {action.kind} {action.low:g} … {action.high:g}, hover at {action.hover:.3f}"
    yield "motors", ", ".join(f"{motor} {'counter-clockwise' if spin < 0 else 'clockwise'}" for motor, spin in motors)
    yield "rates", f"native {contract.native_rate} Hz, inference {contract.inference_rate} Hz"
    yield (
        "set-point",
        f"{setpoint.position_error}; {setpoint.velocity_error}; yaw {setpoint.yaw}",
    )
    yield (
        "envelope",
        f"{envelope.position_error:g} m from the set-point, {envelope.velocity:g} m/s, "
        f"{envelope.angular_velocity:g} rad/s",
    )
    yield "robot", f"{contract.robot} ({contract.device_type}), parameters {contract.robot_sha256[:8]}"
    yield "weights", contract.weights_sha256
    yield "contract", contract.sha256
