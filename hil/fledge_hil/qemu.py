"""A second opinion on the emulated chip: the board's image in QEMU, where it is installed.

The very image that EmulatedBoard runs, on the machine netduinoplus2 (an STM32F405), driven through QEMU's debugger
port: memory is written and read, the program counter set, a breakpoint tells that a call has returned. Slow, about
a hundred ticks a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fledge_export.image import THUMB, load
from fledge_sim.errors import FledgeError

from fledge_hil.board_messages import BoardInput, BoardOutput

QEMU = "qemu-system-arm"
MACHINE = "netduinoplus2"
TIMEOUT = 20.0
"""[s] for any answer."""
_LINK_REGISTER, _PROGRAM_COUNTER = 14, 15


class QemuError(FledgeError):
    """QEMU is missing, or does not do what it is asked."""


class QemuBoard:
    """The board in a running QEMU; see qemu_board."""

    def __init__(self, elf: Path, port: socket.socket) -> None:
        """Run the start-up code and the self-test."""
        self._image, self._port = load(elf), port
        self._pending = b""
        self._ask("QStartNoAckMode")
        self._port.sendall(b"+")
        self._ask("qXfer:features:read:target.xml:0,ffb")  # before that it lets nobody write a register
        self._ready = self._image.symbol("ready").address
        self._expect_ok(f"Z1,{self._ready:x},2")
        self._continue()

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """One millisecond."""
        self._write("board_input", bytes(board_input))
        self.call("board_tick")
        size = ctypes.sizeof(BoardOutput)
        answer = self._ask(f"m{self._image.symbol('board_output').address:x},{size:x}")
        return BoardOutput.from_buffer_copy(bytes.fromhex(answer))

    def call(self, function: str) -> None:
        """Call a function without arguments; it returns to the breakpoint."""
        for register, value in (
            (_LINK_REGISTER, self._ready),
            (_PROGRAM_COUNTER, self._image.symbol(function).address),
        ):
            word = (value | THUMB if register == _LINK_REGISTER else value).to_bytes(4, "little")
            self._expect_ok(f"P{register:x}={word.hex()}")
        self._continue()

    def _write(self, variable: str, data: bytes) -> None:
        self._expect_ok(f"M{self._image.symbol(variable).address:x},{len(data):x}:{data.hex()}")

    def _continue(self) -> None:
        if not (answer := self._ask("c")).startswith("T05"):
            raise QemuError(f"QEMU stopped with '{answer}' instead of at the breakpoint; is the image a board's?")

    def _expect_ok(self, question: str) -> None:
        if (answer := self._ask(question)) != "OK":
            raise QemuError(f"QEMU answers '{answer}' to {question[:20]}; this version of it cannot be used")

    def _ask(self, question: str) -> str:
        """Remote protocol of gdb: $question#checksum."""
        data = question.encode()
        self._port.sendall(b"$" + data + f"#{sum(data) & 0xFF:02x}".encode())
        try:
            while self._pending.find(b"#") < 0 or len(self._pending) < self._pending.find(b"#") + 3:
                received = self._port.recv(65536)
                if not received:
                    raise QemuError("QEMU ended; look at what it says when started by hand")
                self._pending += received
        except TimeoutError as error:
            raise QemuError(f"QEMU did not answer {question[:20]} within {TIMEOUT:.0f} s") from error
        end = self._pending.index(b"#")
        answer = self._pending[self._pending.index(b"$") + 1 : end]
        self._pending = self._pending[end + 3 :]
        return answer.decode()


@contextmanager
def qemu_board(elf: Path) -> Iterator[QemuBoard]:
    """Start QEMU with `elf`; it ends with the block. Raises QemuError if there is none."""
    program = shutil.which(QEMU)
    if program is None:
        raise QemuError(f"{QEMU} is not installed; the emulated board is proved without it, too")
    with tempfile.TemporaryDirectory(prefix="fledge-qemu-") as name:
        place = f"{name}/gdb"
        command = [program, "-M", MACHINE, "-display", "none", "-monitor", "none", "-serial", "null", "-S"]
        command += ["-chardev", f"socket,path={place},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb"]
        with subprocess.Popen([*command, "-kernel", str(elf)], stderr=subprocess.DEVNULL) as process:
            try:
                with _connected(place) as port:
                    yield QemuBoard(elf, port)
            finally:
                process.kill()


def _connected(place: str) -> socket.socket:
    port = socket.socket(socket.AF_UNIX)
    port.settimeout(TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while True:
        with contextlib.suppress(OSError):
            port.connect(place)
            return port
        if time.monotonic() > deadline:
            raise QemuError(f"QEMU did not open its debugger port within {TIMEOUT:.0f} s")
        time.sleep(0.02)
