"""Short-horizon actor-critic through the differentiable quadrotor; without a critic a pure analytic policy gradient.

Per iteration, in one native call: the actor flies all environments over the horizon, the discounted cost

    L = 1/(n T) sum_t gamma^t c(x_t+1, a_t, a_t-1)  [+ w gamma^T / (n T) V(x_T, truth)]

is differentiated back through physics, delay, sensors and network, episodes that are over start anew from the pool, and
Adam takes a step. The actor sees noisy sensors; the gradient sees the truth: rotor speeds, disturbances, parameters.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.contract import Contract, TrainingRecord
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy, assemble
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32

from fledge_train import networks
from fledge_train.config import TrainConfig
from fledge_train.episodes import build_pool
from fledge_train.learner import OBSERVED, Learner, Problem, Report
from fledge_train.runs import code_version

DT = 0.01
"""[s], the native step; 1 / native rate of the contract."""
REPORT_EVERY = 20
"""Iterations between two progress reports."""


class Diverged(FledgeError):  # noqa: N818
    """The gradient is no longer finite; `policy` holds the last weights that were."""

    def __init__(self, sentence: str, policy: Policy) -> None:
        super().__init__(sentence)
        self.policy = policy


@dataclass(frozen=True)
class Progress:
    """Live figures, averaged over the iterations since the last report."""

    iteration: int
    """Iterations done."""
    iterations: int
    """Of how many."""
    seconds: float
    """Since the start of training."""
    cost: float
    """Mean per step, with the weights of the moment."""
    position_error: float
    """Mean distance from the reference [m]."""
    failures: float
    """Episodes lost per 1000 environment steps."""
    gradient_norm: float
    """Before clipping."""


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves."""

    policy: Policy
    seconds: float
    """Wall-clock of the training loop and of its preparation."""
    history: tuple[Progress, ...]
    interrupted: bool = False


def train(config: TrainConfig, progress: Callable[[Progress], None] | None = None) -> TrainResult:
    """Train a policy. Ctrl-C ends it early and returns the policy so far.

    Raises:
        Diverged: the gradient became NaN or infinite.
    """
    start = time.perf_counter()
    contract, learner = begin(config)
    step = _step_function(config, learner)
    history: list[Progress] = []
    window: list[Report] = []
    interrupted = False

    def policy(flat: Float32) -> Policy:
        return assemble(contract, networks.unflatten(contract, flat))

    good = learner.parameter.copy()

    for iteration in range(config.iterations):
        try:
            now = learner.parameter.copy()
            _schedule(config, learner.problem, iteration / config.iterations)
            window.append(step(iteration / config.iterations))
            if not np.isfinite(window[-1].gradient_norm):
                raise Diverged(_divergence(iteration), policy(good))
            good = now
            if len(window) == REPORT_EVERY or iteration + 1 == config.iterations:
                history.append(_summary(config, window, iteration + 1, time.perf_counter() - start))
                window.clear()
                if progress:
                    progress(history[-1])
        except KeyboardInterrupt:
            interrupted = True
            break
    return TrainResult(policy(learner.parameter), time.perf_counter() - start, tuple(history), interrupted)


def begin(config: TrainConfig) -> tuple[Contract, Learner]:
    """Contract without weights, and a learner with initial weights in freshly drawn episodes."""
    robot = robots.load(config.robot)
    record = TrainingRecord("shac", config.seed, code_version(), dataclasses.asdict(config))
    contract = networks.contract_of(robot, config.actor, config.sensors, record)
    weights = networks.initial_weights(contract, config.actor.output_gain, config.seed)
    learner = Learner(_problem(config, robot), networks.flatten(weights), build_pool(config, robot, DT), config.seed)
    _schedule(config, learner.problem, 0.0)
    return contract, learner


def _divergence(iteration: int) -> str:
    return (
        f"training diverged at iteration {iteration}: the gradient is not finite; the last good weights are kept. "
        "Lower the learning rate or shorten the horizon"
    )


def _step_function(config: TrainConfig, learner: Learner) -> Callable[[float], Report]:
    """One iteration as a function of the run's progress; torch is imported only for a critic."""
    if config.critic == "none":
        return lambda _: learner.iterate()
    from fledge_train.critic import CriticStep

    critic: Callable[[float], Report] = CriticStep(config, learner)
    return critic


def _schedule(config: TrainConfig, problem: Problem, progress: float) -> None:
    for field in dataclasses.fields(config.cost):
        setattr(problem.cost, field.name, getattr(config.cost, field.name).at(progress))
    problem.adam.rate = config.learning_rate.at(progress)
    problem.horizon = round(config.horizon.at(progress))


def _problem(config: TrainConfig, robot: Robot) -> Problem:
    """Scalars of the native problem; the learner adds the arrays."""
    longest = round(max(config.horizon.start, config.horizon.end))
    p = Problem(environments=config.environments, horizon=longest, effects=Physics(drag=True).effects, dt=DT)
    p.hover_action, p.position_limit, p.age_limit = robot.hover_action, config.position_limit, config.age_limit
    terms = networks.observation_terms(config.sensors, 0)
    for name in ("clip", "scale", "noise"):
        getattr(p, name)[:OBSERVED] = [getattr(term, name) for term in terms for _ in range(term.size)]
    p.history_scale = config.sensors.history_scale
    p.network.kind, p.network.layers = int(config.actor.kind == "gru"), len(config.actor.hidden)
    p.network.hidden[: len(config.actor.hidden)] = config.actor.hidden
    p.network.history = config.actor.history
    p.actuation.kind, p.actuation.full_scale = int(robot.actuation == "thrust_fraction"), robot.full_scale
    p.actuation.fraction_low, p.actuation.fraction_high = robot.fraction_low, robot.fraction_high
    p.actuation.thrust_curve[:] = robot.thrust_curve
    p.cost.discount = config.discount
    p.adam.beta1, p.adam.beta2, p.adam.epsilon, p.adam.clip = config.beta1, config.beta2, 1e-8, config.clip
    return p


def _summary(config: TrainConfig, window: list[Report], iteration: int, seconds: float) -> Progress:
    steps = sum(report.steps for report in window)
    return Progress(
        iteration=iteration,
        iterations=config.iterations,
        seconds=seconds,
        cost=sum(report.cost for report in window) / steps,
        position_error=sum(report.position_error for report in window) / steps,
        failures=1000 * sum(report.failures for report in window) / steps,
        gradient_norm=sum(report.gradient_norm for report in window) / len(window),
    )
