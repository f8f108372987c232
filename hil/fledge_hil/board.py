"""The board: flight code, policy and stock controller, one call per millisecond; emulated, or compiled for the host.

Both classes have the same `tick` and `reset`, and give the same bits: EmulatedBoard runs the very image of the
Cortex-M4F, HostBoard the same C sources in this process, several times as fast.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from fledge_sim.rows import PARAMETERS, STATES

from fledge_hil.board_build import BoardFiles, build_board
from fledge_hil.board_emulated import EmulatedBoard
from fledge_hil.board_messages import (
    BoardChannel,
    BoardInput,
    BoardOutput,
    Failsafe,
    Guard,
    Reference,
    SetpointMode,
    StockGains,
    check_layout,
    layout,
)

__all__ = [
    "Board",
    "BoardChannel",
    "BoardFiles",
    "BoardInput",
    "BoardOutput",
    "EmulatedBoard",
    "Failsafe",
    "Guard",
    "HostBoard",
    "Reference",
    "SetpointMode",
    "StockGains",
    "build_board",
]


class Board(Protocol):
    """What a virtual Crazyflie needs."""

    def reset(self) -> None:
        """Power-on: state cleared, self-test run."""

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""

    def tune(self, gains: StockGains) -> None:
        """Gains of the stock controller from now on, until power-on."""

    def simulate(self, board_input: BoardInput, ticks: int) -> list[float]:
        """So many milliseconds in which the board flies its own plant: simulation in hardware.

        Args:
            board_input: set-point and parameters; its clock and state are advanced.
            ticks: milliseconds.
        Returns:
            The plant's state, rows of fledge_sim.rows.State; it starts at rest on the floor and is kept between calls.
        """

    def set_mode(self, mode: int, board_input: BoardInput) -> None:
        """Hardware in the loop, injection.Mode: what the board senses from now on. Its policy starts afresh."""

    def receive(self, channel: BoardChannel) -> None:
        """Hand over the packet in `channel`, which then holds what is answered at once."""

    def step_in_loop(self, board_input: BoardInput, channel: BoardChannel) -> BoardOutput:
        """One millisecond in such a mode, with motors off; `channel` then holds an answer, or nothing.

        Args:
            board_input: parameters; state, set-point and clock are filled in.
            channel: clock and modelled times of this tick.
        """


class HostBoard:
    """The board's C sources as a shared library; every instance has its own state."""

    def __init__(self, library: Path) -> None:
        """Load `library` (BoardFiles.library) and power on. Raises BoardLayoutError if it is of other sources."""
        self._library = ctypes.CDLL(str(library))
        check_layout(list((ctypes.c_uint32 * len(layout())).in_dll(self._library, "board_layout")))
        self._step = self._prototype("board_step", 3)
        self._start = self._prototype("board_start", 1)
        self._simulate = self._prototype("board_simulate", 4, ctypes.c_uint32)
        self._tune = self._prototype("board_tune", 2)
        self._sent = self._prototype("flight_sent", 2)
        self._set_mode = self._prototype("in_loop_set_mode", 4, ctypes.c_uint32)
        self._receive = self._prototype("in_loop_receive", 2)
        self._step_in_loop = self._prototype("in_loop_step", 6)
        self._plant = (ctypes.c_float * (STATES + PARAMETERS))()
        self._state = self._words("board_size")
        self._injection = self._words("in_loop_size")
        self._output = BoardOutput()
        self.reset()

    def _prototype(self, function: str, pointers: int, *rest: type[ctypes.c_uint32]) -> Callable[..., None]:
        found = self._library[function]
        found.argtypes, found.restype = [ctypes.c_void_p] * pointers + list(rest), None
        return found

    def _words(self, size_of: str) -> ctypes.Array[ctypes.c_uint64]:
        """Room for a struct whose size its C function tells."""
        return (ctypes.c_uint64 * -(-int(self._library[size_of]()) // 8))()

    def reset(self) -> None:
        """Power-on: state cleared, self-test run."""
        self._start(ctypes.byref(self._state))
        self._prototype("plant_init", 1)(ctypes.byref(self._plant))
        self._prototype("injection_init", 1)(ctypes.byref(self._injection))

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""
        output = BoardOutput()
        self._step(ctypes.byref(self._state), ctypes.byref(board_input), ctypes.byref(output))
        return output

    def tune(self, gains: StockGains) -> None:
        """See Board."""
        self._tune(ctypes.byref(self._state), ctypes.byref(gains))

    def sent(self, motor_fraction: Sequence[float]) -> None:
        """Another controller than the board's had the motors in the last tick: what it sent, M1..M4 [1]."""
        self._sent(ctypes.byref(self._state), (ctypes.c_float * 4)(*motor_fraction))

    def simulate(self, board_input: BoardInput, ticks: int) -> list[float]:
        """See Board."""
        output = BoardOutput()
        self._simulate(*(ctypes.byref(place) for place in (self._state, self._plant, board_input, output)), ticks)
        return list(self._plant[:STATES])

    def set_mode(self, mode: int, board_input: BoardInput) -> None:
        """See Board."""
        places = (self._state, self._injection, board_input, self._output)
        self._set_mode(*(ctypes.byref(place) for place in places), mode)

    def receive(self, channel: BoardChannel) -> None:
        """See Board."""
        self._receive(ctypes.byref(self._injection), ctypes.byref(channel))

    def step_in_loop(self, board_input: BoardInput, channel: BoardChannel) -> BoardOutput:
        """See Board."""
        places = (self._state, self._injection, self._plant, board_input, self._output, channel)
        self._step_in_loop(*(ctypes.byref(place) for place in places))
        return BoardOutput.from_buffer_copy(self._output)
