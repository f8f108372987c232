"""Time of one traced call on an STM32F405 at 168 MHz: modelled, not measured on silicon.

A bracket, because the core's manual leaves freedom and the flash accelerator is not documented to the cycle:

    lower    what the core's manual promises at best: loads pair up, a taken branch refills in one cycle
    nominal  lower, one more cycle per taken branch, and one for an address that the instruction before computed
    upper    no pairing, slow branches, slow divisions, every line of instructions that is not in the cache waits

In all three, constants come from flash: a data cache of 8 lines, an instruction cache of 64, 16 bytes each, least
recently used, empty at first, 5 wait states per miss, no credit for prefetch. Instruction misses count in `upper` only.
Interrupts and direct memory access are not modelled. Cycles per instruction: docs/timing.md.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_export import image
from fledge_export.decode import MULTIPLE, Instruction, decode

CLOCK = 168e6
"""[Hz]"""
LINE, WAIT_STATES = 16, 5
"""Bytes of a flash line, cycles per miss."""
INSTRUCTION_LINES, DATA_LINES = 64, 8
DIVISIONS, PRODUCT_SUMS = ("vdiv", "vsqrt"), ("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms")
FLOAT_ARITHMETIC = ("vadd", "vsub", "vmul", "vnmul", "vneg", "vabs", "vcvt", "vcvtr", *DIVISIONS, *PRODUCT_SUMS)
FLOAT_MOVES = ("vmov", "vcmp", "vcmpe", "vmrs", "vmsr", "fmstat", "fconsts", "vsel")
LOADS = ("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrd", "vldr")
STORES = ("str", "strb", "strh", "strd", "vstr")
BRANCHES = ("b", "bl", "bx", "blx", "cbz", "cbnz")
INTEGER = (
    *("add", "adc", "addw", "sub", "sbc", "subw", "rsb", "neg", "mov", "movw", "movt"),
    *("mvn", "and", "orr", "orn", "eor", "bic", "lsl", "lsr", "asr", "ror", "rrx"),
    *("cmp", "cmn", "tst", "teq", "mul", "umull", "smull", "umlal", "smlal", "uxtb", "uxth"),
    *("sxtb", "sxth", "sxtb16", "uxtb16", "uxtab", "uxtah", "sxtab", "sxtah", "ubfx", "sbfx", "bfi"),
    *("bfc", "clz", "rbit", "rev", "rev16", "revsh", "smlad", "smladx", "smuad", "smulbb", "smulbt"),
    *("smultb", "smultt", "smlabb", "smlabt", "smlatb", "smlatt", "smulwb", "smulwt", "smmul", "ssat", "usat"),
    *("smmla", "smmls", "pkhbt", "pkhtb", "sel", "adr", "hint", "nop"),
)
"""One cycle each."""


class TimingError(FledgeError):
    """A trace that does not fit the image, or an instruction without a known number of cycles."""


@dataclass(frozen=True)
class Cycles:
    """The bracket."""

    lower: int
    nominal: int
    upper: int

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(self.lower + other.lower, self.nominal + other.nominal, self.upper + other.upper)


@dataclass(frozen=True)
class Timing:
    """One call: modelled, not measured on silicon."""

    instructions: int
    cycles: Cycles
    instruction_misses: int
    """Lines of code fetched from flash."""
    data_misses: int
    """Lines of constants fetched from flash."""

    @property
    def microseconds(self) -> tuple[float, float, float]:
        """Lower, nominal, upper at 168 MHz."""
        cycles = self.cycles
        return (cycles.lower / CLOCK * 1e6, cycles.nominal / CLOCK * 1e6, cycles.upper / CLOCK * 1e6)


TAKEN = Cycles(1, 2, 3)
"""Refilling the pipeline, on top of the branch."""


def model(elf: Path | Code, blocks: Sequence[tuple[int, int]], flash_reads: Sequence[tuple[int, int]]) -> Timing:
    """Time of a call that ran through `blocks` and loaded `flash_reads`.

    Args:
        elf: image that ran, or its code.
        blocks: address and bytes of each block of instructions, in the order of execution.
        flash_reads: address and bytes of each load from flash, in the order of execution.
    """
    code = elf if isinstance(elf, Code) else Code(elf)
    lower = nominal = upper = instructions = 0
    for step, count in Counter(zip((None, *blocks[:-1]), blocks, strict=True)).items():
        each, inside = code.step(*step)
        lower, nominal, upper = lower + count * each.lower, nominal + count * each.nominal, upper + count * each.upper
        instructions += count * inside
    fetched = (address for block in blocks for address in _lines(*block))
    instruction_misses = misses(fetched, INSTRUCTION_LINES)
    data_misses = misses((line for read in flash_reads for line in _lines(*read)), DATA_LINES)
    waits = WAIT_STATES * data_misses
    waiting = Cycles(waits, waits, waits + WAIT_STATES * instruction_misses)
    total = Cycles(lower, nominal, upper) + TAKEN + waiting  # TAKEN: the return
    return Timing(instructions, total, instruction_misses, data_misses)


def counts(elf: Path, traces: Iterable[Sequence[tuple[int, int]]]) -> list[int]:
    """Instructions in each trace, those of a predicated group counted whether executed or not."""
    code = Code(elf)
    return [sum(len(code.instructions(block)) for block in blocks) for blocks in traces]


def misses(lines: Iterable[int], size: int) -> int:
    """Accesses that miss a fully associative cache of `size` lines that forgets the least recently used."""
    cache: OrderedDict[int, None] = OrderedDict()
    count = 0
    for line in lines:
        if line in cache:
            cache.move_to_end(line)
            continue
        count += 1
        cache[line] = None
        if len(cache) > size:
            cache.popitem(last=False)
    return count


class Code:
    """Instructions of an image, by block; keep it to time many calls."""

    def __init__(self, elf: Path) -> None:
        self._elf = elf
        self._by_address: Mapping[int, Instruction] = decode(image.load(elf))
        self._blocks: dict[tuple[int, int], list[Instruction]] = {}
        self._steps: dict[tuple[tuple[int, int] | None, tuple[int, int]], tuple[Cycles, int]] = {}

    def instructions(self, block: tuple[int, int]) -> list[Instruction]:
        """Raises TimingError where the image has no code."""
        if block not in self._blocks:
            address, end = block[0], sum(block)
            found = []
            while address < end:
                if address not in self._by_address:
                    raise TimingError(f"{self._elf} has no code at 0x{address:08x}; trace and image do not fit")
                found.append(self._by_address[address])
                address += found[-1].size
            self._blocks[block] = found
        return self._blocks[block]

    def step(self, before: tuple[int, int] | None, block: tuple[int, int]) -> tuple[Cycles, int]:
        """Cycles of a block behind another, the jump into it included, and its number of instructions."""
        if (before, block) not in self._steps:
            inside = self.instructions(block)
            previous = self.instructions(before)[-1] if before else None
            taken = before is not None and sum(before) != block[0]
            cost = _block_cycles(previous, inside) + (TAKEN if taken else Cycles(0, 0, 0))
            self._steps[before, block] = cost, len(inside)
        return self._steps[before, block]


def _lines(address: int, size: int) -> range:
    return range(address // LINE, (address + size - 1) // LINE + 1)


def _block_cycles(previous: Instruction | None, block: Sequence[Instruction]) -> Cycles:
    total = Cycles(0, 0, 0)
    for instruction in block:
        total += cycles(previous, instruction)
        previous = instruction
    return total


def cycles(previous: Instruction | None, this: Instruction) -> Cycles:
    """Cycles of one instruction behind another, a taken branch's refill aside. Raises TimingError if it is unknown."""
    result = _alone(this)
    if previous is None:
        return result
    if this.name in LOADS and this.words == 1 and _single_load(previous) and not this.addresses & previous.writes:
        result = Cycles(1, 1, result.upper)
    if previous.name in FLOAT_ARITHMETIC and this.reads & previous.writes and not _accumulates(previous, this):
        result += Cycles(1, 1, 1)
    if this.addresses & previous.writes and previous.name not in (*LOADS, *STORES, *MULTIPLE):
        result += Cycles(0, 1, 1)
    return result


def _alone(this: Instruction) -> Cycles:
    name, words = this.name, this.words
    if name in MULTIPLE:
        return Cycles(1 + words, 1 + words, 1 + words)
    if name in LOADS:
        return Cycles(1 + words, 1 + words, 1 + words)
    if name in STORES:
        return Cycles(words if words == 1 else 1 + words, words if words == 1 else 1 + words, 1 + words)
    if name in PRODUCT_SUMS:
        return Cycles(3, 3, 3)
    if name in DIVISIONS:
        return Cycles(14, 14, 14)
    if name == "it":
        return Cycles(0, 0, 1)
    if name in ("sdiv", "udiv"):
        return Cycles(2, 2, 12)
    if name in ("tbb", "tbh"):
        return Cycles(2, 2, 2)
    if name in ("mla", "mls", "mrs", "msr"):
        return Cycles(1, 1, 2)
    if name == "vmov" and words > 2:
        return Cycles(1, 1, 2)
    if name in INTEGER or name in (*FLOAT_ARITHMETIC, *FLOAT_MOVES, *BRANCHES):
        return Cycles(1, 1, 1)
    raise TimingError(f"the cycle model does not know '{this.text}' at 0x{this.address:08x}; add it with its source")


def _single_load(instruction: Instruction) -> bool:
    return instruction.name in LOADS and instruction.words == 1


def _accumulates(previous: Instruction, this: Instruction) -> bool:
    """A product added to the sum that the instruction before wrote: forwarded without a stall."""
    return previous.name in PRODUCT_SUMS and this.name in PRODUCT_SUMS and previous.writes == this.writes
