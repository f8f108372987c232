"""The drone's EEPROM for parameters: a file of names and values, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically


class ParameterStore:
    """Values that outlive a restart; without a path they live as long as the process."""

    def __init__(self, path: Path | None = None) -> None:
        """Read `path` if it exists. Raises FledgeError when it holds something else."""
        self._path = path
        self._values: dict[str, float | int] = {} if path is None or not path.exists() else _read(path)

    def get(self, full_name: str) -> float | int | None:
        """What is stored under group.name."""
        return self._values.get(full_name)

    def put(self, full_name: str, value: float | int | None) -> None:
        """Store a value, or with None forget it. Raises FledgeError if the disk refuses."""
        if value is None:
            self._values.pop(full_name, None)
        else:
            self._values[full_name] = value
        if self._path is not None:
            write_atomically(self._path, json.dumps(self._values, indent=1, sort_keys=True) + "\n")

    @property
    def values(self) -> Mapping[str, float | int]:
        """Everything."""
        return self._values


def _read(path: Path) -> dict[str, float | int]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FledgeError(f"cannot read stored parameters from {path} ({error}); delete it or name another") from error
    if not isinstance(found, dict) or not all(map(_is_number, found.values())):
        raise FledgeError(f"{path} does not hold stored parameters; delete it or name another")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
