"""A run with a folder: scalars as they come, checkpoints now and then, and something to keep however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from fledge_sim.errors import FledgeError

from fledge_train import checkpoint, runs, trainer
from fledge_train.scalars import Scalars
from fledge_train.trainer import Config, Diverged, Progress, Snapshot, Teaching, Trainer, TrainResult

CHECKPOINT_EVERY = 10.0
"""[s] of wall-clock between two checkpoints, at least."""
SHARE = 0.05
"""Of wall-clock that writing checkpoints may take."""
SMALL = 4_000_000
"""Bytes; a state up to this size is copied after every chunk, so that a diverging run loses no more than one."""

Observer = Callable[[Progress], None]


def train(folder: Path, config: Config, observe: Observer | None = None) -> TrainResult:
    """Train from the beginning and leave a run in `folder`; an unfinished one that was there is gone.

    Ctrl-C ends it after the chunk at work; `resume` goes on from there.

    Raises:
        Diverged: NaN or infinity; the last good checkpoint and policy are kept.
        FledgeError: a bad configuration, a full disk.
    """
    since = time.perf_counter()
    begun = trainer.start(config)
    for stale in (runs.CHECKPOINT, runs.METRICS):
        (folder / stale).unlink(missing_ok=True)
    runs.save_config(folder, config)
    return _drive(folder, begun, (), observe, since)


def resume(folder: Path, observe: Observer | None = None) -> TrainResult:
    """Continue the run in `folder` exactly: it ends with the bytes it would have ended with.

    Raises:
        FledgeError: there is nothing to continue, or the checkpoint belongs to another run or version.
        Diverged: as in `train`.
    """
    since = time.perf_counter()
    config = runs.load_config(folder)
    path = folder / runs.CHECKPOINT
    if not path.exists():
        finished = (folder / runs.METRICS).exists()
        why = "that run is finished" if finished else "that run ended before its first; begin it anew"
        raise FledgeError(f"{folder} has no {runs.CHECKPOINT} to resume from: {why}")
    kept = checkpoint.load(path)
    begun = trainer.start(config)
    checkpoint.restore(begun, kept)
    return _drive(folder, begun, kept.history, observe, since)


class Keeper:
    """Decides when the state is worth a file, and remembers the last one that was good."""

    def __init__(self, path: Path, running: Trainer, before: Sequence[Progress]) -> None:
        self._path, self._running, self._history = path, running, list(before)
        self._due = time.perf_counter() + CHECKPOINT_EVERY
        self._good: Snapshot | None = None
        self._good_length = 0
        self._remember()

    def consider(self, entry: Progress) -> None:
        """After a chunk."""
        self._history.append(entry)
        self._remember()
        if time.perf_counter() >= self._due and finite(self._running.state()):
            self.write()

    def _remember(self) -> None:
        """Copies a small state; a large one is written now and then, and at once when there is nothing else."""
        state = self._running.state()
        if sum(array.nbytes for array in state.values()) > SMALL:
            if (self._good is not None or not self._path.exists()) and finite(state):
                self.write()
                self._good = None
        elif finite(state):
            self._good = {name: array.copy() for name, array in state.items()}
            self._good_length = len(self._history)

    def write(self) -> None:
        """The state of now."""
        start = time.perf_counter()
        checkpoint.save(self._path, self._running, self._history)
        end = time.perf_counter()
        self._due = end + max(CHECKPOINT_EVERY, (end - start) / SHARE)

    def write_good(self) -> None:
        """The last state without NaN; what is on disk stays when there is none in memory."""
        if self._good is not None:
            checkpoint.save(self._path, self._running, self._history[: self._good_length], self._good)

    @property
    def history(self) -> tuple[Progress, ...]:
        """All that was seen."""
        return tuple(self._history)


def _drive(
    folder: Path, running: Trainer, before: Sequence[Progress], observe: Observer | None, since: float
) -> TrainResult:
    keeper = Keeper(folder / runs.CHECKPOINT, running, before)
    with Scalars(folder, running.config, before) as scalars:

        def each(entry: Progress) -> None:
            scalars.write(entry)
            keeper.consider(entry)
            if observe:
                observe(entry)

        try:
            result = trainer.run(running, each, since, before)
        except Diverged as error:
            keeper.write_good()
            seconds = time.perf_counter() - since
            kept = TrainResult(error.policy, seconds, keeper.history)
            path = runs.save_run(folder, running.config, kept, ended=str(error))
            raise Diverged(f"{error} (in {path})", error.policy) from error
    if result.interrupted:
        keeper.write()
    runs.save_run(folder, running.config, result)
    if isinstance(running, Teaching):
        running.leave(folder)
    if not result.interrupted:
        (folder / runs.CHECKPOINT).unlink(missing_ok=True)
    return result


def finite(state: Snapshot) -> bool:
    """Whether no float of a state is NaN or infinite."""
    return all(np.isfinite(array).all() for array in state.values() if array.dtype.kind == "f")
