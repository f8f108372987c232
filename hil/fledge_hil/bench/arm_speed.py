"""How fast the arm's worlds are: whole steps of each task with randomization on, and what the parts of a step cost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

import numpy as np
from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm import Arm
from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_model import ModelOptions, mjcf
from fledge_sim.arm_plant import mujoco_module

from fledge_hil.bench.report import Table

WORLDS = {"reach": 256, "insertion": 128, "placement": 128, "push": 128}
STEPS = 20
"""Policy steps of a measurement; the best of `rounds` counts."""


def tables(name: str, rounds: int) -> Iterator[Table]:
    """Of an arm by its name."""
    arm = arms.load(name)
    rows = [_row(task, arm_presets.TASKS[task](arm), rounds) for task in WORLDS]
    touch = dataclasses.replace(arm_presets.insertion(arm), touch="pooled")
    rows.insert(2, _row("insertion", touch, rounds))
    yield Table(
        f"{name}: whole steps of the environment, randomization on, random actions",
        ("task", "worlds", "touch", "k physics steps / core-s", "k policy steps / core-s", "us / policy step"),
        tuple(rows),
        ("One thread's processor time, best of the rounds; other work on the machine makes it slower.",),
    )
    yield Table(
        f"{name}: MuJoCo's batch alone, {WORLDS['reach']} worlds, no contact",
        ("friction of the servos", "backlash", "k physics steps / core-s"),
        tuple(_batch(arm, options, rounds) for options in _variants()),
        ("Backlash as joints of their own; the environment has it in the way of the set-points, at no cost here.",),
    )


def _row(task: str, config: ArmConfig, rounds: int) -> tuple[str, int, str, float, float, float]:
    import torch

    n = WORLDS[task]
    env, generator = ArmEnv(config, n), torch.Generator().manual_seed(0)
    actions = [2 * torch.rand(n, len(config.joints), generator=generator) - 1 for _ in range(STEPS)]
    env.reset()
    seconds = _best(lambda: [env.step(action) for action in actions], rounds) / (STEPS * n)
    return task, n, config.touch, config.substeps / seconds / 1e3, 1 / seconds / 1e3, seconds * 1e6


def _variants() -> tuple[ModelOptions, ...]:
    plain = ModelOptions(friction="none", collisions=False)
    return (
        plain,
        dataclasses.replace(plain, friction="bristle"),
        dataclasses.replace(plain, friction="constraint"),
        dataclasses.replace(plain, friction="bristle", backlash=True),
    )


def _batch(arm: Arm, options: ModelOptions, rounds: int) -> tuple[str, str, float]:
    mujoco, n, substeps = mujoco_module(), WORLDS["reach"], 10
    batch = mujoco.batch.Batch(mujoco.MjModel.from_xml_string(mjcf(arm, options)), n, 1)
    control, generator = batch.bind("ctrl"), np.random.default_rng(0)

    def run() -> None:
        for _ in range(STEPS):
            control[:] = generator.uniform(-1, 1, control.shape)
            batch.step(nstep=substeps)

    seconds = _best(run, rounds)
    return options.friction, "joints" if options.backlash else "none", STEPS * substeps * n / seconds / 1e3


def _best(call: Callable[[], object], rounds: int) -> float:
    """Seconds of processor time."""
    found = []
    for _ in range(rounds + 1):  # the first warms up
        begun = time.process_time()
        call()
        found.append(time.process_time() - begun)
    return min(found[1:])
