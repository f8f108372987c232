"""Whether the time of an exported policy depends on its input: proved on the emulated target for all inputs at once."""

from __future__ import annotations

from fledge_export import taint
from fledge_export.effects import UnknownEffectError

from fledge_hil.policy_emulated import STEP, EmulatedPolicy


def input_independence(target: EmulatedPolicy) -> tuple[bool, str]:
    """Follow all data through one inference; False and the first findings if data decides something that takes time."""
    try:
        report = taint.prove(target.mcu.image.path, target.mcu.record(STEP), outputs=("policy_out",))
    except (taint.TaintError, UnknownEffectError) as error:
        return False, f"nothing is proved: {error}"
    if report.findings:
        more = f" and {len(report.findings) - 3} more" if len(report.findings) > 3 else ""
        return False, "; ".join(map(str, report.findings[:3])) + more
    return True, (
        f"proved: no data decides any of {report.decisions} branches and predicated instructions, forms any of "
        f"{report.accesses} addresses, or changes the cycles of an instruction ({report.instructions} executed)"
    )
