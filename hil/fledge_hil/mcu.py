"""An STM32F405 in this process: loads an ELF, calls its functions, reads and writes its variables by name.

A Cortex-M4F with its floating-point unit, flash and RAM, no peripherals, no interrupts. Calls run at full speed:
nothing is hooked unless a trace or an alignment check is asked for. RAM starts as a pattern, as after power-up on the
real part, so that code which reads memory it never wrote is seen, and so that the depth of the stack can be read off.
It is stricter than the chip where that finds mistakes: flash cannot be written, and address 0 is not mapped, so that a
null pointer faults. It is laxer in one place: the floating-point unit is always on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fledge_export import taint
from fledge_export.image import FLASH, FLASH_SIZE, RAM, RAM_SIZE, THUMB, Image, load
from fledge_export.taint import CCM, CCM_SIZE, Execution
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Float32
from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_MEM_INVALID,
    UC_HOOK_MEM_READ,
    UC_HOOK_MEM_WRITE,
    UC_MEM_WRITE,
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

SYSTEM_CONTROL = 0xE000E000
RETURN = 0x1FFF0000
"""A page of its own: a call has returned when execution arrives here."""
PAGE = 0x1000
PAINT = b"\xa5"
BOOT_TIMEOUT_US = 10_000_000
ARGUMENTS = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)

TRACE_TIMEOUT = 60.0
"""[s]"""


class McuFault(FledgeError):  # noqa: N818 - the processor's own word for it
    """The program did what the processor refuses, or never came back."""

    def __init__(self, message: str, address: int | None = None) -> None:
        super().__init__(message)
        self.address = address
        """Of the data or code it must not touch; None for any other reason."""


@dataclass
class Trace:
    """What one call did, in order of execution: address and size [bytes] each."""

    blocks: list[tuple[int, int]] = field(default_factory=list)
    """Runs of instructions without a jump inside."""
    flash_reads: list[tuple[int, int]] = field(default_factory=list)
    """Loads of constants, those between the instructions included."""


class Mcu:
    """One microcontroller with one program."""

    def __init__(self, elf: Path | Image, ready: str | None = "ready") -> None:
        """Flash `elf`, a file or what was read of one, and power on.

        Raises ImageError, or McuFault if start-up never reaches the function `ready`.

        None: its start-up, which would need peripherals, does not run: RAM is as after power-up, the stack in CCM.
        """
        self.image = load(elf) if isinstance(elf, Path) else elf
        self._ready = ready
        self._fault: tuple[str, int] | None = None
        self.reset()

    def reset(self) -> None:
        """Power-on: memory as after flashing, start-up code run up to `ready`."""
        self._uc = self._powered()
        if self._ready is None:
            self._stack_top = CCM + CCM_SIZE
            self._uc.reg_write(UC_ARM_REG_SP, self._stack_top)
            return
        goal = self.image.symbol(self._ready).address
        self._stack_top, entry = struct.unpack("<2I", self._uc.mem_read(FLASH, 8))
        self._uc.reg_write(UC_ARM_REG_SP, self._stack_top)
        self._execute(entry, goal, BOOT_TIMEOUT_US)
        self._uc.reg_write(UC_ARM_REG_SP, self._stack_top)

    def call(self, function: str, *arguments: int, timeout: float = 0.0) -> int:
        """Call a function with up to four integers or addresses.

        Args:
            function: its symbol.
            arguments: for R0 to R3.
            timeout: [s], wall-clock; 0: wait for ever, and 0.1 ms less to set up.
        Returns:
            R0.
        """
        self.run(self.address(function), *arguments, timeout=timeout)
        return int(self._uc.reg_read(UC_ARM_REG_R0))

    def run(self, address: int, *arguments: int, timeout: float = 0.0) -> None:
        """As `call`, for the function at an address and without its result: as fast as it gets."""
        for register, value in zip(ARGUMENTS[: len(arguments)], arguments, strict=True):
            self._uc.reg_write(register, value)
        self._uc.reg_write(UC_ARM_REG_LR, RETURN | THUMB)
        self._execute(address, RETURN, int(timeout * 1e6))

    def trace(self, function: str, *arguments: int) -> Trace:
        """Call a function and list what it ran through and what it loaded from flash."""
        with self.tracing() as trace:
            self.call(function, *arguments, timeout=TRACE_TIMEOUT)
        return trace

    @contextmanager
    def tracing(self) -> Iterator[Trace]:
        """List what all calls within run through and load from flash; the lists may be emptied between calls."""
        trace = Trace()

        def on_read(_uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> None:
            trace.flash_reads.append((address, size))

        with (
            self._hooked(UC_HOOK_BLOCK, lambda _uc, address, size, _data: trace.blocks.append((address, size))),
            self._hooked(UC_HOOK_MEM_READ, on_read, FLASH, FLASH + FLASH_SIZE - 1),
        ):
            yield trace

    def record(self, function: str, *arguments: int) -> Execution:
        """Call a function; keep each instruction and access for fledge_export.taint: 0.1 s per 50,000 of them."""
        execution = Execution()
        add = execution.events.append

        def on_access(_uc: Any, access: int, address: int, size: int, _value: int, _data: Any) -> None:
            add((taint.WRITE if access == UC_MEM_WRITE else taint.READ, address, size))

        with (
            self._hooked(UC_HOOK_BLOCK, lambda _uc, address, size, _data: add((taint.BLOCK, address, size))),
            self._hooked(UC_HOOK_CODE, lambda _uc, address, size, _data: add((taint.INSTRUCTION, address, size))),
            self._hooked(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_access),
        ):
            self.call(function, *arguments, timeout=TRACE_TIMEOUT)
        return execution

    @contextmanager
    def checking_alignment(self) -> Iterator[None]:
        """Inside, an access that is not aligned to its size (at most a word) ends in a McuFault.

        The emulator itself lets every address pass, while the real processor faults on LDM, LDRD and VLDR.
        """

        def check(uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> None:
            if address % min(size, 4) and self._fault is None:
                self._fault = (f"unaligned access to {size} bytes at 0x{address:08x}", address)
                uc.emu_stop()

        with self._hooked(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, check):
            yield

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

    def read_at(self, address: int, size: int) -> bytearray:
        """Memory without a name. Raises McuFault where there is none."""
        try:
            data: bytearray = self._uc.mem_read(address, size)
        except UcError as error:
            raise McuFault(f"there is no memory at 0x{address:08x}", address) from error
        return data

    def write_at(self, address: int, data: bytes) -> None:
        """Set memory without a name, flash included. Raises McuFault where there is none."""
        try:
            self._uc.mem_write(address, data)
        except UcError as error:
            raise McuFault(f"there is no memory at 0x{address:08x}", address) from error

    def stack_used(self, function: str, *arguments: int) -> int:
        """Call a function; how deep it and what it calls wrote into the stack [bytes], by painting before."""
        bottom = max(s.address + s.size for s in self.image.symbols.values() if RAM <= s.address < self._stack_top)
        room = self._stack_top - bottom
        self.write_at(bottom, PAINT * room)
        self.call(function, *arguments, timeout=TRACE_TIMEOUT)
        return len(self.read_at(bottom, room).lstrip(PAINT))

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
            try:
                uc.mem_write(address, data)
            except UcError as error:
                raise McuFault(f"{self.image.path} does not fit the memory; build the image again", address) from error
        uc.hook_add(UC_HOOK_MEM_INVALID, self._on_invalid_access)
        return uc

    def _on_invalid_access(self, _uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> bool:
        address &= 0xFFFFFFFF
        self._fault = (f"it must not access {size} bytes at 0x{address:08x}", address)
        return False

    def _execute(self, start: int, end: int, timeout_us: int) -> None:
        uc = self._uc
        try:
            uc.emu_start(start | THUMB, end, timeout_us)
        except UcError as error:
            raise self._failure(str(error)) from error
        if uc.reg_read(UC_ARM_REG_PC) != end:
            goal = "returned" if end == RETURN else f"reached '{self._ready}'"
            raise self._failure(f"it never {goal}: it sleeps or takes too long")

    def _failure(self, reason: str) -> McuFault:
        """The fault as an exception; the stack is made usable for another call."""
        reason, address = self._fault or (reason, None)
        self._fault = None
        place = self.image.function_at(self._uc.reg_read(UC_ARM_REG_PC) & ~THUMB)
        self._uc.reg_write(UC_ARM_REG_SP, self._stack_top)
        return McuFault(f"the processor stopped at {place}: {reason}", address)

    @contextmanager
    def _hooked(self, kind: int, callback: Any, begin: int = 1, end: int = 0) -> Iterator[None]:
        """Hook addresses begin..end (all: 1, 0). Translations from before would run past it, so they are dropped."""
        hook = self._uc.hook_add(kind, callback, None, begin, end)
        self._uc.ctl_flush_tb()
        try:
            yield
        finally:
            self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()
