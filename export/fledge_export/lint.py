"""What must not be in a controller's image: library calls, double precision, fused products, traps, variable time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fledge_export import image
from fledge_export.decode import Instruction, decode, undecoded
from fledge_export.image import Image

SYMBOLS = {
    r"__aeabi_\w+": "run-time library of the compiler",
    r"__(add|sub|mul|div|neg|extend|trunc|fix|fixuns|float|floatun|eq|ne|lt|le|gt|ge|cmp|unord)[sdthi]+f?\w*\d?": (
        "software floating point"
    ),
    r"(a?(sin|cos|tan)h?|atan2|exp|exp2|expm1|log|log2|log10|log1p|pow|fma|sqrt|cbrt)[fl]?": "libm",
    r"(floor|ceil|round|trunc|rint|fmod|fmin|fmax|fabs)[fl]?|__?(ieee754|kernel)_\w+|__errno|__math_\w+": "libm",
    r"(_?malloc|calloc|realloc|free|_?sbrk)(_r)?": "heap",
    r"mem(cpy|set|move|cmp)|str(len|cpy|cmp)|v?s?n?printf|puts|abort|exit": "libc",
}
"""Whole names, and what they are."""
INSTRUCTIONS = {
    r"\S*\.f64\b.*": "double precision",
    r"vf(n?m[as])\w*\..*": "fused product and sum: other bits than on the host",
    r"(svc|bkpt|udf|trap|wfi|wfe|cps\w*)\b.*": "trap or sleep",
    r"(sdiv|udiv)\w*\b.*": "division whose time depends on its operands",
    r"(tbb|tbh|blx)\b.*|bx\w* (?!lr$).*|(ldr|mov)\S* pc\b.*": "jump to a computed address",
}
"""Whole text of an instruction, and what it is."""


@dataclass(frozen=True)
class Finding:
    """Something that must not be there."""

    what: str
    """Symbol or instruction"""
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} in {self.where}: {self.why}"


def lint(elf: Path) -> list[Finding]:
    """Everything in the image that must not be there. Raises ImageError if it is no image."""
    loaded = image.load(elf)
    instructions = decode(loaded)
    lost = [Finding(f"0x{address:08x}", "code", "no instruction") for address in undecoded(loaded, instructions)]
    return [
        *_symbols(loaded),
        *(found for each in instructions.values() for found in _instruction(loaded, each)),
        *lost,
    ]


def _symbols(loaded: Image) -> Iterator[Finding]:
    for name, symbol in loaded.symbols.items():
        for pattern, why in SYMBOLS.items():
            if re.fullmatch(pattern, name):
                yield Finding(name, "the symbol table", why if symbol.defined else f"{why}, not even linked")


def _instruction(loaded: Image, instruction: Instruction) -> Iterator[Finding]:
    for pattern, why in INSTRUCTIONS.items():
        if re.fullmatch(pattern, instruction.text):
            yield Finding(instruction.text, loaded.function_at(instruction.address), why)
