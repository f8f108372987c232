"""Arrays of the native kernel: aligned memory, checks, addresses.

One row per quantity, one column per environment, float32. Columns of a row are adjacent in memory; rows may be further
apart than that, which `empty` uses: when all rows start at the same place of a memory page they compete for the same
few lines of the cache, and a step takes half as long again.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_FLOAT32 = np.dtype(np.float32)
_FLOAT = 4
"""[bytes]"""
_LINE = 64
"""[bytes], of the cache, and of the widest vector."""
_PAGE = 4096
"""[bytes]"""
_address_of, _first_byte = ctypes.addressof, ctypes.c_char.from_buffer


def empty(rows: int, n: int) -> Float32:
    """Array (rows, n) with contents undefined, its rows laid out for the kernel if there is more than a few columns."""
    width = n * _FLOAT
    if width >= _PAGE // 2:
        width = -(-width // _LINE) * _LINE
        width += 2 * _LINE if width % _PAGE < 2 * _LINE else 0
    memory = np.empty(rows * width + _LINE, np.uint8)
    first = -address(memory) % _LINE
    return np.ndarray((rows, n), _FLOAT32, memory, first, (width, _FLOAT))


def address(array: NDArray[np.generic]) -> int:
    """Where the first element lies; three times as fast as array.ctypes.data, which has to do for read-only arrays."""
    if not array.flags.writeable:
        return array.ctypes.data
    contiguous: Any = array if array.flags.c_contiguous else array[0]
    return _address_of(_first_byte(contiguous))


def check_array(array: Float32, name: str, rows: int, n: int) -> int:
    """Refuse what the native code cannot read; returns the distance between two rows [floats]."""
    if not isinstance(array, np.ndarray) or array.shape != (rows, n):
        raise FledgeError(f"{name} has shape {getattr(array, 'shape', None)}, it must be ({rows}, {n})")
    if array.dtype is not _FLOAT32 and array.dtype != _FLOAT32:
        raise FledgeError(f"{name} has dtype {array.dtype}, it must be float32")
    if array.flags.c_contiguous:
        return n
    between_rows, between_columns = array.strides
    if (n > 1 and between_columns != _FLOAT) or between_rows < n * _FLOAT or between_rows % _FLOAT:
        raise FledgeError(f"{name} is not contiguous along a row; pass np.ascontiguousarray({name})")
    return between_rows // _FLOAT


def stride_of(array: Float32) -> int:
    """Distance between two rows [floats]."""
    return int(array.strides[0]) // _FLOAT


def check_finite(array: NDArray[np.floating], name: str) -> None:
    """Refuse infinities and NaN."""
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise FledgeError(f"{name} is {array[row, column]} in row {row} of environment {column}, it must be finite")


def check_output(array: Float32, name: str, rows: int, n: int) -> int:
    """As `check_array`, for an array that will be written."""
    stride = check_array(array, name, rows, n)
    if not array.flags.writeable:
        raise FledgeError(f"{name} is read-only; pass an array of your own")
    return stride


def columns(array: Float32, name: str, rows: int) -> int:
    """Number of environments, at least one, of an array that has `rows` rows."""
    if not isinstance(array, np.ndarray) or array.ndim != 2:
        raise FledgeError(f"{name} must be a numpy array of shape ({rows}, n)")
    n: int = array.shape[1]
    if n == 0:
        raise FledgeError(f"{name} has no environment; give at least one column")
    return n


def check_vector(array: Float64, name: str, rows: int) -> None:
    """Refuse anything but a contiguous float64 vector of `rows` elements."""
    if not isinstance(array, np.ndarray) or array.shape != (rows,) or array.dtype != np.float64:
        raise FledgeError(f"{name} must be a float64 array of shape ({rows},)")
    if not array.flags.c_contiguous:
        raise FledgeError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")
