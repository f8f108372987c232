"""What an instruction does to the values of fledge_export.values: additions, moves, pointers that move, the stack.

Anything that is not here gives an unknown, never a guess.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Literal

from fledge_export.control_flow import Program
from fledge_export.decode import Instruction
from fledge_export.effects import STORES
from fledge_export.values import WORD, Comparison, Region, State, Unknown, Value, signed

_LISTS = {"push": -1, "vpush": -1, "pop": 1, "vpop": 1, "ldm": 1, "vldmia": 1, "stm": 1, "vstmia": 1,
          "ldmdb": -1, "stmdb": -1, "vldmdb": -1, "vstmdb": -1}  # fmt: skip
"""Direction in which a load or store of a list moves its pointer."""
SUMS = ("add", "addw", "sub", "subw")
NUMBERS: Mapping[str, Callable[[int, int], int]] = {
    "rsb": lambda a, b: b - a,
    "lsl": lambda a, b: a << (b & 0xFF),
    "lsr": lambda a, b: a >> (b & 0xFF),
    "and": operator.and_,
    "orr": operator.or_,
    "eor": operator.xor,
    "bic": lambda a, b: a & ~b,
    "mul": operator.mul,
}
"""Worked out where both are known"""


def moves_itself(this: Instruction, register: str) -> bool:
    """A pointer that is only moved stays in its memory."""
    if this.addresses == {register} or (register in this.addresses and this.name in _LISTS):
        loaded = this.operands[0] if this.name not in _LISTS else ()
        return register not in loaded or this.name in STORES
    return this.name in ("add", "sub", "addw", "subw") and register in this.reads and this.operands[0] == (register,)


def _immediate(text: str) -> int | None:
    found = re.search(r"#(-?(?:0x[0-9a-f]+|\d+))\s*[\]!}]*$", text)
    return int(found[1], 0) if found else None


def address(state: State, this: Instruction) -> Value:
    """Of the lowest byte that a load or store touches, as far as it is known."""
    names = sorted(this.addresses)
    if this.name in _LISTS:
        base = state.registers[names[0]]
        return base + (-4 * this.words if _LISTS[this.name] < 0 else 0)
    inside = this.text[this.text.index("[") + 1 : this.text.index("]")].split(", ")
    base = _pc(this) if inside[0] == "pc" else state.registers[inside[0]]
    if len(inside) == 1:
        return base
    if inside[1][0] == "#":
        return base + int(inside[1][1:], 0)
    return Value(Unknown(this.address, "address", base.region))


def _pc(this: Instruction) -> Value:
    return Value(None, (this.address + 4) & ~3)


def results(program: Program, state: State, this: Instruction) -> dict[str, Value]:
    """Registers whose new value is known."""
    result = _written_back(state, this)
    if this.name in ("ldr", "ldrd") and this.operands:
        place = address(state, this)
        for index, name in enumerate(half for operand in this.operands[: this.words] for half in operand):
            if (value := _loaded(program, state, place + 4 * index)) is not None:
                result.setdefault(name, value)
    elif this.operands and len(this.operands[0]) == 1 and (value := _computed(state, this)) is not None:
        result[this.operands[0][0]] = value
    return result


def _loaded(program: Program, state: State, place: Value) -> Value | None:
    if place.number is not None:
        word = program.word(place.number) if place.region == "" else None
        return None if word is None else Value(None, word)
    if place.base is not None and place.base.register == "sp":
        return state.slots.get(signed(place.offset))
    return None


def _written_back(state: State, this: Instruction) -> dict[str, Value]:
    """Of a load or store that moves its pointer."""
    if not this.addresses & this.writes:
        return {}
    if this.name in _LISTS:
        name = next(iter(this.addresses))
        loaded = {half for operand in this.operands[1:] for half in operand}
        return {} if name in loaded else {name: state.registers[name] + 4 * this.words * _LISTS[this.name]}
    name = re.split(r"[,\]]", this.text[this.text.index("[") + 1 :])[0]
    amount = _immediate(this.text)
    return {} if amount is None or name not in this.writes else {name: state.registers[name] + amount}


def _operand(state: State, this: Instruction, index: int) -> Value | None:
    """As written; None for a register with a shift."""
    operands = this.operands
    shifted = re.search(r", (lsl|lsr|asr|ror|rrx)", this.text) is not None
    if operands[index]:
        if operands[index] == ("pc",):
            return _pc(this)
        return None if shifted and index == len(operands) - 1 else state.registers.get(operands[index][0])
    amount = _immediate(this.text)
    return None if amount is None else Value(None, amount & WORD)


def _computed(state: State, this: Instruction) -> Value | None:
    name, count = this.name, len(this.operands)
    if name == "adr":
        amount = _immediate(this.text)
        return None if amount is None else _pc(this) + amount
    if name in ("mov", "movw", "movt", "mvn"):
        return _moved(state, this)
    if count < 2:
        return None
    first, second = _operand(state, this, 0 if count == 2 else 1), _operand(state, this, count - 1)
    if name in NUMBERS:
        a, b = first.number if first else None, second.number if second else None
        return None if a is None or b is None else Value(None, NUMBERS[name](a, b) & WORD)
    return _sum(this, first, second) if name in SUMS else None


def _moved(state: State, this: Instruction) -> Value | None:
    value = _operand(state, this, 1)
    if this.name == "movt":
        old = state.registers[this.operands[0][0]].number
        return None if old is None or value is None else Value(None, (old & 0xFFFF) | value.offset << 16)
    if this.name == "mvn":
        return None if value is None or value.number is None else Value(None, ~value.number & WORD)
    return value


def _sum(this: Instruction, first: Value | None, second: Value | None) -> Value | None:
    minus = this.name in ("sub", "subw")
    if first and second and second.number is not None:
        return first + (-second.number if minus else second.number)
    if first and second and first.number is not None and not minus:
        return second + first.number
    regions: list[Region] = [each.region for each in (first, second) if each is not None and each.region]
    if len(regions) == 1 and (not minus or (first is not None and first.region)):
        return Value(Unknown(this.address, this.operands[0][0], regions[0]))
    return None


def store(state: State, this: Instruction, place: Value) -> None:
    """Remember a word of the stack, or forget what may have been overwritten."""
    if place.base is not None and place.base.register == "sp":
        start = signed(place.offset)
        for slot in [slot for slot in state.slots if start - 4 < slot < start + 4 * max(this.words, 2)]:
            del state.slots[slot]
        if this.name in ("str", "strd") and not this.condition:
            for index, operand in enumerate(this.operands[: 2 if this.name == "strd" else 1]):
                state.slots[start + 4 * index] = state.registers[operand[0]]
    elif place.region == "stack":
        state.slots.clear()


def comparison(state: State, this: Instruction) -> Comparison | None:
    """What a later branch compares."""
    if this.name == "cmp":
        first, second = _operand(state, this, 0), _operand(state, this, 1)
        return Comparison("sub", first, second) if first and second else None
    count = len(this.operands)
    if this.name in ("sub", "add") and count >= 2:
        first, second = _operand(state, this, 0 if count == 2 else 1), _operand(state, this, count - 1)
        operation: Literal["sub", "add"] = "sub" if this.name == "sub" else "add"
        return Comparison(operation, first, second) if first and second else None
    return None
