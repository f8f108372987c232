"""How fast the simulator is, beside other simulators in the same run.

Every simulator runs in a process of its own; they take turns within each round, and a figure is the median over the
rounds. Rates are steps of one environment (10 ms) per second of processor time unless a heading says otherwise. Peers
that are not installed are named with what to type. They may live in an environment of their own: --peers-python.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_hil import screen
from fledge_hil.bench import contest
from fledge_hil.bench.contest import Contest, Effort, Entry, Result
from fledge_hil.bench.report import Cell, Report, Table, this_machine

MILLION = 1e6
L2F = "pip install l2f (compiles for about ten minutes)"
CRAZYFLOW = "pip install crazyflow (brings JAX and MuJoCo; best in an environment of its own, see --peers-python)"
STEP = (
    Entry("fledge", "fledge_peer", "step", "reinstall fledge"),
    Entry("torch.compile", "torch_peer", "step_compiled", "pip install torch"),
    Entry("torch eager", "torch_peer", "step", "pip install torch"),
    Entry("l2f", "l2f_peer", "step", L2F, foreign=True),
    Entry("crazyflow", "crazyflow_peer", "step", CRAZYFLOW, foreign=True),
    Entry("numpy", "numpy_peer", "step", "pip install numpy"),
)
ADJOINT = (
    Entry("fledge", "fledge_peer", "step_and_adjoint", "reinstall fledge"),
    Entry("torch.compile", "torch_peer", "step_and_adjoint_compiled", "pip install torch"),
    Entry("torch eager", "torch_peer", "step_and_adjoint", "pip install torch"),
)
ENVIRONMENT = (
    Entry("fledge", "fledge_peer", "environment", "reinstall fledge"),
    Entry("l2f, observe + step + assign", "l2f_peer", "loop", L2F, foreign=True),
    Entry("l2f, with reward and reset", "l2f_peer", "environment", L2F, foreign=True),
    Entry("numpy", "numpy_peer", "environment", "pip install numpy"),
)
SUBJECTS = {
    "step": ("bare step, RK4", STEP),
    "adjoint": ("step and its reverse sweep", ADJOINT),
    "environment": ("environment step: observation, noise, reward, reset, randomization", ENVIRONMENT),
}


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    batches: tuple[int, ...] = (1, 64, 1024, 8192, 65536)
    """Environments per call; l2f has powers of two up to 8192."""
    threads: tuple[int, ...] = (1, 2)
    """With one thread all processes are pinned to the same core."""
    rounds: int = 7
    """Repetitions per figure."""
    seconds: float = 0.3
    """Processor time per repetition."""
    quick: bool = False
    """Batches 1, 1024 and 8192, one thread, three rounds of 0.1 s."""
    alone: bool = False
    """No peers."""
    peers_python: Path | None = None
    """Interpreter of the environment where l2f and crazyflow are installed; default: this one."""
    json: Path | None = None
    """Also write the unrounded figures to this file."""


def measure(options: Options) -> Report:
    """All tables."""
    python = _interpreter(options.peers_python)
    machine = this_machine(("numpy", "torch"))
    batches = (1, 1024, 8192) if options.quick else options.batches
    effort = Effort(3, 0.1) if options.quick else Effort(options.rounds, options.seconds)
    contests: dict[tuple[str, int], Contest] = {}
    with screen.bar("timing") as bar:
        kinds = [(name, threads) for threads in ((1,) if options.quick else options.threads) for name in SUBJECTS]
        for done, (name, threads) in enumerate(kinds):
            bar.show(done / len(kinds), f"{SUBJECTS[name][0]}, {threads} threads")
            entries = [entry for entry in SUBJECTS[name][1] if not options.alone or entry.label == "fledge"]
            contests[name, threads] = contest.hold(entries, batches, threads, effort, python)
    tables = [_table(name, threads, held, effort) for (name, threads), held in contests.items()]
    for held in contests.values():
        machine.versions.update(held.versions)
    absent = tuple(dict.fromkeys(sentence for held in contests.values() for sentence in held.absent))
    return Report("sim", machine, tuple(tables), absent)


def _interpreter(python: Path | None) -> str | None:
    if python is None:
        return None
    if shutil.which(str(python)) is None:
        raise FledgeError(f"--peers-python {python} is no interpreter that can be started; give the path of its python")
    return str(python)


def _table(name: str, threads: int, held: Contest, effort: Effort) -> Table:
    """One row per simulator; per batch its rate and how many times faster fledge is."""
    batches = list(dict.fromkeys(result.batch for result in held.results))
    labels = list(dict.fromkeys(result.entry.label for result in held.results))
    rates = {(result.entry.label, result.batch): _rate(result) for result in held.results}
    rows = tuple((label, *(cell for batch in batches for cell in _pair(rates, label, batch))) for label in labels)
    unit = "M/s of processor time" if threads == 1 else "M/s of wall-clock time"
    spread = statistics.median(result.rate.spread for result in held.results if result.rate is not None)
    return Table(
        title=f"{SUBJECTS[name][0]}, {threads} thread{'s' * (threads > 1)} [{unit}]",
        heads=("environments per call", *(head for batch in batches for head in (str(batch), "x"))),
        rows=rows,
        notes=(
            f"x: fledge over it. Medians of {effort.rounds} rounds of at least {effort.seconds:g} s, in turns; "
            f"fastest over slowest round: {spread:.2f} in the median.",
        ),
    )


def _rate(result: Result) -> float | None:
    """[M/s]: what one core does, or what all do together in the time one waits."""
    if result.rate is None:
        return None
    return (result.rate.cpu if result.threads == 1 else result.rate.wall) / MILLION


def _pair(rates: Mapping[tuple[str, int], float | None], label: str, batch: int) -> tuple[Cell, Cell]:
    rate, ours = rates[label, batch], rates.get(("fledge", batch))
    return rate, None if rate is None or ours is None or label == "fledge" else ours / rate
