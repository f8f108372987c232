"""Flights of a fault matrix that is not complete: one line each, so that an interrupted one goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fledge_sim
from fledge_sim.files import refusals_told

import fledge_hil

FILE = "faults.jsonl"
"""Beside the report; gone once that is written."""


class KeptFlights:
    """A file that grows by a line per flight; what another policy, drone or version of fledge left is not used."""

    def __init__(self, path: Path, what: Mapping[str, str], fresh: bool = False) -> None:
        """`what`: everything that the flights depend on, apart from fault and seed. `fresh`: forget what is there."""
        self.path = path
        self._head = json.dumps({**what, "code": _code()}, sort_keys=True)
        self._lines: dict[tuple[str, int], dict[str, Any]] = {} if fresh else self._read()
        with refusals_told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            text = [self._head, *(json.dumps(line) for line in self._lines.values())]
            path.write_text("".join(f"{line}\n" for line in text))

    def _read(self) -> dict[tuple[str, int], dict[str, Any]]:
        try:
            head, *lines = self.path.read_text().splitlines()
        except (OSError, ValueError):
            return {}
        if head != self._head:
            return {}
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for line in lines:
            try:
                tree = json.loads(line)
                found[tree["fault"], tree["seed"]] = tree
            except (ValueError, KeyError, TypeError):
                break  # the last line of a process that was killed while it wrote
        return found

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, fault: str, seed: int) -> Mapping[str, Any] | None:
        """What was kept of a flight."""
        return self._lines.get((fault, seed))

    def add(self, flight: Mapping[str, Any]) -> None:
        """Keep one, with its `fault` and `seed`."""
        self._lines[flight["fault"], flight["seed"]] = dict(flight)
        with refusals_told(self.path), self.path.open("a") as stream:
            stream.write(json.dumps(flight) + "\n")

    def remove(self) -> None:
        """The matrix is complete."""
        self.path.unlink(missing_ok=True)


def _code() -> str:
    """Digest of the Python that flies; the C is named by the board's folder."""
    digest = hashlib.sha256()
    for package in (fledge_sim, fledge_hil):
        folder = Path(package.__file__ or "").parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
