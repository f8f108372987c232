"""What a file is that somebody wants to flash: for which processor, which drones, with which policy."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fledge_export.image import FLASH, RAM, RAM_SIZE, THUMB, ImageError
from fledge_export.taint import CCM, CCM_SIZE

from fledge_hil import board_image
from fledge_hil.bootloader import GEOMETRIES, STM32

Kind = Literal["crazyflie", "virtual"]
START = FLASH + GEOMETRIES[STM32].start_page * GEOMETRIES[STM32].page_size
"""Where the firmware of a real Crazyflie is linked."""
_DEVICE = re.compile(rb"\0((?:Crazyflie|Flapper)[A-Z0-9 .+a-wyz]*)(?=\0)")
"""The firmware lists the names of the devices that it accepts, and halts on any other; its name on USB ends in x."""
_POLICY = re.compile(rb"fledge-policy:([0-9a-f]{64}):")
"""In the app's image (firmware/boards/crazyflie/src/report.c)."""


@dataclass(frozen=True)
class FirmwareImage:
    """A file that may be flashed."""

    path: Path
    content: bytes
    kind: Kind
    """crazyflie: for the drone on the desk. virtual: for `fledge sim`, whose processor has no peripherals."""
    devices: tuple[str, ...]
    """Device types that it runs on."""
    policy: str
    """SHA-256 of the contract on board, in hex; empty: the image does not tell."""


def load(path: Path) -> FirmwareImage:
    """A .bin, or the only one below a folder. Raises ImageError."""
    path = _only_image(path) if path.is_dir() else path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}); name a .bin, or a policy") from error
    return parse(path, content)


def _only_image(folder: Path) -> Path:
    found = sorted(folder.rglob("*.bin"))
    if len(found) != 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found) or "none"
        raise ImageError(f"{folder} should hold one image (.bin), and holds: {names}; name the one to flash")
    return found[0]


def parse(path: Path, content: bytes) -> FirmwareImage:
    """Check the bytes of a file. Raises ImageError with what is wrong."""
    if content[:4] == b"\x7fELF":
        raise ImageError(f"{path} is an ELF; take the .bin beside it")
    if content[:4] == b"PK\x03\x04":
        raise ImageError(f"{path} is a release archive; unpack it and take the .bin of the STM32")
    _check_size(path, content)
    stack, entry = struct.unpack_from("<2I", content)
    if board_image.is_board(content):
        contract = board_image.decode(content).contract
        policy = "" if contract.training.code_version == board_image.NO_POLICY else contract.sha256
        return FirmwareImage(path, content, "virtual", (contract.device_type,), policy)
    in_memory = RAM < stack <= RAM + RAM_SIZE or CCM < stack <= CCM + CCM_SIZE
    devices = tuple(dict.fromkeys(name.decode() for name in _DEVICE.findall(content)))
    if not in_memory or not entry & THUMB or not START < entry < START + len(content) or not devices:
        raise ImageError(
            f"{path} is not a Crazyflie image: it has no vector table for 0x{START:08x}, or no device type"
        )
    told = _POLICY.search(content)
    return FirmwareImage(path, content, "crazyflie", devices, told[1].decode() if told else "")


def _check_size(path: Path, content: bytes) -> None:
    room = GEOMETRIES[STM32].room
    if len(content) > room:
        raise ImageError(f"{path} has {len(content)} bytes, the flash has room for {room}; it is another file")
    if len(content) < GEOMETRIES[STM32].page_size:
        raise ImageError(f"{path} has {len(content)} bytes only, it is no firmware; build it again")
