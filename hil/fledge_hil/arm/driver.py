"""Drives an arm: the firmware's C, a millisecond at a time, and a wire with servos at its end.

The same driver moves a virtual arm in lockstep (VirtualArm), and a real one by the wall clock (SerialWire).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from fledge_sim.arm import Arm
from fledge_sim.errors import FledgeError

from fledge_hil.arm.board import ArmBoard
from fledge_hil.arm.messages import GOAL_SIZE, ArmGuard, ArmInput, ArmMode, ArmOutput, Command, joints
from fledge_hil.arm.plant import Vector

START_S = 3.0
"""In which servos are found and set up; longer and something is wrong."""
STUCK_MS = 600
"""A reason that lasts so long while starting is told."""


class Wire(Protocol):
    """Servos behind something that carries bytes."""

    def tick(self, data: bytes) -> bytes:
        """One millisecond: what is said at its beginning, what has been heard by its end."""

    def felt(self) -> bytes:
        """What has come from the pads' board in that millisecond; nothing where there is none."""

    def lag_ms(self) -> int:
        """Milliseconds that got lost since the last call: the machine was busy."""


class ArmStopped(FledgeError):  # noqa: N818 - it is what happened, not a programming error
    """The arm does not do what it was told; the message says why."""


class Driver:
    """See the module's docstring."""

    def __init__(self, arm: Arm, board: ArmBoard, wire: Wire) -> None:
        """Nothing moves, and nothing is said, before the first tick."""
        self.arm, self.board, self.wire = arm, board, wire
        self.input = ArmInput()
        self.output = ArmOutput()
        self.told: list[Callable[[ArmOutput], None]] = []
        """Are called after each tick."""
        self.heard, self.felt = b"", b""
        """In the last tick, of servos and pads."""

    @property
    def position(self) -> Vector:
        """Sensed joints (joints,) [rad, m]."""
        return joints(self.output.position, len(self.arm.joints))

    @property
    def tip(self) -> Vector:
        """By the firmware's forward kinematics, (3,) [m]."""
        return np.array(self.output.tip_base, np.float64)

    @property
    def guard(self) -> ArmGuard:
        """Why the policy does not move the arm."""
        return ArmGuard(self.output.guard)

    def tick(self) -> ArmOutput:
        """One millisecond."""
        self.input.time_ms += 1 + self.wire.lag_ms()
        self.output, said = self.board.tick(self.input, self.heard, self.felt)
        self.heard = self.wire.tick(said)
        self.felt = self.wire.felt()
        for tell in self.told:
            tell(self.output)
        return self.output

    def run(self, seconds: float) -> ArmOutput:
        """So long."""
        for _ in range(round(seconds * 1000)):
            self.tick()
        return self.output

    def until(self, done: Callable[[ArmOutput], bool], seconds: float) -> bool:
        """Run until it is done, or so long; whether it was."""
        return any(done(self.tick()) for _ in range(round(seconds * 1000)))

    def aim(self, goal_base: Sequence[float]) -> None:
        """Where to: one place (3,) [m], or for a task of two places both (6,)."""
        if len(goal_base) not in (3, GOAL_SIZE):
            raise FledgeError(f"{len(goal_base)} numbers are no goal; give x, y, z of one place or of two")
        self.input.goal_base[: len(goal_base)] = list(goal_base)
        self.input.goal_age_ms = 0

    def hold(self) -> None:
        """Torque on, where the joints are; also releases what tripped. Raises ArmStopped if the servos forbid it."""
        self.input.command = Command.HOLD
        if not self.until(lambda o: o.mode == ArmMode.HOLDING and o.guard == ArmGuard.COMMAND, START_S):
            raise ArmStopped(f"the arm does not hold: {self.reason()}")

    def move_to(self, goal_base: Sequence[float], seconds: float) -> float:
        """Let the policy bring the tip to a goal for so long.

        Args:
            goal_base: (3,) [m]; of a task of two places (6,).
            seconds: of which the arm stays at the goal for what is left.
        Returns:
            Distance of tip and goal, or the first place, in the end [m].
        Raises:
            ArmStopped: a guard spoke; the arm holds or is relaxed.
        """
        self.aim(goal_base)
        self.input.command = Command.MOVE
        if self.until(lambda o: bool(o.guard_latched), seconds) or self.output.mode != ArmMode.MOVING:
            raise ArmStopped(f"the arm stopped moving: {self.reason()}")
        return float(np.linalg.norm(np.array(goal_base[:3]) - self.tip))

    def relax(self) -> None:
        """Torque off."""
        self.input.command = Command.RELAX
        self.run(0.05)

    def reason(self) -> str:
        """The guard in words."""
        joint, pad = self.arm.joints[self.output.culprit].name, PADS[min(self.output.culprit, 1)]
        return REASONS[self.guard].format(joint=joint, pad=pad)


PADS = ("fixed", "moving")
"""In the order of the contract's touch."""
REASONS = {
    ArmGuard.OK: "nothing is wrong",
    ArmGuard.COMMAND: "it was told so",
    ArmGuard.STARTING: "the servos are still being set up, or are being moved by hand",
    ArmGuard.MISSING: "the servo of {joint} does not answer; check its cable, its number and the supply",
    ArmGuard.MODEL: "the servo of {joint} is no STS3215, or has another number than it answers to",
    ArmGuard.SETTINGS: "the servo of {joint} does not take its settings; unplug it and try again",
    ArmGuard.BUS: "the servo of {joint} fell silent; check the cables",
    ArmGuard.HEAT: "the servo of {joint} is too hot; let it cool down",
    ArmGuard.HIGH: "the voltage at the servo of {joint} is too high; check the supply",
    ArmGuard.LOW: "the voltage at the servo of {joint} is too low; check the supply",
    ArmGuard.SERVO: "the servo of {joint} complains about its encoder or its current; replace it",
    ArmGuard.TORQUE: "the servo of {joint} lost its torque by itself; check the supply",
    ArmGuard.OVERLOAD: "the servo of {joint} strained for too long; look what it pushes against",
    ArmGuard.JUMP: "{joint} is where it cannot have come to; look at its horn and its encoder",
    ArmGuard.LIMIT: "{joint} is beyond its limits; move it back by hand, relaxed, or calibrate it",
    ArmGuard.SELF_TEST: "the policy's weights are damaged; build it again",
    ArmGuard.CALL_PERIOD: "the control loop was interrupted; leave the machine more time",
    ArmGuard.NOT_FINITE: "the goal is no usable number",
    ArmGuard.STALE: "the goal was not said again in time",
    ArmGuard.GOAL: "the goal is further from the tip than the policy was trained for",
    ArmGuard.VELOCITY: "{joint} turns faster than the policy was trained for",
    ArmGuard.STRETCH: "{joint} is further from its target than the policy was trained for",
    ArmGuard.ACTION: "the network answered something that is no number",
    ArmGuard.PADS: "the board of the finger pads fell silent, or what it says is damaged; check its cable",
    ArmGuard.PAD_STUCK: "the {pad} pad says the same numbers again and again; restart its board",
    ArmGuard.PAD_FULL: "the {pad} pad is at the end of its range, or has no readings; look what presses it",
}
