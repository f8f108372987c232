"""What a policy of an arm does: fresh episodes, the mean action, randomization and noise on.

Flies the policy file itself (fledge_sim.policy: numpy, contract's clip and scale), not the trainer's network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from fledge_sim import policy as policies
from fledge_sim.arm_config import ArmConfig
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_trained import require_fit, worlds_like
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.arm_config import Senses
from fledge_train.arm_worlds import ArmWorlds, EnvMaker, terms_of

WORLDS = 250
"""At a time."""
SEED = 1_000_003
"""Of the episodes: none that training has seen."""
Step = Callable[[Float32, Float32], "tuple[NDArray[np.floating], NDArray[np.floating]]"]
"""Observation (n, I) and state (n, S) to actions (n, A) and the next state."""
Controller = Callable[[Float32], Float32]
"""Observation (n, I) in the contract's units to actions (n, A)."""


@dataclass(frozen=True)
class ArmFigures:
    """Over all episodes."""

    robot: str
    task: str
    senses: str
    difficulty: float
    episodes: int
    success: float
    """Share that fulfil the task when their time is up, or when they end before."""
    error: float
    """Mean distance to what the task asks for, then [m]."""
    error_95: float
    """The distance that 95 % of the episodes stay below [m]."""
    smoothness: float
    """Root mean square of the change of an action from step to step; 0 still, 2 from one bound to the other."""
    reward: float
    """Mean per step."""


def measure(
    policy: Policy,
    episodes: int = 1000,
    seed: int = SEED,
    difficulty: float | None = None,
    step: Step | None = None,
) -> ArmFigures:
    """Figures of a policy in the worlds that it was trained for, whose numbers its contract records.

    Args:
        policy: of an arm.
        episodes: all fresh.
        seed: of the episodes.
        difficulty: default: that of the training.
        step: computes the policy's actions; default: in floats.
    Raises:
        FledgeError: a policy that is none of an arm, or of an arm that has changed since.
    """
    mover = Mover(step or partial(policies.forward, policy), policy.contract.recurrent_size)
    return measure_mover(mover, policy.contract, episodes, seed, difficulty)


def measure_mover(
    mover: Mover,
    contract: Contract,
    episodes: int,
    seed: int,
    difficulty: float | None = None,
    robot: str | None = None,
    make: EnvMaker = ArmEnv,
) -> ArmFigures:
    """As `measure`, of anything that acts as the contract says, in the engine of `make`."""
    config = worlds_of(contract, difficulty, robot)
    level = float(contract.training.config.get("difficulty", 1.0)) if difficulty is None else difficulty
    return fly(mover.act, config, episodes, seed, senses_of(contract), level, mover.begin, make)


class Mover:
    """A policy with its memory."""

    def __init__(self, step: Step, recurrent_size: int) -> None:
        self._step, self._size = step, recurrent_size
        self.begin(0)

    def begin(self, n: int) -> None:
        """Forget; n worlds follow."""
        self._memory = np.zeros((n, self._size), np.float32)

    def act(self, observation: Float32) -> Float32:
        """Actions (n, A) for (n, I)."""
        action, memory = self._step(observation, self._memory)
        self._memory = memory.astype(np.float32)
        return action.astype(np.float32)


def senses_of(contract: Contract) -> Senses:
    """What the policy sees, by its terms."""
    names = {term.name for term in contract.observation}
    return "truth" if "truth" in names else "touch" if "touch" in names else "joints"


def worlds_of(contract: Contract, difficulty: float | None = None, robot: str | None = None) -> ArmConfig:
    """Worlds that a policy was trained for, also an expert's.

    Args:
        contract: of the policy.
        difficulty: default: that of the training.
        robot: name or file of the arm; default: the one that the contract names.
    Raises:
        FledgeError: a policy that is none of an arm, or of an arm or a task that has changed since.
    """
    config = worlds_like(contract, robot, difficulty)
    truth = sum(term.size for term in contract.observation if term.name == "truth")
    require_fit(contract, config, terms_of(config, truth))
    return config


def fly(
    controller: Controller,
    config: ArmConfig,
    episodes: int,
    seed: int,
    senses: str,
    difficulty: float,
    begin: Callable[[int], None] = lambda n: None,
    make: EnvMaker = ArmEnv,
) -> ArmFigures:
    """Figures of anything that maps observations to actions; one episode per world, round by round, `begin` first."""
    if episodes < 1:
        raise FledgeError("give at least one episode")
    success, distance, change, reward, steps = [], [], 0.0, 0.0, 0
    for first in range(0, episodes, WORLDS):
        n = min(WORLDS, episodes - first)
        worlds = ArmWorlds(config, n, seed + first, make)
        begin(n)
        observation, going, before = worlds.reset().numpy(), np.ones(n, bool), None
        while going.any():
            action = np.clip(controller(observation), -1, 1)
            step = worlds.step(torch.from_numpy(np.ascontiguousarray(action)))
            ending = going & step.ended.numpy()
            success.append(worlds.outcome.success.numpy()[ending])
            distance.append(worlds.outcome.distance.numpy()[ending])
            if before is not None:
                change += float(np.square(action - before).mean(axis=1)[going].sum())
            reward, steps = reward + float(step.reward.numpy()[going].sum()), steps + int(going.sum())
            observation, going, before = step.observation.numpy(), going & ~ending, action
    errors = np.concatenate(distance)
    return ArmFigures(
        robot=config.arm.name,
        task=type(config.task).__name__.removesuffix("Task").lower(),
        senses=senses,
        difficulty=difficulty,
        episodes=episodes,
        success=float(np.concatenate(success).mean()),
        error=float(errors.mean()),
        error_95=float(np.quantile(errors, 0.95)),
        smoothness=float(np.sqrt(change / max(1, steps))),
        reward=reward / steps,
    )
