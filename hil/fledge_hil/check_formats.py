"""The whole proof of a policy: every format that it can take, checked alike, on one screen and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fledge_export import package
from fledge_export.quantized import is_quantised
from fledge_sim.arm_trained import arm_of
from fledge_sim.contract import Contract, JointMapping
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from rich.console import Group
from rich.table import Table
from rich.text import Text

from fledge_hil.check import Reference, check_source
from fledge_hil.check_report import CheckReport
from fledge_hil.formats import QUANTISATIONS, Quantisation, convert

WORDS = {
    "parity: torch": "torch",
    "parity: onnxruntime": "onnxruntime",
    "parity: host C": "C on this machine",
    "parity: emulated Cortex-M4F": "C on the emulated Cortex-M4F",
    "parity: arm-none-eabi-gcc": "the same, compiled by gcc",
    "history reuse": "past actions kept, steady flight",
    "flipped bit": "flipped weight bits",
    "input independence": "time independent of inputs",
    "one path": "edge inputs, one path",
    "lint": "symbols and instructions",
    "time": "worst tick (upper model)",
    "stack": "stack high-water",
    "control tick": "control tick, worst path",
}
"""Names of lines as a person reads them."""


@dataclass(frozen=True)
class Proof:
    """All formats of one policy."""

    reports: Mapping[str, CheckReport]
    """By format: float32, int16, int8."""
    skipped: Mapping[str, str]
    """What could not be checked: formats that this policy cannot take, the tick of an arm that is not here; and why."""

    @property
    def passed(self) -> bool:
        """Nothing that was tried failed."""
        return all(report.passed for report in self.reports.values())

    def to_json(self) -> str:
        """Readable, keys sorted."""
        tree = {
            "passed": self.passed,
            "formats": {name: dataclasses.asdict(report) for name, report in self.reports.items()},
            "skipped": dict(self.skipped),
        }
        return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def check_formats(
    policy: Policy,
    directory: Path,
    formats: Sequence[Quantisation] = (),
    robot: str | None = None,
    original: Policy | None = None,
) -> Proof:
    """Export each format into `directory` (package.export), build it there, and try everything.

    Args:
        policy: float32, or a quantised one, which is checked as it is.
        directory: for exports and builds.
        formats: default: all that the policy can take.
        robot: for the flights on which integers are made and measured, and for an arm's tick; default: the policy's.
        original: what integers are measured against; default: `policy`, or what its integers stand for.
    Raises:
        FledgeError: a format that was asked for cannot be made, nothing can be built, or `robot` is another arm.
    """
    if original is not None:
        _check_original(policy, original)
    chosen = formats or QUANTISATIONS
    if is_quantised(policy) and not formats:
        chosen = tuple(name for name in QUANTISATIONS if name == policy.contract.quantisation)
    reports: dict[str, CheckReport] = {}
    skipped = _without_tick(policy.contract, robot)
    reference: Reference | None = None
    for name in chosen:
        try:
            each = convert(policy, name, robot)
            if is_quantised(each):
                reference = reference or Reference.of(original or policy, robot)
        except FledgeError as error:
            if formats:
                raise
            skipped[name] = str(error)
            continue
        folder = directory if each is policy else directory / name
        package.export(each, folder)
        reports[name] = check_source(each, folder, reference if is_quantised(each) else None, robot)
    if not reports:
        raise FledgeError(f"no format can be checked: {'; '.join(dict.fromkeys(skipped.values()))}")
    return Proof(reports, skipped)


def _without_tick(contract: Contract, robot: str | None) -> dict[str, str]:
    """Why the tick of an arm's firmware cannot be bounded. Raises FledgeError where `robot` is another arm."""
    if isinstance(contract.action, JointMapping):
        try:
            arm_of(contract, robot)
        except FledgeError as error:
            if robot is not None:
                raise
            return {"control tick": str(error)}
    return {}


def _check_original(policy: Policy, original: Policy) -> None:
    """Raises FledgeError if they cannot be compared."""
    ours, theirs = policy.contract, original.contract
    if is_quantised(original) or (ours.network, ours.observation) != (theirs.network, theirs.observation):
        raise FledgeError("the policy to compare against is no float32 policy of the same network; give the original")


def render(proof: Proof) -> Group:
    """For a terminal: a line per check, a column per format, and every failure in full."""
    first = next(iter(proof.reports.values()))
    title = f"{first.network}, {first.parameters} weights, for {first.robot}"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    table.add_column("check")
    for name in proof.reports:
        table.add_column(name, justify="right")
    for name in dict.fromkeys(line.name for report in proof.reports.values() for line in report.lines):
        table.add_row(WORDS.get(name, name), *(_cell(report, name) for report in proof.reports.values()))
    table.add_section()
    for what, figures in _figures(proof.reports).items():
        table.add_row(what, *figures)
    notes = [
        "cycles are modelled at 168 MHz with weights in flash, not measured on silicon; instructions are exact",
        *(f"{name} left out: {why}" for name, why in proof.skipped.items()),
    ]
    failures = [
        Text.assemble(("FAILED ", "bold red"), f"{name}, {WORDS.get(line.name, line.name)}: {line.detail}")
        for name, report in proof.reports.items()
        for line in report.lines
        if not line.passed
    ]
    return Group(table, *map(Text, notes), *failures)


def _cell(report: CheckReport, name: str) -> Text:
    found = next((line for line in report.lines if line.name == name), None)
    if found is None:
        return Text("-")
    return Text(found.short, "green") if found.passed else Text("FAILED", "bold red")


def _figures(reports: Mapping[str, CheckReport]) -> dict[str, list[str]]:
    every = list(reports.values())
    rows = {"contract": [report.contract_sha256[:8] for report in every]}
    rows["instructions"] = [str(report.instructions) for report in every]
    for index, bound in enumerate(("lower", "nominal", "upper")):
        rows[f"cycles, {bound}"] = [f"{report.cycles[index]} ({report.microseconds[index]:.0f} us)" for report in every]
    rows["flash: code + constants"] = [f"{report.sizes.code} + {report.sizes.constants} bytes" for report in every]
    rows["RAM"] = [f"{report.sizes.ram} bytes" for report in every]
    return rows
