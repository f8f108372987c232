"""Proximal policy optimisation: Gaussian actor on the actor's observation, critic on the privileged one.

    A_t = d_t + gamma lambda (not ended) A_t+1,   d_t = r_t + gamma V(s_t+1) - V(s_t), V = 0 behind a termination
    L_pi = -mean min(w A, clip(w, 1 - c, 1 + c) A) - h entropy,   w = pi(a | o) / pi_old(a | o),   a ~ N(m(o), s)
    L_V = mean (V(s) - (A + V_old(s)))^2

Behind a truncation V is that of the last state of the episode. Where the reward has groups, V, d and A have one column
each, and the actor follows A = sum over groups of weight (A_g - mean A_g) / deviation A_g: a large penalty never drowns
what the task pays (multi-critic, arXiv 2507.08656). Knows nothing of robots: what it needs from an environment is
`Environment`, the members of fledge_sim.quadrotor_env.QuadrotorEnv.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from fledge_sim.environment import Step
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.dense import Adam, Index, Network
from fledge_train.ppo_config import Pace, PpoNumbers
from fledge_train.trainer import Snapshot

if TYPE_CHECKING:
    from torch import Tensor


class Environment(Protocol):
    """n worlds in step with same-step autoreset; see fledge_sim.environment.Step."""

    n: int
    observation_size: int
    privileged_size: int
    privileged: Tensor | None
    """After the last reset."""

    def reset(self) -> Tensor:
        """Observation (n, I) of new episodes in all worlds."""

    def step(self, action: Tensor) -> Step:
        """Actions (n, A) within [-1, 1]."""


@dataclass(frozen=True)
class Figures:
    """Of one iteration."""

    reward: float
    """Mean per step."""
    terminations: int
    steps: int
    """Of all worlds."""
    value_loss: float
    divergence: float
    """Mean of log pi_old - log pi after the last pass."""
    gradient_norm: float
    """Largest of all updates; NaN where one was not finite."""


@dataclass(frozen=True)
class Rollout:
    """What an iteration has seen, (horizon, n, ...)."""

    observation: Float32
    privileged: Float32
    action: Float32
    log_probability: Float32
    advantage: Float32
    """Of all groups of the reward together."""
    target: Float32
    """(horizon, n, G): of the critic, in its own scale."""


class Learner:
    """Actor, critic, and an environment in the middle of its episodes."""

    def __init__(
        self,
        environment: Environment,
        actions: int,
        numbers: PpoNumbers,
        seed: int,
        first: Float32,
        weights: Sequence[float] = (1.0,),
        pace: Pace | None = None,
    ) -> None:
        """Begin all episodes.

        Args:
            environment: reset here.
            actions: A.
            numbers: of the algorithm.
            seed: of the networks.
            first: action (A,), inside (-1, 1), that the untrained actor takes.
            weights: of the G groups of the reward; one number where it has none.
            pace: of the actor; default: the learning rate of `numbers`, whatever the divergence.
        """
        self.environment, self.numbers, self.pace = environment, numbers, pace
        self.weights = np.array(weights, np.float32)
        self.actor = self._begin_actor((environment.observation_size, *numbers.hidden, actions), seed, first)
        self.critic = Network(
            (environment.privileged_size, *numbers.critic_hidden, len(weights)), "tanh", "linear", seed + 1
        )
        rate = numbers.learning_rate.start
        self.actor_adam = self._begin_adam(rate)
        self.critic_adam = Adam(self.critic, rate, clip=numbers.gradient_clip)
        self.log_deviation = np.full(actions, math.log(numbers.deviation), np.float32)
        self._deviation_moment = np.zeros((2, actions), np.float32)
        self._updates, self._critic_updates = np.zeros((), np.int64), np.zeros((), np.int64)
        self._rate = np.array(rate)
        self.critic_frozen = False
        """Whether the critic stays as it is."""
        self.observation: Float32 = np.array(environment.reset().numpy(), order="C")
        assert environment.privileged is not None
        self.privileged: Float32 = np.array(environment.privileged.numpy(), order="C")

    @staticmethod
    def _begin_actor(sizes: tuple[int, ...], seed: int, first: Float32) -> Network:
        """One that takes nearly the same action whatever it sees."""
        actor = Network(sizes, "tanh", "tanh", seed)
        *hidden, (weight, _) = actor.weights()
        actor.set_weights([*hidden, (0.1 * weight, np.arctanh(first).astype(np.float32))])
        return actor

    def _begin_adam(self, rate: float) -> Adam:
        """Of the actor."""
        return Adam(self.actor, rate, clip=self.numbers.gradient_clip)

    def iterate(self, generator: np.random.Generator, progress: float) -> Figures:
        """Fly the horizon, then learn from it; `progress` is the share of the run done before."""
        rollout, reward, terminations = self._fly(generator)
        self.critic_adam.rate = self.numbers.learning_rate.at(progress)
        self.actor_adam.rate = float(self._rate) if self.pace else self.critic_adam.rate
        samples = rollout.advantage.size
        flat = Rollout(*(part.reshape(samples, *part.shape[2:]) for part in vars(rollout).values()))
        norms, losses, divergence = [], [], 0.0
        for _ in range(self.numbers.epochs):
            for index in self._minibatches(generator, samples):
                self._updates += 1
                divergence, norm = self._improve_actor(flat, index)
                loss, critic_norm = self._improve_critic(flat, index)
                norms += [norm, critic_norm]
                losses.append(loss)
        return Figures(reward, terminations, samples, float(np.mean(losses)), divergence, float(np.max(norms)))

    def _minibatches(self, generator: np.random.Generator, samples: int) -> list[Index]:
        """All samples, once, in random parts."""
        return np.array_split(generator.permutation(samples), self.numbers.minibatches)

    def _mean(self, observation: Float32) -> Float32:
        """Of the actions (n, A) on (n, I), while flying."""
        return self.actor.infer(observation)

    def _forward(self, seen: Rollout, index: Index) -> Float32:
        """Of the actions of samples, when the actor's `backward` follows."""
        return self.actor.forward(seen.observation[index])

    def _fly(self, generator: np.random.Generator) -> tuple[Rollout, float, int]:
        """Rollout, mean reward, number of terminations."""
        c, env = self.numbers, self.environment
        shape = (c.horizon, env.n)
        observation = np.empty((*shape, self.actor.sizes[0]), np.float32)
        privileged = np.empty((*shape, self.critic.sizes[0]), np.float32)
        action = generator.standard_normal((*shape, self.actor.sizes[-1]), np.float32)
        log_probability = self._log_probability(action)
        reward, value, following = (np.empty((*shape, len(self.weights)), np.float32) for _ in range(3))
        ended = np.empty(shape, bool)
        terminations = 0
        for t in range(c.horizon):
            observation[t], privileged[t] = self.observation, self.privileged
            action[t] = self._mean(observation[t]) + np.exp(self.log_deviation) * action[t]
            value[t] = self.critic.infer(privileged[t])
            step = env.step(torch.from_numpy(np.clip(action[t], -1, 1)))
            groups = step.reward[:, None] if step.groups is None else step.groups
            reward[t], ended[t] = groups.numpy(), step.ended.numpy()
            following[t] = self._value_behind(step)
            terminations += int(step.terminated.sum())
        advantage, target = self._advantages(reward, value, following, ended)
        rollout = Rollout(observation, privileged, action, log_probability, advantage, target)
        return rollout, float(reward.sum(axis=-1).mean()), terminations

    def _value_behind(self, step: Step) -> Float32:
        """V of the state that a step led to, (n, G): 0 if it terminated, that of the last state if time was up.

        Takes the first observation of the next step as well.
        """
        assert step.privileged is not None
        assert step.ended_privileged is not None
        self.observation[:] = step.observation.numpy()
        self.privileged[:] = step.privileged.numpy()
        value: Float32 = self.critic.infer(self.privileged).copy()
        truncated = step.truncated.numpy()
        if truncated.any():
            value[truncated] = self.critic.infer(step.ended_privileged.numpy()[truncated])
        value[step.terminated.numpy()] = 0
        return value

    def _advantages(
        self, reward: Float32, value: Float32, following: Float32, ended: NDArray[np.bool_]
    ) -> tuple[Float32, Float32]:
        """Advantages (horizon, n), normalised and weighted, and targets of the critic (horizon, n, G)."""
        c = self.numbers
        surprise = reward / np.float32(c.value_scale) + np.float32(c.discount) * following - value
        advantage = np.empty_like(reward)
        carried = np.zeros(reward.shape[1:], np.float32)
        for t in range(len(reward) - 1, -1, -1):
            carried = surprise[t] + np.float32(c.discount * c.decay) * ~ended[t, :, None] * carried
            advantage[t] = carried
        groups = (np.ascontiguousarray(advantage[..., g]) for g in range(len(self.weights)))
        normalised = [w * ((a - a.mean()) / (a.std() + 1e-8)) for w, a in zip(self.weights, groups, strict=True)]
        return np.sum(normalised, axis=0), advantage + value

    def _log_probability(self, noise: NDArray[np.floating]) -> Float32:
        """Of actions that lie `noise` deviations from the mean, (..., A) -> (...)."""
        constant = self.log_deviation.sum() + len(self.log_deviation) * math.log(2 * math.pi) / 2
        return np.asarray(-np.square(noise).sum(axis=-1) / 2 - constant)

    def _improve_actor(self, seen: Rollout, index: Index) -> tuple[float, float]:
        """One step down L_pi; mean of log pi_old - log pi before it, and the gradient's norm.

        d log pi / dm = e / s and d log pi / d log s = e^2 - 1, with e = (a - m) / s.
        """
        c, advantage = self.numbers, seen.advantage[index]
        deviation = np.exp(self.log_deviation)
        noise = (seen.action[index] - self._forward(seen, index)) / deviation
        change = self._log_probability(noise) - seen.log_probability[index]
        ratio = np.exp(change)
        followed = np.where(advantage > 0, ratio < 1 + c.clip, ratio > 1 - c.clip)
        bar = (-advantage * ratio * followed / np.float32(len(index)))[:, None]
        self.actor.backward(bar * noise / deviation)
        norm = self.actor_adam.step()
        if np.isfinite(norm):
            self._improve_deviation((bar * (noise * noise - 1)).sum(axis=0) - np.float32(c.entropy))
        if self.pace:
            self._rate[...] = self.pace.next(self.actor_adam.rate, float((ratio - 1 - change).mean()))
            self.actor_adam.rate = float(self._rate)
        return float(-change.mean()), norm

    def _improve_deviation(self, gradient: Float32) -> None:
        """Adam on log s."""
        mean, square = self._deviation_moment
        t = int(self._updates)
        mean += np.float32(0.1) * (gradient - mean)
        square += np.float32(0.001) * (gradient * gradient - square)
        step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        least = math.log(self.numbers.deviation_least)
        self.log_deviation[:] = np.maximum(self.log_deviation - self.actor_adam.rate * step, least)

    def _improve_critic(self, seen: Rollout, index: Index) -> tuple[float, float]:
        """One step down L_V, summed over groups; its mean per group before, and the gradient's norm."""
        if self.critic_frozen:
            error = self.critic.infer(seen.privileged[index]) - seen.target[index]
            return float(np.square(error).mean()), 0.0
        self._critic_updates += 1
        error = self.critic.forward(seen.privileged[index]) - seen.target[index]
        self.critic.backward(error * np.float32(2 / len(index)))
        return float(np.square(error).mean()), self.critic_adam.step()

    def arrays(self) -> Snapshot:
        """All that changes, but the environment; views."""
        return {"actor": self.actor.parameter, "actor.moment": self.actor_adam.moment} | self._arrays_besides_actor()

    def _arrays_besides_actor(self) -> Snapshot:
        return {
            "critic": self.critic.parameter,
            "critic.moment": self.critic_adam.moment,
            "log_deviation": self.log_deviation,
            "log_deviation.moment": self._deviation_moment,
            "updates": self._updates,
            "critic.updates": self._critic_updates,
            "rate": self._rate,
            "observation": self.observation,
            "privileged": self.privileged,
        }

    def continue_adam(self) -> None:
        """After `arrays` were put back."""
        self.actor_adam.steps, self.critic_adam.steps = int(self._updates), int(self._critic_updates)
