"""Machine code of an image as instructions, with the registers each one touches.

Decoded once from front to back along the linker's marks of code and data: blocks of an emulator may begin or end inside
a predicated group, where decoding afresh would lose the condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from capstone.arm import ARM_CC_AL, ARM_OP_MEM, ARM_OP_REG

from fledge_export.image import Image

STACK = ("push", "pop", "vpush", "vpop")
FLOAT_LOADS = ("vldmia", "vldmdb", "vpop")
FLOAT_STORES = ("vstmia", "vstmdb", "vpush")
MULTIPLE = (*STACK, *FLOAT_LOADS, *FLOAT_STORES, "ldm", "ldmdb", "stm", "stmdb")
"""Loads and stores of a list of registers."""
CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
COMPARISONS = ("cmp", "cmn", "tst", "teq")


@dataclass(frozen=True)
class Instruction:
    """One Thumb-2 instruction."""

    address: int
    size: int
    """[bytes]"""
    name: str
    """Without condition, width and type: ldr, vadd, b."""
    text: str
    """As a disassembler prints it."""
    reads: frozenset[str]
    """Registers; a double-precision one is its two halves."""
    writes: frozenset[str]
    addresses: frozenset[str]
    """Registers that form the address of a load or store; empty without one."""
    words: int
    """Of the registers named as operands; for a load or store of a list, of the list."""
    operands: tuple[tuple[str, ...], ...] = ()
    """One entry per operand as written: its register (both halves of a double-precision one), else nothing."""
    condition: str = ""
    """Under which it has an effect: eq, ne, ...; empty if always."""
    sets_flags: bool = False
    """Writes N and Z, and perhaps C and V."""


def decode(image: Image) -> Mapping[int, Instruction]:
    """Every instruction of the image by its address. Bytes that are no instruction end their run: see `undecoded`."""
    return _decode(tuple(image.code))


@lru_cache(maxsize=8)
def _decode(code: tuple[tuple[int, bytes], ...]) -> Mapping[int, Instruction]:
    disassembler = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    disassembler.detail = True
    return {entry.address: _instruction(entry) for start, run in code for entry in disassembler.disasm(run, start)}


def undecoded(image: Image, instructions: Mapping[int, Instruction]) -> list[int]:
    """Addresses in the image's code at which decoding had to stop."""
    stops = []
    for start, code in image.code:
        inside = [entry for address, entry in instructions.items() if start <= address < start + len(code)]
        end = max((entry.address + entry.size for entry in inside), default=start)
        if end < start + len(code):
            stops.append(end)
    return stops


def _instruction(entry: Any) -> Instruction:
    name: str = entry.insn_name()
    registers = [entry.reg_name(operand.reg) for operand in entry.operands if operand.type == ARM_OP_REG]
    reads, writes = ({entry.reg_name(register) for register in group} for group in entry.regs_access())
    base, moved = (["sp"], registers) if name in STACK else (registers[:1], registers[1:])
    # capstone 5 leaves the lists of vldm and vstm out, takes those of vpush for written, and the stack pointer for not
    if name in STACK:
        writes |= {"sp"}
    if name in FLOAT_LOADS:
        reads, writes = set(base), {*moved, *(set(base) & writes)}
    elif name in FLOAT_STORES:
        reads, writes = {*base, *moved}, set(base) & writes
    memory = [operand.mem for operand in entry.operands if operand.type == ARM_OP_MEM]
    indices = [entry.reg_name(register) for place in memory for register in (place.base, place.index) if register]
    return Instruction(
        address=entry.address,
        size=entry.size,
        name=name,
        text=f"{entry.mnemonic} {entry.op_str}".strip(),
        reads=_halves(reads),
        writes=_halves(writes),
        addresses=_halves(base if name in MULTIPLE else indices),
        words=len(_halves(moved if name in MULTIPLE else registers)),
        operands=tuple(_operand(entry, operand) for operand in entry.operands),
        condition="" if entry.cc == ARM_CC_AL or name == "it" else CONDITIONS[entry.cc - 1],
        sets_flags=name in COMPARISONS or _written_with_s(entry.mnemonic, name),
    )


def _operand(entry: Any, operand: Any) -> tuple[str, ...]:
    return tuple(sorted(_halves([entry.reg_name(operand.reg)]))) if operand.type == ARM_OP_REG else ()


def _written_with_s(mnemonic: str, name: str) -> bool:
    """adds, addseq: flags are set. By the text: what capstone 5 says of adc and sbc is wrong."""
    suffix = mnemonic.split(".")[0].removeprefix(name)
    return suffix == "s" or (suffix[:1] == "s" and suffix[1:] in CONDITIONS)


def _halves(registers: Iterable[str]) -> frozenset[str]:
    """d7 is s14 and s15."""
    result: set[str] = set()
    for register in registers:
        if register[0] == "d" and register[1:].isdigit():
            number = int(register[1:])
            result |= {f"s{2 * number}", f"s{2 * number + 1}"}
        else:
            result.add(register)
    return frozenset(result)
