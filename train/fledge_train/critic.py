"""A privileged critic that closes the horizon: V, the discounted cost-to-go of the truth that the actor never sees.

Its gradient at the end of the horizon enters the native reverse sweep as terminal adjoint. What V looks like is up to
a `Value`: a quadratic form (value_quadratic.py) or a network (value_mlp.py). Both learn from the TD(lambda) targets of
a few moments of each horizon. Errors count relative to their targets, since the cost-to-go of a tumbling drone is four
orders of magnitude above that of one that hovers; a flight that is lost within the horizon teaches nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np
from fledge_sim.rows import STATES, Float32

from fledge_train.config import TrainConfig
from fledge_train.learner import Learner, Report
from fledge_train.trainer import Snapshot, put
from fledge_train.truth import Truth


class Value(Protocol):
    """V of features z, (K, n); see fledge_train.truth."""

    def value(self, z: Float32) -> Float32:
        """V, (n,)."""

    def slope(self, z: Float32) -> Float32:
        """dV/dz, (K, n)."""

    def fit(self, z: Float32, target: Float32, weight: Float32) -> None:
        """Come closer to `target`, (n,), in the mean of (weight (V - target))^2."""

    def state(self) -> Snapshot:
        """Everything needed to go on, by name; its own arrays."""

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""


class CriticStep:
    """One iteration with a critic: forward, reverse with its gradient, lesson, resets, Adam."""

    def __init__(self, config: TrainConfig, learner: Learner) -> None:
        self._config, self._critic, self._learner = config, config.critic_config, learner
        steps, n = round(max(config.horizon.start, config.horizon.end)), config.environments
        learner.record(state=(steps + 1, STATES, n), error=(steps + 1, 6, n), cost=(steps, n), alive=(steps, n))
        self.truth = Truth(learner, compact=config.critic == "quadratic")
        self.value = _value(config, self.truth.size)
        self._iteration = np.zeros((), np.int64)
        self._floor: Float32 = np.zeros((), np.float32)

    def __call__(self, progress: float) -> Report:
        """Advance the run by one iteration; `progress` is its share done so far."""
        if progress < self._critic.begin:
            return self._learner.iterate()
        self._learner.forward()
        lesson = self._iteration % self._critic.every == 0
        moments = self.moments() if lesson else [self._learner.problem.horizon]
        z = self.truth.features(moments)
        self._learner.reverse(self.terminal_adjoint(z[:, -1], progress))
        if lesson:
            self.learn(moments, z)
        self._iteration += 1
        self._learner.reset()
        return self._learner.step_adam()

    def terminal_adjoint(self, z: Float32, progress: float) -> Float32:
        """w gamma^T / (n T) dV/dx 1/(1 + V/trusted) at the end of the horizon last run, (17, n).

        The factor 1/(1 + V/trusted) has the slope of trusted log(1 + V/trusted): large values count less.

        Args:
            z: features there, (K, n).
            progress: share of the run done so far.
        """
        config, steps, ramp = self._config, self._learner.problem.horizon, self._critic.ramp
        weight = min(1.0, (progress - self._critic.begin) / ramp) if ramp > 0 else 1.0
        share = np.float32(weight * config.discount**steps / (config.environments * steps))
        if self._critic.trust > 0:
            trusted = np.maximum(np.float32(self._critic.trust) * self._floor, np.float32(1e-9))
            share = share / (1 + np.maximum(self.value.value(z), 0) / trusted)
        return self.truth.reverse(steps, z, share * self.value.slope(z))

    def learn(self, moments: list[int], z: Float32) -> None:
        """A lesson from the horizon last run; z: (K, m + 1, n) at `moments`, the last of which is its end."""
        size, m, n = z.shape
        traces, steps = self._learner.traces, moments[-1]
        value = self.value.value(z.reshape(size, m * n)).reshape(m, n)
        cost, alive = traces["cost"][:steps], traces["alive"][:steps]
        targets = lambda_targets(cost, value, moments, self._config.discount, self._critic.decay).ravel()
        kept = np.broadcast_to(alive[-1] > 0, (m - 1, n)).ravel()
        if not kept.any():
            return
        low = np.quantile(targets[kept], self._critic.floor)
        self._floor += (low - self._floor) * np.float32(0.02 if self._floor > 0 else 1)
        weight = kept / (np.maximum(targets, 0) + self._floor + np.float32(1e-6))
        self.value.fit(z[:, :-1].reshape(size, -1), targets, weight)

    def moments(self) -> list[int]:
        """Evenly spaced over the horizon, and its end."""
        steps = int(self._learner.problem.horizon)
        count = min(self._critic.moments, steps)
        return [k * steps // count for k in range(count + 1)]

    def state(self) -> Snapshot:
        """Everything needed to go on."""
        return self._own_state() | self.value.state()

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self._own_state(), state)
        self.value.restore(state)

    def _own_state(self) -> Snapshot:
        return {"critic.iteration": self._iteration, "critic.floor": self._floor}


def lambda_targets(cost: Float32, value: Float32, moments: list[int], discount: float, decay: float) -> Float32:
    """TD(lambda) targets G_k = C_k + gamma^(t_k+1 - t_k) ((1 - lambda) V_k+1 + lambda G_k+1), G_m = V_m.

    C_k is the discounted cost from moment t_k to the next.

    Args:
        cost: (T, n), of the step from t to t + 1.
        value: V at the moments, (m + 1, n).
        moments: t_0 < .. < t_m = T.
        discount: gamma, per step.
        decay: lambda, per moment.
    Returns:
        G at all moments but the last, (m, n).
    """
    target, targets = value[-1], []
    for k, (begin, end) in reversed(list(enumerate(pairwise(moments)))):
        powers = np.power(discount, np.arange(end - begin), dtype=np.float32)
        ahead = (1 - decay) * value[k + 1] + decay * target
        target = powers @ cost[begin:end] + np.float32(discount ** (end - begin)) * ahead
        targets.append(target)
    return np.array(targets[::-1], np.float32)


def _value(config: TrainConfig, size: int) -> Value:
    if config.critic == "quadratic":
        from fledge_train.value_quadratic import QuadraticValue

        return QuadraticValue(size, config.critic_config)
    from fledge_train.value_mlp import MlpValue

    return MlpValue(size, config.critic_config, config.seed)
