"""Finds and opens the shared objects that the build puts beside the packages."""

from __future__ import annotations

import ctypes
import sysconfig
from pathlib import Path

from fledge_sim.errors import FledgeError


class NativeError(FledgeError):
    """A native library that is missing or does not load."""


def open_library(name: str, package: Path) -> ctypes.CDLL:
    """Open `name`.so of a package.

    Args:
        name: stem of the shared object, e.g. `_kernel`.
        package: folder of the package that owns it; an editable installation keeps the object in the folder of the
            same name under site-packages instead.
    Raises:
        NativeError: not built, or built for another machine.
    """
    places = [package, Path(sysconfig.get_path("platlib")) / package.name]
    for place in places:
        path = place / f"{name}.so"
        if path.exists():
            try:
                return ctypes.CDLL(str(path))
            except OSError as error:
                raise NativeError(f"{path} does not load ({error}); build again with `pip install -e .`") from error
    raise NativeError(f"native library {name}.so is not built; run `pip install -e .` (needs cmake and a C compiler)")
