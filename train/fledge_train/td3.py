"""TD3 as in "Learning to Fly in Seconds": one world, an actor that sees the sensors, critics that see the truth.

Every 10 steps, for each of two critics, with a minibatch and target noise of its own:

    y = r + gamma (1 - terminated) min_j Q'_j(s', clip(pi'(o') + clip(noise)));   L = mean (Q_i(s, a) - y)^2

and every 20 steps the actor ascends mean Q_1(s, pi(o)). s is the truth, o what the contract lists. Rewards are
functions of stored states: when the curriculum raises their weights, those of the whole replay are computed again.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.randomize import stream
from fledge_sim.rows import Float32

from fledge_train import worlds
from fledge_train.dense import Adam, Network
from fledge_train.replay import Batch, Replay
from fledge_train.runs import code_version
from fledge_train.td3_config import Td3Config, environment_of, paper_view
from fledge_train.trainer import Diverged, Progress, Snapshot, put

CHUNK = 1000
"""Environment steps between two reports."""


class Td3:
    """The trainer; see fledge_train.trainer.Trainer."""

    def __init__(self, config: Td3Config) -> None:
        self.config = config
        robot, c = robots.load(config.robot), config
        environment = environment_of(config, robot)
        self._worlds = worlds.Worlds(environment, 1, c.seed, paper_view(robot), c.observation_noise)
        self._replay = Replay(1, c.steps, self._worlds.shape(c.asymmetric))
        record = TrainingRecord("td3", c.seed, code_version(), dataclasses.asdict(c))
        self.contract = worlds.contract_of(environment, robot, c.hidden, record)
        shape, hover = self._replay.shape, robot.hover_action
        actor = (shape.observation, *c.hidden, shape.actions)
        critic = (shape.critic + shape.actions, *c.hidden, 1)
        draws = stream(c.seed, "td3.networks").integers(2**63, size=3)
        self._actor = Network(actor, c.activation, c.activation, int(draws[0]))
        self._critics = [Network(critic, c.activation, "linear", int(draw)) for draw in draws[1:]]
        self._target_actor = Network(actor, c.activation, c.activation)
        self._target_critics = [Network(critic, c.activation, "linear") for _ in self._critics]
        self._target_actor.copy_from(self._actor)
        for target, network in zip(self._target_critics, self._critics, strict=True):
            target.copy_from(network)
        self._actor_adam, *self._critic_adams = (
            Adam(network, c.learning_rate, c.beta1, c.beta2, c.epsilon, c.weight_decay)
            for network in (self._actor, *self._critics)
        )
        self._batch = Batch(c.batch, shape)
        self._hover, self._step, self._rewarded = hover, np.zeros((), np.int64), 0
        self._good = self._actor.parameter.copy()

    @property
    def done(self) -> bool:
        """Whether every step was made."""
        return int(self._step) >= self.config.steps

    def advance(self) -> Progress:
        """CHUNK steps with their updates. Raises Diverged when a gradient is not finite."""
        begin, c = int(self._step), self.config
        end = min(begin + CHUNK, c.steps)
        self._random = stream(c.seed, f"td3.{begin}")
        self._worlds.begin(self._random, end - begin)
        self._noise_scale = c.noise_scale(begin)
        exploration = self._normal((end - begin, 1, 4), c.exploration_noise)
        losses: list[float] = []
        for step, noise in enumerate(exploration, begin + 1):
            moved = self._worlds.step(self._actor.infer(self._worlds.look()) + noise)
            self._replay.add(moved.transition, moved.action, moved.ended)
            if step > c.critic_warm_up and step % c.critic_interval == 0:
                losses.append(self._update_critics(step))
            if step > c.actor_warm_up and step % c.actor_interval == 0:
                self._update_actor(step)
            if step % c.reward.interval == 0 and step < c.steps and c.recompute_rewards:
                self._rewarded = 0
            self._step += 1
        self._good = self._actor.parameter.copy()
        return self._summary(begin, end, losses)

    def _normal(self, shape: tuple[int, ...], deviation: float) -> Float32:
        noise: Float32 = self._random.standard_normal(shape, np.float32)
        noise *= np.float32(self._noise_scale * deviation)
        return noise

    def _update_critics(self, step: int) -> float:
        """One step of each critic, then of its target; the mean loss."""
        c, batch = self.config, self._batch
        self._compute_rewards(step)
        losses = []
        for critic, adam in zip(self._critics, self._critic_adams, strict=True):
            self._replay.draw(batch, self._random)
            target = self._target(batch)
            error = critic.forward(batch.critic_input) - target
            critic.backward(2 / len(error) * error)
            self._check(adam.step(), step)
            losses.append(float(np.vdot(error, error)) / len(error))
        for critic, smooth in zip(self._critics, self._target_critics, strict=True):
            smooth.approach(critic, 1 - c.polyak)
        return sum(losses) / len(losses)

    def _target(self, batch: Batch) -> Float32:
        """y, (n, 1)."""
        c = self.config
        noise = self._normal(batch.action.shape, c.target_noise)
        worlds.clip(noise, self._noise_scale * c.target_clip, out=noise)
        noise += self._target_actor.infer(batch.next_observation)
        worlds.clip(noise, 1.0, out=batch.next_action)
        value = np.minimum(*(critic.infer(batch.next_critic_input) for critic in self._target_critics))
        reward, going_on = batch.outcome[:, :1], batch.outcome[:, 1:]
        return np.asarray(reward + np.float32(c.discount) * going_on * value)

    def _update_actor(self, step: int) -> None:
        """Ascend mean Q_1(s, pi(o)), then move the target."""
        batch, critic = self._batch, self._critics[0]
        self._replay.draw(batch, self._random, states_only=True)
        batch.action[:] = self._actor.forward(batch.observation)
        critic.forward(batch.critic_input)
        down = np.full((len(batch.action), 1), -1 / len(batch.action), np.float32)
        action_bar = critic.backward(down, gradient=False, inputs=(self._replay.shape.critic, 4))
        assert action_bar is not None
        self._actor.backward(action_bar)
        self._check(self._actor_adam.step(), step)
        self._target_actor.approach(self._actor, 1 - self.config.polyak)

    def _compute_rewards(self, step: int) -> None:
        """Of the transitions that have none yet."""
        new = slice(self._rewarded, self._replay.count)
        truth, outcome = self._replay.column("truth")[0, new], self._replay.column("outcome")[0, new]
        outcome[:, 0] = outcome[:, 1] * self.config.reward.at(step - 1, truth, self._replay.action[0, new], self._hover)
        self._rewarded = self._replay.count

    def _check(self, norm: float, step: int) -> None:
        if not np.isfinite(norm):
            self._actor.parameter[:] = self._good
            raise Diverged(
                f"training diverged at step {step}: a gradient is not finite; the last good weights are kept. "
                "Lower the learning rate",
                self.policy(),
            )

    def policy(self) -> Policy:
        """With the weights of now."""
        return worlds.policy_of(self.contract, self._actor)

    def _summary(self, begin: int, end: int, losses: list[float]) -> Progress:
        truth, outcome = (self._replay.column(name)[0, begin:end] for name in ("truth", "outcome"))
        return Progress(
            iteration=end,
            iterations=self.config.steps,
            steps=end,
            position_error=float(np.linalg.norm(truth[:, :3], axis=1).mean()),
            failures=1000 * float(1 - outcome[:, 1].mean()),
            scalars={"critic_loss": sum(losses) / len(losses)} if losses else {},
        )

    def _arrays(self) -> Snapshot:
        """What is restored in place."""
        networks = {
            "actor": self._actor,
            "target_actor": self._target_actor,
            **{f"critic{i}": critic for i, critic in enumerate(self._critics)},
            **{f"target_critic{i}": critic for i, critic in enumerate(self._target_critics)},
        }
        adams = {"actor": self._actor_adam, **{f"critic{i}": adam for i, adam in enumerate(self._critic_adams)}}
        return (
            {"step": self._step}
            | {name: network.parameter for name, network in networks.items()}
            | {f"{name}.moment": adam.moment for name, adam in adams.items()}
        )

    def state(self) -> Snapshot:
        """Counter, networks, optimizers, worlds, replay."""
        state = self._arrays()
        state |= {f"worlds.{name}": array for name, array in self._worlds.state().items()}
        return state | {f"replay.{name}": array for name, array in self._replay.state().items()}

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        c = self.config
        put(self._arrays(), state)
        self._worlds.restore(state, "worlds.")
        self._replay.restore(state, "replay.")
        step = int(self._step)
        updates = max(0, (step - c.critic_warm_up) // c.critic_interval)
        for adam in self._critic_adams:
            adam.steps = updates
        self._actor_adam.steps = max(0, (step - c.actor_warm_up) // c.actor_interval)
        self._good = self._actor.parameter.copy()
        self._rewarded = self._replay.count if updates else 0
