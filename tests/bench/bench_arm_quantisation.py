"""What integers cost an arm: success, distance and actions per format, over episodes that calibration did not see.

    python tests/bench/bench_arm_quantisation.py runs/NAME/policy.npz [...] --episodes 1000

Every format moves through the same episodes of the policy's own training environment, by its emitted C on this machine,
which gives the bits of the target. Lost, won: episodes that only float32, or only the integers, end within tolerance.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fledge_export import package, quantize
from fledge_export.bare import HostPolicy, build_library
from fledge_export.calibrate import calibrate
from fledge_sim import policy as policies
from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_trained import environment_of
from fledge_sim.policy import Float32, Policy

FORMATS = ("int16", "int8")
WORLDS, EPISODE_SEED, CALIBRATION_SEED = 250, 1_000_003, 9
"""At a time; of the episodes; of the rows on which actions are compared."""


@dataclass(frozen=True)
class Ends:
    """Of all episodes, in their order."""

    success: np.ndarray
    distance: Float32
    """[m]"""


def host(policy: Policy, directory: Path) -> HostPolicy:
    """The emitted C."""
    package.export(policy, directory)
    return HostPolicy(build_library(directory, directory / "policy.so"), policy)


def move(policy: Policy, engine: HostPolicy, config: ArmConfig, episodes: int) -> Ends:
    """The first episode of each of so many worlds."""
    success, distance = np.zeros(episodes, bool), np.zeros(episodes, np.float32)
    for first in range(0, episodes, WORLDS):
        n = min(WORLDS, episodes - first)
        worlds = ArmEnv(config, n, EPISODE_SEED, first_world=first)
        seen, going = worlds.reset().numpy(), np.ones(n, bool)
        memory = np.zeros((n, policy.contract.recurrent_size), np.float32)
        while going.any():
            action, memory = engine.step(seen, memory)
            step = worlds.step(torch.from_numpy(action))
            ending = going & step.ended.numpy()
            chosen = first + np.flatnonzero(ending)
            success[chosen] = worlds.outcome.success.numpy()[ending]
            distance[chosen] = worlds.outcome.distance.numpy()[ending]
            seen, going = step.observation.numpy(), going & ~ending
    return Ends(success, distance)


def measure(path: Path, episodes: int, scratch: Path) -> list[str]:
    """Rows of the table, one per format."""
    policy = policies.load(path)
    config, calibration = environment_of(policy.contract), calibrate(policy)
    unseen = calibrate(policy, seed=CALIBRATION_SEED)
    sizes = (policy.contract.observation_size, *policy.contract.network.hidden, policy.contract.outputs)
    name = f"{policy.contract.training.config['task']}, {policy.contract.network.kind} {'-'.join(map(str, sizes))}"
    floats, rows = move(policy, host(policy, scratch / "float32"), config, episodes), []
    rows.append(_row(name, "float32", floats, floats, "-"))
    for form in FORMATS:
        integers = package.quantised(policy, form, calibration)
        apart = quantize.error(integers, policy, unseen)
        ends = move(integers, host(integers, scratch / form), config, episodes)
        rows.append(_row(name, form, ends, floats, f"{apart.mean:.1e} ({apart.p99:.1e}, {apart.largest:.1e})"))
    return rows


def _row(name: str, form: str, ends: Ends, floats: Ends, actions: str) -> str:
    lost, won = int((floats.success & ~ends.success).sum()), int((ends.success & ~floats.success).sum())
    median = f"{1e3 * np.median(ends.distance):.2f} mm"
    return f"| {name} | {form} | {100 * ends.success.mean():.1f} % | {lost} / {won} | {median} | {actions} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path, nargs="+")
    parser.add_argument("--episodes", type=int, default=1000)
    options = parser.parse_args()
    began = time.process_time()
    print("| policy | weights | success | lost / won | median distance | action error: mean (99 %, largest) |")
    print("|---|---|---|---|---|---|")
    for path in options.policy:
        with tempfile.TemporaryDirectory(prefix="fledge-bench-") as name:
            print(*measure(path, options.episodes, Path(name)), sep="\n", flush=True)
    print(f"{options.episodes} episodes each; {time.process_time() - began:.0f} s of processor time")


if __name__ == "__main__":
    main()
