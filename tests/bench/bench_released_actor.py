"""Actors of the code of "Learning to Fly in Seconds" in our evaluation, on the paper's robot.

    git clone https://github.com/arplaboratory/learning_to_fly_controller
    python tests/bench/bench_released_actor.py learning_to_fly_controller/data/actor.h

prints the tables of `fledge eval --thorough` for the actor that was released.

    python tests/bench/bench_released_actor.py learning-to-fly/checkpoints --against runs/crazyflie_paper-td3-seeds

takes the last checkpoint (actor_*.h) of every run of its trainer in the folder, hovers each as bench_minibatch.py does,
and compares with a folder of our seeds. Its trainer writes checkpoints every 100 000 steps, but not in its benchmark
build; there ACTOR_ENABLE_CHECKPOINTS has to be set in src/config/config.h, and the seed in src/training.cpp.

Nothing of those files is kept here: weights are read from them, and their own test vectors must come out before
anything is measured. Asserts nothing else.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fledge_hil import evaluation, evaluation_tables
from fledge_hil.evaluation import Candidate
from fledge_sim import robot
from fledge_sim.contract import TrainingRecord
from fledge_sim.environment import default_observation
from fledge_sim.policy import Policy, assemble, load, scale_observation
from fledge_train import ablation, evaluate, runs, suite
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.executor import Network, NetworkExecution
from fledge_train.networks import contract_of
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
LAYERS = ((64, 146), (64, 64), (4, 64))


def fast_tanh(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """x (27 + x^2) / (27 + 9 x^2) with x clipped to +-3."""
    x = np.clip(x, -3, 3)
    return np.asarray(x * (27 + x * x) / (27 + 9 * x * x))


def read(path: Path) -> tuple[Policy, Float32, Float32]:
    """Policy, and the file's observation and action to try it with."""
    blocks = [
        np.array([int(each) for each in block.split(",")], np.uint8).view("<f4")
        for block in re.findall(r"const unsigned char memory\[\] = \{([0-9, ]+)\}", path.read_text())
    ]
    weights: dict[str, Float32] = {}
    for layer, (rows, columns) in enumerate(LAYERS):
        name = f"dense{layer}" if layer < 2 else "output"
        weights[f"{name}.weight"] = blocks[2 * layer].reshape(rows, columns)
        weights[f"{name}.bias"] = blocks[2 * layer + 1]
    record = TrainingRecord("td3, released with the paper", 0, "")
    contract = contract_of(robot.load("crazyflie_paper"), ActorConfig("mlp", (64, 64), 32), SensorConfig(), record)
    contract = replace(contract, observation=default_observation(history=32))
    observation, action = blocks[6].reshape(-1, 146), blocks[7].reshape(-1, 4)
    return assemble(contract, weights), observation, action


def step(policy: Policy, observation: Float32, memory: Float32) -> tuple[NDArray[np.floating], Float32]:
    """The network with its own tanh."""
    x = scale_observation(policy.contract, observation)
    for name in ("dense0", "dense1", "output"):
        x = fast_tanh(x @ policy.weights[f"{name}.weight"].T + policy.weights[f"{name}.bias"])
    return x, memory


def controller_of(policy: Policy) -> Network:
    """Flies it with its own tanh."""
    return Network(policy, lambda seen, memory: step(policy, seen, memory))


@dataclass(frozen=True)
class FromZero(Network):
    """Past actions before the first are 0, as its trainer has them, and not hover."""

    def begin(self, episodes: int, calls: int) -> NetworkExecution:
        execution = super().begin(episodes, calls)
        execution.history[:] = 0
        return execution


def checked(path: Path) -> Policy:
    """As `read`; prints how well the file's test vector comes out."""
    policy, observation, action = read(path)
    ours, _ = step(policy, observation, np.zeros((len(observation), 0), np.float32))
    print(f"{path.name}: test vector of the file: largest difference {np.abs(ours - action).max():.1e}")
    return policy


def last_checkpoints(folder: Path) -> Iterator[Path]:
    """Of every run below `folder`."""
    for run in sorted({path.parent for path in folder.rglob("actor_*.h")}):
        yield max(run.glob("actor_*.h"))


Figures = NDArray[np.float64]
"""(seeds, 3): survival, error [m], jerk."""


def hover(label: str, flown: Policy | Network, episodes: int) -> tuple[float, float, float]:
    measured = evaluate.hover(flown, robot.load("crazyflie_paper"), evaluate.Conditions(), episodes)
    error, jerk = (np.nan if x is None else x for x in (measured.error, measured.action_jerk))
    print(f"{label:16s} survival {measured.survival:.3f}  error {error:.3f} m  jerk {jerk:.3f}", flush=True)
    return measured.survival, error, jerk


def summary(label: str, figures: Figures) -> None:
    print(f"{label}, {len(figures)} seeds:")
    for name, values in zip(("survival", "error [m]", "jerk"), figures.T, strict=True):
        print(f"    {name:10s} {values.mean():.3f} ({values.min():.3f} to {values.max():.3f})")


def compare(folder: Path, against: Path | None, episodes: int) -> None:
    """Every run of the paper's trainer, with and without its own past actions; beside our seeds."""
    policies = {str(path.parent.name): checked(path) for path in last_checkpoints(folder)}
    theirs = np.array(
        [hover(f"{n[-3:]}, from 0", FromZero(p, controller_of(p).step), episodes) for n, p in policies.items()]
    )
    at_hover = np.array([hover(f"{n[-3:]}, from hover", controller_of(p), episodes) for n, p in policies.items()])
    tables = {"the paper's code, past actions from 0": theirs, "the paper's code, from hover": at_hover}
    if against:
        paths = sorted(against.glob(f"seed-*/{runs.POLICY}"))
        ours = np.array([hover(path.parent.name, load(path), episodes) for path in paths])
        tables["ours, from hover"] = ours
    for label, figures in tables.items():
        summary(label, figures)
    if against:
        for label, figures in list(tables.items())[:2]:
            survival, error = ablation.chance(figures[:, 0], ours[:, 0]), ablation.chance(-figures[:, 1], -ours[:, 1])
            print(f"{label}: seeds dealt at random lose as much survival with chance {survival:.2f}, error {error:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", type=Path, help="data/actor.h, or a folder with runs of the paper's trainer")
    parser.add_argument("--against", type=Path, help="folder of `fledge train --algorithm td3 --seeds`")
    parser.add_argument("--episodes", type=int, default=1000)
    options = parser.parse_args()
    if options.actor.is_dir():
        compare(options.actor, options.against, options.episodes)
        return
    policy, body = checked(options.actor), robot.load("crazyflie_paper")
    cases = suite.thorough(policy.contract, options.episodes)
    measured = evaluation.measure([Candidate("released", controller_of(policy), policy)], body, cases, "native")
    evaluation_tables.one(body.name, cases, measured[0].figures)


if __name__ == "__main__":
    main()
