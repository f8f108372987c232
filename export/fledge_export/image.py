"""A firmware image on disk: what goes where in memory, and where its functions and variables are."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from fledge_sim.errors import FledgeError

FLASH, RAM = 0x08000000, 0x20000000
FLASH_SIZE, RAM_SIZE = 1 << 20, 128 << 10
"""STM32F405."""
THUMB = 1


class ImageError(FledgeError):
    """A file that is no ARM image, or one without the symbol that is asked for."""


@dataclass(frozen=True)
class Symbol:
    """A function or variable."""

    name: str
    address: int
    """Without the Thumb bit."""
    size: int
    """[bytes]"""
    is_function: bool
    defined: bool


@dataclass(frozen=True)
class Image:
    """A linked ELF."""

    path: Path
    segments: Sequence[tuple[int, bytes]]
    """Load address (in flash also for initialised data) and content."""
    symbols: Mapping[str, Symbol]
    code: Sequence[tuple[int, bytes]]
    """Runs of instructions without the constants between them: address and content."""
    section_sizes: Mapping[str, int]
    """[bytes], sections that occupy memory on the target."""

    def symbol(self, name: str) -> Symbol:
        """Raises ImageError if there is none of that name."""
        if name not in self.symbols:
            raise ImageError(f"{self.path} has no symbol '{name}'; build the image again")
        return self.symbols[name]

    def function_at(self, address: int) -> str:
        """'name+offset' of the function around an address; the address itself if there is none."""
        for symbol in self.symbols.values():
            if symbol.is_function and 0 <= address - symbol.address < max(symbol.size, 1):
                return f"{symbol.name}+0x{address - symbol.address:x}"
        return f"0x{address:08x}"


def load(path: Path) -> Image:
    """Read an ELF; one that was read before, with this content, is not parsed again. Raises ImageError."""
    try:
        return _parse(path, path.read_bytes())
    except (OSError, ELFError) as error:
        raise ImageError(f"{path} cannot be read as an ELF image ({error}); build it again") from error


@lru_cache(maxsize=8)
def _parse(path: Path, content: bytes) -> Image:
    elf: Any = ELFFile(io.BytesIO(content))
    if elf["e_machine"] != "EM_ARM":
        raise ImageError(f"{path} is not an ARM image; build it for the Cortex-M4F")
    table = elf.get_section_by_name(".symtab")
    entries = list(table.iter_symbols()) if table else []
    segments = [(s["p_paddr"], s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
    sections = [s for s in elf.iter_sections() if s["sh_flags"] & SH_FLAGS.SHF_ALLOC]
    return Image(
        path,
        [(address, data) for address, data in segments if data],
        _symbols(entries),
        [run for section in sections for run in _code(section, entries)],
        {section.name: int(section["sh_size"]) for section in sections},
    )


def _symbols(entries: Sequence[Any]) -> dict[str, Symbol]:
    kinds = {"STT_FUNC": True, "STT_OBJECT": False, "STT_NOTYPE": False}
    named = [entry for entry in entries if entry.name and entry.name[0] != "$" and entry["st_info"]["type"] in kinds]
    return {
        entry.name: Symbol(
            entry.name,
            entry["st_value"] & ~(THUMB if kinds[entry["st_info"]["type"]] else 0),
            entry["st_size"],
            kinds[entry["st_info"]["type"]],
            entry["st_shndx"] != "SHN_UNDEF",
        )
        for entry in named
    }


def _code(section: Any, entries: Sequence[Any]) -> list[tuple[int, bytes]]:
    """The mapping symbols $t and $d say where Thumb code and literal pools begin."""
    if not section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR:
        return []
    start, data = int(section["sh_addr"]), section.data()
    end = start + len(data)
    marks = sorted({(e["st_value"], e.name[:2]) for e in entries if e.name[:2] in ("$t", "$d")})
    inside = [mark for mark in marks if start <= mark[0] < end] + [(end, "$d")]
    return [
        (address, data[address - start : following - start])
        for (address, kind), (following, _) in itertools.pairwise(inside)
        if kind == "$t" and following > address
    ]
