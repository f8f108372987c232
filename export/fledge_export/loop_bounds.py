"""How often a loop runs, where a counter decides: it starts at s, moves by d in every round, and is compared with e.

s, d and e are what fledge_export.values finds, or what a branch on the way to the loop tells; s and e may have a common
unknown part, as two pointers into one array have. Where more than one exit is decided by a counter, the earliest
counts. Any other loop has no bound here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fledge_export.control_flow import Block, Function
from fledge_export.loops import Loop, Shape
from fledge_export.value_analysis import Values, decision, taken
from fledge_export.values import WORD, State, Unknown, Value, holds

LONGEST = 1 << 16
"""Rounds that are looked at."""


@dataclass(frozen=True)
class _Line:
    """Value in round n: base + offset + n step."""

    base: Unknown | None
    offset: int
    step: int

    def at(self, round_: int) -> int:
        """Without the base."""
        return (self.offset + round_ * self.step) & WORD


def rounds(function: Function, its: Shape, values: Values, loop: Loop) -> int | None:
    """How often the header is executed at most each time the loop is entered; None if no counter says."""
    every_round = [_test(function, values, loop, block) for block in _exits(function, its, loop)]
    found = [count for test in every_round if test is not None and (count := _earliest([test])) is not None]
    if not found:  # every round ends at a latch: the first round in which each of them would leave
        ends = [_test(function, values, loop, function.blocks[latch]) for latch in loop.latches & set(values.exit)]
        tests = [test for test in ends if test is not None]
        found = [count] if len(tests) == len(ends) and (count := _earliest(tests)) is not None else []
    return min(found, default=None)


def _earliest(tests: Sequence[Callable[[int], bool]]) -> int | None:
    """First round in which all say that the loop is left, counted from one."""
    rounds_of_all = (count + 1 for count in range(LONGEST) if all(test(count) for test in tests))
    return next(rounds_of_all, None) if tests else None


def _exits(function: Function, its: Shape, loop: Loop) -> Iterator[Block]:
    """Blocks that may leave the loop and that every round passes."""
    inner = {
        start for header, other in its.loops.items() if header in loop.body - {loop.header} for start in other.body
    }
    for start in sorted(loop.body - inner):
        if all(start in its.dominators[latch] for latch in loop.latches):
            yield function.blocks[start]


def _test(function: Function, values: Values, loop: Loop, block: Block) -> Callable[[int], bool] | None:
    """Whether the loop is left here in a round, by its number; None if no counter decides it."""
    leaves = any(goal not in loop.body for goal in block.following)
    if not leaves or len(block.following) != 2 or block.start not in values.exit:
        return None
    decided = decision(block, values.exit[block.start])
    if decided is None:
        return None
    comparison, condition = decided
    first, second = (
        _told(_line(function, values, loop, value), values.entry[loop.header])
        for value in (comparison.first, comparison.second)
    )
    if first is None or second is None or first.base != second.base:
        return None
    if first.base is not None and (comparison.operation != "sub" or condition not in ("eq", "ne")):
        return None
    leaves_when_taken = taken(block) not in loop.body
    ends = (first, second)
    return lambda count: (
        holds(comparison.operation, ends[0].at(count), ends[1].at(count), condition) == leaves_when_taken
    )


def _line(function: Function, values: Values, loop: Loop, value: Value) -> _Line | None:
    """As a line over the rounds: something from outside, or what moves by the same number in every round."""
    inside = {each.address for start in loop.body for each in function.blocks[start].instructions}
    base = value.base
    if base is None or base.place not in inside:
        return _Line(base, value.offset, 0)
    start = values.before[loop.header].get(base.register)
    ends = {values.exit[latch].registers.get(base.register) for latch in loop.latches if latch in values.exit}
    end = ends.pop() if len(ends) == 1 else None
    if base.place != loop.header or start is None or end is None or end.base != base or _inner(start, inside):
        return None
    return _Line(start.base, (start.offset + value.offset) & WORD, end.offset)


def _told(line: _Line | None, state: State) -> _Line | None:
    """With what a branch on the way to the loop has told about its base."""
    if line is None or line.base is None or line.base not in state.learned:
        return line
    value = state.learned[line.base] + line.offset
    return _Line(value.base, value.offset, line.step)


def _inner(value: Value, inside: set[int]) -> bool:
    return value.base is not None and value.base.place in inside
