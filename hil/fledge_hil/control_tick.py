"""Worst case of the whole control tick on the emulated board, guards and stock controller included.

Every path of the machine code counts (fledge_export.wcet). The policy inside it is not bounded but timed: in this very
image its path is proved to be the same for all data (fledge_export.taint). Where it keeps sums from call to call, its
counters decide what it does; each state that they can reach is proved and timed. Modelled, not measured on silicon.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fledge_export import taint, timing, wcet
from fledge_export.robot_header import robot_header
from fledge_export.taint import CCM, TaintError
from fledge_export.timing import CLOCK, Code, Cycles, Timing
from fledge_export.values import Arguments
from fledge_export.wcet import LoopNote, Notes, WorstCase
from fledge_sim import robot as robots
from fledge_sim.rows import STATES

from fledge_hil.board_build import compile_image
from fledge_hil.mcu import Mcu

BOARD_TICK, FLIGHT_TICK, PLANT_STEP = "board_tick", "flight_tick", "plant_step"
"""Roots: the emulated platform's whole tick, the flight code's part of it, a millisecond of simulated flight."""
STEP, REUSE = "policy_step", "policy_step_reuse"
HOVER, IS_AHEAD = "policy_reuse_hover", "policy_reuse_is_ahead"
INPUT, STATE = CCM, CCM + 0x4000
POINTERS: Arguments = ("memory",) * 3
"""All that the roots are given."""
ADDRESSES = ("r0", "r1", "r2", "r3")
PLANT_NOTES: Notes = {(PLANT_STEP, "quadrotor.h:16"): LoopNote(STATES, "one round per number of the plant's state")}
"""gcc keeps this loop's end on the stack, which the analysis does not follow while arrays lie there."""
COUNTERS = struct.Struct("<3I")
"""Front of `struct policy_reuse`."""


@dataclass(frozen=True)
class PolicyMemory:
    """Variables of the image that are given to the policy when it is called by itself, by name."""

    output: str = "board_output"
    kept: str = "board_state"


@dataclass(frozen=True)
class ControlTick:
    """Of one image."""

    worst: WorstCase
    policy: Cycles
    """Of an inference: largest in each cycle model"""

    @property
    def microseconds(self) -> tuple[float, float, float]:
        """Of the whole: lower, nominal, upper."""
        return self.worst.microseconds

    @property
    def policy_us(self) -> float:
        """Of the policy, upper [us]."""
        return self.policy.upper / CLOCK * 1e6


def control_tick(elf: Path, root: str = BOARD_TICK) -> ControlTick:
    """Worst case of `root` in an image of fledge_hil.board.build_board.

    Raises:
        TaintError: the time of the policy depends on data.
        WcetError, ControlFlowError, TimingError, ImageError: see fledge_export.wcet.worst_case.
    """
    name, policy = policy_time(Mcu(elf), Code(elf), PolicyMemory())
    notes = PLANT_NOTES if root == PLANT_STEP else None
    return ControlTick(wcet.worst_case(elf, root, {name: policy}, notes, POINTERS), policy)


def policy_time(mcu: Mcu, code: Code, memory: PolicyMemory) -> tuple[str, Cycles]:
    """Name of the policy's function, and its largest time in each cycle model. Raises TaintError."""
    name = REUSE if REUSE in mcu.image.symbols else STEP
    timings = _reusing(mcu, code, memory) if name == REUSE else _whole(mcu, code, memory)
    found = [each.cycles for each in timings]
    return name, Cycles(
        max(each.lower for each in found), max(each.nominal for each in found), max(each.upper for each in found)
    )


def flight_tick(source: Path) -> ControlTick:
    """Worst case of the flight code around the policy.c and policy.h in `source`. Raises as above."""
    with tempfile.TemporaryDirectory(dir=source, prefix=".tick-") as name:
        folder = Path(name)
        for file in ("policy.c", "policy.h"):
            shutil.copy(source / file, folder)
        (folder / "robot.h").write_text(robot_header(robots.load("crazyflie")))  # for the rest of the board
        return control_tick(compile_image(folder, folder / "board.elf"), FLIGHT_TICK)


def _whole(mcu: Mcu, code: Code, memory: PolicyMemory) -> Iterator[Timing]:
    """The one time of an inference."""
    arguments = (INPUT, STATE, STATE, mcu.address(memory.output))
    _prove(mcu, STEP, arguments, memory, ())
    yield _time(mcu, code, STEP, arguments)


def _reusing(mcu: Mcu, code: Code, memory: PolicyMemory) -> Iterator[Timing]:
    """Of an inference in each state of the counters that can be, from take-over on.

    A native step may come at any time at which the policy says that it is prepared, as the executor asks it to.
    """
    kept, output = mcu.address(memory.kept), mcu.address(memory.output)
    mcu.call(HOVER, kept)
    waiting = [COUNTERS.unpack(bytes(mcu.read_at(kept, COUNTERS.size)))]
    seen = set(waiting)
    while waiting:
        before = waiting.pop()
        mcu.write_at(kept, COUNTERS.pack(*before))
        for is_native in range(1 + mcu.call(IS_AHEAD, kept)):
            arguments = (INPUT, kept, is_native, output)
            mcu.write_at(kept, COUNTERS.pack(*before))
            _prove(mcu, REUSE, arguments, memory, ((memory.kept, COUNTERS.size),))
            mcu.write_at(kept, COUNTERS.pack(*before))
            yield _time(mcu, code, REUSE, arguments)
            if (after := COUNTERS.unpack(bytes(mcu.read_at(kept, COUNTERS.size)))) not in seen:
                seen.add(after)
                waiting.append(after)


def _prove(
    mcu: Mcu, function: str, arguments: tuple[int, ...], memory: PolicyMemory, public: tuple[tuple[str, int], ...]
) -> None:
    execution = mcu.record(function, *arguments)
    proof = taint.prove(mcu.image.path, execution, (memory.output,), public, ADDRESSES)
    if not proof.proved:
        raise TaintError(f"the time of {function} depends on data: {proof.findings[0]}; it has no exact time")


def _time(mcu: Mcu, code: Code, function: str, arguments: tuple[int, ...]) -> Timing:
    trace = mcu.trace(function, *arguments)
    return timing.model(code, trace.blocks, trace.flash_reads)
