"""Prove an arm's policy before it moves a real one: the firmware's C on the host and on the emulated Cortex-M4F.

Both drive virtual servos on a noisy wire and must say, sense and report the same bytes; the longest tick over all paths
is bounded; and every fault of the table is put in while the policy moves. A policy of another task than reach does so
in the scene of its task, with virtual finger pads if it feels. Exit code 1 if anything is otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from fledge_sim import policy as policy_file
from fledge_sim.arm import Arm
from fledge_sim.arm_reach import rest_pose
from fledge_sim.arm_trained import arm_of, feels
from fledge_sim.contract import Contract

from fledge_hil import screen
from fledge_hil.arm.board import ArmBoard, EmulatedArmBoard, HostArmBoard
from fledge_hil.arm.board_build import build_arm_board
from fledge_hil.arm.driver import ArmStopped, Driver
from fledge_hil.arm.fault_run import FaultRun
from fledge_hil.arm.fault_run import run as run_fault
from fledge_hil.arm.faults import FAULTS, PAD_FAULTS, ArmFault
from fledge_hil.arm.session import check_task, draw_goals
from fledge_hil.arm.starts import Start, Starts, resting, stage_of, task_of
from fledge_hil.arm.tick_bound import arm_tick_bound

LIMIT_US = 1000.0
"""Of a tick."""
SECONDS = 1.0
"""At each of the goals of the comparison, of which there are GOALS."""
GOALS = 2


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file of an arm, as written by `fledge train --task reach` (insertion, push) or `fledge export`."""
    robot: str | None = None
    """The arm's file, if it does not ship with fledge; default: the one that the policy names."""
    seeds: int = 1
    """Runs of every fault: other joints, other noise, other goals."""
    cache: Path = Path("build/boards")
    """Where compiled boards are kept."""


def run(options: Options) -> int:
    """Prove and print."""
    policy = policy_file.load(options.policy)
    check_task(policy.contract)
    arm = arm_of(policy.contract, options.robot)
    files = build_arm_board(policy, options.cache, arm)
    host = HostArmBoard(files.library)
    starts = starts_of(policy.contract, arm, options.robot, options.seeds)
    ticks, same = compare(host, EmulatedArmBoard(files.elf), starts)
    screen.say(f"host and Cortex-M4F: {ticks} ticks, {'equal to the last bit' if same else 'they DIFFER'}")
    bound = arm_tick_bound(files.elf)
    lower, nominal, upper = bound.microseconds
    screen.say(
        f"longest tick over all paths: {lower:.0f} / {nominal:.0f} / {upper:.0f} us (lower / nominal / upper model, "
        f"168 MHz), of which the policy {bound.policy_us:.0f}; stack {bound.worst.stack} bytes"
    )
    if upper >= LIMIT_US:
        screen.say(
            f"that is longer than a tick of {LIMIT_US:.0f} us; export the policy as int16, or train a smaller one"
        )
    faults = FAULTS + (PAD_FAULTS if feels(policy.contract) else ())
    found = list(_faults(faults, host, starts, options.seeds, policy.contract.native_rate))
    _show(faults, found)
    passed = same and upper < LIMIT_US and all(each.passed for each in found)
    screen.say("PASSED" if passed else "FAILED")
    return 0 if passed else 1


def starts_of(contract: Contract, arm: Arm, robot: str | None = None, seeds: int = 1) -> Starts:
    """Where the runs of a policy begin: with drawn goals, or in the scene of its task."""
    if task_of(contract) != "reach":
        stage = stage_of(contract, robot)
        return lambda seed: stage.start(seed)
    goals, pose = draw_goals(arm, max(GOALS, seeds), 0), np.clip(rest_pose(arm), arm.lower, arm.upper)
    return lambda seed: resting(arm, pose, np.roll(goals, -seed, axis=0)[:GOALS], seed)


def compare(first: ArmBoard, second: ArmBoard, starts: Starts) -> tuple[int, bool]:
    """Ticks of one run, and whether the boards agreed on every byte of it."""
    logs = [list(_session(board, starts(0))) for board in (first, second)]
    return len(logs[0]), logs[0] == logs[1]


def _session(board: ArmBoard, start: Start) -> Iterator[bytes]:
    """What each tick reported, and what it heard: which depends on what was said."""
    board.reset()
    virtual = start.virtual
    virtual.bus.faults.flips, virtual.bus.faults.noise = 0.002, 1.0
    if virtual.pads is not None:
        virtual.pads.faults.flips = 0.0005
    driver = Driver(virtual.arm, board, virtual)
    log: list[bytes] = []
    driver.told.append(lambda output: log.append(bytes(output) + driver.heard + driver.felt))
    start.watch(driver)
    try:
        start.take_over(driver)
        for goal in start.goals:
            driver.move_to(goal, SECONDS * GOALS / len(start.goals))
    except ArmStopped as reason:
        screen.say(str(reason))
    driver.relax()
    yield from log


def _faults(faults: tuple[ArmFault, ...], board: ArmBoard, starts: Starts, seeds: int, rate: int) -> Iterator[FaultRun]:
    with screen.bar("faults") as bar:
        for index, fault in enumerate(faults):
            bar.show(index / len(faults), fault.name)
            for seed in range(seeds):
                yield run_fault(fault, board, starts(seed), seed, rate)


def _show(faults: tuple[ArmFault, ...], found: list[FaultRun]) -> None:
    rows = []
    for fault in faults:
        runs = [each for each in found if each.fault == fault]
        spoke = [each.spoke_ms for each in runs if each.spoke_ms is not None]
        guards = ", ".join(guard.name for guard in fault.guards) or "-"
        passed = sum(each.passed for each in runs)
        rows.append(
            (fault.name, fault.what, fault.outcome, guards, f"{max(spoke)}" if spoke else "-", f"{passed}/{len(runs)}")
        )
    screen.table("faults", ("fault", "what", "outcome", "guard", "after at most [ms]", "passed"), rows)
    for each in found:
        if not each.passed:
            screen.say(f"{each.fault.name}, seed {each.seed}: {'; '.join(each.reasons)}")
