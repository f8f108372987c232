"""Machine code of an image as instructions, with the registers each one touches.

Decoded once from front to back along the linker's marks of code and data: blocks of an emulator may begin or end inside
a predicated group, where decoding afresh would lose the condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from capstone.arm import ARM_OP_MEM, ARM_OP_REG

from fledge_export.image import Image

STACK = ("push", "pop", "vpush", "vpop")
FLOAT_LOADS = ("vldmia", "vldmdb", "vpop")
FLOAT_STORES = ("vstmia", "vstmdb", "vpush")
MULTIPLE = (*STACK, *FLOAT_LOADS, *FLOAT_STORES, "ldm", "ldmdb", "stm", "stmdb")
"""Loads and stores of a list of registers."""


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


def decode(image: Image) -> dict[int, Instruction]:
    """Every instruction of the image by its address. Bytes that are no instruction end their run: see `undecoded`."""
    disassembler = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    disassembler.detail = True
    return {
        entry.address: _instruction(entry) for start, code in image.code for entry in disassembler.disasm(code, start)
    }


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
    # capstone 5 leaves the lists of vldm and vstm out, and takes those of vpush for written
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
    )


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
