"""One whole update of TD3's critics and actor against a text of its own in torch, double precision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fledge_sim import robot as robots
from fledge_train.dense import Network
from fledge_train.td3 import Td3
from fledge_train.td3_config import PaperReward, Td3Config, paper_view
from torch import Tensor, nn

SMALL = Td3Config(
    activation="tanh", steps=2000, history=3, hidden=(16, 8), batch=40, critic_warm_up=10_000, actor_warm_up=10_000
)


def module(network: Network, squashed: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in network.weights():
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*(layers if squashed else layers[:-1]))


def adamw(net: nn.Sequential) -> torch.optim.Optimizer:
    weights = [p for p in net.parameters() if p.dim() == 2]
    biases = [p for p in net.parameters() if p.dim() == 1]
    decay = SMALL.weight_decay / SMALL.learning_rate  # torch multiplies by the rate
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=SMALL.learning_rate)


def assert_same(network: Network, net: nn.Sequential, before: Network | None = None) -> None:
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    for (weight, bias), linear in zip(network.weights(), linears, strict=True):
        assert np.abs(weight - linear.weight.detach().numpy()).max() < 2e-6  # a step of Adam moves 1e-3
        assert np.abs(bias - linear.bias.detach().numpy()).max() < 2e-6


class Reader:
    """Transitions as the paper has them, from what the replay holds, row by row."""

    def __init__(self, trainer: Td3) -> None:
        replay = trainer._replay
        names = ("truth", "sensed", "next_truth", "next_sensed", "outcome")
        self.columns = {name: replay.column(name)[0].astype(np.float64) for name in names}
        self.action = replay.action[0].astype(np.float64)
        self.age = replay._age
        self.fill = replay.shape.fill

    def past(self, row: int, after: int) -> np.ndarray:
        """Last three actions before a transition, or with it."""
        episode = [self.action[row - back] for back in range(self.age[row], -1, -1)]
        known = episode if after else episode[:-1]
        return np.concatenate(([np.full(4, self.fill)] * 3 + known)[-3:])

    def tensor(self, name: str, index: np.ndarray) -> Tensor:
        return torch.tensor(self.columns[name][index])

    def observation(self, index: np.ndarray, after: int) -> Tensor:
        past = np.stack([self.past(int(row), after) for row in index])
        sensed = self.columns["next_sensed" if after else "sensed"][index]
        return torch.tensor(np.concatenate([sensed, past], axis=1))


def test_one_update_of_critics_and_actor() -> None:
    trainer = Td3(SMALL)
    trainer.advance()
    reader = Reader(trainer)
    actor, target_actor = module(trainer._actor, True), module(trainer._target_actor, True)
    critics = [module(critic, False) for critic in trainer._critics]
    smooth = [module(critic, False) for critic in trainer._target_critics]
    optimizers = [adamw(net) for net in (*critics, actor)]

    # the same draws: the trainer's generator is put back before it is used
    seed = trainer._random.bit_generator.state
    rewards = paper_rewards(reader)
    for critic, optimizer in zip(critics, optimizers, strict=False):
        index = trainer._random.integers(0, 1000, SMALL.batch)
        noise = np.clip(0.2 * trainer._random.standard_normal((SMALL.batch, 4), np.float32), -0.5, 0.5)
        next_action = (target_actor(reader.observation(index, after=1)) + torch.tensor(noise)).clamp(-1, 1)
        next_input = torch.cat([reader.tensor("next_truth", index), next_action], dim=1)
        value = torch.minimum(*(net(next_input)[:, 0] for net in smooth))
        y = torch.tensor(rewards[index]) + 0.99 * reader.tensor("outcome", index)[:, 1] * value
        q = critic(torch.cat([reader.tensor("truth", index), torch.tensor(reader.action[index])], dim=1))[:, 0]
        loss = nn.functional.mse_loss(q, y.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    index = trainer._random.integers(0, 1000, SMALL.batch)
    action = actor(reader.observation(index, after=0))
    loss = -critics[0](torch.cat([reader.tensor("truth", index), action], dim=1)).mean()
    optimizers[2].zero_grad()
    loss.backward()
    optimizers[2].step()

    trainer._random.bit_generator.state = seed
    trainer._update_critics(1000)
    trainer._update_actor(1000)
    for ours, theirs in zip(trainer._critics, critics, strict=True):
        assert_same(ours, theirs)
    assert_same(trainer._actor, actor)
    for target, before, now in zip(trainer._target_critics, smooth, critics, strict=True):
        with torch.no_grad():
            for p, q in zip(before.parameters(), now.parameters(), strict=True):
                p.copy_(0.995 * p + 0.005 * q)
        assert_same(target, before)


def paper_rewards(reader: Reader) -> np.ndarray:
    """2 - 0.5 (5 |p|^2 + 5 (1 - q_w^2) + 0.01 |v|^2 + 0.01 |a - 0.334|^2), 0 where the next state terminates."""
    truth, going_on = reader.columns["truth"], reader.columns["outcome"][:, 1]
    q_w_squared = (1 + truth[:, 3] + truth[:, 7] + truth[:, 11]) / 4
    cost = 5 * (truth[:, :3] ** 2).sum(1) + 5 * (1 - q_w_squared) + 0.01 * (truth[:, 12:15] ** 2).sum(1)
    cost += 0.01 * ((reader.action - robots.load("crazyflie_paper").hover_action) ** 2).sum(1)
    return (2 - 0.5 * cost) * going_on


def test_the_curriculum_recomputes_what_is_in_the_replay() -> None:
    quick = dataclasses.replace(SMALL, critic_warm_up=100, actor_warm_up=100, reward=PaperReward(interval=1000))
    trainers = {again: Td3(dataclasses.replace(quick, recompute_rewards=again)) for again in (True, False)}
    for trainer in trainers.values():
        trainer.advance()
        trainer.advance()
        early = slice(0, 100)
        outcome = trainer._replay.column("outcome")[0, early]
        truth, action = trainer._replay.column("truth")[0, early], trainer._replay.action[0, early]
        step = 1500 if trainer.config.recompute_rewards else 50
        expected = outcome[:, 1] * quick.reward.at(step, truth, action, trainer._hover)
        assert np.allclose(outcome[:, 0], expected, atol=1e-6)
    late = trainers[False]._replay.column("outcome")[0, 1500:1600, 0]
    assert not np.allclose(late, trainers[False]._replay.column("outcome")[0, 0:100, 0])


def test_weights_of_the_curriculum() -> None:
    reward = PaperReward()
    assert reward.position.at(2) == pytest.approx(7.2)  # 5 * 1.2^2
    assert reward.velocity.at(2) == pytest.approx(0.0196)  # 0.01 * 1.4^2
    assert [reward.position.at(k) < 40 for k in (11, 12)] == [True, False]
    assert [reward.action.at(k) < 1 for k in (13, 14)] == [True, False]
    assert Td3Config().noise_scale(499_999) == 1
    assert Td3Config().noise_scale(2_999_999) == pytest.approx(0.9**25)


def test_what_the_papers_critics_see() -> None:
    """Rotors in [-1, 1] of full scale, disturbances in newton and newton metres."""
    robot = robots.load("crazyflie_paper")
    view = paper_view(robot)
    hover = [view.factor[-1] * x + view.offset[-1] for x in (0.0, -1.0)]  # at hover speed, and stopped
    assert hover == pytest.approx([robot.hover_action, -1.0], abs=1e-6)
    weight = robot.mass * robot.gravity
    assert view.factor[18:24] == pytest.approx([weight] * 3 + [weight * 0.028] * 3)
    assert len(view.columns) == 28


def test_counts_of_updates_and_length() -> None:
    """28 500 updates of each critic, 13 500 of the actor in 300 000 steps."""
    c = Td3Config()
    assert sum(step > c.critic_warm_up and step % c.critic_interval == 0 for step in range(1, c.steps + 1)) == 28_500
    assert sum(step > c.actor_warm_up and step % c.actor_interval == 0 for step in range(1, c.steps + 1)) == 13_500
