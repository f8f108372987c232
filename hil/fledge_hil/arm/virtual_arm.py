"""Six virtual servos, their wire and what they move, in one time: an arm that a master can talk to.

Lockstep: `tick` takes what the master sends at the beginning of a millisecond and gives what it hears by its end; the
same calls give the same bytes. pseudo_terminal.py puts it behind a serial port.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fledge_sim.arm import Arm

from fledge_hil.arm.plant import JointPlant, Plant, Vector
from fledge_hil.arm.servo_bus import ServoBus
from fledge_hil.arm.virtual_pads import VirtualPads
from fledge_hil.arm.virtual_servo import VirtualServo

TICK_US = 1000
STEP = TICK_US * 1e-6
"""[s]"""


class VirtualArm:
    """See the module's docstring."""

    def __init__(
        self,
        arm: Arm,
        plant: Plant | None = None,
        *,
        echo: bool = False,
        seed: int = 0,
        pads: VirtualPads | None = None,
        hand: Callable[[], None] | None = None,
    ) -> None:
        """Powered, at rest, without torque.

        Args:
            arm: gives the servos their constants and numbers.
            plant: what they move; default: joints without a body.
            echo: the master hears its own bytes.
            seed: of faults of the wire.
            pads: on its fingers; default: none.
            hand: holds the arm until all servos have torque, and is called then; default: none does.
        """
        self.arm, self.pads, self._hand = arm, pads, hand
        self.plant: Plant = plant or JointPlant(arm)
        self.servos = tuple(VirtualServo(arm.servo, joint.servo_id) for joint in arm.joints)
        self.bus = ServoBus(self.servos, echo=echo, seed=seed)
        self.time_us = 0
        self._felt = b""
        self._travel = np.array([joint.travel for joint in arm.joints])
        self._move(0.0)

    @property
    def horns(self) -> Vector:
        """Angles of the servos (joints,) [rad]."""
        angles: Vector = self.plant.position / self._travel
        return angles

    def send(self, data: bytes, now_us: float) -> None:
        """The master's bytes."""
        self.bus.send(data, now_us)

    def advance(self) -> None:
        """One millisecond of the mechanics."""
        self._move(STEP)
        self.time_us += TICK_US
        if self.pads is not None:
            self._felt += self.pads.tick()

    def tick(self, data: bytes) -> bytes:
        """One millisecond of everything: what the master sends at its beginning, what has arrived by its end."""
        if data:
            self.bus.send(data, self.time_us)
        self.advance()
        return self.bus.receive(self.time_us)

    def felt(self) -> bytes:
        """What the pads' board has said since the last call."""
        felt, self._felt = self._felt, b""
        return felt

    def lag_ms(self) -> int:
        """Its time is that of its ticks."""
        return 0

    def _move(self, seconds: float) -> None:
        horns, turning = self.horns, self.plant.velocity / self._travel
        torque = [
            servo.step(float(angle), float(rate), seconds)
            for servo, angle, rate in zip(self.servos, horns, turning, strict=True)
        ]
        if self._hand is not None and all(servo.torque_enabled for servo in self.servos):
            self._hand()
            self._hand = None
        if seconds:
            self.plant.step(np.array(torque), seconds)
