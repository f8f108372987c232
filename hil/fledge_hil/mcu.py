"""An STM32F405 in this process: loads an ELF, calls its functions, reads and writes its variables by name.

A Cortex-M4F with its floating-point unit, flash and RAM, no peripherals. Calls run at full speed: nothing is hooked
unless a trace or an alignment check is asked for. RAM starts as a pattern, as after power-up on the real part, so that
code which reads memory it never wrote is seen, and so that the depth of the stack can be read off.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fledge_export.image import FLASH, FLASH_SIZE, RAM, RAM_SIZE, THUMB, Image, load
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Float32
from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_BLOCK,
    UC_HOOK_MEM_INVALID,
    UC_HOOK_MEM_READ,
    UC_HOOK_MEM_WRITE,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_EXEC,
    UC_PROT_READ,
    Uc,
    UcError,
)
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
)

CCM, CCM_SIZE = 0x10000000, 64 << 10
SYSTEM_CONTROL = 0xE000E000
RETURN = 0x1FFF0000
"""A page of its own: a call has returned when execution arrives here."""
PAGE = 0x1000
PAINT = b"\xa5"
BOOT_TIMEOUT_US = 10_000_000
ARGUMENTS = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)

Trace = list[tuple[int, int]]
"""Blocks in order of execution: address and size [bytes]."""


class McuFault(FledgeError):
    """The program did what the processor refuses, or never came back."""


class Mcu:
    """One microcontroller with one program."""

    def __init__(self, elf: Path, ready: str = "ready") -> None:
        """Flash `elf` and power on. Raises ImageError, or McuFault if start-up never reaches the function `ready`."""
        self.image: Image = load(elf)
        self._ready = ready
        self._access: tuple[int, int] | None = None
        self.reset()

    def reset(self) -> None:
        """Power-on: memory as after flashing, start-up code run up to `ready`."""
        self._uc = self._powered()
        self._stack_top, entry = struct.unpack("<2I", self._uc.mem_read(FLASH, 8))
        goal = self.image.symbol(self._ready).address
        self._run(entry, goal, BOOT_TIMEOUT_US)
        if self._uc.reg_read(UC_ARM_REG_PC) & ~THUMB != goal:
            raise McuFault(f"start-up of {self.image.path} never reached '{self._ready}'; build the image again")

    def call(self, function: str, *arguments: int, timeout: float = 0.0) -> int:
        """Call a function with up to four integers or addresses.

        Args:
            function: its symbol.
            arguments: for R0 to R3.
            timeout: [s], wall-clock; 0: wait for ever, and 0.1 ms less to set up.
        Returns:
            R0.
        """
        address = self.image.symbol(function).address
        for register, value in zip(ARGUMENTS, arguments, strict=False):
            self._uc.reg_write(register, value)
        self._run(address, RETURN, int(timeout * 1e6))
        if timeout and self._uc.reg_read(UC_ARM_REG_PC) & ~THUMB != RETURN:
            raise McuFault(f"'{function}' did not return within {timeout} s; it was at {self._place()}")
        return int(self._uc.reg_read(UC_ARM_REG_R0))

    def trace(self, function: str, *arguments: int) -> Trace:
        """Call a function and list the blocks it ran through."""
        blocks: Trace = []
        with self._hooked(UC_HOOK_BLOCK, lambda _uc, address, size, _data: blocks.append((address, size))):
            self.call(function, *arguments)
        return [block for block in blocks if block[0] != RETURN]

    @contextmanager
    def checking_alignment(self) -> Iterator[None]:
        """Inside, an access that is not aligned to its size (at most a word) ends in a McuFault.

        The emulator itself lets every address pass, while the real processor faults on LDM, LDRD and VLDR.
        """
        found: list[str] = []

        def check(uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> None:
            if address % min(size, 4):
                found.append(f"{size} bytes at 0x{address:08x} from {self._place()}")
                uc.emu_stop()

        with self._hooked(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, check):
            yield
        if found:
            raise McuFault(f"unaligned access: {found[0]}; the real processor would fault")

    def address(self, variable: str) -> int:
        """Where a variable lies."""
        return self.image.symbol(variable).address

    def read(self, variable: str) -> bytes:
        """All bytes of a variable."""
        symbol = self.image.symbol(variable)
        return bytes(self._uc.mem_read(symbol.address, symbol.size))

    def write(self, variable: str, data: bytes) -> None:
        """Set the first bytes of a variable, in flash or RAM. Raises McuFault if it is shorter than `data`."""
        symbol = self.image.symbol(variable)
        if len(data) > symbol.size:
            raise McuFault(f"'{variable}' has {symbol.size} bytes, not {len(data)}; the image fits another policy")
        self._uc.mem_write(symbol.address, data)

    def read_floats(self, variable: str) -> Float32:
        """A variable as float32 numbers."""
        return np.frombuffer(self.read(variable), "<f4").astype(np.float32)

    def write_floats(self, variable: str, values: Float32) -> None:
        """Set the first numbers of an array of float."""
        self.write(variable, np.ascontiguousarray(values, "<f4").tobytes())

    def stack_used(self) -> int:
        """Deepest stack since power-on [bytes]: from the top down to the last word that is still painted."""
        start = max((s.address + s.size for s in self.image.symbols.values() if RAM <= s.address < self._stack_top))
        below = bytes(self._uc.mem_read(start, self._stack_top - start))
        return len(below.lstrip(PAINT))

    def _powered(self) -> Any:
        uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
        uc.mem_map(FLASH, FLASH_SIZE, UC_PROT_READ | UC_PROT_EXEC)
        for address, size in ((RAM, RAM_SIZE), (CCM, CCM_SIZE)):
            uc.mem_map(address, size)
            uc.mem_write(address, PAINT * size)
        uc.mem_map(SYSTEM_CONTROL, PAGE)
        uc.mem_map(RETURN, PAGE)
        for address, data in self.image.segments:
            uc.mem_write(address, data)
        uc.hook_add(UC_HOOK_MEM_INVALID, self._note_access)
        return uc

    def _note_access(self, _uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> bool:
        self._access = (address, size)
        return False

    def _run(self, start: int, end: int, timeout_us: int = 0) -> None:
        uc = self._uc
        uc.reg_write(UC_ARM_REG_SP, self._stack_top)
        uc.reg_write(UC_ARM_REG_LR, RETURN | THUMB)
        self._access = None
        try:
            uc.emu_start(start | THUMB, end, timeout_us)
        except UcError as error:
            what = "access to {1} bytes at 0x{0:08x}".format(*self._access) if self._access else str(error)
            raise McuFault(f"the processor stopped at {self._place()}: {what}") from error

    def _place(self) -> str:
        return self.image.function_at(self._uc.reg_read(UC_ARM_REG_PC) & ~THUMB)

    @contextmanager
    def _hooked(self, kind: int, callback: Any) -> Iterator[None]:
        """Code translated before a hook was set would run past it, so translations are dropped on both sides."""
        hook = self._uc.hook_add(kind, callback)
        self._uc.ctl_flush_tb()
        try:
            yield
        finally:
            self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()
