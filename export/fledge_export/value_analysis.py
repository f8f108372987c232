"""What the core registers hold at each place of a function, and which ways it cannot take with certain arguments.

One pass over the blocks in order. A register that a loop changes becomes a new unknown at the loop's header, so that
the value at its end can be compared with the one at its beginning; where two ways meet with different values a new
unknown begins too. A call keeps r4 to r11 and the stack, as the platform's calling convention demands; words of the
stack are trusted only while no pointer to the stack can be in other hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fledge_export.control_flow import Block, ControlFlowError, Function, Program
from fledge_export.decode import Instruction
from fledge_export.effects import STORES
from fledge_export.loops import Loop, Shape, predecessors, shape
from fledge_export.register_effects import address, comparison, moves_itself, results, store
from fledge_export.values import (
    CLOBBERED,
    CORE,
    Arguments,
    Comparison,
    State,
    Unknown,
    Value,
    at_entry,
    holds,
    join,
    signed,
)


@dataclass(frozen=True)
class Values:
    """Of one function, called with certain arguments."""

    entry: Mapping[int, State]
    """At the beginning of each block; of a loop's header, with the loop's unknowns"""
    exit: Mapping[int, State]
    """Behind each block, before its call"""
    before: Mapping[int, Mapping[str, Value]]
    """Registers on the way into the loop, by header"""
    addresses: Mapping[int, Value]
    """That each load or store uses, by its address"""
    following: Mapping[int, tuple[int, ...]]
    """Blocks that can come next; only reached blocks are listed, here and above"""
    depth: int
    """Deepest stack, callees aside [bytes]"""


def analyse(program: Program, function: Function, its: Shape, arguments: Arguments = ()) -> Values:
    """Raises ControlFlowError if the stack pointer is not known (alloca)."""
    first = _Analysis(program, function, its, is_shared=False)
    values = first.run(arguments)
    return _Analysis(program, function, its, is_shared=True).run(arguments) if first.is_shared else values


class _Analysis:
    def __init__(self, program: Program, function: Function, its: Shape, *, is_shared: bool) -> None:
        self._program, self._function, self._shape = program, function, its
        self._before = predecessors(function.blocks)
        self._addresses: dict[int, Value] = {}
        self._following: dict[int, tuple[int, ...]] = {}
        self._depth = 0
        self.is_shared = is_shared
        """Somebody else may hold a pointer to this function's stack"""
        self.points_above = False
        """A register was pointed at the words that the caller left on the stack"""

    def run(self, arguments: Arguments) -> Values:
        entry: dict[int, State] = {}
        leave: dict[int, State] = {}
        outside: dict[int, Mapping[str, Value]] = {}
        for start in self._shape.order:
            ways = [self._behind(leave[each], each, start) for each in self._before[start] if self._leads(each, start)]
            if start == self._function.start:
                ways.append(at_entry(start, arguments))
            if not ways:
                continue
            state = self._join(start, ways)
            if start in self._shape.loops:
                outside[start] = dict(state.registers)
                self._forget(state, self._shape.loops[start])
            entry[start] = state.copy()
            self._block(state, self._function.blocks[start])
            leave[start] = state
        return Values(entry, leave, outside, self._addresses, self._following, self._depth)

    def _leads(self, source: int, goal: int) -> bool:
        """Forwards, on a way that can be taken."""
        return not self._shape.is_back(source, goal) and goal in self._following.get(source, ())

    def _join(self, place: int, ways: list[State]) -> State:
        state = join(place, ways)
        for name in CORE:
            regions = {way.registers[name].region for way in ways}
            self.is_shared |= len(regions) > 1 and "stack" in regions
        return state

    def _behind(self, state: State, place: int, goal: int) -> State:
        """On the way from a block to the next: what its branch says, or where its call returned to."""
        block = self._function.blocks[place]
        if block.callee is None:
            return _learn(block, state, goal)
        after = state.copy()
        after.flags = None
        for name in CLOBBERED:
            after.registers[name] = Value(Unknown(block.last.address, name))
        written = None if self.is_shared else self._written(block.callee)
        after.slots = {
            slot: value
            for slot, value in state.slots.items()
            if written is not None and slot + state.depth not in written
        }
        return after

    def _written(self, callee: int) -> frozenset[int] | None:
        """Words above the stack pointer that a function may change: its own arguments there. None: any."""
        if self._program.is_excluded(callee):
            return None
        if callee not in self._program.changed_arguments:
            self._program.changed_arguments[callee] = self._find_written(callee)
        return self._program.changed_arguments[callee]

    def _find_written(self, callee: int) -> frozenset[int] | None:
        function = self._program.function(callee)
        its = _Analysis(self._program, function, shape(function), is_shared=False)
        values = its.run(())
        stores = [each for block in function.blocks.values() for each in block.instructions if each.name in STORES]
        places = [(each, values.addresses[each.address]) for each in stores if each.address in values.addresses]
        own = [(each, place) for each, place in places if place.region == "stack"]
        indexed = any(place.base is None or place.base.register != "sp" for _, place in own)
        if its.points_above and (its.is_shared or indexed):
            return None
        own = [(each, place) for each, place in own if place.base is not None and place.base.register == "sp"]
        result = {signed(place.offset) + 4 * word for each, place in own for word in range(max(each.words, 2))}
        for block in function.blocks.values():
            if block.callee is not None and block.returns:
                further = self._written(block.callee)
                if further is None:
                    return None
                result |= further
        return frozenset(offset for offset in result if offset >= 0)

    def _forget(self, state: State, loop: Loop) -> None:
        """Registers that the loop changes are new unknowns, words of the stack forgotten."""
        inside = [each for start in loop.body for each in self._function.blocks[start].instructions]
        called = any(self._function.blocks[start].callee is not None for start in loop.body)
        for name in CORE - {"sp"}:
            writers = [each for each in inside if name in each.writes]
            moved = not called and all(moves_itself(each, name) for each in writers)
            if writers or (called and name in CLOBBERED):
                region = state.registers[name].region if moved else ""
                self.is_shared |= not moved and state.registers[name].region == "stack"
                state.registers[name] = Value(Unknown(loop.header, name, region))
        state.slots.clear()
        state.flags = None

    def _block(self, state: State, block: Block) -> None:
        self._check_stack(state, block.start)
        for this in block.instructions:
            if this.addresses:
                self._addresses[this.address] = address(state, this)
            met = _met(state, this.condition)
            if met is not False and not (this.condition and "pc" in this.writes):  # who goes on has not returned
                self._step(state, this, certain=met is True)
        if block.callee is not None:
            self.is_shared |= any(state.registers[name].region == "stack" for name in CLOBBERED)
        self._following[block.start] = _possible(block, state)

    def _check_stack(self, state: State, place: int) -> None:
        pointer = state.registers["sp"]
        if pointer.base is None or pointer.base.register != "sp":
            raise ControlFlowError(
                f"the depth of the stack is not known in {self._function.name} ({self._program.line(place)}); "
                "give every array a fixed size"
            )
        self._depth = max(self._depth, state.depth)

    def _step(self, state: State, this: Instruction, *, certain: bool) -> None:
        known = results(self._program, state, this) if certain else {}
        self._share(state, this, known)
        if this.name in STORES:
            store(state, this, self._addresses[this.address])
        if this.sets_flags or "cpsr" in this.writes or this.name in ("fmstat", "msr"):
            state.flags = comparison(state, this) if this.sets_flags and certain else None
        for name in this.writes & CORE:
            value = state.registers[name] = known.get(name, Value(Unknown(this.address, name)))
            self.points_above |= name != "sp" and _is_above(value)
        if "sp" in this.writes:
            self._check_stack(state, this.address)

    def _share(self, state: State, this: Instruction, known: Mapping[str, Value]) -> None:
        """Whether a pointer to the stack is put into memory, or goes where it is not followed."""
        if this.name in STORES:
            moved = (half for operand in this.operands for half in operand if half in CORE)
            kept = this.name in ("push", "str", "strd") and self._addresses[this.address].region == "stack"
            pointers = [
                name for name in moved if state.registers[name].region == "stack" and name not in this.addresses
            ]
            self.is_shared |= bool(pointers) and not kept
        elif not this.addresses:
            sources = any(state.registers[name].region == "stack" for name in this.reads & CORE)
            self.is_shared |= sources and any(name not in known for name in this.writes & CORE)


def _is_above(value: Value) -> bool:
    """Points at what the caller left on the stack; what is computed from a pointer stays in the pointer's array."""
    known = value.region == "stack" and value.base is not None and value.base.register == "sp"
    return known and signed(value.offset) >= 0


def _met(state: State, condition: str) -> bool | None:
    """Whether a condition holds; None if that is not known."""
    if not condition:
        return True
    compared = state.flags
    if compared is None or compared.first.number is None or compared.second.number is None:
        return None
    return holds(compared.operation, compared.first.number, compared.second.number, condition)


def _learn(block: Block, state: State, goal: int) -> State:
    """With what an unknown is, if the branch at the end leads to `goal` only where it equals something known."""
    decided = decision(block, state)
    if decided is None or len(set(block.following)) != 2:
        return state
    compared, condition = decided
    equal = condition == ("eq" if goal == taken(block) else "ne")
    if compared.operation != "sub" or not equal or compared.first.base is None:
        return state
    after = state.copy()
    after.learned[compared.first.base] = compared.second + -compared.first.offset
    return after


def _possible(block: Block, state: State) -> tuple[int, ...]:
    """Blocks that can come next: all, unless the branch at the end is decided by known numbers."""
    decided = decision(block, state)
    if decided is None or len(block.following) != 2 or block.callee is not None:
        return block.following
    compared, condition = decided
    first, second = compared.first.number, compared.second.number
    if first is None or second is None:
        return block.following
    goal = taken(block)
    met = holds(compared.operation, first, second, condition)
    return (goal,) if met else tuple(each for each in block.following if each != goal)


def taken(block: Block) -> int:
    """Where the branch at the end of a block leads."""
    return int(block.last.text.rsplit("#", 1)[1], 0)


def decision(block: Block, state: State) -> tuple[Comparison, str] | None:
    """What a branch at the end of a block compares and under which condition it is taken; None if that is not known."""
    last = block.last
    if last.name in ("cbz", "cbnz"):
        value = state.registers[last.operands[0][0]]
        return Comparison("sub", value, Value(None, 0)), "eq" if last.name == "cbz" else "ne"
    if last.name != "b" or not last.condition or state.flags is None:
        return None
    return state.flags, last.condition
