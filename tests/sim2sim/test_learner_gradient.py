"""The learner's weight gradient over a whole horizon against float64 autograd of an independent text.

The torch text below shares with the C only the contract of weights (fledge_sim.policy) and docs/dynamics.md: physics is
fledge_sim.dynamics, the reference is a closed form in time, delay and history are plain lists. No sensor noise here.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from fledge_sim import dynamics, frames
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization
from fledge_sim.rows import Parameter, State
from fledge_train import config, learner, networks, shac
from fledge_train.config import ActorConfig, SensorConfig, TrainConfig
from fledge_train.curriculum import constant

STEPS = 24
GRU = ActorConfig("gru", (16,), 0, output_gain=0.4)
MLP_WITH_HISTORY = ActorConfig("mlp", (32, 32), 8, output_gain=0.4)
ODD = ActorConfig("mlp", (24, 8, 16), 3, output_gain=0.4)
ONE_LAYER = ActorConfig("mlp", (32,), 0, output_gain=0.4)
PAPER = ActorConfig("mlp", (64, 64), 32, output_gain=0.4)
GRU_WITH_HISTORY = ActorConfig("gru", (24,), 2, output_gain=0.4)
GRU_LOOKING_AHEAD = ActorConfig("gru", (16,), 0, look_ahead=3, output_gain=0.1)
MLP_LOOKING_AHEAD = ActorConfig("mlp", (32,), 5, look_ahead=5, look_ahead_spacing=0.04, output_gain=0.1)
ACTORS = (GRU, MLP_WITH_HISTORY, ODD, ONE_LAYER, PAPER, GRU_WITH_HISTORY, GRU_LOOKING_AHEAD, MLP_LOOKING_AHEAD)


def small(actor: ActorConfig, robot: str = "crazyflie", **changes: object) -> TrainConfig:
    """A problem with everything switched on but the noise."""
    cost = config.CostConfig(
        position=constant(20.0),
        velocity=constant(0.3),
        tilt=constant(2.0),
        yaw=constant(3.0),
        angular_velocity=constant(0.02),
        action=constant(0.3),
        action_rate=constant(2.0),
    )
    sensors = SensorConfig(position_noise=0, rotation_noise=0, velocity_noise=0, angular_velocity_noise=0)
    base = TrainConfig(
        robot=robot,
        actor=actor,
        environments=16,
        horizon=constant(STEPS),
        cost=cost,
        sensors=sensors,
        pool=64,
        adjoint_limit=constant(1e9),
        catch_share=0.2,
        randomization=Randomization(control_delay=(0.0, 3.0)),
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


class Oracle:
    """The same horizon in torch, float64."""

    def __init__(self, cfg: TrainConfig, native: learner.Learner) -> None:
        self.cfg, self.robot = cfg, robots.load(cfg.robot)
        self.contract = networks.contract_of(self.robot, cfg.actor, cfg.sensors, TrainingRecord("test", 0, ""))
        weights = networks.unflatten(self.contract, native.parameter)
        self.weights = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in weights.items()}
        self.rows = torch.tensor(native.environment, dtype=torch.float64)
        self.costs: list[torch.Tensor] = []
        self.final: torch.Tensor | None = None

    def part(self, row: learner.Row, count: int) -> torch.Tensor:
        return self.rows[row : row + count].T

    def network(self, x: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        w = self.weights
        if self.cfg.actor.kind == "gru":
            h = self.cfg.actor.hidden[0]
            gi = x @ w["gru.weight_input"].T + w["gru.bias_input"]
            gh = memory @ w["gru.weight_hidden"].T + w["gru.bias_hidden"]
            r, z = torch.sigmoid(gi[:, :h] + gh[:, :h]), torch.sigmoid(gi[:, h : 2 * h] + gh[:, h : 2 * h])
            c = torch.tanh(gi[:, 2 * h :] + r * gh[:, 2 * h :])
            x = memory = (1 - z) * c + z * memory
        else:
            for i in range(len(self.cfg.actor.hidden)):
                x = torch.tanh(x @ w[f"dense{i}.weight"].T + w[f"dense{i}.bias"])
        return torch.tanh(x @ w["output.weight"].T + w["output.bias"]), memory

    def setpoint(self, command: torch.Tensor) -> torch.Tensor:
        r = self.robot
        amount = r.full_scale * (r.fraction_low + (command + 1) / 2 * (r.fraction_high - r.fraction_low))
        if r.actuation == "rotor_speed_fraction":
            return amount
        c0, c1, c2 = r.thrust_curve
        return (-c1 + torch.sqrt(c1**2 + 4 * c2 * (amount - c0))) / (2 * c2)

    def reference(self, t: float) -> tuple[torch.Tensor, torch.Tensor]:
        row = learner.Row
        amplitude, frequency = self.part(row.AMPLITUDE, 3), self.part(row.FREQUENCY, 3)
        phase = torch.atan2(self.part(row.SINE, 3), self.part(row.COSINE, 3)) + frequency * shac.DT * t
        return amplitude * torch.cos(phase), -amplitude * frequency * torch.sin(phase)

    def observe(self, s: dynamics.QuadrotorState, t: int, actions: list[torch.Tensor]) -> torch.Tensor:
        position, velocity = self.reference(t)
        history = self.cfg.actor.history
        parts = [
            s.position_world - position,
            frames.rotation_matrix(s.quaternion).reshape(-1, 9),
            s.velocity_world - velocity,
            s.angular_velocity_body,
            *self.ahead(s, t),
            *(actions[-history:] if history else []),
        ]
        terms = self.contract.observation
        clip = torch.cat([torch.full((term.size,), term.clip, dtype=torch.float64) for term in terms])
        scale = torch.cat([torch.full((term.size,), term.scale, dtype=torch.float64) for term in terms])
        return torch.cat(parts, dim=1).clamp(-clip, clip) * scale

    def ahead(self, s: dynamics.QuadrotorState, t: int) -> list[torch.Tensor]:
        parts = []
        for i in range(self.cfg.actor.look_ahead):
            position, velocity = self.reference(t + (i + 1) * self.cfg.actor.look_ahead_spacing / shac.DT)
            parts += [position - s.position_world, velocity - s.velocity_world]
        return parts

    def cost(self, s: dynamics.QuadrotorState, t: int, now: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        w = {f.name: getattr(self.cfg.cost, f.name).at(0.0) for f in dataclasses.fields(self.cfg.cost)}
        position, velocity = self.reference(t + 1)
        return (
            w["position"] * ((s.position_world - position) ** 2).sum(1)
            + w["velocity"] * ((s.velocity_world - velocity) ** 2).sum(1)
            + w["tilt"] * (s.quaternion[:, 1:3] ** 2).sum(1)
            + w["yaw"] * s.quaternion[:, 3] ** 2
            + w["angular_velocity"] * (s.angular_velocity_body**2).sum(1)
            + w["action"] * ((now - self.robot.hover_action) ** 2).sum(1)
            + w["action_rate"] * ((now - before) ** 2).sum(1)
        )

    def run(self, memory: torch.Tensor, past: list[torch.Tensor], delay: torch.Tensor) -> torch.Tensor:
        s = dynamics.state_from_rows(self.rows[: learner.Row.PARAMETER])
        parameters = dynamics.parameters_from_rows(self.rows[learner.Row.PARAMETER : learner.Row.DELAY])
        actions, total = list(past), torch.zeros((), dtype=torch.float64)
        for t in range(STEPS):
            action, memory = self.network(self.observe(s, t, actions), memory)
            actions.append(action)
            command = sum(delay[:, k : k + 1] * actions[-1 - k] for k in range(config.DELAYS))
            assert isinstance(command, torch.Tensor)
            s = dynamics.step(s, self.setpoint(command), parameters, shac.DT, Physics(drag=True))
            cost = self.cost(s, t, actions[-1], actions[-2])
            self.costs.append(cost.detach())
            total = total + self.cfg.discount**t * cost.sum() / (STEPS * self.cfg.environments)
        self.final = dynamics.state_to_rows(s)
        return total


def oracle_gradient(
    cfg: TrainConfig, native: learner.Learner, terminal: np.ndarray | None
) -> tuple[np.ndarray, Oracle]:
    oracle = Oracle(cfg, native)
    first = learner.Row.MEMORY
    recurrent = cfg.actor.hidden[0] if cfg.actor.kind == "gru" else 0
    memory = oracle.rows[first : first + recurrent].T
    past = list(torch.split(oracle.rows[first + recurrent :].T, 4, dim=1))
    loss = oracle.run(memory, past, oracle.part(learner.Row.DELAY, config.DELAYS))
    if terminal is not None:
        assert oracle.final is not None
        loss = loss + (torch.tensor(terminal, dtype=torch.float64) * oracle.final).sum()
    loss.backward()
    return np.concatenate([w.grad.ravel().numpy() for w in oracle.weights.values() if w.grad is not None]), oracle


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def running(cfg: TrainConfig) -> learner.Learner:
    """A learner one horizon into its episodes, so that memory and past actions are not trivial."""
    _, native = shac.begin(cfg)
    native.record(cost=(STEPS, cfg.environments), state=(STEPS + 1, 17, cfg.environments))
    native.forward()
    return native


@pytest.mark.parametrize("robot", ["crazyflie", "crazyflie_paper"])
@pytest.mark.parametrize("actor", ACTORS, ids=lambda a: f"{a.kind}-{len(a.hidden)}-{a.history}-{a.look_ahead}")
def test_gradient_equals_autograd(actor: ActorConfig, robot: str) -> None:
    cfg = small(actor, robot)
    native = running(cfg)
    want, oracle = oracle_gradient(cfg, native, None)
    native.sweep()
    assert np.allclose(native.traces["cost"], torch.stack(oracle.costs).numpy(), rtol=2e-4, atol=1e-4)
    assert relative_error(native.gradient, want) < 1e-4


@pytest.mark.parametrize("actor", [GRU, MLP_WITH_HISTORY], ids=lambda a: a.kind)
def test_gradient_of_a_terminal_value_equals_autograd(actor: ActorConfig) -> None:
    cfg = small(actor)
    native = running(cfg)
    terminal = np.random.default_rng(3).normal(size=(17, 16)).astype(np.float32) / 16
    terminal[State.ROTOR_SPEED :] *= 1e-3  # rotor speeds are in the thousands
    want, _ = oracle_gradient(cfg, native, terminal)
    native.forward()
    native.reverse(terminal)
    assert relative_error(native.gradient, want) < 1e-4


def test_split_and_fused_entries_agree_to_the_bit() -> None:
    cfg = small(GRU, environments=32)
    split, fused = running(cfg), running(cfg)
    fused.sweep()
    split.forward()
    split.reverse()
    assert np.array_equal(split.gradient, fused.gradient)
    assert np.array_equal(split.environment, fused.environment)


def test_what_a_step_keeps_for_the_way_back_is_what_it_would_compute_again() -> None:
    """With a floor nothing is kept; a floor without stiffness, damping and friction changes nothing else."""
    keeping, again = running(small(GRU)), running(small(GRU))
    first = learner.Row.PARAMETER + Parameter.FLOOR_STIFFNESS
    for native in (keeping, again):
        native.environment[first : learner.Row.PARAMETER + Parameter.FLOOR_FRICTION + 1] = 0
    again.problem.effects |= Physics(floor=True).effects
    for native in (keeping, again):
        native.sweep()
    assert relative_error(keeping.gradient, again.gradient) < 1e-5


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("actor", [GRU, ODD, MLP_LOOKING_AHEAD], ids=["gru", "odd", "looking-ahead"])
def test_instruction_sets_agree(actor: ActorConfig, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has tiles of its own."""
    if isa not in learner.variants():
        pytest.skip(f"{isa} cannot run on this processor")
    cfg = dataclasses.replace(small(actor), sensors=SensorConfig())  # with noise: the streams must agree too
    widest = running(cfg)
    widest.sweep()
    monkeypatch.setenv("FLEDGE_ISA", isa)
    other = running(cfg)
    other.sweep()
    assert relative_error(other.gradient, widest.gradient) < 1e-4


def test_noise_reaches_observation_and_look_ahead_alike() -> None:
    """A future reference is seen from the sensed position: one error, the other way round."""
    cfg = small(GRU_LOOKING_AHEAD, sensors=SensorConfig(position_noise=0.05, look_ahead_scale=3.0), catch_share=1.0)
    _, native = shac.begin(cfg)
    native.problem.horizon = 2
    native.forward()
    # A hovering reference stands still, so its future position seen from here is minus the sensed error; inputs are
    # [t][padded inputs][lane] at the beginning of each block's trace, behind the packed weights.
    lanes = {"baseline": 4, "avx2": 8, "avx512": 16}[learner.variants()[native.variant]]
    packed = -(-3 * native.parameter.size // 16) * 16
    inputs = native._keep["scratch"][packed : packed + 40 * lanes].reshape(40, lanes)
    assert np.abs(inputs[:3]).max() > 0
    for first in (18, 24, 30):
        assert np.allclose(inputs[first : first + 3], -inputs[:3], atol=1e-6)
    assert np.allclose(inputs[21:24] / 3, -inputs[12:15], atol=1e-6)


def test_the_adjoint_limit_shortens_only_who_exceeds_it() -> None:
    """With one steep environment the gradient is the others' plus a bounded share; far above every norm it is exact."""
    cfg = small(GRU)
    free, limited, loose = (running(cfg) for _ in range(3))
    for native, limit in ((free, 1e9), (limited, 1.0), (loose, 1e7)):
        native.problem.adjoint_limit = limit
        native.sweep()
    assert np.array_equal(free.gradient, loose.gradient)
    assert np.linalg.norm(limited.gradient) < 0.5 * np.linalg.norm(free.gradient)
    assert np.isfinite(limited.gradient).all()


def test_a_wrong_delay_weight_is_noticed() -> None:
    """The comparison above can fail: delay weights of another episode give another gradient."""
    cfg = small(GRU)
    native = running(cfg)
    want, _ = oracle_gradient(cfg, native, None)
    native.environment[learner.Row.DELAY : learner.Row.AMPLITUDE] = [[1.0], [0.0], [0.0], [0.0]]
    native.sweep()
    assert relative_error(native.gradient, want) > 1e-2


def test_a_lane_that_leaves_the_limits_does_not_disturb_the_others() -> None:
    cfg = small(GRU)
    clean, dirty = running(cfg), running(cfg)
    for native in (clean, dirty):
        native.environment[learner.Row.STATE + State.POSITION, 5] = 100.0
    dirty.environment[learner.Row.STATE + State.ANGULAR_VELOCITY, 5] = math.nan
    for native in (clean, dirty):
        native.record(alive=(STEPS, cfg.environments))
        native.forward()
    assert not dirty.traces["alive"][:, 5].any()
    assert dirty.traces["alive"][:, 4].all()
    assert np.array_equal(np.delete(clean.environment, 5, axis=1), np.delete(dirty.environment, 5, axis=1))


def test_parameters_of_the_pool_reach_the_physics() -> None:
    """A heavier environment falls faster: the C reads the same rows that Python wrote."""
    cfg = small(GRU)
    native = running(cfg)
    native.environment[learner.Row.PARAMETER + Parameter.MASS_INVERSE, 3] *= 0.5
    before = native.environment[learner.Row.STATE + State.VELOCITY + 2, 3]
    native.forward()
    assert native.environment[learner.Row.STATE + State.VELOCITY + 2, 3] < before - 0.3


def test_an_environment_does_not_depend_on_how_many_there_are() -> None:
    few, many = (running(dataclasses.replace(small(GRU), environments=n, sensors=SensorConfig())) for n in (16, 48))
    assert np.array_equal(few.environment, many.environment[:, :16])
