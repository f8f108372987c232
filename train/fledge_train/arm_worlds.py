"""An arm's environment as trainers see it: how often it succeeds, what an expert would see, a state of plain arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm_config import ArmConfig, Touch
from fledge_sim.arm_env import ArmEnv, ArmEnvState, Outcome
from fledge_sim.contract import (
    ArmEnvelope,
    Contract,
    GoalSemantics,
    NetworkShape,
    ObservationTerm,
    TrainingRecord,
)
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy, assemble
from fledge_sim.rows import Float32
from torch import Tensor

from fledge_train import teacher
from fledge_train.arm_config import ArmPpoConfig, ImitationConfig, Senses
from fledge_train.teacher import Teacher
from fledge_train.trainer import Snapshot, put

SCALES = {"joint_velocity": 0.25, "joint_load": 8.0, "tip": 4.0, "goal": 8.0, "truth": 1.0}
"""Of the contract's terms, so that the network's inputs are of order one and integers waste no range; others are 1."""
TRUTH_CLIP = 5.0
"""Bound on what an expert sees of the truth, in its own units of order one; an impact would be far outside."""
Layers = list[tuple[Float32, Float32]]
"""(W, b) of a Network or of a Gru."""
REMEMBERED = 500
"""Episodes over which success is averaged while training."""


EnvMaker = Callable[[ArmConfig, int, int], ArmEnv]
"""Configuration, worlds, seed; crosscheck.arm_bullet.env makes them in another engine."""


class ArmWorlds:
    """n worlds of an arm; the members of fledge_train.ppo.Environment, and what else a trainer wants to know."""

    def __init__(self, config: ArmConfig, n: int, seed: int, make: EnvMaker = ArmEnv) -> None:
        self.config, self.n = config, n
        self._env = make(config, n, seed)
        self.reward_groups: tuple[str, ...] = tuple(self._env.reward_groups)
        self.privileged_size = self._env.privileged_size
        self.truth_shown = self.privileged_size - self._env.worlds.parameters_known
        """How much of the truth an expert sees: not the arm's parameters. With them, sixty numbers that never change
        within an episode, it learned a third as fast as an actor that only senses."""
        terms = terms_of(config, self.truth_shown)
        self.observation_size = sum(term.size for term in terms)
        self.privileged: Tensor | None = None
        names = np.concatenate([np.full(term.size, term.name) for term in config.observation])
        before, after = np.flatnonzero(~np.isin(names, ("touch", "action_history"))), names == "action_history"
        self._before, self._after = before, np.flatnonzero(after)
        self._clip = np.concatenate([np.full(term.size, term.clip, np.float32) for term in terms])
        self._now: tuple[Float32, Float32] = (np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32))
        self._recent = np.full(REMEMBERED, -1, np.int8)
        """1 success, 0 none, of the last episodes; -1 not yet."""
        self._ended = np.zeros((), np.int64)

    @property
    def environment(self) -> ArmEnv:
        """What is behind; whoever steps it directly loses count."""
        return self._env

    def reset(self) -> Tensor:
        """Begin all episodes."""
        observation = self._env.reset()
        self.privileged = self._env.privileged
        assert self.privileged is not None
        self._now = observation.numpy(), self.privileged.numpy()
        return self._ordered(observation, self.privileged)

    def step(self, action: Tensor) -> Step:
        """As the environment's; the success of what ended is counted."""
        step = self._env.step(action)
        assert step.privileged is not None
        self._now = step.observation.numpy(), step.privileged.numpy()
        results = self._env.outcome.success[step.ended].numpy()
        places = (int(self._ended) + np.arange(len(results))) % REMEMBERED
        self._recent[places] = results
        self._ended += len(results)
        assert step.ended_privileged is not None
        last = self._ordered(step.ended_observation, step.ended_privileged)
        return step._replace(observation=self._ordered(step.observation, step.privileged), ended_observation=last)

    def _ordered(self, observation: Tensor, truth: Tensor) -> Tensor:
        """As a contract lists and clips it: past actions behind the truth of a privileged actor."""
        if self.config.privileged_actor:
            return torch.from_numpy(self._expert_view(observation.numpy(), truth.numpy()))
        return torch.from_numpy(np.clip(observation.numpy(), -self._clip, self._clip))

    def _expert_view(self, observation: Float32, truth: Float32) -> Float32:
        shown = np.clip(truth[:, : self.truth_shown], -TRUTH_CLIP, TRUTH_CLIP)
        parts = observation[:, self._before], shown, observation[:, self._after]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def set_difficulty(self, difficulty: float) -> None:
        """Of the episodes to come: the level of every coordinate of the task's curriculum."""
        self._env.set_level(**dict.fromkeys(self.config.task.coordinates, difficulty))

    @property
    def outcome(self) -> Outcome:
        """Success (n,) and distance (n,) of the state that the last step led to, before any new episode."""
        return self._env.outcome

    def goal_distance(self) -> float:
        """Mean over the worlds, now [m]."""
        return float(self._env.outcome.distance.mean())

    def success_rate(self) -> float:
        """Of the last episodes that ended; 0 before the first."""
        known = self._recent[self._recent >= 0]
        return float(known.mean()) if len(known) else 0.0

    def seen_by_expert(self) -> Float32:
        """Observation (n, I) of a privileged actor in the states of now: senses without touch, truth, past actions."""
        return self._expert_view(*self._now)

    def state(self) -> Snapshot:
        """Everything to go on from, between two steps."""
        kept = self._env.get_state()
        mine: Snapshot = {"worlds.recent": self._recent, "worlds.ended": self._ended}
        mine |= {"worlds.observation": self._now[0], "worlds.truth": self._now[1]}
        mine |= {f"worlds.{name}": array for name, array in kept.memory.items()}
        return mine | {"worlds.rows": kept.rows.view(np.uint64)}  # some of its words may be no numbers

    def restore(self, state: Snapshot) -> None:
        """Continue from a state of worlds of the same configuration."""
        mine = {name: array.copy() for name, array in self.state().items()}
        put(mine, state)
        self._recent[:], self._ended[...] = mine.pop("worlds.recent"), mine.pop("worlds.ended")
        self._now = mine.pop("worlds.observation"), mine.pop("worlds.truth")
        rows = mine.pop("worlds.rows").view(np.float64)
        memory = {name.removeprefix("worlds."): array for name, array in mine.items()}
        self._env.set_state(ArmEnvState(rows, memory))


def config_of(robot: str, task: str, senses: Senses, difficulty: float) -> ArmConfig:
    """The environment of a run. Raises FledgeError where the robot, the task or the senses are not there."""
    touch: Touch = "pooled" if senses == "touch" else "none"
    config = arm_presets.at_difficulty(arms.load(robot), task, touch, difficulty)
    return dataclasses.replace(config, privileged_actor=senses == "truth")


def begin(config: ArmPpoConfig | ImitationConfig, n: int, seed: int) -> ArmWorlds:
    """Worlds of a run; the first episodes are staggered, so that not all end together."""
    environment = config_of(config.robot, config.task, config.senses, config.difficulty)
    return ArmWorlds(dataclasses.replace(environment, staggered=True), n, seed)


def terms_of(config: ArmConfig, truth: int) -> tuple[ObservationTerm, ...]:
    """What a policy of this environment sees; `truth` is how much of it is truth, for an expert."""
    terms = config.observation
    if config.privileged_actor:
        known = ObservationTerm("truth", truth, "1", "base", TRUTH_CLIP, 1.0, 0.0)
        history = [term for term in terms if term.name == "action_history"]
        terms = (*(term for term in terms if term not in history), known, *history)
    return tuple(dataclasses.replace(term, scale=SCALES.get(term.name, 1.0)) for term in terms)


def contract_of(worlds: ArmWorlds, network: NetworkShape, record: TrainingRecord) -> Contract:
    """Contract of a network in these worlds; its weights' checksum is still empty."""
    config, rate = worlds.config, round(1 / worlds.config.period)
    return Contract(
        robot=config.arm.name,
        robot_sha256=config.arm.sha256,
        device_type="",
        observation=terms_of(config, worlds.truth_shown),
        action=config.mapping,
        network=network,
        training=record,
        native_rate=rate,
        inference_rate=rate,
        setpoint=GoalSemantics(),
        envelope=ArmEnvelope(),
    )


def policy_of(contract: Contract, layers: Layers) -> Policy:
    """Policy with the layers of an actor on raw observations: the contract's scales go into the first."""
    (first, bias), *others = layers
    scale = np.concatenate([np.full(term.size, term.scale, np.float32) for term in contract.observation])
    arrays = [array for pair in ((first / scale, bias), *others) for array in pair]
    if contract.network.kind == "gru":
        names = [f"gru.{part}_{side}" for side in ("input", "hidden") for part in ("weight", "bias")]
    else:
        names = [f"dense{i}.{part}" for i in range(len(layers) - 1) for part in ("weight", "bias")]
    return assemble(contract, dict(zip((*names, "output.weight", "output.bias"), arrays, strict=True)))


def load_teacher(config: ArmPpoConfig | ImitationConfig) -> Teacher:
    """The expert of a run. Raises FledgeError where there is none, or it learned something else."""
    if not config.teacher:
        raise FledgeError("give --teacher, the folder of an expert's run (`fledge train --task ... --senses truth`)")
    expert = _load("teacher", config.teacher, config)
    if config.algorithm == "imitation" and expert.origin.senses != "truth":
        raise FledgeError(
            f"the teacher in {config.teacher} sees '{expert.origin.senses}'; imitation needs one with --senses truth"
        )
    return expert


def load_student(config: ArmPpoConfig) -> Teacher:
    """What a run begins with. Raises FledgeError where it learned something else, or from other senses."""
    student = _load("student", config.student, config)
    if student.origin.senses != config.senses:
        raise FledgeError(
            f"the student in {config.student} sees '{student.origin.senses}'; give --senses {student.origin.senses}"
        )
    return student


def _load(role: str, folder: str, config: ArmPpoConfig | ImitationConfig) -> Teacher:
    found = teacher.load(Path(folder))
    origin, robot = found.origin, arms.load(config.robot).name
    if (origin.robot, origin.task) != (robot, config.task):
        raise FledgeError(
            f"the {role} in {folder} learned '{origin.task}' on '{origin.robot}', this run is "
            f"'{config.task}' on '{robot}'; give one of the same task"
        )
    return found
