"""Worlds as learners of minibatches see them: the actor's noisy observation, the critic's truth, transitions as rows.

The simulator's own sensor noise is off; it is drawn here, anew for a state as successor and as the next state to act
from, as "Learning to Fly in Seconds" does. Everything else comes from the environment: past actions, resets, truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from fledge_sim.contract import Contract, TrainingRecord
from fledge_sim.environment import EnvConfig
from fledge_sim.policy import Policy, assemble
from fledge_sim.quadrotor_env import EnvState, QuadrotorEnv
from fledge_sim.robot import Robot
from fledge_sim.rows import ROTORS, Float32
from numpy.typing import NDArray

from fledge_train import networks
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.dense import Network
from fledge_train.replay import Shape
from fledge_train.trainer import Snapshot, put


@dataclass(frozen=True)
class View:
    """What a critic sees of the privileged observation: (privileged[columns]) * factor + offset."""

    columns: tuple[int, ...]
    factor: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True)
class Moved:
    """One step of all worlds; the arrays are written again by the next one."""

    transition: Float32
    """(n, 2 T + 2 S + 2): truth, sensed, next truth, next sensed, reward, 1 where the episode may go on."""
    action: Float32
    """(n, A), as it acted: within [-1, 1]."""
    ended: NDArray[np.bool_]
    """(n,), terminated or out of time."""


class Worlds:
    """n worlds in step. `observation` and `truth` are those of now; written again by every step."""

    def __init__(self, config: EnvConfig, n: int, seed: int, view: View | None = None, noise: bool = True) -> None:
        """Begin all worlds.

        Args:
            config: task and robot; observations are normalised as its terms say.
            n: worlds.
            seed: of the worlds.
            view: what the critic sees of the truth; default: all.
            noise: whether the actor's sensors are noisy.
        """
        quiet = dataclasses.replace(config.sensors, noise=False)
        self.config = dataclasses.replace(config, sensors=quiet, normalised=True, privileged=True)
        self._env = QuadrotorEnv(self.config, n, seed)
        self._columns = np.array(view.columns if view else range(self._env.privileged_size))
        self._factor = np.array(view.factor if view else 1.0, np.float32)
        self._offset = np.array(view.offset if view else 0.0, np.float32)
        terms = [term for term in config.observation if term.name != "action_history"]
        self._deviation = np.concatenate([np.full(t.size, t.noise * t.scale * noise, np.float32) for t in terms])
        self.n, self.sensed = n, len(self._deviation)
        self._action = np.zeros((n, ROTORS), np.float32)
        self._tensor = torch.from_numpy(self._action)
        self._step = self._env.step(self._tensor)  # only for its memory
        self._arrays()
        first = self._env.reset(seed=seed).numpy()
        self.observation: Float32 = np.array(first, np.float32, order="C")
        assert self._env.privileged is not None
        self.truth: Float32 = self._seen_truth(self._env.privileged.numpy())
        self._noise = np.zeros((0, n, self.sensed), np.float32)
        self._noise_used = 0

    def _arrays(self) -> None:
        step = self._step
        assert step.privileged is not None
        assert step.ended_privileged is not None
        self._seen, self._privileged = step.observation.numpy(), step.privileged.numpy()
        self._last_seen, self._last_privileged = step.ended_observation.numpy(), step.ended_privileged.numpy()
        self._reward, self._terminated, self._truncated = (
            tensor.numpy() for tensor in (step.reward, step.terminated, step.truncated)
        )
        t, s = len(self._columns), self.sensed
        self._transition = np.zeros((self.n, 2 * (t + s) + 2), np.float32)
        self._parts = np.split(self._transition, np.cumsum([t, s, t, s, 1]), axis=1)

    def shape(self, critic_sees_truth: bool = True) -> Shape:
        """Sizes of a transition, for a replay."""
        history, hover = self.config.history_length, self.config.robot.hover_action
        scale = self.config.observation[-1].scale if history else 1.0
        return Shape(len(self._columns), self.sensed, ROTORS, history, hover, scale, critic_sees_truth)

    def begin(self, generator: np.random.Generator, steps: int) -> None:
        """Draw the noise of the steps to come; the first state of a run gets its own."""
        self._noise = generator.standard_normal((2 * steps + 1, self.n, self.sensed), np.float32) * self._deviation
        self._noise_used = 0

    def look(self) -> Float32:
        """Observation (n, I) to act from: of now, with noise."""
        self.observation[:, : self.sensed] += self._next_noise()
        return self.observation

    def _next_noise(self) -> Float32:
        self._noise_used += 1
        noise: Float32 = self._noise[self._noise_used - 1]
        return noise

    def _seen_truth(self, privileged: Float32) -> Float32:
        truth: Float32 = privileged.take(self._columns, axis=1) * self._factor + self._offset
        return truth

    def step(self, action: Float32) -> Moved:
        """Act from what `look` returned: action (n, A), clipped to [-1, 1] here."""
        clip(action, 1.0, out=self._action)
        self._env.step(self._tensor, out=self._step)
        truth, sensed, next_truth, next_sensed, reward, going_on = self._parts
        truth[:] = self.truth
        sensed[:] = self.observation[:, : self.sensed]
        self.truth = self._seen_truth(self._privileged)
        self.observation[:] = self._seen
        next_truth[:] = self.truth
        np.add(self.observation[:, : self.sensed], self._next_noise(), out=next_sensed)
        reward[:, 0] = self._reward
        going_on[:, 0] = ~self._terminated
        ended = self._terminated | self._truncated
        if ended.any():
            next_truth[ended] = self._seen_truth(self._last_privileged[ended])
            noise = next_sensed[ended] - self.observation[ended, : self.sensed]
            next_sensed[ended] = self._last_seen[ended, : self.sensed] + noise
        return Moved(self._transition, self._action, ended)

    def state(self) -> Snapshot:
        """Everything to go on from, between two steps."""
        kept = self._env.get_state()
        return {
            "memory": kept.memory.view(np.uint32),  # some of its words are no numbers
            "head": np.array(kept.head),
            "observation": self.observation,
            "truth": self.truth,
        }

    def restore(self, state: Snapshot, prefix: str) -> None:
        """Continue from a state of worlds of the same configuration."""
        mine = self.state()
        put(mine, state, prefix)
        self._env.set_state(EnvState(mine["memory"].view(np.float32), int(mine["head"])))


def clip(x: Float32, bound: float, out: Float32) -> Float32:
    """x within +-bound; as np.clip, and twice as fast on small arrays."""
    return np.asarray(np.minimum(np.maximum(x, -bound, out=out), bound, out=out))


def contract_of(config: EnvConfig, robot: Robot, hidden: Sequence[int], record: TrainingRecord) -> Contract:
    """Contract of an mlp for `robot` that sees what the worlds show."""
    actor = ActorConfig(kind="mlp", hidden=tuple(hidden), history=config.history_length)
    contract = networks.contract_of(robot, actor, SensorConfig(), record)
    return dataclasses.replace(contract, observation=config.observation, native_rate=round(1 / config.step))


def policy_of(contract: Contract, actor: Network) -> Policy:
    """Policy with the actor's weights; of the last layer the first four outputs."""
    weights: dict[str, Float32] = {}
    *hidden, (weight, bias) = actor.weights()
    for index, (w, b) in enumerate(hidden):
        weights[f"dense{index}.weight"], weights[f"dense{index}.bias"] = w, b
    weights["output.weight"], weights["output.bias"] = weight[:ROTORS], bias[:ROTORS]
    return assemble(contract, weights)
