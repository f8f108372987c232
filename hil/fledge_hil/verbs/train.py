"""Train a policy for a robot: a quadrotor in seconds, through the native differentiable simulator; an arm in minutes.

Writes runs/NAME/: policy.npz (weights and contract), config.json, metrics.json, and scalars for TensorBoard. Ctrl-C
saves, and --resume runs/NAME goes on to the same bytes. The same seed gives the same weights on the same machine.
--help-all shows every hyper-parameter as well; each can be set.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, cast

import tyro
from fledge_sim import quantity, randomize
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.randomize import Randomization
from fledge_train import algorithms, config, recorded, runs, trainer
from fledge_train.criterion import Criterion
from fledge_train.trainer import Config

from fledge_hil import screen

PRESETS = config.PRESETS
"""Of shac."""
ALGORITHMS = " ".join(f"{name}: {sentence}." for name, sentence in algorithms.SENTENCES.items())
SPREADS: Mapping[str, Callable[[], Randomization]] = {
    "around": config.around,
    "none": randomize.none,
    "paper": randomize.paper,
    "10": partial(randomize.plus_minus, 0.1),
    "20": partial(randomize.plus_minus, 0.2),
    "published": lambda: replace(randomize.any_published_crazyflie(), control_delay=config.around().control_delay),
}
INTERRUPTED = 130
TEAM = "seeds.json"
"""What tells the folder of several seeds from that of one."""
C = TypeVar("C")
# Not `str | None`, for which tyro loads a type checker: a tenth of what a short training costs.
MaybeText = Optional[str]  # noqa: UP045
MaybePath = Optional[Path]  # noqa: UP045
MaybeCount = Optional[int]  # noqa: UP045


@dataclass(frozen=True)
class Options(Generic[C]):
    """See the module's docstring."""

    config: Annotated[C, tyro.conf.arg(name="")]
    """Every hyper-parameter."""
    algorithm: Annotated[algorithms.Name, tyro.conf.arg(help=ALGORITHMS)] = "shac"
    preset: MaybeText = None
    """Sets the defaults of what follows; the first of an algorithm is its default."""
    actor: Literal["gru", "mlp"] | None = None
    """gru: recurrent; the default of shac (24 units) and of imitation (48). mlp: dense layers over the observation and
    past actions."""
    spread: Literal["around", "none", "paper", "10", "20", "published"] | None = None
    """Which robots: none, exactly the robot file's. paper, it, pushed. 10 or 20, within +-10 or 20 %, pushed. around:
    those, with delay and noise. published, any published Crazyflie. Default: as the preset has it."""
    name: MaybeText = None
    """Of the run; default: ROBOT-ACTOR-SEED, or ROBOT-ACTOR-seeds."""
    directory: Path = Path("runs")
    """Where runs are kept."""
    resume: MaybePath = None
    """Folder of an unfinished run, or of several seeds: go on with it. Every number comes from there."""
    seeds: int = 1
    """So many, from --seed on, side by side; each has a folder in runs/NAME, and seeds.json tells their spread."""
    processes: MaybeCount = None
    """Seeds at a time; default: one per core."""
    success: Criterion = Criterion()
    """When one of several seeds is a success."""
    evaluate: bool = True
    """Measure the policy afterwards (about 3 s) and keep the figures with the run."""


@dataclass(frozen=True)
class Named:
    """All that most commands say of a configuration; they are understood without a look at its other hundred fields."""

    robot: str
    seed: int


@dataclass(frozen=True)
class Short(Options[C]):
    """What --help shows of the hyper-parameters."""

    robot: str = "crazyflie"
    """Name of a robot that ships with fledge, or path of a .toml file."""
    seed: int = 0
    """Of everything random; the same seed gives the same weights on the same machine."""


@dataclass(frozen=True)
class ShortArm(Short[C]):
    """The same of an arm's."""

    task: str = ""
    """reach, insertion, loose_insertion (from a worse grip), placement or push."""
    senses: str = ""
    """Of the actor: joints; touch, the finger pads as well; truth, an expert for others to learn from."""
    teacher: str = ""
    """Folder of an expert's run: imitated, or its critic is taken over (AACD)."""
    student: str = ""
    """Folder of an imitation's run: go on from its actor, by reward; with --preset aacd."""


def parse(arguments: Sequence[str], prog: str) -> Options[Any]:
    """Options with the defaults of the algorithm, preset, actor and spread, or of the run, that the arguments name."""
    resumed = _peek(arguments, "--resume")
    settings = _preset(arguments) if resumed is None else runs.load_config(Path(resumed))
    if "--help" in arguments or "-h" in arguments:
        kind: Any = tyro.conf.Suppress[type(settings)]  # type: ignore[misc]
        short: Any = Short(settings)
        if algorithms.find(settings.algorithm).robots == "arm":
            known: Any = settings
            short = ShortArm(
                settings, algorithm=known.algorithm, robot=known.robot, task=known.task, senses=known.senses
            )
        tyro.cli(type(short)[kind], args=arguments, prog=prog, description=__doc__, default=short)
    if _is_brief(arguments):
        named = Options(Named(settings.robot, settings.seed))
        brief: Options[Named] = tyro.cli(Options[Named], args=arguments, prog=prog, default=named)
        given = replace(cast("Any", settings), robot=brief.config.robot, seed=brief.config.seed)
        return replace(cast("Options[Any]", brief), config=given)
    arguments = ["--help" if argument == "--help-all" else argument for argument in arguments]
    kind, default = type(settings), Options(settings)
    options: Options[Any] = tyro.cli(Options[kind], args=arguments, prog=prog, description=__doc__, default=default)
    if resumed is not None:
        _refuse_changes(options, settings)
    return options


def _is_brief(arguments: Sequence[str]) -> bool:
    """Whether every flag is one of Options, of those that need no look at the configuration, or of Named."""
    known = {f.name for f in (*fields(Options), *fields(Named)) if f.name not in ("config", "resume", "success")}
    flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    return all(flag.removeprefix("--").removeprefix("no-").replace("-", "_") in known for flag in flags)


def _preset(arguments: Sequence[str]) -> Config:
    name = _peek(arguments, "--algorithm") or _usual_algorithm(arguments)
    preset = _peek(arguments, "--preset") or (_peek(arguments, "--task") if name == "arm" else None)
    actor, spread = _peek(arguments, "--actor"), _peek(arguments, "--spread") or ""
    algorithm = algorithms.find(name)
    if preset is not None and preset not in algorithm.presets:
        raise FledgeError(f"--preset {preset}: {name} has {', '.join(algorithm.presets)}; choose one of them")
    if actor is not None and actor not in algorithm.actors:
        raise FledgeError(f"--actor {actor}: {name} trains {' or '.join(algorithm.actors)}")
    begin = algorithm.presets[preset] if preset else next(iter(algorithm.presets.values()))
    settings: Any = begin(actor=actor) if actor and len(algorithm.actors) > 1 else begin()
    if spread in SPREADS:
        settings = replace(settings, randomization=SPREADS[spread]())
    return cast("Config", settings)


def _usual_algorithm(arguments: Sequence[str]) -> str:
    """arm for an arm or one of its tasks, else shac."""
    robot = _peek(arguments, "--robot")
    return "arm" if _peek(arguments, "--task") or (robot and quantity.kind_of_robot(robot) == "arm") else "shac"


def _peek(arguments: Sequence[str], flag: str) -> str | None:
    for here, following in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        if here == flag:
            return following
        if here.startswith(f"{flag}="):
            return here.partition("=")[2]
    return None


def _refuse_changes(options: Options[Any], settings: Config) -> None:
    """A run goes on with the numbers it began with."""
    free = ("config", "resume", "evaluate", "processes", "success")
    changed = [f.name for f in fields(Options) if f.name not in free and getattr(options, f.name) != f.default]
    changed += [f.name for f in fields(options.config) if getattr(options.config, f.name) != getattr(settings, f.name)]
    if changed:
        raise FledgeError(
            f"--resume takes every number from {options.resume}; leave out what would change {', '.join(changed)}, "
            "or begin a new run"
        )


def run(options: Options[Any]) -> int:
    """Train or resume, save, report."""
    settings = options.config
    folder = options.resume or runs.run_folder(options.directory, options.name or default_name(options))
    if options.seeds != 1 or (options.resume and (folder / TEAM).exists()):
        return _run_team(options, folder)
    result = train_with_bar(folder, settings, resumed=options.resume is not None)
    contract, path = result.policy.contract, folder / runs.POLICY
    arm = algorithms.find(settings.algorithm).robots == "arm"
    screen.say(
        f"{'interrupted' if result.interrupted else 'trained'} in {result.seconds:.2f} s: "
        f"{result.policy.parameter_count} weights for {contract.robot}, contract {contract.sha256[:8]}"
    )
    if options.evaluate and not result.interrupted:
        _evaluate(folder, settings, result)
    screen.say(f"policy: {path}")
    if result.interrupted:
        screen.say(f"next:   fledge train --resume {folder}")
        return INTERRUPTED
    screen.say(f"next:   fledge export {path}" + ("" if arm else f"   or   fledge fly --policy {path}"))
    return 0


def _evaluate(folder: Path, settings: Config, result: trainer.TrainResult) -> None:
    """Measure, keep and show."""
    if algorithms.find(settings.algorithm).robots == "arm":
        from fledge_hil import arm_evaluation

        moved = arm_evaluation.measure(result.policy)
        runs.save_run(folder, settings, result, moved)
        arm_evaluation.show([(folder.name, moved)])
        return
    from fledge_hil.verbs import eval as evaluation

    figures = evaluation.measure(result.policy, settings.robot)
    runs.save_run(folder, settings, result, figures)
    evaluation.show(figures)


def _run_team(options: Options[Any], folder: Path) -> int:
    from fledge_hil import training_team

    if algorithms.find(options.config.algorithm).robots == "arm":
        raise FledgeError("--seeds is for quadrotors; give an arm one --seed at a time, or run `fledge bench arm`")
    if options.resume:
        team = training_team.reopened(folder, options.config, options.evaluate)
    else:
        team = training_team.begin(folder, options.config, options.seeds, options.evaluate)
    return training_team.train(team, options.success, options.processes)


def default_name(options: Options[Any]) -> str:
    """ROBOT-ACTOR-SEED, or ROBOT-ACTOR-seeds for several; where the network is no choice, ROBOT-ALGORITHM-SEED.

    An arm's is ROBOT-TASK-SENSES-SEED, with aacd, cloning or dagger before the seed where there is a teacher, student
    where there is that alone, and the network where it is not the usual one.
    """
    settings: Any = options.config
    if algorithms.find(settings.algorithm).robots == "arm":
        return f"{settings.label}-{settings.seed}"
    what = settings.actor.kind if isinstance(settings, config.TrainConfig) else settings.algorithm
    return f"{robots.load(settings.robot).name}-{what}-{settings.seed if options.seeds == 1 else 'seeds'}"


def train_with_bar(folder: Path, settings: Config, resumed: bool = False) -> trainer.TrainResult:
    """Train, or go on, in a run's folder, with a progress bar."""
    with progress_bar() as progress:
        return recorded.resume(folder, progress) if resumed else recorded.train(folder, settings, progress)


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[trainer.Progress], None]]:
    """`with progress_bar() as progress: shac.train(config, progress)`."""
    with screen.bar("training") as bar:

        def progress(report: trainer.Progress) -> None:
            figures = f"error {screen.centimetres(report.position_error)}, {report.failures:.2f} lost per 1000 steps"
            bar.show(report.iteration / report.iterations, figures)

        yield progress
