"""A virtual Crazyflie that can be broken while it flies: senses, motors, battery, processor, link.

Everything else is the virtual drone as it is; without impairments it gives the same bytes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fledge_sim.contract import Contract
from fledge_sim.robot import Robot

from fledge_hil.board import Board, BoardInput, BoardOutput
from fledge_hil.lossy_link import LinkFaults, LossyLink
from fledge_hil.virtual import Settings, VirtualCrazyflie

Vector = tuple[float, float, float]
NOTHING: Vector = (0.0, 0.0, 0.0)


@dataclass
class Impairments:
    """What is broken now."""

    position_offset: Vector = NOTHING
    """Added to the estimate [m, world]."""
    velocity_offset: Vector = NOTHING
    """Added to the estimate [m/s, world]."""
    gyro_offset_deg_s: Vector = NOTHING
    """Added to the gyro [deg/s, body]."""
    gyro_nan: bool = False
    delay_ms: int = 0
    """The estimate, gyro included, is that of so many milliseconds ago."""
    overrun_ms: int = 0
    """The controller task is late: not called for so many milliseconds, the motors keep their command; counts down."""
    overrun_every_ms: int = 0
    """It is late by 3 ms, once in so many milliseconds; 0: never."""


_OVERRUN = 3
"""[ms] of `overrun_every_ms`."""


class ImpairedBoard:
    """A board whose task comes late."""

    def __init__(self, board: Board, impairments: Impairments) -> None:
        self._board, self._impairments = board, impairments
        self._last: BoardOutput | None = None

    def reset(self) -> None:
        """See Board."""
        self._board.reset()

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """See Board."""
        faults = self._impairments
        if faults.overrun_every_ms and board_input.flight.time_ms % faults.overrun_every_ms == 0:
            faults.overrun_ms = _OVERRUN
        if faults.overrun_ms > 0 and self._last is not None:
            faults.overrun_ms -= 1
            return self._last
        self._last = self._board.tick(board_input)
        return self._last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)


class ImpairedCrazyflie(VirtualCrazyflie):
    """See the module's docstring."""

    def __init__(self, robot: Robot, contract: Contract, board: Board, settings: Settings | None = None) -> None:
        self.impairments, self.link_faults = Impairments(), LinkFaults()
        self._past: deque[tuple[list[float], ...]] = deque(maxlen=64)
        seed = (settings or Settings()).seed
        self._up, self._down = LossyLink(self.link_faults, 2 * seed), LossyLink(self.link_faults, 2 * seed + 1)
        self._agenda: list[tuple[int, Callable[[], None]]] = []
        super().__init__(robot, contract, ImpairedBoard(board, self.impairments), settings)

    def schedule(self, in_ms: int, action: Callable[[], None]) -> None:
        """Do something so many milliseconds from now."""
        self._agenda.append((self.time_ms + in_ms, action))

    def handle_packet(self, datagram: bytes) -> list[bytes]:
        """See VirtualCrazyflie; over a bad link the answers come with `step_ms`."""
        if not self.link_faults.any:
            return super().handle_packet(datagram)
        self._up.put(datagram, self.time_ms)
        return []

    def step_ms(self) -> list[bytes]:
        """See VirtualCrazyflie."""
        for due_ms, action in [entry for entry in self._agenda if entry[0] <= self.time_ms]:
            self._agenda.remove((due_ms, action))
            action()
        packets = super().step_ms()
        for datagram in self._up.take(self.time_ms):
            packets += super().handle_packet(datagram)
        if self.link_faults.any:
            for datagram in packets:
                self._down.put(datagram, self.time_ms)
            packets = []
        return self._down.take(self.time_ms) + packets

    def _apply_faults(self) -> None:
        self._impair()
        super()._apply_faults()

    def _impair(self) -> None:
        estimate, faults = self.plant.estimate, self.impairments
        self._past.append(
            (estimate.position_world, estimate.velocity_world, estimate.quaternion_xyzw, estimate.gyro_deg_s)
        )
        if faults.delay_ms:
            old = self._past[-1 - min(faults.delay_ms, len(self._past) - 1)]
            estimate.position_world, estimate.velocity_world, estimate.quaternion_xyzw, estimate.gyro_deg_s = old
        if faults.position_offset is not NOTHING:
            estimate.position_world = _sum(estimate.position_world, faults.position_offset)
        if faults.velocity_offset is not NOTHING:
            estimate.velocity_world = _sum(estimate.velocity_world, faults.velocity_offset)
        if faults.gyro_offset_deg_s is not NOTHING:
            estimate.gyro_deg_s = _sum(estimate.gyro_deg_s, faults.gyro_offset_deg_s)
        if faults.gyro_nan:
            estimate.gyro_deg_s = [math.nan] * 3


def _sum(values: list[float], offset: Vector) -> list[float]:
    return [value + more for value, more in zip(values, offset, strict=True)]
