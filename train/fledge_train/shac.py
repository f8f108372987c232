"""Short-horizon actor-critic through the differentiable quadrotor; without a critic a pure analytic policy gradient.

Per iteration, in one native call: the actor flies all environments over the horizon, the discounted cost

    L = 1/(n T) sum_t gamma^t c(x_t+1, a_t, a_t-1)  [+ w gamma^T / (n T) V(x_T, truth)]

is differentiated back through physics, delay, sensors and network, episodes that are over start anew from the pool, and
Adam takes a step. The actor sees noisy sensors; the gradient sees the truth: rotor speeds, disturbances, parameters.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.contract import Contract, TrainingRecord
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy, assemble
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32

from fledge_train import networks
from fledge_train.config import TrainConfig
from fledge_train.episodes import build_pool
from fledge_train.learner import OBSERVED, Learner, Problem, Report
from fledge_train.runs import code_version
from fledge_train.trainer import Diverged, Progress, Snapshot, TrainResult, put, run

if TYPE_CHECKING:
    from fledge_train.critic import CriticStep

DT = 0.01
"""[s], the native step; 1 / native rate of the contract."""
CHUNK = 20
"""Iterations between two reports."""


class Shac:
    """The trainer; see fledge_train.trainer.Trainer."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.contract, self._learner = begin(config)
        self._good = self._learner.parameter.copy()
        self._iteration = np.zeros((), np.int64)
        self._steps = np.zeros((), np.int64)
        self._stage = 0
        self._critic: CriticStep | None = None
        if config.critic != "none":
            from fledge_train.critic import CriticStep

            self._critic = CriticStep(config, self._learner)

    @property
    def done(self) -> bool:
        """Whether every iteration was made."""
        return int(self._iteration) >= self.config.iterations

    def advance(self) -> Progress:
        """A few iterations. Raises Diverged when the gradient is not finite."""
        reports: list[Report] = []
        first, iterations = int(self._iteration), self.config.iterations
        for iteration in range(first, min(first + CHUNK, iterations)):
            now = self._learner.parameter.copy()
            self._iteration[...] = iteration
            reports.append(self._iterate(iteration / iterations))
            if not math.isfinite(reports[-1].gradient_norm):
                raise Diverged(_divergence(iteration), self._assemble(self._good))
            self._good = now
        self._iteration[...] = first + len(reports)
        self._steps += sum(report.steps for report in reports)
        return self._summary(reports)

    def policy(self) -> Policy:
        """With the weights of now."""
        return self._assemble(self._learner.parameter)

    def state(self) -> Snapshot:
        """Counters, learner (weights, Adam, environments, random words), critic."""
        state = {"iteration": self._iteration, "steps": self._steps}
        state |= {f"learner.{name}": array for name, array in self._learner.state().items()}
        return state if self._critic is None else state | self._critic.state()

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put({"iteration": self._iteration, "steps": self._steps}, state)
        put(self._learner.state(), state, "learner.")
        self._learner.problem.adam.step = int(self._iteration)
        self._good = self._learner.parameter.copy()
        if self._critic is not None:
            self._critic.restore(state)

    def _iterate(self, progress: float) -> Report:
        """One iteration; `progress` is the share of the run done before it."""
        self._draw_episodes(progress)
        _schedule(self.config, self._learner.problem, progress)
        return self._learner.iterate() if self._critic is None else self._critic(progress)

    def _draw_episodes(self, progress: float) -> None:
        """New episodes in the pool when a stage of the curriculum begins; those that are under way go on."""
        stage = min(int(progress * self.config.curriculum.stages), self.config.curriculum.stages - 1)
        if stage != self._stage:
            self._stage = stage
            self._learner.pool[:] = build_pool(self.config, robots.load(self.config.robot), DT, stage)

    def _assemble(self, flat: Float32) -> Policy:
        return assemble(self.contract, networks.unflatten(self.contract, flat))

    def _summary(self, reports: list[Report]) -> Progress:
        steps = sum(report.steps for report in reports)
        return Progress(
            iteration=int(self._iteration),
            iterations=self.config.iterations,
            steps=int(self._steps),
            position_error=sum(report.position_error for report in reports) / steps,
            failures=1000 * sum(report.failures for report in reports) / steps,
            scalars={
                "cost": sum(report.cost for report in reports) / steps,
                "gradient_norm": sum(report.gradient_norm for report in reports) / len(reports),
            },
        )


def train(config: TrainConfig, progress: Callable[[Progress], None] | None = None) -> TrainResult:
    """Train a policy. Ctrl-C ends it early and returns the policy so far.

    Raises:
        Diverged: the gradient became NaN or infinite.
    """
    since = time.perf_counter()
    return run(Shac(config), progress, since)


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


def _schedule(config: TrainConfig, problem: Problem, progress: float) -> None:
    cost, goal = problem.cost, config.cost
    cost.position, cost.velocity = goal.position.at(progress), goal.velocity.at(progress)
    cost.tilt, cost.yaw = goal.tilt.at(progress), goal.yaw.at(progress)
    cost.angular_velocity = goal.angular_velocity.at(progress)
    cost.action, cost.action_rate = goal.action.at(progress), goal.action_rate.at(progress)
    problem.adam.rate = config.learning_rate.at(progress)
    problem.horizon = round(config.horizon.at(progress))
    problem.adjoint_limit = config.adjoint_limit.at(progress)


def _problem(config: TrainConfig, robot: Robot) -> Problem:
    """Scalars of the native problem; the learner adds the arrays."""
    longest = round(max(config.horizon.start, config.horizon.end))
    p = Problem(environments=config.environments, horizon=longest, effects=Physics(drag=True).effects, dt=DT)
    p.hover_action, p.position_limit = robot.hover_action, config.position_limit
    terms = networks.observation_terms(config.sensors, 0)
    for name in ("clip", "scale", "noise"):
        getattr(p, name)[:OBSERVED] = [getattr(term, name) for term in terms for _ in range(term.size)]
    p.history_scale = config.sensors.history_scale
    p.ahead_clip, p.ahead_scale = config.sensors.look_ahead_clip, config.sensors.look_ahead_scale
    p.network.kind, p.network.layers = int(config.actor.kind == "gru"), len(config.actor.hidden)
    p.network.hidden[: len(config.actor.hidden)] = config.actor.hidden
    p.network.history, p.network.look_ahead = config.actor.history, config.actor.look_ahead
    p.actuation.kind, p.actuation.full_scale = int(robot.actuation == "thrust_fraction"), robot.full_scale
    p.actuation.fraction_low, p.actuation.fraction_high = robot.fraction_low, robot.fraction_high
    p.actuation.thrust_curve[:] = robot.thrust_curve
    p.cost.discount = config.discount
    p.adam.beta1, p.adam.beta2, p.adam.epsilon, p.adam.clip = config.beta1, config.beta2, 1e-8, config.clip
    return p
