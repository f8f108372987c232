"""Several seeds side by side: one process with one thread per seed, as many at a time as there are cores.

Each seed is a run with a folder of its own, ROOT/seed-N. A seed that fails, or whose process dies, does not lose the
others; Ctrl-C saves all that are at work. Processes are forked, so Python and numpy start once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically

from fledge_train import evaluate, recorded, runs
from fledge_train.evaluate import Evaluation
from fledge_train.trainer import Config, Progress, interruptible

FORKED = sys.platform == "linux"
CONTEXT: Any = multiprocessing.get_context("fork" if FORKED else "spawn")
TELL_EVERY = 0.1
"""[s] between two reports of a process."""
TRACEBACK = "traceback.txt"


@dataclass(frozen=True)
class Outcome:
    """What became of a seed."""

    seed: int
    folder: Path
    end: Literal["done", "interrupted", "failed", "not begun"]
    reason: str = ""
    """Why it failed."""
    seconds: float | None = None
    """Wall-clock of training."""
    cpu_seconds: float | None = None
    """CPU time of training, since it was begun or resumed."""
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Team:
    """What to train."""

    root: Path
    configs: Mapping[int, Config]
    """By seed."""
    evaluate: bool
    """Whether to measure every policy."""
    resume: bool
    """Whether to go on with what is there: unfinished seeds from their checkpoints, finished ones as they are."""

    def folder(self, seed: int) -> Path:
        """Of a seed's run."""
        return self.root / f"seed-{seed}"


def team(root: Path, config: Config, count: int, evaluate: bool = True, resume: bool = False) -> Team:
    """`count` seeds from the configuration's on."""
    any_config: Any = config
    configs = {seed: replace(any_config, seed=seed) for seed in range(config.seed, config.seed + count)}
    return Team(root, configs, evaluate, resume)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train(work: Team, processes: int, observe: Callable[[float, int], None] | None = None) -> list[Outcome]:
    """Train every seed of a team.

    Args:
        work: what to train.
        processes: at most this many at a time.
        observe: told the share of all work done, and how many seeds have ended; now and then, and again when they end.
    Returns:
        One outcome per seed, in their order.
    """
    crew, waiting, told = _Crew(work), deque(work.configs), False
    with interruptible() as interrupted:
        try:
            while crew.members or (waiting and not interrupted()):
                while waiting and len(crew.members) < processes and not interrupted():
                    crew.begin(waiting.popleft())
                if interrupted() and not told:
                    crew.interrupt()
                    told = True
                crew.listen()
                if observe:
                    observe(crew.share, len(crew.outcomes))
        except BaseException:  # a second Ctrl-C: they do not wait either
            crew.interrupt()
            raise
    for seed in waiting:
        crew.outcomes[seed] = Outcome(seed, work.folder(seed), "not begun")
    return [crew.outcomes[seed] for seed in work.configs]


@dataclass
class _Member:
    seed: int
    process: BaseProcess
    share: float = 0.0


@dataclass
class _Crew:
    """The processes at work, by their pipes."""

    work: Team
    members: dict[Connection, _Member] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of all work that is done, 0 to 1."""
        return (len(self.outcomes) + sum(member.share for member in self.members.values())) / len(self.work.configs)

    def begin(self, seed: int) -> None:
        """A process for a seed."""
        ours, theirs = CONTEXT.Pipe(duplex=False)
        inherited = [ours, *self.members] if FORKED else []
        process = CONTEXT.Process(target=_work, args=(theirs, inherited, self.work, seed))
        process.start()
        theirs.close()
        self.members[ours] = _Member(seed, process)

    def interrupt(self) -> None:
        """Ask everyone to save and end."""
        for member in self.members.values():
            if member.process.pid is not None and member.process.is_alive():
                os.kill(member.process.pid, signal.SIGINT)

    def listen(self) -> None:
        """Take what was said; wait for a moment when nothing was."""
        for pipe in wait(list(self.members), timeout=TELL_EVERY):
            assert isinstance(pipe, Connection)
            try:
                said: float | Outcome = pipe.recv()
            except EOFError:
                self._lost(pipe)
                continue
            if isinstance(said, Outcome):
                self._end(pipe, said)
            else:
                self.members[pipe].share = said

    def _end(self, pipe: Connection, outcome: Outcome) -> None:
        member = self.members.pop(pipe)
        member.process.join()
        pipe.close()
        self.outcomes[member.seed] = outcome

    def _lost(self, pipe: Connection) -> None:
        member = self.members[pipe]
        member.process.join()
        reason = f"its process died (exit code {member.process.exitcode})"
        self._end(pipe, Outcome(member.seed, self.work.folder(member.seed), "failed", reason))


def _work(pipe: Connection, inherited: Sequence[Connection], work: Team, seed: int) -> None:
    """Body of a process: whatever happens, an outcome is sent."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not the parent's
    os.setpgid(0, 0)  # Ctrl-C at a terminal reaches the parent alone, which passes it on once
    for end in inherited:
        end.close()  # a copy kept here would hide from a sibling that the parent is gone
    folder = work.folder(seed)
    try:
        outcome = _train_and_measure(pipe, work, seed)
    except KeyboardInterrupt:
        outcome = Outcome(seed, folder, "interrupted")
    except FledgeError as error:
        outcome = Outcome(seed, folder, "failed", str(error))
    except Exception as error:  # a seed must not take the others with it
        write_atomically(folder / TRACEBACK, traceback.format_exc())
        outcome = Outcome(seed, folder, "failed", f"{type(error).__name__}: {error} ({folder / TRACEBACK})")
    pipe.send(outcome)


def _train_and_measure(pipe: Connection, work: Team, seed: int) -> Outcome:
    folder, config = work.folder(seed), work.configs[seed]
    due = time.perf_counter()

    def tell(entry: Progress) -> None:
        nonlocal due
        if time.perf_counter() < due:
            return
        due = time.perf_counter() + TELL_EVERY
        try:
            pipe.send(entry.iteration / entry.iterations)
        except BrokenPipeError:
            raise KeyboardInterrupt from None  # nobody is left to tell: save and end

    start = time.process_time()
    if work.resume and (folder / runs.CHECKPOINT).exists():
        result = recorded.resume(folder, tell)
    elif work.resume and (folder / runs.METRICS).exists():
        result = runs.load_result(folder)
    else:
        result = recorded.train(folder, config, tell)
    cpu_seconds = time.process_time() - start
    if result.interrupted:
        return Outcome(seed, folder, "interrupted", "", result.seconds, cpu_seconds)
    figures = None
    if work.evaluate:
        figures = evaluate.evaluate(result.policy, robots.load(config.robot))
        runs.save_run(folder, config, result, figures)
    return Outcome(seed, folder, "done", "", result.seconds, cpu_seconds, figures)
