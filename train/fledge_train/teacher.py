"""What one run leaves for another: its actor, its critic if it has one, and the statistics through which they see.

teacher.npz holds a record (format, robot, task, groups of the reward, what the actor sees, sizes) and the arrays. A
policy file is no teacher: it has no critic, and its normaliser is folded into its weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.files import open_atomically
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.checkpoint import DAMAGE
from fledge_train.dense import Network
from fledge_train.normaliser import Statistics
from fledge_train.ppo import Learner
from fledge_train.recurrent import Gru
from fledge_train.trainer import put
from fledge_train.typed_json import from_tree, to_tree

FILE = "teacher.npz"
FORMAT = 2
SEEN = {"actor": "observation", "critic": "privileged"}
"""Names of the statistics through which each sees."""


@dataclass(frozen=True)
class Origin:
    """What a teacher learned, and from what."""

    robot: str
    task: str
    senses: str
    """Of its actor; see fledge_train.arm_config."""
    reward_groups: tuple[str, ...]
    """Columns of its critic."""


@dataclass(frozen=True)
class Critic:
    """A value of the truth."""

    network: Network
    """On the normalised truth."""
    statistics: Statistics


@dataclass(frozen=True)
class Teacher:
    """A run's result with everything that the policy file leaves out."""

    origin: Origin
    actor: Network | Gru
    """On normalised observations."""
    statistics: Statistics
    """Of the observation."""
    critic: Critic | None = None

    @property
    def kind(self) -> str:
        """Of the actor: gru or mlp."""
        return "gru" if isinstance(self.actor, Gru) else "mlp"

    def act(self, observation: Float32) -> Float32:
        """Mean action (n, A) for raw observations (n, I), of an actor without memory. Raises FledgeError otherwise."""
        if isinstance(self.actor, Gru):
            raise FledgeError("a teacher that remembers cannot be asked about any state; take one of --actor mlp")
        return self.actor.infer(self.statistics.normalised(observation))

    def lend_actor(self, learner: Learner, observation: Statistics) -> None:
        """The learner's actor becomes this one, and so does what it sees through.

        Raises FledgeError where they differ in kind or size.
        """
        theirs, ours = learner.actor, self.actor
        if isinstance(theirs, Gru) != isinstance(ours, Gru) or theirs.sizes != ours.sizes:
            raise FledgeError(
                f"the student is a {self.kind} with layers {ours.sizes}, this run's actor has {theirs.sizes}; give "
                f"--actor {self.kind} --ppo.hidden {' '.join(map(str, ours.sizes[1:-1]))}"
            )
        theirs.parameter[:] = ours.parameter
        put(observation.arrays(), self.statistics.arrays())
        observation.settle()

    def lend_critic(self, learner: Learner, privileged: Statistics) -> None:
        """The learner's critic becomes this one, and so does what it sees through.

        Raises FledgeError where there is none, or the sizes differ.
        """
        if self.critic is None:
            raise FledgeError("the teacher has no critic (it was an imitation); give the run of an expert")
        theirs, ours = learner.critic.sizes, self.critic.network.sizes
        if theirs != ours:
            raise FledgeError(
                f"the teacher's critic has layers {ours}, this run's {theirs}: give both runs the same task, "
                "groups of the reward and ppo.critic_hidden"
            )
        learner.critic.copy_from(self.critic.network)
        put(privileged.arrays(), self.critic.statistics.arrays())
        privileged.settle()


def save(path: Path, teacher: Teacher) -> None:
    """Write atomically."""
    parts: dict[str, tuple[Network | Gru, Statistics]] = {"actor": (teacher.actor, teacher.statistics)}
    if teacher.critic is not None:
        parts["critic"] = teacher.critic.network, teacher.critic.statistics
    arrays: dict[str, NDArray[Any]] = {name: network.parameter for name, (network, _) in parts.items()}
    for name, (_, statistics) in parts.items():
        arrays |= {f"{SEEN[name]}.{key}": array for key, array in statistics.arrays().items()}
    sizes = {name: network.sizes for name, (network, _) in parts.items()}
    record = {"format": FORMAT, "origin": to_tree(teacher.origin), "kind": teacher.kind, "sizes": sizes}
    arrays["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    with open_atomically(path) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Teacher:
    """Read what `save` wrote, from the file or from the run's folder. Raises FledgeError with what to do."""
    path = path / FILE if path.is_dir() else path
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
        record = json.loads(arrays.pop("record").tobytes())
        if record["format"] != FORMAT:
            raise FledgeError(f"{path} has format {record['format']}, not {FORMAT}; use the fledge that wrote it")
        origin = from_tree(Origin, record["origin"], f"{path}: origin")
        sizes = {name: tuple(int(size) for size in kept) for name, kept in record["sizes"].items()}
        recurrent, critic = record["kind"] == "gru", None
        actor = Gru(sizes["actor"]) if recurrent else Network(sizes["actor"], "tanh", "tanh")
        statistics = _fill(arrays, "actor", actor)
        if "critic" in sizes:
            network = Network(sizes["critic"], "tanh", "linear")
            critic = Critic(network, _fill(arrays, "critic", network))
    except FileNotFoundError as error:
        raise FledgeError(f"{path} does not exist; train a teacher first (`fledge train --senses truth`)") from error
    except DAMAGE as error:
        raise FledgeError(
            f"{path} is no teacher file ({error}); give the folder of a finished run of an arm"
        ) from error
    return Teacher(origin, actor, statistics, critic)


def _fill(arrays: Mapping[str, NDArray[Any]], name: str, network: Network | Gru) -> Statistics:
    """Weights of a network; the statistics that belong to it."""
    put({name: network.parameter}, dict(arrays))
    if not np.isfinite(network.parameter).all():
        raise FledgeError(f"the teacher's {name} holds a NaN or infinite weight; its run diverged, train it anew")
    statistics = Statistics(network.sizes[0])
    put(statistics.arrays(), dict(arrays), f"{SEEN[name]}.")
    statistics.settle()
    return statistics
