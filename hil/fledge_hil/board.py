"""The board: flight code, policy and stock controller, one call per millisecond; emulated, or compiled for the host.

Both classes have the same `tick` and `reset`, and give the same bits: EmulatedBoard runs the very image of the
Cortex-M4F, HostBoard the same C sources in this process, several times as fast.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Protocol

from fledge_sim.rows import PARAMETERS, STATES

from fledge_hil.board_build import BoardFiles, build_board
from fledge_hil.board_emulated import EmulatedBoard
from fledge_hil.board_messages import (
    BoardInput,
    BoardOutput,
    Failsafe,
    Guard,
    Reference,
    SetpointMode,
    check_layout,
    layout,
)

__all__ = [
    "Board",
    "BoardFiles",
    "BoardInput",
    "BoardOutput",
    "EmulatedBoard",
    "Failsafe",
    "Guard",
    "HostBoard",
    "Reference",
    "SetpointMode",
    "build_board",
]


class Board(Protocol):
    """What a virtual Crazyflie needs."""

    def reset(self) -> None:
        """Power-on: state cleared, self-test run."""

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""

    def simulate(self, board_input: BoardInput, ticks: int) -> list[float]:
        """So many milliseconds in which the board flies its own plant: simulation in hardware.

        Args:
            board_input: set-point and parameters; its clock and state are advanced.
            ticks: milliseconds.
        Returns:
            The plant's state, rows of fledge_sim.rows.State; it starts at rest on the floor and is kept between calls.
        """


class HostBoard:
    """The board's C sources as a shared library; every instance has its own state."""

    def __init__(self, library: Path) -> None:
        """Load `library` (BoardFiles.library) and power on. Raises BoardLayoutError if it is of other sources."""
        self._library = ctypes.CDLL(str(library))
        check_layout(list((ctypes.c_uint32 * len(layout())).in_dll(self._library, "board_layout")))
        self._step = self._library.board_step
        self._start = self._library.board_start
        self._step.argtypes = [ctypes.c_void_p, ctypes.POINTER(BoardInput), ctypes.POINTER(BoardOutput)]
        self._start.argtypes = [ctypes.c_void_p]
        self._step.restype = self._start.restype = None
        self._simulate = self._library.board_simulate
        self._simulate.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_uint32]
        self._simulate.restype = self._library.plant_init.restype = None
        self._plant = (ctypes.c_float * (STATES + PARAMETERS))()
        words = -(-int(self._library.board_size()) // ctypes.sizeof(ctypes.c_uint64))
        self._state = (ctypes.c_uint64 * words)()
        self.reset()

    def reset(self) -> None:
        """Power-on: state cleared, self-test run."""
        self._start(ctypes.byref(self._state))
        self._library.plant_init(ctypes.byref(self._plant))

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""
        output = BoardOutput()
        self._step(ctypes.byref(self._state), ctypes.byref(board_input), ctypes.byref(output))
        return output

    def simulate(self, board_input: BoardInput, ticks: int) -> list[float]:
        """See Board."""
        output = BoardOutput()
        self._simulate(*(ctypes.byref(place) for place in (self._state, self._plant, board_input, output)), ticks)
        return list(self._plant[:STATES])
