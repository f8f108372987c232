"""Pieces of C text: templates, constants, tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template

import numpy as np
from fledge_sim.policy import Float32

TEMPLATES = Path(__file__).parent / "templates"


def fill(template: str, **values: object) -> str:
    """Text of templates/TEMPLATE.in with its placeholders replaced."""
    return Template((TEMPLATES / f"{template}.in").read_text()).substitute(values)


def float_literal(value: float | np.float32) -> str:
    """C99 hexadecimal constant: exact, and the same on every machine."""
    mantissa, exponent = float(np.float32(value)).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}f"


def rows(words: Sequence[str], count: int = 4) -> str:
    """`count` constants per line."""
    return ",\n".join(", ".join(words[start : start + count]) for start in range(0, len(words), count))


def bits_array(declaration: str, values: Float32) -> str:
    """Table of floats as their bits, one row of `values` each."""
    body = ",\n".join("{" + rows([f"0x{bits:08x}u" for bits in row]) + "}" for row in values.astype("<f4").view("<u4"))
    return f"static const uint32_t {declaration} = {{\n{body}}};"
