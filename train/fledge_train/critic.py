"""A privileged critic that closes the horizon. Needs torch, and is imported only when it is asked for.

It learns the discounted cost-to-go V from the truth: state without noise, rotor speeds, disturbances, physical
parameters, delay, the reference's velocity and acceleration, and the time to go. Its gradient at the end of the horizon
enters the native reverse sweep as terminal adjoint; the actor never sees its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from fledge_sim import frames
from fledge_sim.rows import STATES, Float32, Parameter, State
from torch import Tensor, nn

from fledge_train.config import TrainConfig
from fledge_train.learner import Learner, Report, Row
from fledge_train.trainer import Snapshot, put

CONSTANTS = [
    *range(Row.PARAMETER, Row.PARAMETER + Parameter.GRAVITY),
    *range(Row.DELAY, Row.AMPLITUDE),
    Row.NOISE,
]
"""Rows of an environment that do not change within an episode and matter for what is to come."""
INPUTS = 3 + 9 + 3 + 3 + 4 + 3 + 3 + len(CONSTANTS) + 1
"""Size of `privileged_input`."""


@dataclass(frozen=True)
class Truth:
    """What is constant over a horizon, per environment: parameters and delay, normalised, (n, K)."""

    constants: Tensor
    time_to_go: Tensor
    """(n,), share of an episode left at the beginning of the horizon."""
    frequency_squared: Tensor
    """Of the reference, (n, 3) [rad^2/s^2]."""


def privileged_input(state: Tensor, error: Tensor, truth: Truth, step_share: float, rotor_scale: float) -> Tensor:
    """The critic's view of one moment.

    Args:
        state: (n, 17), rows of fledge_sim.rows; may require a gradient.
        error: (n, 6), position and velocity error at this moment.
        truth: of the horizon.
        step_share: steps since the beginning of the horizon, as share of an episode.
        rotor_scale: [rad/s], hover speed.
    Returns:
        (n, I).
    """
    position, velocity = state[:, : State.QUATERNION], state[:, State.VELOCITY : State.ANGULAR_VELOCITY]
    reference = (position - error[:, :3]).detach()
    reference_velocity = (velocity - error[:, 3:]).detach()
    rotation = frames.rotation_matrix(state[:, State.QUATERNION : State.VELOCITY]).reshape(-1, 9)
    return torch.cat(
        [
            3 * (position - reference),
            rotation,
            velocity - reference_velocity,
            0.3 * state[:, State.ANGULAR_VELOCITY : State.ROTOR_SPEED],
            state[:, State.ROTOR_SPEED :] / rotor_scale - 1,
            reference_velocity,
            -0.3 * truth.frequency_squared * reference,
            truth.constants,
            (truth.time_to_go - step_share)[:, None],
        ],
        dim=1,
    )


def lambda_targets(cost: Tensor, alive: Tensor, value: Tensor, discount: float, decay: float) -> Tensor:
    """TD(lambda) targets G_t = c_t + gamma ((1 - lambda) V_t+1 + lambda G_t+1), G_T = V_T.

    Args:
        cost: (T, n), of the step from t to t + 1.
        alive: (T, n), 1 while the episode goes on.
        value: V, (T + 1, n).
        discount: gamma.
        decay: lambda.
    Returns:
        (T, n).
    """
    target, targets = value[-1], []
    for t in range(len(cost) - 1, -1, -1):
        target = cost[t] + alive[t] * discount * ((1 - decay) * value[t + 1] + decay * target)
        targets.append(target)
    return torch.stack(targets[::-1])


class CriticStep:
    """One iteration: forward, reverse with the critic's gradient, resets, Adam, fit. Holds the network and its Adam."""

    def __init__(self, config: TrainConfig, learner: Learner) -> None:
        torch.set_num_threads(1)  # matrices are small: more threads only wait for each other
        self._config, self._learner = config, learner
        self._standard = _standardisation(learner.pool)
        speed = learner.pool[:, Row.STATE + State.ROTOR_SPEED]
        self._rotor_scale = float(np.median(speed))
        steps, n = round(max(config.horizon.start, config.horizon.end)), config.environments
        learner.record(state=(steps + 1, STATES, n), error=(steps + 1, 6, n), cost=(steps, n), alive=(steps, n))
        self.network = _network(INPUTS, config.critic_config.hidden, config.seed)
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.critic_config.learning_rate)
        self._begin_moments()

    def _begin_moments(self) -> None:
        """Has Adam make its moments, all zero, so that there is always something to keep or put back."""
        for weight in self.network.parameters():
            weight.grad = torch.zeros_like(weight)
        self._optimizer.step()
        for weight in self.network.parameters():
            self._optimizer.state[weight]["step"].zero_()

    def __call__(self, progress: float) -> Report:
        """Advance the run by one iteration; `progress` is its share done so far."""
        config, ramp = self._config, self._config.critic_config.ramp
        truth = self.truth()
        self._learner.forward()
        weight = min(1.0, progress / ramp) if ramp > 0 else 1.0
        scale = weight * config.discount**self._horizon / (config.environments * self._horizon)
        self._learner.reverse(np.float32(scale) * self.terminal_gradient(truth))
        self._learner.reset()
        report = self._learner.step_adam()
        self.fit(truth)
        return report

    def state(self) -> Snapshot:
        """Weights and Adam's moments, by name; the critic's own."""
        arrays = {f"critic.{name}": weight for name, weight in self.network.named_parameters()}
        for name, weight in self.network.named_parameters():
            moments = self._optimizer.state[weight].items()
            arrays |= {f"critic.adam.{name}.{moment}": tensor for moment, tensor in moments}
        return {name: tensor.detach().numpy() for name, tensor in arrays.items()}

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self.state(), state)

    @property
    def _horizon(self) -> int:
        """Steps of the horizon now; the traces have room for the longest."""
        return int(self._learner.problem.horizon)

    def _input(self, state: Tensor, error: Tensor, truth: Truth, t: int) -> Tensor:
        return privileged_input(state, error, truth, t / self._config.age_limit, self._rotor_scale)

    def value(self, state: Tensor, error: Tensor, truth: Truth, t: int) -> Tensor:
        """V, (n,), of the states (n, 17) at step t of the horizon."""
        out: Tensor = self.network(self._input(state, error, truth, t))[:, 0]
        return self._config.critic_config.scale * out

    def terminal_gradient(self, truth: Truth) -> Float32:
        """dV/dx at the end of the horizon last run, (17, n)."""
        traces = self._learner.traces
        state = torch.tensor(traces["state"][self._horizon].T, requires_grad=True)
        error = torch.tensor(traces["error"][self._horizon].T)
        value = self.value(state, error, truth, self._horizon)
        (gradient,) = torch.autograd.grad(value.sum(), state)
        return np.ascontiguousarray(gradient.numpy().T)

    def truth(self) -> Truth:
        """Of the environments as they are now, before the horizon."""
        rows = torch.tensor(self._learner.environment.T)
        mean, deviation = self._standard
        return Truth(
            constants=(rows[:, CONSTANTS] - mean) / deviation,
            time_to_go=1 - rows[:, Row.AGE] / self._config.age_limit,
            frequency_squared=rows[:, Row.FREQUENCY : Row.COSINE] ** 2,
        )

    def _seen(self, truth: Truth) -> Tensor:
        """Inputs along the horizon last run, (T + 1, n, I)."""
        moments = range(self._horizon + 1)
        state, error = (torch.tensor(self._learner.traces[name]).transpose(1, 2) for name in ("state", "error"))
        return torch.stack([self._input(state[t], error[t], truth, t) for t in moments])

    def fit(self, truth: Truth) -> None:
        """A few gradient steps on the TD(lambda) targets of the horizon last run."""
        config = self._config
        seen = self._seen(truth)
        cost, alive = (torch.tensor(self._learner.traces[name][: self._horizon]) for name in ("cost", "alive"))
        scale = config.critic_config.scale
        for _ in range(config.critic_config.fits):
            value = scale * self.network(seen)[..., 0]
            target = lambda_targets(cost, alive, value.detach(), config.discount, config.critic_config.decay)
            loss = (alive * ((value[:-1] - target) / scale) ** 2).mean()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()


def _standardisation(pool: Float32) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the constants over the prepared episodes; 1 for what does not vary."""
    constants = torch.from_numpy(pool)[:, CONSTANTS].double()
    mean, deviation = constants.mean(dim=0), constants.std(dim=0)
    varies = deviation > 1e-6 * mean.abs().clamp(min=1e-12)
    return mean.float(), torch.where(varies, deviation, torch.ones_like(deviation)).float()


def _network(inputs: int, hidden: tuple[int, ...], seed: int) -> nn.Sequential:
    """Dense layers with ELU, one output; drawn from `seed` without touching torch's own generator."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for size in hidden:
            layers += [nn.Linear(inputs, size), nn.ELU()]
            inputs = size
        return nn.Sequential(*layers, nn.Linear(inputs, 1))
