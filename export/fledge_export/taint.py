"""Proof that the time of a function does not depend on data: data is followed through one execution on the target.

At the start every byte of RAM and every register is data, whatever it holds, except the stack pointer, the return
address, and variables named public. Data spreads with every instruction (fledge_export.effects). A finding is an
instruction at which data decides something that takes time: a branch, a predicated instruction, an address, a division
by the integer divider, a jump. Without a finding every execution, whatever RAM and registers hold, makes the same
decisions one after the other: it runs through the same instructions and the same addresses, and since no instruction
left has a time that depends on its operands, it takes the same cycles. docs/timing.md says what that leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_export import image
from fledge_export.debug_lines import source_lines
from fledge_export.decode import Instruction, decode
from fledge_export.effects import (
    FIXED_DIVISIONS,
    FLOAT_FLAGS,
    FLOAT_STATUS,
    GREATER_EQUAL,
    C,
    Effect,
    N,
    V,
    Z,
    effect,
)
from fledge_export.image import FLASH, FLASH_SIZE, RAM, RAM_SIZE, Image

BLOCK, INSTRUCTION, READ, WRITE = range(4)
CCM, CCM_SIZE = 0x10000000, 64 << 10
REGISTERS = frozenset(
    [f"r{number}" for number in range(9)]
    + ["sb", "sl", "fp", "ip", N, Z, C, V, GREATER_EQUAL, FLOAT_FLAGS, FLOAT_STATUS]
    + [f"s{number}" for number in range(32)]
)
"""All that a caller could leave data in."""


class TaintError(FledgeError):
    """An execution that cannot be followed; nothing is proved."""


@dataclass
class Execution:
    """What one call did, in order."""

    events: list[tuple[int, int, int]] = field(default_factory=list)
    """Kind, address, size [bytes]: a block begins; an instruction is executed (not those of a group whose condition
    fails); memory is read or written by it."""


@dataclass(frozen=True)
class Finding:
    """An instruction whose time, or what comes after it, depends on data."""

    text: str
    """Instruction"""
    where: str
    """Function and offset"""
    line: str
    """file:line of the source, empty if the image does not say"""
    why: str
    count: int
    """Times it was executed with data there"""

    def __str__(self) -> str:
        return f"{self.text} in {self.where}{f' ({self.line})' if self.line else ''}: {self.why}"


@dataclass(frozen=True)
class Independence:
    """Proved if there is no finding."""

    findings: tuple[Finding, ...]
    instructions: int
    """Executed, those of predicated groups counted whether executed or not."""
    decisions: int
    """Conditional branches and predicated instructions met, none of them decided by data if proved."""
    accesses: int
    """To memory, at addresses that no data forms if proved."""
    divisions: int
    """Of floats: the same number of cycles for all operands, by the core's manual."""

    @property
    def proved(self) -> bool:
        """The path, the addresses and the cycles are the same for all data."""
        return not self.findings


@dataclass(frozen=True)
class Secret:
    """Where data is at the start, in place of everywhere: to test how data spreads."""

    memory: Sequence[tuple[int, int]]
    """Address and size [bytes]"""
    registers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Spread:
    """Where data is at the end."""

    memory: frozenset[int]
    """Addresses of bytes"""
    registers: frozenset[str]


def prove(
    elf: Path,
    execution: Execution,
    outputs: Sequence[str] = (),
    public: Sequence[str | tuple[str, int]] = (),
    public_registers: Sequence[str] = (),
) -> Independence:
    """Follow data through `execution` of a function of `elf`.

    Args:
        elf: image that ran.
        execution: of one call, for any input.
        outputs: variables that must hold data at the end: a proof about a function that computes nothing is worthless.
        public: variables that are no data, or so many first bytes of one: they may decide what happens (a phase).
        public_registers: arguments that are no data (addresses).
    Raises:
        TaintError: an output holds no data, or the execution does not fit the image.
        UnknownEffectError: an instruction whose effect on data is not known.
    """
    loaded = image.load(elf)
    run = _Run(loaded, Secret(((RAM, RAM_SIZE), (CCM, CCM_SIZE)), REGISTERS - set(public_registers)))
    for each in (*public, *outputs):
        name, size = each if isinstance(each, tuple) else (each, loaded.symbol(each).size)
        run.memory.clear(loaded.symbol(name).address, size)
    run.follow(execution)
    for name in outputs:
        if not run.memory.any(loaded.symbol(name).address, loaded.symbol(name).size):
            raise TaintError(
                f"'{name}' does not depend on data after the call; it is no output, or nothing computes it"
            )
    return run.report()


def spread(elf: Path, execution: Execution, secret: Secret) -> Spread:
    """Where data from `secret` is after `execution`: for tests that nothing gets away."""
    run = _Run(image.load(elf), secret)
    run.follow(execution)
    return Spread(frozenset(run.memory.addresses()), frozenset(run.registers))


class _Memory:
    """One mark per byte of RAM; flash holds no data, and what a peripheral answers is not known."""

    def __init__(self) -> None:
        self._areas = [(RAM, bytearray(RAM_SIZE)), (CCM, bytearray(CCM_SIZE))]

    def _area(self, address: int) -> tuple[bytearray, int] | None:
        for start, marks in self._areas:
            if start <= address < start + len(marks):
                return marks, address - start
        return None

    def any(self, address: int, size: int) -> bool:
        """Whether one of the bytes is data."""
        if found := self._area(address):
            return 1 in found[0][found[1] : found[1] + size]
        if FLASH <= address < FLASH + FLASH_SIZE:
            return False
        raise TaintError(f"a read from 0x{address:08x}, neither flash nor RAM, cannot be followed; keep inputs in RAM")

    def mark(self, address: int, size: int, data: bool) -> None:
        """All bytes. Writing where there is no RAM cannot be followed."""
        if (found := self._area(address)) is None:
            raise TaintError(f"a write to 0x{address:08x}, which is not RAM, cannot be followed; keep results in RAM")
        found[0][found[1] : found[1] + size] = (b"\1" if data else b"\0") * size

    def clear(self, address: int, size: int) -> None:
        """No data there; nothing to do for a variable in flash."""
        if self._area(address):
            self.mark(address, size, False)

    def addresses(self) -> Iterator[int]:
        """Of every byte that is data."""
        for start, marks in self._areas:
            yield from (start + offset for offset, mark in enumerate(marks) if mark)


class _Run:
    """State of following one execution."""

    def __init__(self, loaded: Image, secret: Secret) -> None:
        self._image = loaded
        self._code = decode(loaded)
        self._effects: dict[int, tuple[Instruction, Effect]] = {}
        self._found: Counter[tuple[int, str]] = Counter()
        self._counts: Counter[str] = Counter()
        self.registers = set(secret.registers)
        self.memory = _Memory()
        for address, size in secret.memory:
            self.memory.mark(address, size, True)

    def follow(self, execution: Execution) -> None:
        """Through all events. Raises TaintError where they do not fit the image."""
        waiting: Iterator[tuple[Instruction, Effect]] = iter(())
        current: tuple[Instruction, Effect] | None = None
        accesses: list[tuple[int, int]] = []
        for kind, address, size in (*execution.events, (BLOCK, 0, 0)):
            if kind in (READ, WRITE):
                accesses.append((address, size))
                continue
            if current:
                self._execute(*current, accesses)
                current, accesses = None, []
            if kind == BLOCK:
                self._skip(waiting, None)
                waiting = self._block(address, size)
            else:
                current = self._skip(waiting, address)

    def _block(self, start: int, size: int) -> Iterator[tuple[Instruction, Effect]]:
        address = start
        while address < start + size:
            if address not in self._effects:
                if address not in self._code:
                    raise TaintError(f"{self._image.path} has no code at 0x{address:08x}; build the image again")
                self._effects[address] = (self._code[address], effect(self._code[address]))
            yield self._effects[address]
            address += self._effects[address][0].size

    def _skip(
        self, waiting: Iterator[tuple[Instruction, Effect]], goal: int | None
    ) -> tuple[Instruction, Effect] | None:
        """Up to the instruction at `goal`, over those that were not executed because their condition failed."""
        for this, its in waiting:
            self._counts["instructions"] += 1
            self._decide(this, its)
            if this.address == goal:
                return this, its
            if not this.condition and this.name != "it":
                raise TaintError(f"'{this.text}' at 0x{this.address:08x} was not executed; the trace is incomplete")
        if goal is not None:
            raise TaintError(f"the trace leaves its block at 0x{goal:08x}; it is incomplete")
        return None

    def _decide(self, this: Instruction, its: Effect) -> None:
        if its.condition:
            self._counts["decisions"] += 1
            if its.condition & self.registers:
                what = "branch" if this.name in ("b", "cbz", "cbnz") else "predicated instruction"
                self._found[this.address, f"{what} decided by data"] += 1

    def _execute(self, this: Instruction, its: Effect, accesses: Sequence[tuple[int, int]]) -> None:
        registers = self.registers
        if its.time & registers:
            self._found[this.address, "cycles of a division depend on data"] += 1
        self._counts["divisions"] += this.name in FIXED_DIVISIONS
        if its.loads or its.stores:
            self._access(this, its, accesses)
        elif accesses:
            raise TaintError(f"'{this.text}' at 0x{this.address:08x} accesses memory unexpectedly; nothing is proved")
        elif its.results or its.joined:
            if registers.isdisjoint(its.sources):
                registers.difference_update(its.results)
            else:
                registers |= its.results
                registers |= its.joined
        if "pc" in registers:
            self._found[this.address, "jump to an address that depends on data"] += 1
            registers.discard("pc")

    def _access(self, this: Instruction, its: Effect, accesses: Sequence[tuple[int, int]]) -> None:
        self._counts["accesses"] += len(accesses)
        wild = not its.addresses.isdisjoint(self.registers)
        if wild:
            self._found[this.address, "address formed by data"] += 1
        places = _places(this, its, accesses)
        for register, (address, size) in zip(its.stores, places, strict=False):
            self.memory.mark(address, size, wild or register in self.registers)
        for register, (address, size) in zip(its.loads, places, strict=False):
            if wild or self.memory.any(address, size):
                self.registers.add(register)
            else:
                self.registers.discard(register)

    def report(self) -> Independence:
        """What was found, the first in the program first."""
        lines = source_lines(self._image.path, [address for address, _ in self._found]) if self._found else {}
        findings = [
            Finding(self._code[at].text, self._image.function_at(at), lines.get(at, ""), why, count)
            for (at, why), count in sorted(self._found.items())
        ]
        counts = self._counts
        return Independence(
            tuple(findings), counts["instructions"], counts["decisions"], counts["accesses"], counts["divisions"]
        )


def _places(this: Instruction, its: Effect, accesses: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Address and size for each register: the emulator may report two words as one access of eight bytes."""
    moved = len(its.loads) + len(its.stores)
    total, start = sum(size for _, size in accesses), min((address for address, _ in accesses), default=0)
    inside = all(start <= address and address + size <= start + total for address, size in accesses)
    if not accesses or total % moved or not inside:
        raise TaintError(f"'{this.text}' at 0x{this.address:08x}: its accesses to memory do not fit; nothing is proved")
    each = total // moved
    return [(start + each * index, each) for index in range(moved)]
