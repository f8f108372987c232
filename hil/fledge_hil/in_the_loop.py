"""The virtual Crazyflie's side of hardware in the loop: parameter `fledge.hil`, app channel, and the board's ticks.

The board does the work (firmware/hil); this guards the mode and carries packets. Motors stay off and nobody can arm
while a mode is chosen.
"""

from __future__ import annotations

from collections.abc import Callable

from fledge_hil.board import Board, BoardChannel, BoardInput, BoardOutput
from fledge_hil.crtp import Port, packet
from fledge_hil.estimate import Estimate
from fledge_hil.injection import REASONS, Mode, RefusalReason
from fledge_hil.link import APP_CHANNEL

US_PER_MS = 1000


class InTheLoop:
    """Modes of one board."""

    def __init__(self, board: Board, message: BoardInput, say: Callable[[str], None], inference_us: int) -> None:
        """`message`: the drone's own; what the board senses stays in it. `inference_us`: modelled, longest tick."""
        self.mode = Mode.OFF
        self._board, self._message, self._say = board, message, say
        self._channel = BoardChannel(inference_us=inference_us, tick_us=inference_us)

    def choose(self, value: float, *, armed: bool) -> Mode:
        """What `fledge.hil` becomes when a client writes `value`; a refusal says why on the console."""
        if value == self.mode:
            return self.mode
        if armed or value not in list(Mode):
            reason = RefusalReason.ARMED if armed else RefusalReason.WRONG_VALUE
            self._say(f"fledge: hil {value:g} refused: {REASONS[reason]}\n")
            return self.mode
        self.mode = Mode(int(value))
        self._board.set_mode(self.mode, self._message)
        self._say(f"fledge: hil {self.mode}: {'motors locked off' if self.mode else 'normal flight'}\n")
        return self.mode

    def receive(self, payload: bytes) -> list[bytes]:
        """Answers to one packet that can be given at once."""
        self._channel.put(payload)
        self._board.receive(self._channel)
        return [self._channel.packet] if self._channel.length else []

    def step(self, time_ms: int) -> tuple[BoardOutput, list[bytes]]:
        """One millisecond: the board's output with motors off, and what is sent now."""
        self._channel.now_us = time_ms * US_PER_MS & 0xFFFFFFFF
        output = self._board.step_in_loop(self._message, self._channel)
        answers = [packet(Port.PLATFORM, APP_CHANNEL, self._channel.packet)] if self._channel.length else []
        return output, answers

    def show(self, estimate: Estimate) -> None:
        """What the flight code senses is what the logs show."""
        if not self.mode:
            return
        flight = self._message.flight
        estimate.position_world = flight.position_world[:]
        estimate.velocity_world = flight.velocity_world[:]
        estimate.quaternion_xyzw = flight.quaternion_xyzw[:]
        estimate.gyro_deg_s = flight.gyro_deg_s[:]
