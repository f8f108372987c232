"""The image of the emulated board as it lies in flash, and as `fledge flash` sends it to a virtual drone.

Behind what the processor runs stand the policy's contract and where the board's functions and variables are: what an
ELF tells and a flash does not. The slot for firmware begins behind the bootloader, and is run as if it began at the
start of the flash, for which the board is linked.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from fledge_export.image import FLASH, Image, ImageError, Symbol, load
from fledge_sim import contract as contracts
from fledge_sim.contract import Contract, ContractError

NO_POLICY = "empty"
"""Code version in the training record of an image without a policy (stock_board.py)."""
MAGIC = b"fledge\0board\1"
_FOOTER = struct.Struct(f"<{len(MAGIC)}sII")
"""Behind everything: size of the code and of the text in between."""


@dataclass(frozen=True)
class BoardImage:
    """What a virtual drone can start."""

    image: Image
    contract: Contract


def encode(elf: Path, contract: Contract) -> bytes:
    """The image of a board (BoardFiles.elf) that carries the policy of `contract`. Raises ImageError."""
    image = load(elf)
    end = max(address + len(data) for address, data in image.segments)
    code = bytearray(b"\xff") * (end - FLASH)
    for address, data in image.segments:
        code[address - FLASH : address - FLASH + len(data)] = data
    symbols = {
        symbol.name: [symbol.address, symbol.size, symbol.is_function]
        for symbol in image.symbols.values()
        if symbol.defined and symbol.name.startswith(("board_", "ready", "policy_self_test"))
    }
    text = json.dumps({"contract": contract.canonical_json(), "symbols": symbols}, sort_keys=True).encode()
    return bytes(code) + text + _FOOTER.pack(MAGIC, len(code), len(text))


def is_board(content: bytes) -> bool:
    """Whether it ends as `encode` does; what follows may be erased flash."""
    return _footer(content) is not None


def _footer(content: bytes) -> tuple[int, int, int] | None:
    """Where the text begins, size of the code and of the text."""
    at = content.rfind(MAGIC)
    if at < 0 or at + _FOOTER.size > len(content):
        return None
    _, code, text = _FOOTER.unpack_from(content, at)
    return (at - text, code, text) if at == code + text else None


def decode(content: bytes) -> BoardImage:
    """Inverse of `encode`. Raises ImageError for anything else."""
    footer = _footer(content)
    if footer is None:
        raise ImageError("the flash holds no image of the emulated board; flash one with `fledge flash POLICY`")
    start, code, size = footer
    try:
        tree = json.loads(content[start : start + size])
        contract = contracts.parse(tree["contract"])
        symbols = {
            name: Symbol(name, int(address), int(length), bool(function), True)
            for name, (address, length, function) in tree["symbols"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, ContractError) as error:
        raise ImageError(f"the image in flash is damaged ({error}); flash it again") from error
    return BoardImage(Image(Path("flash"), [(FLASH, content[:code])], symbols, [], {}), contract)
