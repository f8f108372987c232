"""PPO's losses against torch in double precision, and its advantages against the definition."""

from __future__ import annotations

import numpy as np
import torch
from fledge_sim import robot as robots
from fledge_sim.environment import Step
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.randomize import paper
from fledge_train.dense import Network
from fledge_train.hover_task import HoverTask
from fledge_train.ppo import Learner, Rollout
from fledge_train.ppo_config import PpoNumbers
from torch import Tensor, nn

NUMBERS = PpoNumbers(environments=24, horizon=60, minibatches=2, hidden=(16,), critic_hidden=(16,), entropy=0.01)


def learner(numbers: PpoNumbers = NUMBERS) -> Learner:
    robot = robots.load("crazyflie_paper")
    task = HoverTask(history=0, episode_steps=40)
    environment = QuadrotorEnv(task.environment(robot, paper()), numbers.environments, 0)
    return Learner(environment, 4, numbers, 0, np.full(4, robot.hover_action, np.float32))


def double(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)


def value_of(network: Network, x: Tensor, squash: bool) -> tuple[Tensor, list[Tensor]]:
    """Outputs, and (weight, bias) of every layer with gradients."""
    parameters = [double(array).requires_grad_() for pair in network.weights() for array in pair]
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight.T + bias
        x = torch.tanh(x) if squash or i + 1 < len(layers) else x
    return x, parameters


def test_advantages_are_the_sums_of_their_definition() -> None:
    """A_t = sum over k of (gamma lambda)^k d_t+k, up to the end of the episode; V is 0 behind a termination."""
    ppo, generator = learner(), np.random.Generator(np.random.PCG64(1))
    steps: list[Step] = []
    step_of = ppo.environment.step

    def watched(action: Tensor) -> Step:
        steps.append(step_of(action))
        return steps[-1]

    ppo.environment.step = watched  # type: ignore[method-assign]
    rollout, _, terminations = ppo._fly(generator)
    assert terminations > 0
    assert any(step.truncated.any() for step in steps)
    c, horizon = NUMBERS, NUMBERS.horizon
    value = np.stack([ppo.critic.infer(rollout.privileged[t])[:, 0].copy() for t in range(horizon)])
    expected = np.zeros_like(value, np.float64)
    for world in range(NUMBERS.environments):
        for t in range(horizon):
            weight = 1.0
            for k in range(t, horizon):
                step = steps[k]
                behind = ppo.critic.infer(step.final_privileged[world : world + 1].numpy())[0, 0]  # type: ignore[index]
                behind = 0.0 if step.terminated[world] else behind
                d = step.reward[world] / c.value_scale + c.discount * behind - value[k, world]
                expected[t, world] += weight * float(d)
                if step.ended[world]:
                    break
                weight *= c.discount * c.decay
    assert np.allclose(rollout.target[..., 0] - value, expected, atol=2e-5)
    normalised = (expected - expected.mean()) / expected.std()
    assert np.allclose(rollout.advantage, normalised, atol=1e-3)


def test_gradients_of_both_losses() -> None:
    ppo, generator = learner(), np.random.Generator(np.random.PCG64(2))
    rollout, _, _ = ppo._fly(generator)
    seen = Rollout(*(part.reshape(rollout.advantage.size, *part.shape[2:]) for part in vars(rollout).values()))
    index = generator.permutation(rollout.advantage.size)[:500]
    ppo.actor.set_weights([(1.3 * weight, bias + 0.02) for weight, bias in ppo.actor.weights()])  # ratios leave 1
    ppo.log_deviation -= np.array([0.1, -0.1, 0.05, 0.2], np.float32)
    mean, parameters = value_of(ppo.actor, double(seen.observation[index]), squash=True)
    log_deviation = double(ppo.log_deviation).requires_grad_()
    normal = torch.distributions.Normal(mean, log_deviation.exp())
    ratio = (normal.log_prob(double(seen.action[index])).sum(dim=1) - double(seen.log_probability[index])).exp()
    advantage = double(seen.advantage[index])
    clipped = ratio.clamp(1 - NUMBERS.clip, 1 + NUMBERS.clip)
    assert 0.05 < float((ratio != clipped).double().mean()) < 0.95
    loss = -torch.minimum(ratio * advantage, clipped * advantage).mean() - NUMBERS.entropy * normal.entropy()[0].sum()
    loss.backward()

    found: list[np.ndarray] = []
    ppo._improve_deviation = found.append  # type: ignore[method-assign]
    ppo._improve_actor(seen, index)
    assert np.allclose(found[0], log_deviation.grad, rtol=1e-3, atol=1e-5)
    ours = [array for pair in ppo.actor.weights(of_gradient=True) for array in pair]
    for mine, theirs in zip(ours, parameters, strict=True):
        assert theirs.grad is not None
        assert np.abs(mine - theirs.grad.numpy()).max() < 1e-4 * float(theirs.grad.abs().max())

    value, parameters = value_of(ppo.critic, double(seen.privileged[index]), squash=False)
    nn.functional.mse_loss(value, double(seen.target[index])).backward()
    ppo._improve_critic(seen, index)
    ours = [array for pair in ppo.critic.weights(of_gradient=True) for array in pair]
    for mine, theirs in zip(ours, parameters, strict=True):
        assert theirs.grad is not None
        assert np.abs(mine - theirs.grad.numpy()).max() < 1e-4 * float(theirs.grad.abs().max())
