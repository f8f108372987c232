"""Numbers that a register may hold at some place of a program: known, or something unknown plus a known number.

Unknowns remember whether they point into RAM: an address computed from a pointer stays in the memory of that pointer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fledge_export.image import RAM, RAM_SIZE

WORD = (1 << 32) - 1
Region = Literal["", "memory", "stack"]
"""Anything; RAM, but not this function's own stack; its own stack."""
CLOBBERED = ("r0", "r1", "r2", "r3", "ip", "lr")
CORE = frozenset((*CLOBBERED, "r4", "r5", "r6", "r7", "r8", "sb", "sl", "fp", "sp"))
ARGUMENTS = CLOBBERED[:4]
STACK_ARGUMENTS = 4
"""Words that a caller may have left above the stack pointer, looked at"""


@dataclass(frozen=True)
class Unknown:
    """A number that is not known, by where it came to be."""

    place: int
    """Address of the instruction or block"""
    register: str
    region: Region = ""


@dataclass(frozen=True)
class Value:
    """base + offset modulo 2^32; a number if there is no base."""

    base: Unknown | None
    offset: int = 0

    def __add__(self, other: int) -> Value:
        return Value(self.base, (self.offset + other) & WORD)

    @property
    def number(self) -> int | None:
        """None if not known."""
        return self.offset if self.base is None else None

    @property
    def region(self) -> Region:
        """Of the memory that it points into."""
        if self.base is not None and self.base.region:
            return self.base.region
        return "memory" if RAM <= self.offset < RAM + RAM_SIZE else ""


@dataclass(frozen=True)
class Comparison:
    """What the flags were last set from."""

    operation: Literal["sub", "add"]
    first: Value
    second: Value


def holds(operation: str, first: int, second: int, condition: str) -> bool:
    """Whether a condition is true after first - second or first + second, as the processor's flags would say."""
    other, carried = (~second & WORD, 1) if operation == "sub" else (second, 0)
    total = first + other + carried
    result = total & WORD
    negative, zero, carry = result >> 31 == 1, result == 0, total > WORD
    overflow = (~(first ^ other) & (first ^ result)) >> 31 & 1 == 1
    tests = {
        "eq": zero,
        "hs": carry,
        "mi": negative,
        "vs": overflow,
        "hi": carry and not zero,
        "ge": negative == overflow,
        "gt": not zero and negative == overflow,
    }
    opposite = {"ne": "eq", "lo": "hs", "pl": "mi", "vc": "vs", "ls": "hi", "lt": "ge", "le": "gt"}
    return not tests[opposite[condition]] if condition in opposite else tests[condition]


@dataclass
class State:
    """At one place."""

    registers: dict[str, Value]
    slots: dict[int, Value] = field(default_factory=dict)
    """Words of the stack by their offset from the stack pointer at entry"""
    flags: Comparison | None = None
    learned: dict[Unknown, Value] = field(default_factory=dict)
    """What unknowns are, by the branches on the way here that found them equal to something"""

    def copy(self) -> State:
        """Independent of this one."""
        return State(dict(self.registers), dict(self.slots), self.flags, dict(self.learned))

    @property
    def depth(self) -> int:
        """Of the stack below its pointer at entry [bytes]."""
        return -signed(self.registers["sp"].offset)


Arguments = tuple[int | Region, ...]
"""Of a call: r0 to r3 and the first words on the stack, each a number or what is known about it."""


def at_entry(place: int, arguments: Arguments) -> State:
    """Of a function that begins at `place`."""
    nothing: Region = ""
    given = (*arguments, *[nothing] * (len(ARGUMENTS) + STACK_ARGUMENTS - len(arguments)))
    state = State({name: Value(Unknown(place, name)) for name in CORE})
    state.registers["sp"] = Value(Unknown(place, "sp", "stack"))
    for index, what in enumerate(given):
        name = ARGUMENTS[index] if index < len(ARGUMENTS) else f"stack{index}"
        value = Value(None, what) if isinstance(what, int) else Value(Unknown(place, name, what))
        if index < len(ARGUMENTS):
            state.registers[name] = value
        else:
            state.slots[4 * (index - len(ARGUMENTS))] = value
    return state


def arguments_of(state: State) -> Arguments:
    """What a callee is given in this state."""
    passed = [state.registers[name] for name in ARGUMENTS]
    above = [state.slots.get(4 * index - state.depth) for index in range(STACK_ARGUMENTS)]
    return tuple(_summary(value) for value in [*passed, *above])


def _summary(value: Value | None) -> int | Region:
    if value is None:
        return ""
    if value.number is not None:
        return value.number
    return "memory" if value.region else ""  # the caller's stack is not the callee's


def join(place: int, ways: Sequence[State]) -> State:
    """Where several ways meet."""
    result = ways[0].copy()
    for name in CORE:
        values = {way.registers[name] for way in ways}
        if len(values) > 1:
            regions = {value.region for value in values}
            result.registers[name] = Value(Unknown(place, name, regions.pop() if len(regions) == 1 else ""))
    result.slots = {
        slot: value for slot, value in result.slots.items() if all(way.slots.get(slot) == value for way in ways)
    }
    if any(way.flags != result.flags for way in ways):
        result.flags = None
    result.learned = {
        what: value for what, value in result.learned.items() if all(way.learned.get(what) == value for way in ways)
    }
    return result


def signed(number: int) -> int:
    """Of 32 bits, as -2^31 to 2^31 - 1."""
    return number - (1 << 32) if number >> 31 else number
