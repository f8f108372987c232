"""The numbers of a run on an arm: asymmetric PPO, with or without a teacher's critic (AACD), and imitation.

Presets are tasks. Senses are what the actor gets: `joints` (joint sensors, forward kinematics, the goal as it is told),
`touch` (the pooled taxels as well), `truth` (what only a simulator knows as well: an expert for others).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from fledge_sim.errors import FledgeError

from fledge_train.curriculum import Cosine, Line
from fledge_train.history_encoder import HistoryNumbers
from fledge_train.imitation import ImitationNumbers
from fledge_train.ppo_config import Pace, PpoNumbers

Task = Literal["reach", "insertion", "loose_insertion", "placement", "push"]
TASKS: tuple[Task, ...] = get_args(Task)
Senses = Literal["joints", "touch", "truth"]
Method = Literal["cloning", "dagger"]
Network = Literal["gru", "mlp"]


@dataclass(frozen=True)
class GroupWeights:
    """What a reward group counts for, after it was normalised."""

    task: Line = Line(1.0, 1.0)
    """Getting there."""
    smoothness: Line = Line(0.2, 0.2)
    """Changes of action, speed, effort of the servos."""
    contact: Line = Line(0.0, 0.3)
    """Contact forces: nothing at first, so that the way is found before it must be gentle."""

    def at(self, group: str, progress: float) -> float:
        """Of one group, at `progress` of the run. Raises FledgeError for a group that has no weight here."""
        schedule = getattr(self, group, None)
        if not isinstance(schedule, Line):
            known = ", ".join(entry.name for entry in dataclasses.fields(self))
            raise FledgeError(f"training configuration: no weight for the reward group '{group}'; known: {known}")
        return schedule.at(progress)


@dataclass(frozen=True)
class ArmPpoConfig:
    """One run of asymmetric PPO."""

    algorithm: ClassVar[str] = "arm"
    robot: str = "so101"
    """Name of an arm that ships with fledge, or path of a .toml file."""
    task: Task = "reach"
    """What is learned."""
    senses: Senses = "joints"
    """What the actor gets; the critic knows the truth in any case."""
    difficulty: float = 1.0
    """Level of the task's own coordinates, such as how well the hole is known; 0 easy, 1 as it is meant."""
    curriculum: Line = Line(1.0, 1.0)
    """Share of the difficulty that episodes have, over the run."""
    network: Network = "mlp"
    """The actor's kind: gru remembers, an mlp does not. `--actor` sets it with the sizes that suit it."""
    seed: int = 0
    """Of everything random; the same seed gives the same weights on the same machine."""
    iterations: int = 150
    """Each: every world acts for the horizon, then the networks learn from it."""
    ppo: PpoNumbers = PpoNumbers()
    """The algorithm's own numbers; `learning_rate` is the critic's, and the actor's at first."""
    pace: Pace = Pace(target=0.015)
    """Of the actor."""
    exploration: Line = Line(1.0, 1.0)
    """Bound on the standard deviation of actions, over the run: what noise did, the mean must learn to do."""
    weights: GroupWeights = GroupWeights()
    """Of the groups of the reward."""
    history: HistoryNumbers = HistoryNumbers()
    """The history encoder; off unless `code` says how large."""
    teacher: str = ""
    """Folder of an expert's run: begin with its critic and what that sees through (AACD)."""
    frozen: int = 10
    """Iterations for which a teacher's critic stays as it is."""
    student: str = ""
    """Folder of a run of the same senses, such as an imitation's: begin with its actor and what that sees through."""

    def __post_init__(self) -> None:
        _check(self.iterations, self.seed, self.difficulty)
        if self.frozen < 0:
            raise FledgeError("training configuration: frozen must not be negative")
        if self.network == "gru":
            _check_gru(self.ppo.hidden)
            if self.ppo.minibatches > self.ppo.environments:
                raise FledgeError("training configuration: a gru's minibatches are whole worlds, give as many at most")
            if self.history.code:
                raise FledgeError("training configuration: a gru has a memory of its own; history.code is for an mlp")

    @property
    def label(self) -> str:
        """Robot, task, senses, and how."""
        how = "-aacd" if self.teacher else "-student" if self.student else "-gru" if self.network == "gru" else ""
        return f"{Path(self.robot).stem}-{self.task}-{self.senses}{how}"


@dataclass(frozen=True)
class ImitationConfig:
    """One run of behaviour cloning or DAgger."""

    algorithm: ClassVar[str] = "imitation"
    robot: str = "so101"
    """Name of an arm that ships with fledge, or path of a .toml file."""
    task: Task = "insertion"
    """The teacher's task."""
    senses: Senses = "touch"
    """What the student gets."""
    difficulty: float = 1.0
    """As in training by reward."""
    method: Method = "dagger"
    """cloning: the expert acts. dagger: more and more the student does."""
    teacher: str = ""
    """Folder of the expert's run."""
    network: Network = "gru"
    """The student's kind: gru remembers, an mlp does not. `--actor` sets it with the sizes that suit it."""
    seed: int = 0
    """Of everything random."""
    iterations: int = 90
    """Each: every world acts for the horizon, then the student learns from all that was seen."""
    imitation: ImitationNumbers = ImitationNumbers()
    """The algorithms' own numbers."""

    def __post_init__(self) -> None:
        _check(self.iterations, self.seed, self.difficulty)
        if self.network == "gru":
            _check_gru(self.imitation.hidden)

    @property
    def label(self) -> str:
        """Robot, task, senses, and how."""
        how = self.method + ("" if self.network == "gru" else "-mlp")
        return f"{Path(self.robot).stem}-{self.task}-{self.senses}-{how}"


def _check(iterations: int, seed: int, difficulty: float) -> None:
    if iterations < 1 or seed < 0:
        raise FledgeError("training configuration: iterations must be at least 1 and seed not negative")
    if not 0 <= difficulty <= 1:
        raise FledgeError(f"training configuration: difficulty is {difficulty}, it must lie in 0..1")


def _check_gru(hidden: tuple[int, ...]) -> None:
    if len(hidden) != 1:
        raise FledgeError("training configuration: a gru has exactly one hidden size, its units of memory")


MEMORY = 48
"""Units of a gru: with touch, inference takes less than 1 ms of a Cortex-M4F; with 64 it does not."""


def _hidden(actor: Network) -> tuple[int, ...]:
    return (MEMORY,) if actor == "gru" else (64, 64)


def reach(robot: str = "so101", seed: int = 0, actor: Network = "mlp") -> ArmPpoConfig:
    """The tip to a place: a minute or two of one core."""
    numbers = PpoNumbers(
        environments=256,
        horizon=24,
        epochs=5,
        minibatches=4,
        critic_hidden=(128, 128),
        learning_rate=Cosine(2e-3, 1e-4),
        discount=0.97,
        deviation=0.5,
        hidden=_hidden(actor),
    )
    return ArmPpoConfig(robot=robot, seed=seed, task="reach", iterations=130, ppo=numbers, network=actor)


def contact(task: Task, robot: str = "so101", seed: int = 0, actor: Network = "mlp") -> ArmPpoConfig:
    """A task in contact: longer, with smaller first movements and a discount that looks further ahead."""
    begun = reach(robot, seed, actor)
    numbers = dataclasses.replace(begun.ppo, discount=0.98, environments=128, horizon=32, deviation=0.2)
    return dataclasses.replace(
        begun,
        task=task,
        iterations=100,
        ppo=numbers,
        curriculum=Line(0.2, 1.0, until=0.5),
        exploration=Line(0.2, 0.04, until=0.9),
    )


def insertion(robot: str = "so101", seed: int = 0, actor: Network = "mlp") -> ArmPpoConfig:
    """The peg into its hole."""
    return contact("insertion", robot, seed, actor)


def loose_insertion(robot: str = "so101", seed: int = 0, actor: Network = "mlp") -> ArmPpoConfig:
    """The peg into its hole, from a worse grip."""
    return contact("loose_insertion", robot, seed, actor)


def placement(robot: str = "so101", seed: int = 0, actor: Network = "mlp") -> ArmPpoConfig:
    """The peg upright on its pad."""
    return contact("placement", robot, seed, actor)


def push(robot: str = "so101", seed: int = 0, actor: Network = "mlp") -> ArmPpoConfig:
    """A block to a place."""
    return contact("push", robot, seed, actor)


def aacd(robot: str = "so101", seed: int = 0, actor: Network = "gru") -> ArmPpoConfig:
    """The insertion by touch from where an imitation ended: at full difficulty, with little noise and small steps."""
    begun = insertion(robot, seed, actor)
    numbers = dataclasses.replace(begun.ppo, epochs=4, learning_rate=Cosine(5e-4, 1e-4), deviation=0.1)
    return dataclasses.replace(
        begun,
        senses="touch",
        ppo=numbers,
        pace=Pace(target=0.01, most=3e-3),
        iterations=150,
        curriculum=Line(1.0, 1.0),
        exploration=Line(0.1, 0.03, until=0.6),
    )


def imitation(
    robot: str = "so101", seed: int = 0, actor: Network = "gru", method: Method = "dagger"
) -> ImitationConfig:
    """DAgger of the insertion."""
    numbers = ImitationNumbers(hidden=_hidden(actor))
    return ImitationConfig(robot=robot, seed=seed, network=actor, method=method, imitation=numbers)


def cloning(robot: str = "so101", seed: int = 0, actor: Network = "gru") -> ImitationConfig:
    """Behaviour cloning of the insertion."""
    return imitation(robot, seed, actor, "cloning")


PRESETS: dict[str, Callable[..., ArmPpoConfig]] = {
    "reach": reach,
    "insertion": insertion,
    "loose_insertion": loose_insertion,
    "placement": placement,
    "push": push,
    "aacd": aacd,
}
"""By task, the first is the default; and aacd."""
IMITATION_PRESETS: dict[str, Callable[..., ImitationConfig]] = {"dagger": imitation, "cloning": cloning}
"""By method, the first is the default."""
