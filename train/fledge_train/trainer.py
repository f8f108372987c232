"""What an algorithm is to everything around it, and the loop that drives it.

A `Trainer` advances in chunks. Between two chunks its whole state is a dictionary of arrays: kept and put back, the run
goes on to the same bytes. Bars, scalars, checkpoints and Ctrl-C live outside and know no algorithm.

A new algorithm is a frozen dataclass of its numbers and a class with the members of `Trainer`; algorithms.py names it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from numpy.typing import NDArray

from fledge_train import algorithms

Snapshot = dict[str, NDArray[Any]]
"""Everything a run needs to go on, by name: numbers only, no pickles."""


class Config(Protocol):
    """What the numbers of every algorithm have in common; each is a frozen dataclass."""

    algorithm: ClassVar[str]
    """Its name on the command line and in files."""

    @property
    def robot(self) -> str:
        """Name of a robot, or path of its file."""

    @property
    def seed(self) -> int:
        """Of everything random."""


class Diverged(FledgeError):  # noqa: N818
    """Training produced NaN or infinity; `policy` holds the last weights that were finite."""

    def __init__(self, sentence: str, policy: Policy) -> None:
        super().__init__(sentence)
        self.policy = policy


@dataclass(frozen=True)
class Progress:
    """Live figures, averaged over the chunk that just ended."""

    iteration: int
    """Iterations done."""
    iterations: int
    """Of how many."""
    steps: int
    """Environment steps since the run began."""
    position_error: float
    """Mean distance from the reference [m]."""
    failures: float
    """Episodes lost per 1000 environment steps."""
    scalars: Mapping[str, float] = field(default_factory=dict)
    """What else the algorithm has to say: cost, losses, norms."""
    seconds: float = 0.0
    """Wall-clock of training so far; filled in by `run`."""


class Trainer(Protocol):
    """One run, between two chunks of its work. Made by `start`, at the beginning; `restore` moves it."""

    @property
    def config(self) -> Config:
        """What was asked for."""

    @property
    def contract(self) -> Contract:
        """Of the policy, without the checksum of its weights."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""

    def advance(self) -> Progress:
        """One chunk of work, well under a second: Ctrl-C waits for its end. Raises Diverged."""

    def policy(self) -> Policy:
        """The policy so far."""

    def state(self) -> Snapshot:
        """Everything needed to go on exactly: weights, moments of optimizers, environments, random words, counters.

        The arrays may be the trainer's own: they are good until the next `advance`. NaN or infinity in one of floats
        means that the run has diverged; words that are no numbers are kept as integers.
        """

    def restore(self, state: Snapshot) -> None:
        """Continue from a state of a run with the same configuration. Raises FledgeError when it does not fit."""


@runtime_checkable
class Teaching(Protocol):
    """A trainer that leaves more than a policy: what other runs can learn from."""

    def leave(self, folder: Path) -> None:
        """Write it into the folder of the run."""


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves."""

    policy: Policy
    seconds: float
    """Wall-clock of the training loop and of its preparation."""
    history: tuple[Progress, ...]
    interrupted: bool = False


def start(config: Config) -> Trainer:
    """The trainer of a configuration, at its beginning; imports that algorithm and no other."""
    return algorithms.find(config.algorithm).begin(config)


def run(
    trainer: Trainer,
    observe: Callable[[Progress], None] | None = None,
    since: float | None = None,
    before: Sequence[Progress] = (),
) -> TrainResult:
    """Advance to the end. Ctrl-C ends it after the chunk at work and returns the policy so far; a second does not wait.

    Args:
        trainer: at its beginning, or restored.
        observe: called after every chunk, with the trainer at rest; may raise KeyboardInterrupt to end the run.
        since: time.perf_counter() from which the run counts its seconds; default: now.
        before: history of a run that is resumed.
    Raises:
        Diverged: training produced NaN or infinity.
    """
    earlier = before[-1].seconds if before else 0.0
    since = time.perf_counter() if since is None else since
    history = list(before)
    with interruptible() as interrupted:
        while not trainer.done and not interrupted():
            entry = trainer.advance()
            history.append(dataclasses.replace(entry, seconds=earlier + time.perf_counter() - since))
            try:
                if observe:
                    observe(history[-1])
            except KeyboardInterrupt:
                break
    seconds = earlier + time.perf_counter() - since
    return TrainResult(trainer.policy(), seconds, tuple(history), interrupted=not trainer.done)


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: it no longer interrupts wherever Python happens to be, but where it is asked for."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed: list[int] = []

    def press(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    previous = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, previous)


def put(arrays: Mapping[str, NDArray[Any]], state: Snapshot, prefix: str = "") -> None:
    """Copy a state into the arrays of a trainer, in place; `prefix` is that of their names in the state.

    Raises FledgeError naming what is missing or has another shape or type.
    """
    for name, array in arrays.items():
        kept = state.get(prefix + name)
        if kept is None:
            raise FledgeError(f"checkpoint: '{prefix}{name}' is missing; it was written by another version of fledge")
        if kept.shape != array.shape or kept.dtype != array.dtype:
            raise FledgeError(
                f"checkpoint: '{prefix}{name}' is {kept.dtype}{list(kept.shape)} and should be "
                f"{array.dtype}{list(array.shape)}; it was written by another version of fledge or configuration"
            )
        np.copyto(array, kept)
