"""Source lines of machine code, from the debug information of an image."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile


def source_lines(elf: Path, addresses: Sequence[int]) -> dict[int, str]:
    """'file.c:12' for each address that the debug information knows; inlined code has the line it was written on."""
    with elf.open("rb") as stream:
        file: Any = ELFFile(stream)
        if not file.has_dwarf_info():
            return {}
        rows = sorted(row for unit in file.get_dwarf_info().iter_CUs() for row in _rows(file.get_dwarf_info(), unit))
    starts = [start for start, _ in rows]
    found = {address: rows[bisect_right(starts, address) - 1][1] for address in addresses if rows}
    return {address: line for address, line in found.items() if line}


def _rows(dwarf: Any, unit: Any) -> list[tuple[int, str]]:
    """Start of each run of code of one source line; an empty line where a sequence ends."""
    program = dwarf.line_program_for_CU(unit)
    if program is None:
        return []
    files = program["file_entry"]
    first = 0 if program["version"] >= 5 else 1
    states = [entry.state for entry in program.get_entries() if entry.state]
    return [
        (
            state.address,
            "" if state.end_sequence else f"{Path(files[state.file - first].name.decode()).name}:{state.line}",
        )
        for state in states
    ]
