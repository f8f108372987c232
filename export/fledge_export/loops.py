"""Loops of a function: a header that every way in passes, the blocks from which it is reached again, and its depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fledge_export.control_flow import Block, ControlFlowError, Function


@dataclass(frozen=True)
class Loop:
    """Loops with a common header count as one."""

    header: int
    body: frozenset[int]
    """Addresses of its blocks, header and inner loops included"""
    latches: frozenset[int]
    """Blocks that jump back to the header"""


@dataclass(frozen=True)
class Shape:
    """Blocks in an order in which, jumps back aside, all that may come before a block stands before it."""

    order: tuple[int, ...]
    dominators: Mapping[int, frozenset[int]]
    """Blocks that every way to this one passes, itself included"""
    loops: Mapping[int, Loop]
    """By header"""

    def is_back(self, source: int, goal: int) -> bool:
        """Whether this step begins the next round of a loop."""
        return goal in self.loops and source in self.loops[goal].latches


def shape(function: Function) -> Shape:
    """Raises ControlFlowError for a loop that can be entered in two places."""
    order = _reverse_postorder(function.start, function.blocks)
    before = predecessors(function.blocks)
    dominators = _dominators(order, before)
    position = {block: index for index, block in enumerate(order)}
    latches: dict[int, set[int]] = {}
    for block in order:
        for goal in function.blocks[block].following:
            if position[goal] > position[block]:
                continue
            if goal not in dominators[block]:
                raise ControlFlowError(f"a loop of {function.name} has two entries; write it without goto")
            latches.setdefault(goal, set()).add(block)
    loops = {header: Loop(header, _body(header, ends, before), frozenset(ends)) for header, ends in latches.items()}
    return Shape(order, dominators, loops)


def predecessors(blocks: Mapping[int, Block]) -> dict[int, list[int]]:
    """Of each block, those that may come right before it."""
    result: dict[int, list[int]] = {start: [] for start in blocks}
    for start, block in blocks.items():
        for goal in block.following:
            result[goal].append(start)
    return result


def _reverse_postorder(start: int, blocks: Mapping[int, Block]) -> tuple[int, ...]:
    done: list[int] = []
    seen, stack = {start}, [(start, iter(blocks[start].following))]
    while stack:
        block, following = stack[-1]
        goal = next((each for each in following if each not in seen), None)
        if goal is None:
            done.append(block)
            stack.pop()
        else:
            seen.add(goal)
            stack.append((goal, iter(blocks[goal].following)))
    return tuple(reversed(done))


def _dominators(order: tuple[int, ...], before: Mapping[int, list[int]]) -> dict[int, frozenset[int]]:
    every = frozenset(order)
    result = dict.fromkeys(order, every)
    result[order[0]] = frozenset(order[:1])
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            common = frozenset.intersection(*(result[each] for each in before[block])) | {block}
            changed |= common != result[block]
            result[block] = common
    return result


def _body(header: int, latches: set[int], before: Mapping[int, list[int]]) -> frozenset[int]:
    inside, waiting = {header, *latches}, list(latches - {header})
    while waiting:
        for block in before[waiting.pop()]:
            if block not in inside:
                inside.add(block)
                waiting.append(block)
    return frozenset(inside)
