"""The one file format of what was logged: a table as gzipped CSV that says in its head what each column is.

    pandas.read_csv("flight.csv.gz", comment="#")

Numbers are float32 with nine digits, so every bit comes back (of a NaN, that it is one); times, counts and
enums have up to twelve. The same table gives the same bytes. Chosen over Parquet, which
needs a library of 40 MB to be read, and over .npz, which pandas does not read.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from numpy.typing import NDArray

SUFFIX = ".csv.gz"
_MAGIC = "# fledge table 1"
_DECIMAL = frozenset(("s", "ms", "count", "enum", "bits"))
"""Units of columns that are not float32."""
_LEVEL = 6
"""Of gzip: 9 takes four times as long for 2 %."""


@dataclass(frozen=True)
class Column:
    """What one column holds."""

    name: str
    unit: str
    meaning: str
    """Frame, order, enum: what a reader has to know."""


@dataclass(frozen=True)
class Table:
    """Rows of numbers, and notes that are not numbers."""

    columns: tuple[Column, ...]
    values: NDArray[np.floating]
    """(rows, columns)"""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """As JSON knows it."""


def columns(unit: str, meaning: str, names: str) -> tuple[Column, ...]:
    """Columns that share a unit; names are separated by blanks."""
    return tuple(Column(name, unit, meaning) for name in names.split())


def encode(table: Table) -> bytes:
    """The file's bytes."""
    head = [_MAGIC, "# " + json.dumps(table.notes, sort_keys=True)]
    head += [f"# {column.name} [{column.unit}] {column.meaning}" for column in table.columns]
    head.append(",".join(column.name for column in table.columns))
    pattern = ",".join("%.12g" if column.unit in _DECIMAL else "%.9g" for column in table.columns)
    body = [pattern % tuple(row) for row in table.values.tolist()]
    return gzip.compress("\n".join([*head, *body, ""]).encode(), _LEVEL, mtime=0)


def save(table: Table, path: Path) -> None:
    """Write atomically."""
    write_atomically(path, encode(table))


def load(path: Path, expected: Sequence[Column], what: str) -> Table:
    """Read a table with exactly these columns. Raises FledgeError for any other file."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        if not text.startswith(_MAGIC + "\n"):
            raise ValueError("it does not begin as a table of fledge does")
        notes = json.loads(text.split("\n", 2)[1][2:])
        head, _, body = text[text.index("\n", text.rindex("\n# ") + 1) + 1 :].partition("\n")
        if tuple(head.split(",")) != tuple(column.name for column in expected):
            raise FledgeError(f"{path} was written by another version of fledge, or is no {what}; fly again")
        values = np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2) if body else np.zeros((0, len(expected)))
        if values.shape[1] != len(expected):
            raise ValueError("its rows have another length than its head")
    except FledgeError:
        raise
    except (OSError, EOFError, ValueError, KeyError, IndexError, zlib.error) as error:
        raise FledgeError(f"{path} is not a {what} ({error}); fly again with `fledge hil`") from error
    return Table(tuple(expected), _rounded(values, expected), notes)


def _rounded(values: NDArray[np.float64], expected: Sequence[Column]) -> NDArray[np.float64]:
    """What nine digits stand for."""
    for index, column in enumerate(expected):
        if column.unit not in _DECIMAL:
            values[:, index] = values[:, index].astype(np.float32)
    return values
