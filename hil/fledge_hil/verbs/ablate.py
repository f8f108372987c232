"""Leave one part of the paper's recipe out at a time, over seeds, and say which of its findings replicate.

Trains TD3 for the paper's robot, on all cores; runs that are finished under DIRECTORY/NAME are kept, so the same
command goes on after Ctrl-C. Every policy is measured in the full simulation. Writes DIRECTORY/NAME/ablation.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError
from fledge_train import ablation, runs
from fledge_train import seeds as side_by_side
from fledge_train.td3_config import Td3Config

from fledge_hil import screen

INTERRUPTED = 130


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    seeds: int = 10
    """Of every variant."""
    steps: int = 300_000
    """Of every run; about half a minute of one core each."""
    variants: tuple[str, ...] = tuple(ablation.VARIANTS)
    """What to leave out."""
    episodes: int = 500
    """Hover episodes per policy."""
    processes: int | None = None
    """Runs at a time; default: one per core."""
    name: str = "ablation"
    """Folder of the runs."""
    directory: Path = Path("runs")
    """Where runs are kept."""


def run(options: Options) -> int:
    """Train what is missing, measure, tell."""
    unknown = [name for name in options.variants if name not in ablation.VARIANTS]
    if unknown:
        raise FledgeError(f"no variant '{unknown[0]}'; choose among {', '.join(ablation.VARIANTS)}")
    if options.seeds < 2 or options.episodes < 1:
        raise FledgeError("an ablation needs at least 2 seeds and 1 episode")
    root = runs.run_folder(options.directory, options.name)
    base = Td3Config(steps=options.steps)
    processes = options.processes or side_by_side.cores()
    measured: dict[str, ablation.Measured] = {}
    for name in dict.fromkeys((ablation.COMPLETE, *options.variants)):
        with screen.bar(f"without {name}") as bar:
            outcomes = ablation.train(
                root, name, base, options.seeds, processes, lambda share, ended: bar.show(share, f"{ended} seeds")
            )
        if any(outcome.end in ("interrupted", "not begun") for outcome in outcomes):
            screen.say("interrupted; the same command goes on")
            return INTERRUPTED
        measured[name] = ablation.measure(outcomes, base.robot, options.episodes)
        ablation.save(root / "ablation.json", measured, ablation.judge(measured))
        show(ablation.judge(measured)[-1:] if len(measured) < len(options.variants) else ablation.judge(measured))
    screen.say(f"figures: {root / 'ablation.json'}")
    return 0


def show(findings: Iterable[ablation.Finding]) -> None:
    """The table."""
    words: Mapping[bool | None, str] = {None: "", True: "replicates", False: "does not replicate"}
    screen.table(
        "hover without one part of the recipe, measured with all of them",
        ("removed", "seeds", "survival", "min..max", "error", "chance", "real flights", "the paper's finding"),
        (
            (
                f.removed,
                str(f.seeds),
                screen.percent(f.survival),
                f"{screen.percent(f.survival_min)}..{screen.percent(f.survival_max)}",
                screen.centimetres(f.error),
                "" if f.replicates is None else f"{f.chance:.4f}",
                f"{f.real_flights}/10",
                words[f.replicates],
            )
            for f in findings
        ),
    )
