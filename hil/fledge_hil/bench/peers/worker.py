"""Runs one peer and times it on request: `python worker.py PEER THREADS`, requests and answers as lines of JSON.

Request: {"case": str, "batch": int, "seconds": float}. Answer: {"cpu": steps per second of processor time, "wall":
steps per second of wall-clock time}, or {"error": why not}. The first line is {"versions": {...}}, or {"absent": what}.
Needs nothing but the standard library and the peer.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

Call = Callable[[], object]


def main(name: str, threads: int) -> None:
    """Answer requests until the input ends."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a peer prints must not look like an answer
    try:
        peer = importlib.import_module(name)
    except ImportError as error:
        print(json.dumps({"absent": str(error)}), file=answers)
        return
    print(json.dumps({"versions": _versions(peer.PACKAGES)}), file=answers)
    ready: dict[tuple[str, int], Case] = {}
    for line in sys.stdin:
        print(json.dumps(_answer(peer, threads, json.loads(line), ready)), file=answers)


class Case:
    """One case at one batch, and how many calls its last measurement took."""

    def __init__(self, call: Call, batch: int) -> None:
        self._call, self._batch, self._count = call, batch, 1

    def time(self, seconds: float) -> dict[str, float]:
        """Steps per second over at least `seconds` of processor time, after a call that is not counted."""
        self._call()
        while True:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(self._count):
                self._call()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if cpu >= seconds:
                steps = self._batch * self._count
                return {"cpu": steps / cpu, "wall": steps / wall}
            enough = round(1.2 * self._count * seconds / max(cpu, 1e-6))
            self._count = max(2 * self._count, min(100 * self._count, enough))


def _answer(
    peer: ModuleType, threads: int, request: dict[str, Any], ready: dict[tuple[str, int], Case]
) -> dict[str, Any]:
    case, batch = request["case"], request["batch"]
    try:
        if case not in peer.CASES:
            return {"error": f"no case {case}"}
        if any(size != batch for _, size in ready):
            ready.clear()  # one batch in memory at a time
        if (case, batch) not in ready:
            ready[case, batch] = Case(peer.CASES[case](batch, threads), batch)
        return ready[case, batch].time(request["seconds"])
    except ValueError as error:
        return {"error": str(error)}


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Of what is installed; a source tree on the path has none."""
    found = {distribution.metadata["Name"]: distribution.version for distribution in importlib.metadata.distributions()}
    return {package: found[package] for package in packages if package in found}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
