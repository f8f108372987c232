"""The board's Cortex-M4F image, run instruction by instruction in this process.

Link to the image: the variables `board_input` and `board_output`, and the functions `board_tick` and `ready`
(firmware/boards/cortex_m4/main.c). Nothing here knows the flight code.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from fledge_sim.errors import FledgeError
from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, UcError
from unicorn.arm_const import UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_SP, UC_CPU_ARM_CORTEX_M4

from fledge_hil.board_messages import BoardInput, BoardOutput, check_layout, layout

FLASH, RAM, SYSTEM, RETURN = 0x08000000, 0x20000000, 0xE000E000, 0x1FFF0000
MEMORY = ((FLASH, 1 << 20), (RAM, 128 << 10), (SYSTEM, 1 << 12), (RETURN, 1 << 12))
"""Address and bytes: flash and RAM of the STM32F405, system control block, a page to return to."""
THUMB = 1
BOOT_TIMEOUT_US = 10_000_000


class EmulatedBoardError(FledgeError):
    """An image that is no board, or that crashed."""


class EmulatedBoard:
    """The ELF of build_board in an emulated Cortex-M4F."""

    def __init__(self, elf: Path) -> None:
        """Load `elf` (BoardFiles.elf) and power on. Raises EmulatedBoardError or BoardLayoutError."""
        self._segments, symbols = _read(elf)
        try:
            self._tick, self._ready = symbols["board_tick"], symbols["ready"]
            self._input, self._output = symbols["board_input"], symbols["board_output"]
            self._table = symbols["board_layout"]
        except KeyError as error:
            raise EmulatedBoardError(f"{elf} has no symbol {error}; build it with fledge's build_board") from error
        self.reset()
        words = ctypes.c_uint32 * len(layout())
        check_layout(list(words.from_buffer_copy(self._uc.mem_read(self._table, ctypes.sizeof(words)))))

    def reset(self) -> None:
        """Power-on: memory as after flashing, start-up code and self-test run."""
        self._uc = _processor(self._segments)
        vectors = (ctypes.c_uint32 * 2).from_buffer_copy(self._uc.mem_read(FLASH, 8))
        self._stack, entry = int(vectors[0]), int(vectors[1])
        self._run(entry, self._ready, BOOT_TIMEOUT_US)
        if self._uc.reg_read(UC_ARM_REG_PC) & ~THUMB != self._ready & ~THUMB:
            raise EmulatedBoardError("the image did not finish its start-up; build it again")

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""
        self._uc.mem_write(self._input, bytes(board_input))
        self._run(self._tick, RETURN)
        return BoardOutput.from_buffer_copy(self._uc.mem_read(self._output, ctypes.sizeof(BoardOutput)))

    def _run(self, start: int, end: int, timeout_us: int = 0) -> None:
        self._uc.reg_write(UC_ARM_REG_SP, self._stack)
        self._uc.reg_write(UC_ARM_REG_LR, RETURN | THUMB)
        try:
            self._uc.emu_start(start | THUMB, end & ~THUMB, timeout_us)
        except UcError as error:
            place = self._uc.reg_read(UC_ARM_REG_PC)
            raise EmulatedBoardError(f"the emulated processor stopped at 0x{place:08x}: {error}") from error


def _read(elf: Path) -> tuple[list[tuple[int, bytes]], dict[str, int]]:
    """Segments as (load address, bytes), and addresses of the symbols."""
    try:
        with elf.open("rb") as stream:
            image = ELFFile(stream)
            segments = [(s["p_paddr"], s.data()) for s in image.iter_segments() if s["p_type"] == "PT_LOAD"]
            table: Any = image.get_section_by_name(".symtab")
            symbols = {symbol.name: int(symbol["st_value"]) for symbol in table.iter_symbols()} if table else {}
    except (OSError, ELFError) as error:
        raise EmulatedBoardError(f"{elf} cannot be read as an ELF image ({error}); build it again") from error
    return [(address, data) for address, data in segments if data], symbols


def _processor(segments: list[tuple[int, bytes]]) -> Uc:
    processor = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    processor.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
    for address, size in MEMORY:
        processor.mem_map(address, size)
    for address, data in segments:
        processor.mem_write(address, data)
    return processor
