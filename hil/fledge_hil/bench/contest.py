"""Times simulators against each other: each in a process of its own, in turns, so that all see the same machine."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Entry:
    """One simulator doing one thing."""

    label: str
    peer: str
    """Module in the folder `peers`."""
    case: str
    """One of its CASES."""
    install: str
    """What to type when it is missing."""
    foreign: bool = False
    """May live in another Python environment than fledge."""
    batches: tuple[int, ...] = ()
    """Only at these; empty: at all."""


@dataclass(frozen=True)
class Rate:
    """Steps of one environment per second; medians over the rounds."""

    cpu: float
    """Of processor time, all threads together [1/s]."""
    wall: float
    """Of wall-clock time [1/s]."""
    spread: float
    """Largest over smallest round, of `cpu`."""


@dataclass(frozen=True)
class Result:
    """Of one entry, batch and number of threads."""

    entry: Entry
    batch: int
    threads: int
    rate: Rate | None
    """None: see `reason`."""
    reason: str = ""
    """Why there is no rate."""


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    """Of processor time per round."""


class Worker:
    """One peer's process."""

    def __init__(self, python: str, peer: str, threads: int, abroad: bool) -> None:
        self._process = subprocess.Popen(
            [python, str(PEERS / "worker.py"), peer, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment(threads, abroad),
            cwd=tempfile.gettempdir(),
        )
        hello = self._read()
        self.absent: str | None = hello.get("absent")
        self.versions: dict[str, str] = hello.get("versions", {})

    def measure(self, case: str, batch: int, seconds: float) -> tuple[float, float] | str:
        """Steps per second of processor time and of wall-clock time, or why not."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"case": case, "batch": batch, "seconds": seconds}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return "its process ended"
        answer = self._read()
        return str(answer["error"]) if "error" in answer else (answer["cpu"], answer["wall"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            return {"absent": f"ended with exit code {code}", "error": f"its process ended with exit code {code}"}
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True)
class Contest:
    """All results, and who could not take part."""

    results: tuple[Result, ...]
    versions: Mapping[str, str]
    absent: tuple[str, ...]


def hold(
    entries: Sequence[Entry], batches: Sequence[int], threads: int, effort: Effort, foreign_python: str | None = None
) -> Contest:
    """Time every entry at every batch; within a batch the entries take turns, round by round.

    Args:
        entries: who.
        batches: environments per call.
        threads: 1 pins every process to the same core; more leaves placing to the system.
        effort: rounds and their length.
        foreign_python: interpreter of an environment that holds the foreign peers; None: this one.
    """
    peers = {entry.peer: entry for entry in entries}
    with ExitStack() as stack:
        workers = {peer: stack.enter_context(_worker(entry, threads, foreign_python)) for peer, entry in peers.items()}
        present = [entry for entry in entries if workers[entry.peer].absent is None]
        results = [result for batch in batches for result in _round_robin(present, workers, batch, threads, effort)]
        versions = {name: version for worker in workers.values() for name, version in worker.versions.items()}
        absent = tuple(
            f"{entry.label} ({worker.absent}): {entry.install}"
            for peer, entry in peers.items()
            if (worker := workers[peer]).absent is not None
        )
    return Contest(tuple(results), versions, absent)


def _round_robin(
    entries: Sequence[Entry], workers: Mapping[str, Worker], batch: int, threads: int, effort: Effort
) -> Iterator[Result]:
    entries = [entry for entry in entries if not entry.batches or batch in entry.batches]
    rounds: list[list[tuple[float, float]]] = [[] for _ in entries]
    reasons = [""] * len(entries)
    for _ in range(effort.rounds):
        for i, entry in enumerate(entries):
            rate = reasons[i] or workers[entry.peer].measure(entry.case, batch, effort.seconds)
            if isinstance(rate, str):
                reasons[i] = rate
            else:
                rounds[i].append(rate)
    for entry, rates, reason in zip(entries, rounds, reasons, strict=True):
        yield Result(entry, batch, threads, None if reason else _median(rates), reason)


def _median(rates: Sequence[tuple[float, float]]) -> Rate:
    cpu, wall = zip(*rates, strict=True)
    return Rate(statistics.median(cpu), statistics.median(wall), max(cpu) / min(cpu))


@contextmanager
def _worker(entry: Entry, threads: int, foreign_python: str | None) -> Iterator[Worker]:
    abroad = entry.foreign and foreign_python is not None
    worker = Worker(foreign_python if abroad and foreign_python else sys.executable, entry.peer, threads, abroad)
    try:
        yield worker
    finally:
        worker.close()


def _environment(threads: int, abroad: bool) -> dict[str, str]:
    """This process's, with every library held to the same number of threads; at home with fledge on the path."""
    environment = dict(os.environ)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        environment[variable] = str(threads)
    environment["OMP_WAIT_POLICY"] = "passive"
    environment["JAX_PLATFORMS"] = "cpu"
    environment.pop("PYTHONPATH", None)
    if not abroad:
        environment["PYTHONPATH"] = os.pathsep.join(_roots())
    return environment


def _roots() -> list[str]:
    """Folders from which this process imports fledge's packages: the worker's script hides the current folder."""
    specs = (importlib.util.find_spec(name) for name in ("fledge_sim", "fledge_hil"))
    return [str(Path(spec.origin).parent.parent) for spec in specs if spec is not None and spec.origin]
