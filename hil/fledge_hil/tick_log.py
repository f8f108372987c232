"""Every input and every output of the board, tick by tick: enough to fly the same flight again without a drone.

0.25 MB per second of device time in memory, about 0.1 MB on disk.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.errors import FledgeError
from numpy.typing import NDArray

from fledge_hil import tables
from fledge_hil.board import Board, BoardInput, BoardOutput
from fledge_hil.tables import Column, Table

FILE = "ticks.csv.gz"
"""Name of the file beside a flight's log."""
_MEANING = "struct board_input and board_output: units and frames are in firmware/flight/flight.h and board.h"


def _fields(message: Any, prefix: str) -> Iterator[tuple[str, bool]]:
    """Name and whether it is a float, one per 4 bytes, in order of layout."""
    for name, kind, *_ in message._fields_:
        if hasattr(kind, "_fields_"):
            yield from _fields(kind, f"{prefix}{name}_")
        elif hasattr(kind, "_length_"):
            yield from ((f"{prefix}{name}_{index}", kind._type_ is ctypes.c_float) for index in range(kind._length_))
        else:
            yield f"{prefix}{name}", kind is ctypes.c_float


_INPUT, _OUTPUT = tuple(_fields(BoardInput, "in_")), tuple(_fields(BoardOutput, "out_"))
TABLE_COLUMNS = tuple(
    Column(name, "firmware" if is_float else "count", _MEANING) for name, is_float in (*_INPUT, *_OUTPUT)
)


@dataclass(frozen=True)
class TickLog:
    """One flight."""

    inputs: NDArray[np.uint32]
    """(ticks, words) of BoardInput."""
    outputs: NDArray[np.uint32]
    """(ticks, words) of BoardOutput."""
    contract_sha256: str

    def __len__(self) -> int:
        return len(self.inputs)


class LoggedBoard:
    """A board that keeps what goes in and comes out; the first tick is the one of power-on."""

    def __init__(self, board: Board, contract_sha256: str) -> None:
        self._board, self._sha = board, contract_sha256
        self._in, self._out = bytearray(), bytearray()

    def tick(self, board_input: BoardInput) -> BoardOutput:
        """See Board."""
        self._in += bytes(board_input)
        output = self._board.tick(board_input)
        self._out += bytes(output)
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)

    @property
    def log(self) -> TickLog:
        """So far."""
        words = (ctypes.sizeof(BoardInput) // 4, ctypes.sizeof(BoardOutput) // 4)
        return TickLog(
            np.frombuffer(bytes(self._in), np.uint32).reshape(-1, words[0]),
            np.frombuffer(bytes(self._out), np.uint32).reshape(-1, words[1]),
            self._sha,
        )


def save(log: TickLog, path: Path) -> None:
    """As a table."""
    parts = [_values(log.inputs, _INPUT), _values(log.outputs, _OUTPUT)]
    notes = {"kind": "ticks", "contract_sha256": log.contract_sha256}
    tables.save(Table(TABLE_COLUMNS, np.concatenate(parts, axis=1), notes), path)


def load(path: Path) -> TickLog:
    """Inverse of `save`. Raises FledgeError for any other file."""
    table = tables.load(path, TABLE_COLUMNS, "log of ticks")
    width = len(_INPUT)
    try:
        sha = str(table.notes["contract_sha256"])
    except KeyError as error:
        raise FledgeError(f"{path} does not say which policy flew; fly again") from error
    values = np.asarray(table.values, np.float64)
    return TickLog(_words(values[:, :width], _INPUT), _words(values[:, width:], _OUTPUT), sha)


def _values(words: NDArray[np.uint32], fields: tuple[tuple[str, bool], ...]) -> NDArray[np.float64]:
    floats = np.array([is_float for _, is_float in fields])
    with np.errstate(invalid="ignore"):
        return np.where(floats, words.view(np.float32).astype(np.float64), words.astype(np.float64))


def _words(values: NDArray[np.float64], fields: tuple[tuple[str, bool], ...]) -> NDArray[np.uint32]:
    floats = np.array([is_float for _, is_float in fields])
    as_float = values.astype(np.float32).view(np.uint32)
    as_whole = np.where(floats, 0.0, values).astype(np.uint32)
    return np.where(floats, as_float, as_whole).astype(np.uint32)


def field_name(word: int) -> str:
    """Of a word of BoardOutput, without its prefix."""
    return _OUTPUT[word][0][len("out_") :]


def is_float(word: int) -> bool:
    """Whether a word of BoardOutput is one."""
    return _OUTPUT[word][1]


def input_word(name: str) -> int:
    """Index of a field of BoardInput."""
    return [field for field, _ in _INPUT].index(f"in_{name}")


def output_word(name: str) -> int:
    """Index of a field of BoardOutput."""
    return [field for field, _ in _OUTPUT].index(f"out_{name}")
