"""How fast the simulator is, beside other simulators in the same run.

Every simulator runs in a process of its own; they take turns within each round, and a figure is the median over the
rounds. Rates are steps of one environment (10 ms) per second of processor time unless a heading says otherwise. Peers
that are not installed are named with what to type. They may live in an environment of their own: --peers-python.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError

from fledge_hil import screen
from fledge_hil.bench import accelerator, contest, sim_tables
from fledge_hil.bench.contest import Contest, Effort, Entry
from fledge_hil.bench.report import Report, Table, this_machine

L2F = "pip install l2f (compiles for about ten minutes)"
CRAZYFLOW = "pip install crazyflow (brings JAX and MuJoCo; best in an environment of its own, see --peers-python)"
COMPILED = (1, 1024, 65536)
"""Batches for what compiles some ten seconds for each."""
SLOW_TO_COMPILE = (1024,)
"""Batches for what compiles for a minute; not with several threads."""
OURS = "fledge"
STEP = (
    Entry(OURS, "fledge_peer", "step", "reinstall fledge"),
    Entry("fledge, PreparedStep", "fledge_peer", "prepared_step", "reinstall fledge"),
    Entry("torch.compile", "torch_peer", "step_compiled", "pip install torch", batches=COMPILED),
    Entry("torch eager", "torch_peer", "step", "pip install torch"),
    Entry("l2f", "l2f_peer", "step", L2F, foreign=True),
    Entry("crazyflow", "crazyflow_peer", "step", CRAZYFLOW, foreign=True),
    Entry("numpy", "numpy_peer", "step", "pip install numpy"),
)
ADJOINT = (
    Entry(OURS, "fledge_peer", "step_and_adjoint", "reinstall fledge"),
    Entry("torch.compile", "torch_peer", "step_and_adjoint_compiled", "pip install torch", batches=SLOW_TO_COMPILE),
    Entry("torch eager", "torch_peer", "step_and_adjoint", "pip install torch"),
)
ENVIRONMENT = (
    Entry(OURS, "fledge_peer", "environment", "reinstall fledge"),
    Entry("fledge, every effect", "fledge_peer", "environment_complete", "reinstall fledge"),
    Entry("fledge, torch.compile", "torch_peer", "environment_compiled", "pip install torch", batches=SLOW_TO_COMPILE),
    Entry("l2f, observe step assign", "l2f_peer", "loop", L2F, foreign=True),
    Entry("l2f, + reward, reset", "l2f_peer", "environment", L2F, foreign=True),
    Entry("numpy", "numpy_peer", "environment", "pip install numpy"),
)
CONTESTS = {
    "bare step, RK4": STEP,
    "step and its reverse sweep": ADJOINT,
    "environment step (observation, noise, reward, reset, randomization)": ENVIRONMENT,
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
    """Batches 1, 1024 and 8192, one thread, three rounds of 0.1 s, nothing that compiles for long."""
    alone: bool = False
    """No peers."""
    peers_python: Path | None = None
    """Interpreter of the environment where l2f and crazyflow are installed; default: this one."""
    json: Path | None = None
    """Also write the unrounded figures to this file."""


def measure(options: Options) -> Report:
    """All tables."""
    _check(options)
    python = _interpreter(options.peers_python)
    machine = this_machine(("numpy", "torch"))
    effort = Effort(3, 0.1) if options.quick else Effort(options.rounds, options.seconds)
    held = _hold_all(options, effort, python)
    for result in held.values():
        machine.versions.update(result.versions)
    absent = tuple(dict.fromkeys(sentence for contest in held.values() for sentence in contest.absent))
    tables, place = _tables(options, held, effort), accelerator.device()
    if place is not None:
        return Report("sim", machine, (*tables, accelerator.rates(place)), absent)
    return Report("sim", machine, tuple(tables), (*absent, accelerator.ABSENT))


def _hold_all(options: Options, effort: Effort, python: str | None) -> dict[tuple[str, int], Contest]:
    batches = (1, 1024, 8192) if options.quick else options.batches
    kinds = [(title, threads) for threads in ((1,) if options.quick else options.threads) for title in CONTESTS]
    held = {}
    with screen.bar("timing") as bar:
        for done, (title, threads) in enumerate(kinds):
            bar.show(done / len(kinds), f"{title}, {threads} threads")
            held[title, threads] = contest.hold(_entries(title, threads, options), batches, threads, effort, python)
    return held


def _entries(title: str, threads: int, options: Options) -> Sequence[Entry]:
    def takes_part(entry: Entry) -> bool:
        slow = entry.batches and (options.quick or (threads > 1 and entry.batches == SLOW_TO_COMPILE))
        return not slow and (not options.alone or entry.peer == "fledge_peer")

    return [entry for entry in CONTESTS[title] if takes_part(entry)]


def _tables(options: Options, held: dict[tuple[str, int], Contest], effort: Effort) -> list[Table]:
    tables = [sim_tables.rates(title, threads, contest, effort) for (title, threads), contest in held.items()]
    tables += sim_tables.latency({title: contest for (title, threads), contest in held.items() if threads == 1})
    tables += sim_tables.scaling(held)
    tables += sim_tables.peak(held)
    return [*tables, sim_tables.memory(10_000 if options.quick else 1_000_000)]


def _check(options: Options) -> None:
    if not options.batches or min(options.batches) < 1:
        raise FledgeError("--batches must be numbers of environments, each at least 1")
    if not options.threads or min(options.threads) < 1:
        raise FledgeError("--threads must be numbers of threads, each at least 1")
    if options.rounds < 1 or not 0 < options.seconds <= 60:
        raise FledgeError("give at least one of --rounds, and --seconds above 0 and at most 60")


def _interpreter(python: Path | None) -> str | None:
    if python is None:
        return None
    if shutil.which(str(python)) is None:
        raise FledgeError(f"--peers-python {python} is no interpreter that can be started; give the path of its python")
    return str(python)
