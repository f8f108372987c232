"""What an instruction moves where, so that data can be followed through a program: registers, flags, memory.

Written as a table of its own from the ARMv7-M architecture, because capstone leaves sources out (the shifted operand of
PKHBT, the operand of SSAT, the accumulators of SMLALD and UMAAL). An instruction that is not in the table is refused.
Flags are four locations; one that an instruction may leave as it was, is joined and not overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fledge_sim.errors import FledgeError

from fledge_export.decode import COMPARISONS, MULTIPLE, STACK, Instruction

N, Z, C, V = "flag_n", "flag_z", "flag_c", "flag_v"
GREATER_EQUAL, FLOAT_FLAGS, FLOAT_STATUS = "flag_ge", "float_flags", "float_status"
"""GE of the SIMD sums; N to V of a float comparison; the rest of FPSCR, which counts as data always."""
FLAGS = {
    **{name: {Z} for name in ("eq", "ne")},
    **{name: {C} for name in ("hs", "lo")},
    **{name: {N} for name in ("mi", "pl")},
    **{name: {V} for name in ("vs", "vc")},
    **{name: {C, Z} for name in ("hi", "ls")},
    **{name: {N, V} for name in ("ge", "lt")},
    **{name: {N, Z, V} for name in ("gt", "le")},
}
"""Flags that decide a condition."""

LOADS = ("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrd", "vldr", "ldm", "ldmdb", "pop", "vldmia", "vldmdb", "vpop")
STORES = ("str", "strb", "strh", "strd", "vstr", "stm", "stmdb", "push", "vstmia", "vstmdb", "vpush")
ARITHMETIC = ("add", "addw", "adc", "sub", "subw", "sbc", "rsb", "neg", "cmp", "cmn")
"""All four flags where flags are set; other instructions may leave C as it was, and leave V."""
UNARY = (
    *("mov", "movw", "mvn", "neg", "clz", "rbit", "rev", "rev16", "revsh", "sxtb", "sxth", "uxtb", "uxth"),
    *("sxtb16", "uxtb16", "rrx", "adr", "vmov", "vneg", "vabs", "vcvt", "vcvtr", "vsqrt", "fconsts"),
)
"""Of two operands the first is not read."""
KEEPS = ("movt", "bfi", "bfc", "vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms")
"""The first operand is part of the result."""
WIDE = ("umull", "smull")
WIDE_SUMS = (
    *("umlal", "smlal", "umaal", "smlald", "smlaldx", "smlsld", "smlsldx", "smlalbb", "smlalbt", "smlaltb", "smlaltt"),
)
"""Two results, and in the sums both are read."""
BYTE_SUMS = tuple(sign + operation for sign in "su" for operation in ("add16", "add8", "sub16", "sub8", "asx", "sax"))
"""Set GE."""
PLAIN = (
    *("add", "addw", "adc", "sub", "subw", "sbc", "rsb", "and", "orr", "orn", "eor", "bic", "lsl", "lsr", "asr"),
    *("ror", "mul", "mla", "mls", "ubfx", "sbfx", "sxtab", "sxtah", "uxtab", "uxtah", "sxtab16", "uxtab16"),
    *("pkhbt", "pkhtb", "ssat", "usat", "ssat16", "usat16", "sel", "usad8", "usada8", "qadd", "qsub", "qdadd", "qdsub"),
    *("smuad", "smuadx", "smusd", "smusdx", "smlad", "smladx", "smlsd", "smlsdx", "smmul", "smmulr", "smmla"),
    *("smmlar", "smmls", "smmlsr", "smulbb", "smulbt", "smultb", "smultt", "smlabb", "smlabt", "smlatb", "smlatt"),
    *("smulwb", "smulwt", "smlawb", "smlawt", "sdiv", "udiv"),
    *(kind + operation[1:] for kind in ("q", "uq", "sh", "uh") for operation in BYTE_SUMS[:6]),
    *("vadd", "vsub", "vmul", "vnmul", "vdiv"),
)
"""The first operand is the result of the others."""
NOTHING = ("it", "hint", "nop")
BRANCHES = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh")
FIXED_DIVISIONS = ("vdiv", "vsqrt")
TIMED_DIVISIONS = ("sdiv", "udiv")


class UnknownEffectError(FledgeError):
    """An instruction whose effect on data is not known."""


@dataclass(frozen=True)
class Effect:
    """Where data goes. Locations are registers by name and the flags above."""

    sources: frozenset[str]
    """Data in one of them reaches every result."""
    results: frozenset[str]
    """Overwritten."""
    joined: frozenset[str]
    """Perhaps overwritten."""
    addresses: frozenset[str]
    """They form the address of a load, a store or a table."""
    loads: tuple[str, ...]
    """Registers filled from memory, by ascending address."""
    stores: tuple[str, ...]
    """Registers written to memory, by ascending address."""
    condition: frozenset[str]
    """Flags that decide whether it has an effect at all; of a branch, whether it is taken."""
    time: frozenset[str]
    """Operands of a division, on which its cycles depend."""


@cache
def effect(this: Instruction) -> Effect:
    """Raises UnknownEffectError for an instruction that is not in the table."""
    name = this.name
    condition = frozenset(FLAGS.get(this.condition, ()))
    if name in NOTHING:
        return _make(condition)
    if name in BRANCHES:
        return _branch(this, condition)
    if name in LOADS or name in STORES:
        moved = _moved(this)
        loads, stores = (moved, ()) if name in LOADS else ((), moved)
        return _make(condition, addresses=this.addresses, loads=loads, stores=stores)
    if name == "fmstat":
        return _make(condition, {FLOAT_FLAGS}, {N, Z, C, V})
    if name in ("vcmp", "vcmpe"):
        return _make(condition, _all(this), {FLOAT_FLAGS})
    if name == "vmrs":
        return _make(condition, {FLOAT_STATUS, FLOAT_FLAGS}, set(this.operands[0]))
    return _computation(this, condition)


def _computation(this: Instruction, condition: frozenset[str]) -> Effect:
    name, operands = this.name, this.operands
    if name not in (*PLAIN, *UNARY, *KEEPS, *WIDE, *WIDE_SUMS, *BYTE_SUMS, *COMPARISONS):
        raise UnknownEffectError(
            f"'{this.text}' at 0x{this.address:08x}: where its data goes is not known; add it to fledge_export.effects"
        )
    count = _result_count(this)
    results = {half for operand in operands[:count] for half in operand}
    sources = {half for operand in operands[count:] for half in operand}
    if name in (*KEEPS, *WIDE_SUMS) or (len(operands) == 2 and name not in UNARY) or "[" in this.text:  # half of d0
        sources |= results
    if name in ("adc", "sbc") or "rrx" in this.text:
        sources |= {C}
    if name == "sel":
        sources |= {GREATER_EQUAL}
    if name in BYTE_SUMS:
        results |= {GREATER_EQUAL}
    joined = set()
    if this.sets_flags:
        results |= {N, Z, C, V} if name in ARITHMETIC else {N, Z}
        joined = set() if name in ARITHMETIC else {C}
    time = sources if name in TIMED_DIVISIONS else set()
    return _make(condition, sources, results, joined=frozenset(joined), time=frozenset(time))


def _result_count(this: Instruction) -> int:
    """Operands at the front that are written."""
    if this.name in COMPARISONS:
        return 0
    if this.name in (*WIDE, *WIDE_SUMS):
        return 2
    if this.name == "vmov" and len(this.operands) > 2:  # r0, r1 <- d0; r0, r1 <- s0, s1; s0, s1 <- r0, r1; d0 <- r0, r1
        return 1 if len(this.operands[0]) == 2 else 2
    return 1


def _branch(this: Instruction, condition: frozenset[str]) -> Effect:
    if this.name in ("tbb", "tbh"):
        return _make(condition, addresses=this.addresses, loads=("pc",))
    if this.name in ("cbz", "cbnz"):
        return _make(frozenset(this.operands[0]))
    linked = {"lr"} if this.name in ("bl", "blx") else set()
    return _make(condition, results={*linked}) if not _all(this) else _make(condition, _all(this), {"pc", *linked})


def _moved(this: Instruction) -> tuple[str, ...]:
    listed = this.operands[1:] if this.name in MULTIPLE and this.name not in STACK else this.operands
    order = [half for operand in listed for half in operand]
    return tuple(sorted(order, key=_number)) if this.name in MULTIPLE else tuple(order)


def _number(register: str) -> int:
    """Lists are transferred by ascending number."""
    named = {"sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
    return named[register] if register in named else int(register[1:])


def _all(this: Instruction) -> set[str]:
    return {half for operand in this.operands for half in operand}


def _make(
    condition: frozenset[str],
    sources: set[str] | frozenset[str] = frozenset(),
    results: set[str] | frozenset[str] = frozenset(),
    *,
    joined: frozenset[str] = frozenset(),
    addresses: frozenset[str] = frozenset(),
    loads: tuple[str, ...] = (),
    stores: tuple[str, ...] = (),
    time: frozenset[str] = frozenset(),
) -> Effect:
    return Effect(frozenset(sources), frozenset(results), joined, addresses, loads, stores, condition, time)
