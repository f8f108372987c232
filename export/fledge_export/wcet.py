"""Longest way through a function and all that it calls, and its deepest stack: bounds over every path, no measurement.

Blocks of the machine code are weighed with the cycle model of fledge_export.timing; loops count as often as their
counter allows (fledge_export.loop_bounds) or as a written reason says. Each of the three cycle models has a worst path
of its own. What the paths leave open is taken at its worst: docs/timing.md says how. Functions whose exact time is
known, such as a policy that is proved to take the same time for every input, can be given and count as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_export.control_flow import Block, ControlFlowError, Function, Program
from fledge_export.decode import Instruction
from fledge_export.effects import LOADS
from fledge_export.image import FLASH, FLASH_SIZE
from fledge_export.loop_bounds import rounds
from fledge_export.loops import Loop, Shape, shape
from fledge_export.timing import (
    CLOCK,
    DATA_LINES,
    INSTRUCTION_LINES,
    LINE,
    TAKEN,
    WAIT_STATES,
    Cycles,
    cycles,
    misses,
)
from fledge_export.value_analysis import Values, analyse
from fledge_export.values import Arguments, arguments_of

READS = (*LOADS, "tbb", "tbh")
WORD_BYTES = 4


class WcetError(FledgeError):
    """A loop without a bound."""


@dataclass(frozen=True)
class LoopNote:
    """A bound that the machine code does not tell."""

    rounds: int
    """Most executions of the loop's beginning each time it is entered"""
    reason: str


Notes = Mapping[tuple[str, str], LoopNote]
"""By function and 'file.c:12', the line of the loop's first instruction"""


@dataclass(frozen=True)
class LoopBound:
    """A loop on the way."""

    function: str
    line: str
    rounds: int
    """Most executions of its beginning each time it is entered; largest of all calls"""
    reason: str
    """Why, if it was given; empty: its counter says so"""


@dataclass(frozen=True)
class WorstCase:
    """Of one function with all that it calls."""

    cycles: Cycles
    """Largest in each cycle model, over all paths: modelled, not measured on silicon"""
    stack: int
    """Deepest [bytes], over all paths; without interrupts"""
    functions: int
    """That can be reached"""
    loops: tuple[LoopBound, ...]
    excluded: Mapping[str, str]
    """Functions that were left out, and why"""

    @property
    def microseconds(self) -> tuple[float, float, float]:
        """Lower, nominal, upper at 168 MHz."""
        each = (self.cycles.lower, self.cycles.nominal, self.cycles.upper)
        return (each[0] / CLOCK * 1e6, each[1] / CLOCK * 1e6, each[2] / CLOCK * 1e6)


def worst_case(
    elf: Path,
    root: str,
    measured: Mapping[str, Cycles] | None = None,
    notes: Notes | None = None,
    arguments: Arguments = (),
    excluded: Mapping[str, str] | None = None,
) -> WorstCase:
    """Bounds for `root`.

    Args:
        elf: linked image.
        root: function.
        measured: exact time of functions, from call to return, by name.
        notes: bounds of loops that no counter decides.
        arguments: what r0 to r3 hold: a number, "memory" for a pointer into RAM, or "" for anything.
        excluded: functions whose time and stack are left out, by name, and why they do not count.
    Raises:
        ControlFlowError: recursion, a call through a pointer, a stack of unknown depth.
        WcetError: a loop without a bound.
        TimingError: an instruction without a known number of cycles.
        ImageError: no such function.
    """
    left_out = dict(excluded or {})
    program = Program(elf, frozenset(left_out))
    reachable = program.reachable(root)
    search = _Search(program, measured or {}, notes or {})
    start = program.image.symbol(root).address
    cost = search.bound(start, arguments).total
    return WorstCase(cost.cycles(), search.stack(start), len(reachable), tuple(search.loops.values()), left_out)


@dataclass(frozen=True)
class _Cost:
    """Of a way."""

    lower: int = 0
    nominal: int = 0
    upper: int = 0
    warm: int = 0
    """upper, all instructions in the cache"""

    def __add__(self, other: _Cost) -> _Cost:
        return _Cost(*(mine + its for mine, its in zip(self.all(), other.all(), strict=True)))

    def times(self, count: int) -> _Cost:
        return _Cost(*(each * count for each in self.all()))

    def all(self) -> tuple[int, int, int, int]:
        return self.lower, self.nominal, self.upper, self.warm

    def cycles(self) -> Cycles:
        return Cycles(self.lower, self.nominal, self.upper)


@dataclass(frozen=True)
class _Bound:
    """Of a function."""

    total: _Cost
    """The jump into it aside, the jump out of it included"""
    lines: frozenset[int]
    """Of flash, that hold its code and its callees'"""


def _cost(of: Cycles) -> _Cost:
    return _Cost(of.lower, of.nominal, of.upper, of.upper)


def _worst(costs: Iterable[_Cost]) -> _Cost:
    """In each model by itself."""
    return _Cost(*map(max, zip(*(cost.all() for cost in costs), strict=True)))


def _waiting(count: int) -> _Cost:
    """For lines of instructions: in the upper model only."""
    return _Cost(upper=WAIT_STATES * count)


class _Search:
    """Bounds of functions, each worked out once for the same arguments."""

    def __init__(self, program: Program, measured: Mapping[str, Cycles], notes: Notes) -> None:
        self.program, self.measured, self.notes = program, measured, notes
        self.loops: dict[int, LoopBound] = {}
        """By header"""
        self._shapes: dict[int, Shape] = {}
        self._bounds: dict[tuple[int, Arguments], _Bound] = {}
        self._stacks: dict[int, int] = {}
        self._lines: dict[int, frozenset[int]] = {}

    def shape(self, function: Function) -> Shape:
        if function.start not in self._shapes:
            self._shapes[function.start] = shape(function)
        return self._shapes[function.start]

    def bound(self, start: int, arguments: Arguments) -> _Bound:
        if self.program.is_excluded(start):
            return _Bound(_Cost(), frozenset())
        if (start, arguments) not in self._bounds:
            function = self.program.function(start)
            if function.name in self.measured:
                self._bounds[start, arguments] = _Bound(_cost(self.measured[function.name]), self.lines(start))
            else:
                self._bounds[start, arguments] = _Paths(self, function, arguments).bound()
        return self._bounds[start, arguments]

    def stack(self, start: int) -> int:
        """Deepest of the function and what it calls [bytes]."""
        if self.program.is_excluded(start):
            return 0
        if start not in self._stacks:
            function = self.program.function(start)
            values = analyse(self.program, function, self.shape(function))
            calls = [(values.exit[place].depth, block) for place, block in function.blocks.items()]
            below = [depth + self.stack(block.callee) for depth, block in calls if block.callee is not None]
            self._stacks[start] = max([values.depth, *below])
        return self._stacks[start]

    def rounds(self, function: Function, values: Values, loop: Loop) -> int:
        """Raises WcetError if there is no bound."""
        line = self.program.line(loop.header)
        counted, note = rounds(function, self.shape(function), values, loop), self.notes.get((function.name, line))
        if counted is None and note is None:
            raise WcetError(
                f"the loop in {function.name} ({line}) has no bound that its machine code tells; give it a counter "
                "with a constant limit, or a note with the reason why it ends"
            )
        count, reason = (counted, "") if counted is not None else (note.rounds, note.reason) if note else (0, "")
        known = self.loops.get(loop.header)
        most = max(count, known.rounds if known else 0)
        self.loops[loop.header] = LoopBound(function.name, line, most, reason)
        return count

    def lines(self, start: int) -> frozenset[int]:
        """Of flash, that hold a function and all that it calls."""
        if self.program.is_excluded(start):
            return frozenset()
        if start not in self._lines:
            function = self.program.function(start)
            own = frozenset(line for block in function.blocks.values() for line in _code_lines(block))
            self._lines[start] = own.union(*(self.lines(callee) for callee in function.callees))
        return self._lines[start]


class _Paths:
    """One function, called with certain arguments."""

    def __init__(self, search: _Search, function: Function, arguments: Arguments) -> None:
        self._search, self._blocks, self._name = search, function.blocks, function.name
        self._function, self._shape = function, search.shape(function)
        self._values = analyse(search.program, function, self._shape, arguments)
        self._loops: dict[int, _Cost] = {}
        """Of all rounds but the last, by header"""

    def bound(self) -> _Bound:
        entered = [loop for header, loop in self._shape.loops.items() if self._is_repeated(header)]
        for loop in sorted(entered, key=lambda each: len(each.body)):
            self._loops[loop.header] = self._rounds(loop)
        everything = frozenset(self._blocks)
        start = self._blocks[self._function.start]
        reached = self._longest(start.start, everything)
        ends = [cost + self._leave(self._blocks[place]) for place, cost in reached.items() if self._ends(place)]
        if not ends:
            raise ControlFlowError(f"{self._name} never returns, so its time has no bound")
        total = _worst(ends) + _after_jump(start.instructions[0]) + _waiting(len(_code_lines(start)))
        lines = self._lines(everything)
        if len(lines) <= INSTRUCTION_LINES:
            total = replace(total, upper=min(total.upper, total.warm + WAIT_STATES * len(lines)))
        return _Bound(total, lines)

    def _is_repeated(self, header: int) -> bool:
        following = self._values.following
        return any(header in following.get(latch, ()) for latch in self._shape.loops[header].latches)

    def _ends(self, place: int) -> bool:
        return self._blocks[place].returns

    def _rounds(self, loop: Loop) -> _Cost:
        """All but the last. Code that fits into the cache is fetched once each time the loop is entered."""
        count = self._search.rounds(self._function, self._values, loop) - 1
        reached = self._longest(loop.header, loop.body)
        header = self._blocks[loop.header]
        ends = [latch for latch in loop.latches if header.start in self._values.following.get(latch, ())]
        one = _worst(reached[latch] + self._step(self._blocks[latch], header) for latch in ends)
        lines = self._lines(loop.body)
        every = one.times(count)
        if len(lines) > INSTRUCTION_LINES:
            return every
        return replace(every, upper=min(every.upper, every.warm + WAIT_STATES * len(lines)))

    def _longest(self, start: int, inside: frozenset[int]) -> dict[int, _Cost]:
        """To the end of each block, from the second instruction of `start` on, jumps back aside."""
        reached = {start: self._block(start)}
        for place in self._shape.order:
            if place not in reached:
                continue
            for goal in self._values.following[place]:
                if goal in inside and not self._shape.is_back(place, goal):
                    cost = reached[place] + self._step(self._blocks[place], self._blocks[goal]) + self._block(goal)
                    reached[goal] = _worst([reached[goal], cost]) if goal in reached else cost
        return reached

    def _block(self, place: int) -> _Cost:
        """From the second instruction on, with rounds of a loop that begins here and a call at its end."""
        block = self._blocks[place]
        total = _Cost()
        for previous, this in pairwise(block.instructions):
            total += _cost(cycles(previous, this))
        waits = WAIT_STATES * misses(self._data_lines(block), DATA_LINES)
        total += _Cost(waits, waits, waits, waits) + self._loops.get(place, _Cost())
        return total if block.callee is None or block.returns else total + self._call(block)

    def _call(self, block: Block) -> _Cost:
        assert block.callee is not None
        called = self._search.bound(block.callee, arguments_of(self._values.exit[block.start]))
        return _cost(TAKEN) + called.total

    def _leave(self, block: Block) -> _Cost:
        """The jump out of the function: back to the caller, or into another function that returns in its place."""
        return _cost(TAKEN) if block.callee is None else self._call(block)

    def _step(self, block: Block, goal: Block) -> _Cost:
        """From one block into the first instruction of the next."""
        fetched = _code_lines(goal)
        if block.callee is not None and not block.returns:
            return _after_jump(goal.instructions[0]) + _waiting(len(fetched))
        again = _code_lines(block)[-1] == fetched[0]
        taken = Cycles(0, 0, 0) if goal.start == block.end else TAKEN
        return _cost(cycles(block.last, goal.instructions[0]) + taken) + _waiting(len(fetched) - again)

    def _lines(self, places: frozenset[int]) -> frozenset[int]:
        blocks = [self._blocks[place] for place in places]
        own = frozenset(line for block in blocks for line in _code_lines(block))
        return own.union(*(self._search.lines(block.callee) for block in blocks if block.callee is not None))

    def _data_lines(self, block: Block) -> Iterator[int]:
        """Of flash, that the block loads from; one that is not known is like no other."""
        for index, this in enumerate(block.instructions):
            if this.name in READS:
                place = self._values.addresses[this.address]
                size = WORD_BYTES * max(this.words, 1)
                if place.number is None and not place.region:
                    most = (LINE - WORD_BYTES + size + LINE - 1) // LINE
                    yield from (-1 - most * index - each for each in range(most))
                elif place.number is not None and FLASH <= place.number < FLASH + FLASH_SIZE:
                    yield from range(place.number // LINE, (place.number + size - 1) // LINE + 1)


def _code_lines(block: Block) -> range:
    return range(block.start // LINE, (block.end - 1) // LINE + 1)


def _after_jump(this: Instruction) -> _Cost:
    """First instruction behind a call or a return, whichever instruction that was."""
    computed = Cycles(0, 1, 1) if this.addresses & {"pc", "lr"} else Cycles(0, 0, 0)
    return _cost(cycles(None, this) + computed)
