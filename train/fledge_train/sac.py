"""Soft actor-critic: squashed Gaussian actor on the contract's observation, twin critics on the truth.

a = tanh(u), u = m(o) + s(o) e, e ~ N(0, 1);   log pi = sum -e^2/2 - log s - log(2 pi)/2 - log(1 - a^2)
y = r + gamma (1 - terminated) (min_j Q'_j(s', a') - alpha log pi(a' | o'));   L_Q = mean (Q_i(s, a) - y)^2
L_pi = mean alpha log pi(a | o) - min_j Q_j(s, a);   alpha grows while the entropy is below its target
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.randomize import stream
from fledge_sim.rows import ROTORS, Float32

from fledge_train import worlds
from fledge_train.curriculum import Cosine
from fledge_train.dense import Adam, Network
from fledge_train.replay import Batch, Replay
from fledge_train.runs import code_version
from fledge_train.sac_config import SacConfig
from fledge_train.trainer import Diverged, Progress, Snapshot, put

CHUNK = 2000
"""Transitions between two reports."""
LOG_DEVIATION = (-5.0, 1.0)
"""Range of log s, reached by a tanh."""


class Sample(NamedTuple):
    """Actions of a minibatch, and what their gradients need; all (n, 4) but log_probability, (n, 1)."""

    action: Float32
    noise: Float32
    deviation: Float32
    slope: Float32
    """Of log s with respect to the network's output."""
    log_probability: Float32


class Sac:
    """The trainer; see fledge_train.trainer.Trainer."""

    def __init__(self, config: SacConfig) -> None:
        self.config = c = config
        robot = robots.load(c.robot)
        environment = c.task.environment(robot, c.randomization)
        self._worlds = worlds.Worlds(environment, c.environments, c.seed)
        self._replay = Replay(c.environments, c.replay // c.environments, self._worlds.shape())
        record = TrainingRecord("sac", c.seed, code_version(), dataclasses.asdict(c))
        self.contract = worlds.contract_of(environment, robot, c.hidden, record)
        shape = self._replay.shape
        seeds = [int(draw) for draw in stream(c.seed, "sac.networks").integers(2**62, size=3)]
        self._actor = Network((shape.observation, *c.hidden, 2 * ROTORS), "tanh", "linear", seeds[0])
        self._begin_at_hover(robot.hover_action)
        critic = (shape.critic + ROTORS, *c.critic_hidden, 1)
        self._critics = [Network(critic, "tanh", "linear", seed) for seed in seeds[1:]]
        self._targets = [Network(critic, "tanh", "linear") for _ in self._critics]
        for target, network in zip(self._targets, self._critics, strict=True):
            target.copy_from(network)
        self._actor_adam, *self._critic_adams = (Adam(net, c.learning_rate) for net in (self._actor, *self._critics))
        self._batch = Batch(c.batch, shape)
        self._temperature = np.array([math.log(c.temperature), 0.0, 0.0])  # log alpha, and Adam's moments of it
        self._step, self._updates = np.zeros((), np.int64), np.zeros((), np.int64)
        self._good = self._actor.parameter.copy()

    def _begin_at_hover(self, hover: float) -> None:
        """Small output weights, mean at hover, deviation as configured."""
        *hidden, (weight, bias) = self._actor.weights()
        low, high = LOG_DEVIATION
        bias[:ROTORS] = math.atanh(hover)
        bias[ROTORS:] = math.atanh(2 * (math.log(self.config.deviation) - low) / (high - low) - 1)
        self._actor.set_weights([*hidden, (0.1 * weight, bias)])

    @property
    def done(self) -> bool:
        """Whether every step was made."""
        return int(self._step) >= self.config.steps

    def advance(self) -> Progress:
        """CHUNK transitions with their updates. Raises Diverged when a gradient is not finite."""
        c, begin = self.config, int(self._step)
        count = math.ceil(min(CHUNK, c.steps - begin) / c.environments)
        self._random = stream(c.seed, f"sac.{begin}")
        self._worlds.begin(self._random, count)
        distance, lost, loss = 0.0, 0, 0.0
        for _ in range(count):
            observation = self._worlds.look()
            moved = self._worlds.step(self._sample(self._actor.infer(observation)).action)
            self._replay.add(moved.transition, moved.action, moved.ended)
            distance += float(np.linalg.norm(self._worlds.truth[:, :3], axis=1).mean())
            lost += int((moved.transition[:, -1] == 0).sum())
            self._step += c.environments
            for _ in range(c.updates if self._step >= c.warm_up else 0):
                loss = self._update()
        self._good = self._actor.parameter.copy()
        return Progress(
            iteration=min(int(self._step), c.steps),
            iterations=c.steps,
            steps=int(self._step),
            position_error=distance / count,
            failures=1000 * lost / (count * c.environments),
            scalars={"critic_loss": loss, "temperature": math.exp(self._temperature[0])},
        )

    def _sample(self, output: Float32) -> Sample:
        """Draw actions from the actor's outputs (n, 8)."""
        low, high = LOG_DEVIATION
        bent = np.tanh(output[:, ROTORS:])
        log_deviation = low + (high - low) / 2 * (bent + 1)
        noise = self._random.standard_normal(bent.shape, np.float32)
        deviation = np.exp(log_deviation)
        action = np.tanh(output[:, :ROTORS] + deviation * noise)
        log_one = np.log(np.maximum(1 - action * action, 1e-6))
        terms = -noise * noise / 2 - log_deviation - log_one - math.log(2 * math.pi) / 2
        slope = np.float32((high - low) / 2) * (1 - bent * bent)
        return Sample(action, noise, deviation, slope, terms.sum(axis=1, keepdims=True))

    def _update(self) -> float:
        """Critics, actor, temperature, targets; the critics' mean loss."""
        c, batch, rate = self.config, self._batch, self._rate()
        self._updates += 1
        self._replay.draw(batch, self._random)
        target, loss = self._target(batch), 0.0
        for critic, adam in zip(self._critics, self._critic_adams, strict=True):
            error = critic.forward(batch.critic_input) - target
            critic.backward(2 / len(error) * error)
            adam.rate = rate
            self._check(adam.step())
            loss += float(np.vdot(error, error)) / len(error) / len(self._critics)
        self._replay.draw(batch, self._random, states_only=True)
        log_probability = self._update_actor(batch, rate)
        self._update_temperature(float(log_probability.mean()))
        for critic, target_critic in zip(self._critics, self._targets, strict=True):
            target_critic.approach(critic, c.share)
        return loss

    def _rate(self) -> float:
        rate = self.config.learning_rate
        return Cosine(rate, rate / 10).at(min(1.0, int(self._step) / self.config.steps))

    def _target(self, batch: Batch) -> Float32:
        """y, (n, 1)."""
        sample = self._sample(self._actor.infer(batch.next_observation))
        batch.next_action[:] = sample.action
        value = np.minimum(*(critic.infer(batch.next_critic_input) for critic in self._targets))
        value = value - np.float32(math.exp(self._temperature[0])) * sample.log_probability
        reward, going_on = batch.outcome[:, :1], batch.outcome[:, 1:]
        return np.asarray(reward + np.float32(self.config.discount) * going_on * value)

    def _update_actor(self, batch: Batch, rate: float) -> Float32:
        """One step down L_pi; log pi of its actions, (n, 1).

        d log pi / du = 2 a; d log pi / d log s = 2 a s e - 1; da / du = 1 - a^2.
        """
        n, alpha = len(batch.action), np.float32(math.exp(self._temperature[0]))
        sample = self._sample(self._actor.forward(batch.observation))
        batch.action[:] = sample.action
        values = [critic.forward(batch.critic_input) for critic in self._critics]
        first = values[0] <= values[1]
        action_bar = np.zeros_like(sample.action)
        for critic, chosen in zip(self._critics, (first, ~first), strict=True):
            bar = critic.backward(
                chosen * np.float32(-1 / n), gradient=False, inputs=(self._replay.shape.critic, ROTORS)
            )
            assert bar is not None
            action_bar += bar
        u_bar = action_bar * (1 - sample.action**2) + alpha / n * 2 * sample.action
        log_deviation_bar = u_bar * sample.deviation * sample.noise - alpha / n
        self._actor.backward(np.concatenate([u_bar, log_deviation_bar * sample.slope], axis=1))
        self._actor_adam.rate = rate
        self._check(self._actor_adam.step())
        return sample.log_probability

    def _update_temperature(self, log_probability: float) -> None:
        """Adam on log alpha, down -log alpha (log pi + target entropy)."""
        c, t = self.config, int(self._updates)
        log_alpha, mean, square = self._temperature
        gradient = -(log_probability + c.target_entropy)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient * gradient - square)
        step = mean / (1 - 0.9**t) / (math.sqrt(square / (1 - 0.999**t)) + 1e-8)
        self._temperature[:] = log_alpha - c.temperature_rate * step, mean, square

    def _check(self, norm: float) -> None:
        if not np.isfinite(norm):
            self._actor.parameter[:] = self._good
            raise Diverged(
                f"training diverged at step {int(self._step)}: a gradient is not finite; the last good weights are "
                "kept. Lower the learning rate",
                self.policy(),
            )

    def policy(self) -> Policy:
        """With the weights of now; it flies the mean."""
        return worlds.policy_of(self.contract, self._actor)

    def _arrays(self) -> Snapshot:
        arrays: Snapshot = {"step": self._step, "updates": self._updates, "temperature": self._temperature}
        for i, critic in enumerate(self._critics):
            arrays |= {f"critic{i}": critic.parameter, f"critic{i}.moment": self._critic_adams[i].moment}
            arrays[f"target{i}"] = self._targets[i].parameter
        return arrays | {"actor": self._actor.parameter, "actor.moment": self._actor_adam.moment}

    def state(self) -> Snapshot:
        """Counters, networks, optimizers, temperature, worlds, replay."""
        state = self._arrays()
        state |= {f"worlds.{name}": array for name, array in self._worlds.state().items()}
        return state | {f"replay.{name}": array for name, array in self._replay.state().items()}

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self._arrays(), state)
        self._worlds.restore(state, "worlds.")
        self._replay.restore(state, "replay.")
        for adam in (self._actor_adam, *self._critic_adams):
            adam.steps = int(self._updates)
        self._good = self._actor.parameter.copy()
