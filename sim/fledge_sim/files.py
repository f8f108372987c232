"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fledge_sim.errors import FledgeError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write to a temporary name beside `path`, flush to disk, rename. Raises FledgeError if the disk refuses."""
    with open_atomically(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes appear under `path` when the block ends well, and nowhere when it does not.

    Raises FledgeError if the disk refuses.
    """
    temporary: str | None = None
    with refusals_told(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
            temporary = None
        finally:
            if temporary is not None:
                os.unlink(temporary)


@contextlib.contextmanager
def refusals_told(path: Path) -> Iterator[None]:
    """What the disk refuses inside the block becomes a FledgeError that names `path`."""
    try:
        yield
    except OSError as error:
        raise FledgeError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another place"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
