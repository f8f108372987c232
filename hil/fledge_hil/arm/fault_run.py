"""One fault on one arm: start, let the policy move, break, watch; and what is wrong with what happened.

All runs are in lockstep: fault, policy and seed decide everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from fledge_sim.errors import FledgeError

from fledge_hil.arm.board import ArmBoard
from fledge_hil.arm.driver import Driver
from fledge_hil.arm.faults import ArmFault, Scene
from fledge_hil.arm.feetech import from_word
from fledge_hil.arm.messages import ArmGuard, ArmMode, ArmOutput, Command
from fledge_hil.arm.registers import COUNTS, Register
from fledge_hil.arm.starts import Start
from fledge_hil.arm.virtual_arm import VirtualArm

MOVING_S = 0.25
"""Of motion before the fault."""
AFTER_MS = {"lets go": 650, "waits": 200}
"""Watched after the guard has spoken, or should not have; other outcomes: OTHERWISE_MS."""
OTHERWISE_MS = 400
HOLD_MS = 500
"""ARM_HOLD_MS: how long an arm holds that then lets go."""
ONSET_COUNTS = 24
"""0.037 rad: what a joint and its goal may differ by when torque comes on, or a goal goes where the joint is."""
SPEED_SHARE = 1.4
"""Of the servo's own speed: no joint with torque may be faster."""


@dataclass
class JumpWatch:
    """Looks at the servos themselves, every millisecond."""

    virtual: VirtualArm
    slew_counts: float
    """Largest step of a goal."""
    found: set[str] = field(default_factory=set)
    torque_seen: bool = False
    _before: dict[int, tuple[int, bool]] = field(default_factory=dict)

    def look(self, _: ArmOutput) -> None:
        """After a tick."""
        for joint, servo in zip(self.virtual.arm.joints, self.virtual.servos, strict=True):
            goal, torque = from_word(servo.get(Register.GOAL_POSITION)), servo.torque_enabled
            goal_before, torque_before = self._before.get(servo.id, (0, False))
            if (goal, torque) == (goal_before, torque_before):
                continue
            self._before[servo.id] = goal, torque
            self.torque_seen |= torque
            servo.read(Register.PRESENT_POSITION, 2)
            away = abs(goal - from_word(servo.get(Register.PRESENT_POSITION)))
            if torque and not torque_before and away > ONSET_COUNTS:
                self.found.add(f"torque came on at {joint.name} {away} counts from its goal")
            if torque and torque_before and abs(goal - goal_before) > self.slew_counts and away > ONSET_COUNTS:
                self.found.add(f"the goal of {joint.name} jumped by {abs(goal - goal_before)} counts")
        speeds = np.abs(self.virtual.plant.velocity[[servo.torque_enabled for servo in self.virtual.servos]])
        if speeds.size and speeds.max() > SPEED_SHARE * self.virtual.arm.servo.setpoint_speed:
            self.found.add(f"a joint turned at {speeds.max():.1f} rad/s")


@dataclass(frozen=True)
class FaultRun:
    """What came of it."""

    fault: ArmFault
    seed: int
    guard: ArmGuard
    spoke_ms: int | None
    """From the fault to the first guard."""
    mode: ArmMode
    """In the end."""
    reasons: tuple[str, ...]
    """Why it failed; empty: passed."""

    @property
    def passed(self) -> bool:
        """Everything happened as the row says."""
        return not self.reasons


def run(fault: ArmFault, board: ArmBoard, start: Start, seed: int, rate: int = 50) -> FaultRun:
    """One run.

    Args:
        fault: row.
        board: with a policy; it is reset.
        start: of the arm; its first goal counts.
        seed: of the joint.
        rate: of the policy [Hz].
    """
    board.reset()
    virtual, arm = start.virtual, start.virtual.arm
    driver = Driver(arm, board, virtual)
    scene = Scene(virtual, driver, int(np.random.default_rng(seed).integers(len(arm.joints))))
    watch = JumpWatch(virtual, arm.servo.setpoint_speed / rate / (2 * np.pi) * COUNTS + 1)
    driver.told.append(watch.look)
    driver.aim(start.goals[0])
    driver.input.command = Command.HOLD
    if fault.when == "moving":
        start.take_over(driver)
        driver.input.command = Command.MOVE
        driver.run(MOVING_S)
        if driver.output.mode != ArmMode.MOVING:
            raise FledgeError(f"the arm did not even move without a fault: {driver.reason()}")
    return _break(fault, scene, watch, seed)


def _break(fault: ArmFault, scene: Scene, watch: JumpWatch, seed: int) -> FaultRun:
    driver = scene.driver
    fault.inject(scene)
    spoke: int | None = None
    modes: list[ArmMode] = []
    after = AFTER_MS.get(fault.outcome, OTHERWISE_MS)
    for ms in range(after + fault.within_ms):
        if fault.mend is not None and ms == round(fault.seconds * 1000):
            fault.mend(scene)
        output = driver.tick()
        if spoke is None and _speaks(fault, ArmGuard(output.guard)):
            spoke = ms
        if spoke is not None and ms - spoke > after:
            break
        modes.append(ArmMode(output.mode))
    reasons = sorted(watch.found) + _reasons(fault, scene, watch, spoke, modes)
    return FaultRun(fault, seed, driver.guard, spoke, modes[-1], tuple(reasons))


def _speaks(fault: ArmFault, guard: ArmGuard) -> bool:
    if fault.when == "before":
        return guard in fault.guards
    return guard != ArmGuard.OK


def _reasons(fault: ArmFault, scene: Scene, watch: JumpWatch, spoke: int | None, modes: Sequence[ArmMode]) -> list[str]:
    """What is not as the row says."""
    guard = scene.driver.guard
    if fault.outcome == "moves on":
        return [] if spoke is None and modes[-1] == ArmMode.MOVING else [f"it stopped: {guard.name}"]
    if fault.outcome == "contained" and spoke is None and modes[-1] == ArmMode.MOVING:
        return []
    if spoke is None:
        return ["no guard spoke"]
    found = []
    if spoke > fault.within_ms:
        found.append(f"the guard spoke after {spoke} ms instead of {fault.within_ms}")
    if guard not in fault.guards:
        found.append(f"the guard said {guard.name}")
    if fault.outcome == "waits":
        return found + (["a servo had torque"] if watch.torque_seen else [])
    held = sum(mode == ArmMode.HOLDING for mode in modes[spoke:])
    on = any(servo.torque_enabled for servo in scene.virtual.servos)
    if fault.outcome == "holds" and (modes[-1] != ArmMode.HOLDING or not on):
        found.append(f"it is {modes[-1].name} instead of HOLDING")
    if fault.outcome in ("lets go", "relaxes"):
        expected = HOLD_MS if fault.outcome == "lets go" else 0
        if modes[-1] != ArmMode.RELAXED or abs(held - expected) > 60:
            found.append(f"it held for {held} ms and is {modes[-1].name}")
        if on and not scene.virtual.bus.faults.deaf and not scene.virtual.bus.faults.silent:
            found.append("a servo kept its torque")
    return found
