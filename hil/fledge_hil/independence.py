"""Whether the time of an exported policy depends on its input: proved on the emulated target for all inputs at once."""

from __future__ import annotations

from fledge_export import taint
from fledge_export.effects import UnknownEffectError
from fledge_export.taint import Independence

from fledge_hil import ticks
from fledge_hil.policy_emulated import STEP, EmulatedPolicy


def input_independence(target: EmulatedPolicy) -> tuple[bool, str]:
    """Follow all data through an inference; False and the first findings if data decides something that takes time."""
    try:
        reports = _proofs(target)
    except (taint.TaintError, UnknownEffectError) as error:
        return False, f"nothing is proved: {error}"
    findings = list(dict.fromkeys(str(finding) for report in reports for finding in report.findings))
    if findings:
        more = f" and {len(findings) - 3} more" if len(findings) > 3 else ""
        return False, "; ".join(findings[:3]) + more
    whole = reports[0]
    return True, (
        f"proved: no data decides any of {whole.decisions} branches and predicated instructions, forms any of "
        f"{whole.accesses} addresses, or changes the cycles of an instruction ({whole.instructions} executed)"
        + (f"; nor in {len(reports) - 1} inferences that reuse sums" if len(reports) > 1 else "")
    )


def _proofs(target: EmulatedPolicy) -> tuple[Independence, ...]:
    whole = taint.prove(target.mcu.image.path, target.mcu.record(STEP), outputs=("policy_out",))
    return (whole, *(ticks.prove_ticks(target) if ticks.reuses_history(target) else ()))
