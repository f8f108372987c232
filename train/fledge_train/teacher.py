"""What one run leaves for another: its actor, its critic, and the statistics through which both see the world.

teacher.npz holds a record (format, robot, task, groups of the reward, what the actor sees, sizes) and the arrays. A
policy file is no teacher: it has no critic.
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
from fledge_train.trainer import put
from fledge_train.typed_json import from_tree, to_tree

FILE = "teacher.npz"
FORMAT = 1


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
class Teacher:
    """A run's result with everything that the policy file leaves out."""

    origin: Origin
    actor: Network
    """On normalised observations."""
    critic: Network
    observation: Statistics
    privileged: Statistics

    def act(self, observation: Float32) -> Float32:
        """Mean action (n, A) for raw observations (n, I)."""
        return self.actor.infer(self.observation.normalised(observation))

    def lend_critic(self, learner: Learner, privileged: Statistics) -> None:
        """The learner's critic becomes this one, and so does what it sees through.

        Raises FledgeError where the sizes differ.
        """
        theirs, ours = learner.critic.sizes, self.critic.sizes
        if theirs != ours:
            raise FledgeError(
                f"the teacher's critic has layers {ours}, this run's {theirs}: give both runs the same task, "
                "groups of the reward and ppo.critic_hidden"
            )
        learner.critic.copy_from(self.critic)
        put(privileged.arrays(), self.privileged.arrays())
        privileged.settle()


def save(path: Path, teacher: Teacher) -> None:
    """Write atomically."""
    networks = {"actor": teacher.actor, "critic": teacher.critic}
    arrays: dict[str, NDArray[Any]] = {name: network.parameter for name, network in networks.items()}
    for name, statistics in (("observation", teacher.observation), ("privileged", teacher.privileged)):
        arrays |= {f"{name}.{key}": array for key, array in statistics.arrays().items()}
    sizes = {name: network.sizes for name, network in networks.items()}
    record = {"format": FORMAT, "origin": to_tree(teacher.origin), "sizes": sizes}
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
        actor = _network(arrays, "actor", record["sizes"]["actor"], "tanh")
        critic = _network(arrays, "critic", record["sizes"]["critic"], "linear")
    except FileNotFoundError as error:
        raise FledgeError(f"{path} does not exist; train a teacher first (`fledge train --senses truth`)") from error
    except DAMAGE as error:
        raise FledgeError(
            f"{path} is no teacher file ({error}); give the folder of a finished run of an arm"
        ) from error
    statistics = {name: _statistics(arrays, name, network.sizes[0]) for name, network in _seen(actor, critic).items()}
    return Teacher(origin, actor, critic, **statistics)


def _seen(actor: Network, critic: Network) -> Mapping[str, Network]:
    return {"observation": actor, "privileged": critic}


def _network(arrays: Mapping[str, NDArray[Any]], name: str, sizes: list[int], output: Any) -> Network:
    network = Network(tuple(int(size) for size in sizes), "tanh", output)
    put({name: network.parameter}, dict(arrays))
    if not np.isfinite(network.parameter).all():
        raise FledgeError(f"the teacher's {name} holds a NaN or infinite weight; its run diverged, train it anew")
    return network


def _statistics(arrays: Mapping[str, NDArray[Any]], name: str, size: int) -> Statistics:
    statistics = Statistics(size)
    put(statistics.arrays(), dict(arrays), f"{name}.")
    statistics.settle()
    return statistics
