"""The actor that was released with "Learning to Fly in Seconds" in our evaluation, on the paper's robot.

    git clone https://github.com/arplaboratory/learning_to_fly_controller
    python tests/bench/bench_released_actor.py learning_to_fly_controller/data/actor.h

Nothing of that file is kept here: weights are read from it, and its own test vector must come out before anything is
measured. Asserts nothing else; prints the tables of `fledge eval --thorough`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from fledge_hil import evaluation, evaluation_tables
from fledge_hil.evaluation import Candidate
from fledge_sim import robot
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy, assemble, scale_observation
from fledge_train import suite
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.executor import Network
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
    sensors = SensorConfig(
        position_scale=1.0, velocity_scale=1.0, angular_velocity_scale=1.0, history_scale=1.0, angular_velocity_clip=1e3
    )
    record = TrainingRecord("td3, released with the paper", 0, "")
    contract = contract_of(robot.load("crazyflie_paper"), ActorConfig("mlp", (64, 64), 32), sensors, record)
    observation, action = blocks[6].reshape(-1, 146), blocks[7].reshape(-1, 4)
    return assemble(contract, weights), observation, action


def step(policy: Policy, observation: Float32, memory: Float32) -> tuple[NDArray[np.floating], Float32]:
    """The network with its own tanh."""
    x = scale_observation(policy.contract, observation)
    for name in ("dense0", "dense1", "output"):
        x = fast_tanh(x @ policy.weights[f"{name}.weight"].T + policy.weights[f"{name}.bias"])
    return x, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actor", type=Path, help="data/actor.h")
    parser.add_argument("--episodes", type=int, default=1000)
    options = parser.parse_args()
    policy, observation, action = read(options.actor)
    controller = Network(policy, lambda seen, memory: step(policy, seen, memory))
    ours, _ = step(policy, observation, np.zeros((len(observation), 0), np.float32))
    print(f"test vector of the file: largest difference {np.abs(ours - action).max():.1e}")
    cases, body = suite.thorough(policy.contract, options.episodes), robot.load("crazyflie_paper")
    measured = evaluation.measure([Candidate("released", controller, policy)], body, cases, "native")
    evaluation_tables.one(body.name, cases, measured[0].figures)


if __name__ == "__main__":
    main()
