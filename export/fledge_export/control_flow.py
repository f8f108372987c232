"""What may be executed after what: basic blocks of all functions that can be reached from one, read from machine code.

Branches, calls and jump tables are read from the linked image, so nothing depends on what the source promises. What
cannot be followed (a call through a pointer, recursion) is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_export import image
from fledge_export.debug_lines import source_lines
from fledge_export.decode import MULTIPLE, Instruction, decode
from fledge_export.image import Image

CALLEE_SAVED = frozenset({"r4", "r5", "r6", "r7", "r8", "sb", "sl", "fp"})
SAVES = ("push", "stmdb", "str", "strd")
TABLES = {"tbb": 1, "tbh": 2}
"""Bytes per entry"""


class ControlFlowError(FledgeError):
    """Machine code whose paths cannot be listed."""


@dataclass(frozen=True)
class Block:
    """Instructions that are executed one after the other, entered at the first only."""

    instructions: tuple[Instruction, ...]
    following: tuple[int, ...]
    """Where the function may go on; behind a call: where the callee returns to."""
    callee: int | None = None
    """Function that the last instruction calls, or jumps to instead of returning."""
    returns: bool = False
    """The function may end here."""

    @property
    def start(self) -> int:
        """Address"""
        return self.instructions[0].address

    @property
    def end(self) -> int:
        """Address behind the last instruction"""
        return self.last.address + self.last.size

    @property
    def last(self) -> Instruction:
        """Instruction"""
        return self.instructions[-1]


@dataclass(frozen=True)
class Function:
    """One function and its blocks by address."""

    name: str
    start: int
    blocks: Mapping[int, Block]

    @property
    def callees(self) -> list[int]:
        """Functions that it calls, each once."""
        return list(dict.fromkeys(block.callee for block in self.blocks.values() if block.callee is not None))


class Program:
    """The functions of an image, cut into blocks when they are asked for."""

    def __init__(self, elf: Path, excluded: frozenset[str] = frozenset()) -> None:
        """`excluded`: functions that are not followed, by name. Raises ImageError."""
        self.image: Image = image.load(elf)
        self.excluded = excluded
        self._code = decode(self.image)
        self._functions: dict[int, Function] = {}
        self.changed_arguments: dict[int, frozenset[int] | None] = {}
        """Kept by fledge_export.value_analysis, by function"""

    @cached_property
    def _names(self) -> dict[int, str]:
        return {symbol.address: symbol.name for symbol in self.image.symbols.values() if symbol.is_function}

    def name(self, address: int) -> str:
        """Of the function that begins there; the address itself if it has none."""
        return self._names.get(address, f"0x{address:08x}")

    def line(self, address: int) -> str:
        """'file.c:12', or where in which function if the image does not say."""
        return self._lines.get(address) or self.image.function_at(address)

    @cached_property
    def _lines(self) -> dict[int, str]:
        return source_lines(self.image.path, list(self._code))

    def word(self, address: int) -> int | None:
        """Four bytes of flash."""
        for start, data in self.image.segments:
            if start <= address <= start + len(data) - 4:
                return int(struct.unpack_from("<I", data, address - start)[0])
        return None

    def function(self, start: int) -> Function:
        """Raises ControlFlowError where it cannot be followed."""
        if start not in self._functions:
            found = Function(self.name(start), start, _Cutter(self, start).blocks())
            self._check_saved(found)
            self._functions[start] = found
        return self._functions[start]

    def reachable(self, root: str) -> list[Function]:
        """`root` and all that it may call, callees first. Raises ControlFlowError; ImageError: no such root."""
        order: dict[int, Function] = {}
        self._visit(self.image.symbol(root).address, [], order)
        return list(order.values())

    def _visit(self, start: int, callers: list[int], order: dict[int, Function]) -> None:
        if start in callers:
            names = " -> ".join(self.name(each) for each in [*callers[callers.index(start) :], start])
            raise ControlFlowError(f"recursion has no bound: {names} (at {self.line(start)}); write it as a loop")
        if start in order:
            return
        function = self.function(start)
        for callee in function.callees:
            if not self.is_excluded(callee):
                self._visit(callee, [*callers, start], order)
        order[start] = function

    def is_excluded(self, address: int) -> bool:
        """Whether the function that begins there is not followed."""
        return self.name(address) in self.excluded

    def instruction(self, address: int) -> Instruction:
        """Raises ControlFlowError where there is none."""
        if address not in self._code:
            raise ControlFlowError(f"{self.image.path} has no code at 0x{address:08x}; build the image again")
        return self._code[address]

    def is_code(self, address: int) -> bool:
        """Whether an instruction begins there."""
        return address in self._code

    def is_function(self, address: int) -> bool:
        """Whether a named function begins there."""
        return address in self._names

    def _check_saved(self, function: Function) -> None:
        """What the caller keeps in registers is still there behind a call."""
        every = [each for block in function.blocks.values() for each in block.instructions]
        saves = [each for each in every if each.name in SAVES and "sp" in each.addresses & each.writes]
        saved = {half for each in saves for half in each.reads}
        changed = {half for each in every if each.name not in ("pop", "ldm") for half in each.writes}
        if lost := sorted((changed & CALLEE_SAVED) - saved):
            raise ControlFlowError(f"{function.name} changes {', '.join(lost)} without saving it; fix its assembly")


class _Cutter:
    """Blocks of one function, from its first instruction on."""

    def __init__(self, program: Program, start: int) -> None:
        self._program, self._start = program, start

    def blocks(self) -> dict[int, Block]:
        exits: dict[int, _Ends] = {}
        leaders, waiting = {self._start}, [self._start]
        while waiting:
            for last, ends in self._run(waiting.pop(), exits):
                exits[last.address] = ends
                waiting += sorted(set(ends.following) - leaders)
                leaders |= set(ends.following)
        return {start: self._block(start, leaders, exits) for start in sorted(leaders)}

    def _run(self, address: int, known: Mapping[int, _Ends]) -> Iterator[tuple[Instruction, _Ends]]:
        """Up to the first instruction that does not simply go on."""
        while address not in known:
            this = self._program.instruction(address)
            if ends := self._ends(this):
                yield this, ends
                return
            address += this.size

    def _block(self, start: int, leaders: set[int], exits: Mapping[int, _Ends]) -> Block:
        inside, address = [], start
        while True:
            inside.append(self._program.instruction(address))
            if ends := exits.get(address):
                return Block(tuple(inside), ends.following, ends.callee, ends.returns)
            address += inside[-1].size
            if address in leaders:
                return Block(tuple(inside), (address,))

    def _ends(self, this: Instruction) -> _Ends | None:
        """Where a block that ends with this instruction goes on; None if it does not end one."""
        behind = this.address + this.size
        skipped = (behind,) if this.condition else ()
        if this.name in ("cbz", "cbnz"):
            return _Ends((_target(this), behind))
        if this.name == "bl":
            return _Ends((behind,), callee=_target(this))
        if this.name == "b":
            goal = _target(this)
            if goal != self._start and self._program.is_function(goal):
                return _Ends(skipped, callee=goal, returns=True)
            return _Ends((goal, *skipped))
        if this.name in TABLES:
            return _Ends(self._table(this))
        if this.text.endswith(" lr") and this.name == "bx":
            return _Ends(skipped, returns=True)
        if "pc" in this.writes or this.name in ("blx", "bx") or this.operands[:1] == (("pc",),):
            if (this.name in MULTIPLE or this.name == "ldr") and "sp" in this.addresses:
                return _Ends(skipped, returns=True)
            raise ControlFlowError(
                f"'{this.text}' at {self._program.line(this.address)} in {self._program.name(self._start)} goes to an "
                "address that is not known before it runs; call the function by its name"
            )
        return None

    def _table(self, this: Instruction) -> tuple[int, ...]:
        """Targets of a jump through the table behind it, which ends where its nearest target or other code begins."""
        width, base = TABLES[this.name], this.address + 4
        if "[pc," not in this.text:
            raise ControlFlowError(f"'{this.text}' at {self._program.line(this.address)}: its table is not behind it")
        targets: set[int] = set()
        place = base
        while not self._program.is_code(place) and (word := self._program.word(place & ~3)) is not None:
            entry = word >> 8 * (place & 3) & ((1 << 8 * width) - 1)
            if self._program.is_code(base + 2 * entry):  # a last odd byte is padding
                targets.add(base + 2 * entry)
            place += width
        if not targets:
            raise ControlFlowError(f"'{this.text}' at {self._program.line(this.address)} has no table behind it")
        return tuple(sorted(targets))


@dataclass(frozen=True)
class _Ends:
    following: tuple[int, ...]
    callee: int | None = None
    returns: bool = False


def _target(this: Instruction) -> int:
    return int(this.text.rsplit("#", 1)[1], 0)
