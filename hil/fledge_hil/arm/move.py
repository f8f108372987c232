"""Move an arm with a policy: a real one on a serial port, or a virtual one in this process.

The firmware's own C drives the bus: it looks for the servos, sets them up, holds the arm where it is, and lets the
policy bring the tip to one goal after the other; then it lets go. Whatever goes wrong, the arm holds or is let go, and
the reason is told. With --port virtual the servos are virtual, and the same seed gives the same figures; a policy of
another task than reach moves in episodes of it, with the scene and the finger pads of its training. Exit code 1 if a
goal was missed or no episode succeeded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from fledge_sim import policy as policy_file
from fledge_sim.arm import Arm
from fledge_sim.arm_trained import arm_of, feels
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import screen
from fledge_hil.arm.board import ArmBoard, EmulatedArmBoard, HostArmBoard, check_fits
from fledge_hil.arm.board_build import build_arm_board
from fledge_hil.arm.calibration import load_calibration
from fledge_hil.arm.driver import Driver, Wire
from fledge_hil.arm.episodes import Episode, fly
from fledge_hil.arm.messages import ArmCalibration
from fledge_hil.arm.mujoco_plant import MujocoPlant
from fledge_hil.arm.plant import Vector
from fledge_hil.arm.serial_wire import SerialWire
from fledge_hil.arm.serve import plant_of
from fledge_hil.arm.session import Attempt, check_task, draw_goals, visit
from fledge_hil.arm.starts import Stage, places, stage_of, task_of
from fledge_hil.arm.virtual_arm import VirtualArm

VIRTUAL = "virtual"
EPISODES = 10


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file of an arm, as written by `fledge train --task reach` (insertion, push) or `fledge export`."""
    port: str = VIRTUAL
    """Serial port of the servo adapter, such as /dev/ttyUSB0, or what `fledge arm sim` prints; virtual: none."""
    pads: str | None = None
    """Serial port of the finger pads' board, such as /dev/ttyUSB1, for a policy that feels; not for virtual servos."""
    robot: str | None = None
    """The arm's file, if it does not ship with fledge; default: the one that the policy names."""
    processor: Literal["host", "emulated"] = "host"
    """emulated: the Cortex-M4F image, for virtual servos. host: the same C on this machine."""
    goal: tuple[float, float, float] | None = None
    """Where the tip shall go, or where the hole's rim is: x forward, y left, z up, from the middle of the base on the
    table [m]; default: drawn."""
    goals: int = 5
    """How many are drawn."""
    episodes: int | None = None
    """Of the policy's own task, on virtual servos; default: 10, for reach goals instead."""
    seconds: float = 2.0
    """For each goal."""
    tolerance: float = 0.01
    """Nearer counts as reached [m]."""
    seed: int = 0
    """Of the goals, or the episodes."""
    calibration: Path | None = None
    """JSON with the encoders' zero and direction of each joint; default: 2048 and 1."""
    cache: Path = Path("build/boards")
    """Where compiled boards are kept."""


def run(options: Options) -> int:
    """Move, print, and let go on every way out."""
    policy = policy_file.load(options.policy)
    check_task(policy.contract)
    _check(options, policy.contract)
    arm = arm_of(policy.contract, options.robot)
    calibration = load_calibration(options.calibration, arm)
    if options.port == VIRTUAL and (options.episodes or task_of(policy.contract) != "reach"):
        return _fly(options, stage_of(policy.contract, options.robot), _board(options, policy, arm, calibration))
    goals = np.array([options.goal]) if options.goal else draw_goals(arm, options.goals, options.seed)
    with _wire(options, arm) as wire:
        driver = Driver(arm, _board(options, policy, arm, calibration), wire)
        driver.aim(goals[0].tolist())
        check_fits(arm, driver.tick(), policy.contract.hash32)
        attempts = _move(driver, goals, options)
    return _show(attempts, driver, options, task_of(policy.contract))


def _check(options: Options, contract: Contract) -> None:
    virtual, reaches = options.port == VIRTUAL, task_of(contract) == "reach"
    counts = (options.goals, 1 if options.episodes is None else options.episodes)
    if min(*counts, options.seconds, options.tolerance) <= 0:
        raise FledgeError("--goals, --episodes, --seconds, --tolerance must be positive; see `fledge arm run --help`")
    if not virtual and options.processor == "emulated":
        raise FledgeError("the emulated processor has no clock; it moves virtual servos only, so leave --port out")
    if options.pads is not None and (virtual or not feels(contract)):
        raise FledgeError(f"--pads is of no use {'to virtual servos' if virtual else 'to a policy without touch'}")
    if virtual and not reaches and options.goal:
        raise FledgeError("the episodes of this policy's task have their own places; leave --goal out")
    if virtual:
        return
    if options.episodes:
        raise FledgeError("episodes need a simulated scene, and real servos have none; leave --episodes or --port out")
    if places(contract) > 1:
        raise FledgeError("the policy has to see a block all the time and nobody looks; leave --port out")
    if feels(contract) and options.pads is None:
        raise FledgeError("the policy feels with finger pads; say where their board is: --pads /dev/ttyUSB1")
    if not reaches and not options.goal:
        raise FledgeError("say where the middle of the hole's rim is, as --goal X Y Z in metres from the arm's base")


def _fly(options: Options, stage: Stage, board: ArmBoard) -> int:
    """Episodes of the policy's task."""
    wanted, flown = options.episodes or EPISODES, list[Episode]()
    with screen.bar("episodes") as bar:
        for episode in fly(stage, board, wanted, options.seed):
            flown.append(episode)
            bar.show(len(flown) / wanted, f"{sum(each.success for each in flown)} of {len(flown)}")
    distances = 1000 * np.array([episode.distance for episode in flown])
    screen.say(f"away in the end: {np.median(distances):.1f} mm at the median, {distances.mean():.1f} on average")
    for reason, count in Counter(episode.stopped for episode in flown if episode.stopped).most_common():
        screen.say(f"{count} ended early: {reason}")
    succeeded = sum(episode.success for episode in flown)
    screen.say(f"{succeeded} of {wanted} episodes succeeded")
    return 0 if succeeded else 1


def _board(options: Options, policy: Policy, arm: Arm, calibration: ArmCalibration) -> ArmBoard:
    files = build_arm_board(policy, options.cache, arm)
    if options.processor == "emulated":
        return EmulatedArmBoard(files.elf, calibration)
    return HostArmBoard(files.library, calibration)


@contextmanager
def _wire(options: Options, arm: Arm) -> Iterator[Wire]:
    if options.port == VIRTUAL:
        yield VirtualArm(arm, plant_of(arm, "mujoco"), seed=options.seed)
        return
    with SerialWire(options.port, options.pads) as wire:
        yield wire


def _move(driver: Driver, goals: Vector, options: Options) -> list[Attempt]:
    plant = driver.wire.plant if isinstance(driver.wire, VirtualArm) else None
    true_tip = (lambda: plant.tip) if isinstance(plant, MujocoPlant) else None
    try:
        driver.hold()
        screen.say(f"{driver.arm.name} holds; {len(goals)} goals, {options.seconds:g} s each")
        return visit(driver, goals, options.seconds, options.tolerance, true_tip)
    finally:
        driver.relax()


def _show(attempts: list[Attempt], driver: Driver, options: Options, task: str) -> int:
    rows = [
        (
            ", ".join(f"{100 * x:.1f}" for x in attempt.goal),
            f"{1000 * attempt.distance:.1f}",
            "-" if attempt.true_distance is None else f"{1000 * attempt.true_distance:.1f}",
            "-" if attempt.arrived_s is None else f"{attempt.arrived_s:.2f}",
        )
        for attempt in attempts
    ]
    screen.table("goals", ("goal [cm]", "away, sensed [mm]", "away, true [mm]", "there after [s]"), rows)
    output = driver.output
    screen.say(
        f"{output.cycles} cycles of the bus, {output.retries} with a second question, "
        f"{output.wrong_checksums} wrong checksums, {output.inferences} inferences"
    )
    for attempt in attempts:
        if attempt.stopped:
            screen.say(attempt.stopped)
    if task != "reach":
        screen.say(f"{driver.output.pads_frames} frames of the pads; whether it succeeded is yours to see; relaxed")
        return int(any(attempt.stopped for attempt in attempts))
    reached = sum(attempt.best < options.tolerance and not attempt.stopped for attempt in attempts)
    wanted = 1 if options.goal else options.goals
    screen.say(f"{reached} of {wanted} goals reached within {1000 * options.tolerance:g} mm; the arm is relaxed")
    return 0 if reached == wanted else 1
