"""Writes firmware into a Crazyflie over cflib's bootloader client, unmodified: enter, read, write, verify, start.

cflib checks nothing of what it wrote and waits long; here every page is read back, and a link that brings nothing for a
while ends in one sentence that says how the drone is recovered: its bootloader cannot be overwritten.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cflib.crtp
from cflib.bootloader.cloader import Cloader
from cflib.crtp.crtpstack import CRTPPacket
from fledge_sim.errors import FledgeError

from fledge_hil.bootloader import ERASED, NRF51, RESET, RESET_INIT, STM32
from fledge_hil.client import LinkError
from fledge_hil.uri import explain

RECOVER = (
    "switch the drone off, hold its power button for three seconds until both blue lights blink, and flash again with "
    "--recover"
)
"""What helps whatever state the flash is in."""
STALL = 20.0
"""[s] without progress, after which the link counts as lost; the slowest write of ten pages takes two."""
ATTEMPTS = 2
"""Of writing the image until it reads back as it should."""
BLANK_PAGES = 16
"""Erased pages in a row, behind which nothing more is read."""
_SCANS = 3
"""Of ten seconds each, for a bootloader that somebody starts by hand."""
_WRITE_ERRORS = {
    1: "the place is outside the flash",
    2: "a sector would not be erased",
    3: "a word would not be written",
}

Progress = Callable[[str, float], None]
"""What is done at present, and its share in 0..1."""


class FlashError(FledgeError):
    """Nothing was written, or what was written is not whole; the message says which."""


@dataclass(frozen=True)
class FlashInfo:
    """The STM32's, as its bootloader tells."""

    page_size: int
    buffer_pages: int
    flash_pages: int
    start_page: int


class Flasher:
    """A drone in its bootloader. Use `enter`."""

    def __init__(self, loader: Any, simulated: bool) -> None:
        self._loader, self._simulated = loader, simulated
        target = loader.targets[STM32]
        self.info = FlashInfo(target.page_size, target.buffer_pages, target.flash_pages, target.start_page)

    @property
    def room(self) -> int:
        """For firmware [bytes]."""
        return (self.info.flash_pages - self.info.start_page) * self.info.page_size

    def read(self, size: int | None, progress: Progress, what: str) -> bytes:
        """The firmware's flash from its start: so many bytes, or up to where it is erased. Raises FlashError."""
        info, content, blank = self.info, bytearray(), 0
        pages = info.flash_pages - info.start_page if size is None else -(-size // info.page_size)
        for page in range(pages):
            progress(what, page / pages)
            data = self._loader.read_flash(STM32, info.start_page + page)
            if data is None or len(data) < info.page_size:
                raise LinkError(f"page {page} of the firmware could not be read, the link is bad; {RECOVER}")
            content += data
            blank = blank + 1 if data.count(ERASED) == len(data) else 0
            if size is None and blank == BLANK_PAGES:
                break
        return bytes(content).rstrip(bytes([ERASED])) if size is None else bytes(content[:size])

    def write(self, image: bytes, progress: Progress) -> None:
        """Write, read back, and once more if a byte differs. Raises FlashError."""
        for attempt in range(ATTEMPTS):
            self._write(image, progress, "writing" if attempt == 0 else "writing again")
            found = self.read(len(image), progress, "reading back")
            if found == image:
                return
        wrong = next(place for place, (a, b) in enumerate(zip(image, found, strict=True)) if a != b)
        raise FlashError(
            f"the flash differs from the image, first in byte {wrong}, although it was written {ATTEMPTS} times; the "
            f"drone will not fly: {RECOVER}, closer to the radio; if it fails again, the flash is worn"
        )

    def _write(self, image: bytes, progress: Progress, what: str) -> None:
        info, size = self.info, self.info.page_size
        pages = [image[start : start + size].ljust(size, bytes([ERASED])) for start in range(0, len(image), size)]
        for first in range(0, len(pages), info.buffer_pages):
            batch = pages[first : first + info.buffer_pages]
            for number, data in enumerate(batch):
                progress(what, (first + number) / len(pages))
                self._loader.upload_buffer(STM32, number, 0, data)
                if self._simulated:
                    self._loader.check_link_and_get_info(STM32)  # datagrams have no flow control: wait for an answer
            if not self._loader.write_flash(STM32, 0, info.start_page + first, len(batch)):
                code = self._loader.error_code
                why = _WRITE_ERRORS.get(code, f"error {code}" if code >= 0 else "no answer")
                raise FlashError(f"the drone did not write pages {first} to {first + len(batch) - 1}: {why}; {RECOVER}")

    def start_firmware(self) -> None:
        """Raises FlashError when the drone does not take the command."""
        if not self._loader.reset_to_firmware(NRF51):
            raise FlashError("the firmware is written, but the drone does not restart: switch it off and on")


@contextlib.contextmanager
def enter(uri: str, by_hand: bool, tell: Callable[[str], None]) -> Iterator[Flasher]:
    """Restart the drone into its bootloader, or find one that somebody started there by hand. Raises LinkError."""
    logging.getLogger("cflib").setLevel(logging.CRITICAL)
    if not cflib.crtp.CLASSES:
        cflib.crtp.init_drivers()
    simulated = uri.startswith("udp:")
    loader = Cloader(uri)
    try:
        try:
            if simulated:
                _enter_simulated(loader, uri, by_hand)
            elif by_hand or uri.startswith("usb:"):
                _scan(loader, tell)
            else:
                _enter_by_radio(loader, uri)
            if not loader.check_link_and_get_info(STM32):
                raise LinkError(f"the bootloader does not answer; {RECOVER}")
        except FledgeError:
            raise
        except Exception as error:  # cflib raises bare ones
            raise LinkError(f"cannot reach the bootloader over {uri}: {explain(str(error))}") from error
        yield Flasher(loader, simulated)
    finally:
        with contextlib.suppress(Exception):
            loader.close()


def _enter_by_radio(loader: Any, uri: str) -> None:
    if not uri.startswith("radio://0/"):
        raise LinkError(f"cflib restarts a drone over the first dongle only; write radio://0/... instead of {uri}")
    loader.open_bootloader_uri(uri)
    if not loader.reset_to_bootloader(NRF51):
        raise LinkError(f"{uri} does not restart into its bootloader: bring the radio closer; or {RECOVER}")


def _enter_simulated(loader: Any, uri: str, by_hand: bool) -> None:
    """As reset_to_bootloader, which would go on by radio."""
    loader.open_bootloader_uri(uri)
    if by_hand:
        return
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        _send(loader.link, RESET_INIT)
        answer = loader.link.receive_packet(0.5)
        if answer is not None and answer.header == 0xFF and bytes(answer.data[:2]) == bytes((NRF51, RESET_INIT)):
            _send(loader.link, RESET, 0)
            return
    raise LinkError(f"{uri} has no bootloader; start the drone with this version of `fledge sim`")


def _send(link: Any, *data: int) -> None:
    packet = CRTPPacket()
    packet.set_header(0xFF, 0xFF)
    packet.data = (NRF51, *data)
    link.send_packet(packet)


def _scan(loader: Any, tell: Callable[[str], None]) -> None:
    tell(
        "hold the power button of the drone, switched off, for three seconds until both blue lights blink; waiting for "
        "its bootloader on the Crazyradio"
    )
    for _ in range(_SCANS):
        found = loader.scan_for_bootloader()
        if found:
            loader.open_bootloader_uri(found)
            return
    raise LinkError("no bootloader was found by radio: hold the power button until both blue lights blink, then again")


def watched(job: Callable[[Progress], None], progress: Progress, stall: float = STALL) -> None:
    """Run a job in a thread and show its progress here. Raises what it raises, or LinkError when it stands still.

    A thread that hangs in cflib is left behind; the process may end all the same.
    """
    steps: queue.SimpleQueue[tuple[str, float] | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            job(lambda what, share: steps.put((what, share)))
            steps.put(None)
        except BaseException as error:
            steps.put(error)

    threading.Thread(target=run, name="flasher", daemon=True).start()
    while True:
        try:
            step = steps.get(timeout=stall)
        except queue.Empty:
            raise LinkError(f"the link was lost: nothing came for {stall:g} s; {RECOVER}") from None
        if step is None:
            return
        if isinstance(step, BaseException):
            raise step
        progress(*step)
