"""The board's Cortex-M4F image, run instruction by instruction in this process.

Link to the image: the variables `board_input` and `board_output`, and the functions `board_tick` and `ready`
(firmware/boards/cortex_m4/main.c). Nothing here knows the flight code.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from fledge_export.image import Image, ImageError
from fledge_sim.errors import FledgeError
from fledge_sim.rows import STATES

from fledge_hil.board_messages import BoardChannel, BoardInput, BoardOutput, StockGains, check_layout, layout
from fledge_hil.mcu import Mcu, McuFault

OUTPUT_SIZE = ctypes.sizeof(BoardOutput)


class EmulatedBoardError(FledgeError):
    """An image that is no board, or that crashed."""


class EmulatedBoard:
    """The ELF of build_board in an emulated Cortex-M4F."""

    def __init__(self, elf: Path | Image) -> None:
        """Load a BoardFiles.elf or BoardImage.image and power on. Raises EmulatedBoardError or BoardLayoutError."""
        try:
            self._mcu = Mcu(elf)
            self._tick = self._mcu.address("board_tick")
            self._input, self._output = self._mcu.address("board_input"), self._mcu.address("board_output")
            table = self._mcu.read_at(self._mcu.address("board_layout"), 4 * len(layout()))
        except (ImageError, McuFault) as error:
            raise EmulatedBoardError(str(error)) from error
        check_layout(list((ctypes.c_uint32 * len(layout())).from_buffer_copy(table)))

    def reset(self) -> None:
        """Power-on: memory as after flashing, start-up code and self-test run."""
        try:
            self._mcu.reset()
        except (ImageError, McuFault) as error:
            raise EmulatedBoardError(str(error)) from error

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""
        try:
            self._mcu.write_at(self._input, bytes(board_input))
            self._mcu.run(self._tick)
            return BoardOutput.from_buffer_copy(self._mcu.read_at(self._output, OUTPUT_SIZE))
        except (ImageError, McuFault) as error:
            raise EmulatedBoardError(str(error)) from error

    def tune(self, gains: StockGains) -> None:
        """See Board."""
        try:
            self._mcu.write("board_gains", bytes(gains))
            self._mcu.call("board_take_gains")
        except (ImageError, McuFault) as error:
            raise EmulatedBoardError(str(error)) from error

    def simulate(self, board_input: BoardInput, ticks: int) -> list[float]:
        """See Board."""
        try:
            self._mcu.write_at(self._input, bytes(board_input))
            self._mcu.call("board_simulate_ticks", ticks)
            ctypes.memmove(ctypes.byref(board_input), bytes(self._mcu.read("board_input")), ctypes.sizeof(BoardInput))
            return [float(value) for value in self._mcu.read_floats("board_plant")[:STATES]]
        except (ImageError, McuFault) as error:
            raise EmulatedBoardError(str(error)) from error

    def set_mode(self, mode: int, board_input: BoardInput) -> None:
        """See Board."""
        self._exchange(board_input, None, "board_choose_mode", mode)

    def receive(self, channel: BoardChannel) -> None:
        """See Board."""
        self._exchange(None, channel, "board_take_packet")

    def step_in_loop(self, board_input: BoardInput, channel: BoardChannel) -> BoardOutput:
        """See Board."""
        self._exchange(board_input, channel, "board_tick_in_loop")
        return BoardOutput.from_buffer_copy(self._mcu.read_at(self._output, OUTPUT_SIZE))

    def _exchange(
        self, board_input: BoardInput | None, channel: BoardChannel | None, function: str, *arguments: int
    ) -> None:
        """Write what is given, call, and read it back."""
        mirrored = {"board_input": board_input, "board_channel": channel}
        given = {name: message for name, message in mirrored.items() if message is not None}
        try:
            for name, message in given.items():
                self._mcu.write(name, bytes(message))
            self._mcu.call(function, *arguments)
            for name, message in given.items():
                ctypes.memmove(ctypes.byref(message), self._mcu.read(name), ctypes.sizeof(message))
        except (ImageError, McuFault) as error:
            raise EmulatedBoardError(str(error)) from error
