"""Schedules, configuration, initial weights, Adam, resets, divergence, runs."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fledge_sim import policy as policies
from fledge_sim import robot
from fledge_sim.contract import TrainingRecord
from fledge_sim.errors import FledgeError
from fledge_sim.policy import forward
from fledge_sim.rows import State
from fledge_train import config, curriculum, learner, networks, runs, shac, trainer
from fledge_train.config import ActorConfig, TrainConfig


def short(**changes: object) -> TrainConfig:
    """A run of a few milliseconds."""
    return dataclasses.replace(config.robust(), **{"iterations": 30, "pool": 64, **changes})  # type: ignore[arg-type]


def test_ramp_is_geometric_and_then_constant() -> None:
    ramp = curriculum.Ramp(5.0, 80.0, until=0.5)
    assert [ramp.at(x) for x in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([5, 20, 80, 80])  # sqrt(5 * 80) = 20


def test_cosine_begins_halves_and_ends() -> None:
    assert [curriculum.Cosine(3.0, 1.0).at(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([3, 2, 1])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"environments": 20}, "environments"),
        ({"horizon": curriculum.constant(500.0)}, "horizon"),
        ({"actor": ActorConfig("gru", (16, 16))}, "gru"),
        ({"actor": ActorConfig("mlp", (30,))}, "hidden"),
        ({"seed": -1}, "seed"),
        ({"pool": 8}, "pool"),
    ],
)
def test_an_impossible_configuration_is_refused_by_name(changes: dict[str, object], word: str) -> None:
    with pytest.raises(FledgeError, match=word):
        short(**changes)


@pytest.mark.parametrize("kind", ["gru", "mlp"])
def test_the_first_action_is_near_hover(kind: str) -> None:
    crazyflie = robot.load("crazyflie")
    cfg = config.robust(actor="gru" if kind == "gru" else "mlp")
    contract = networks.contract_of(crazyflie, cfg.actor, cfg.sensors, TrainingRecord("t", 0, ""))
    policy = policies.assemble(contract, networks.initial_weights(contract, cfg.actor.output_gain, 0))
    level = np.zeros((1, contract.observation_size))
    level[0, [3, 7, 11]] = 1
    action, _ = forward(policy, level, np.zeros((1, contract.recurrent_size)))
    assert np.abs(action - crazyflie.hover_action).max() < 0.1


def test_flat_weights_survive_the_round_trip() -> None:
    cfg = config.robust()
    contract = networks.contract_of(robot.load("crazyflie"), cfg.actor, cfg.sensors, TrainingRecord("t", 0, ""))
    weights = networks.initial_weights(contract, 1.0, 0)
    again = networks.unflatten(contract, networks.flatten(weights))
    assert all(np.array_equal(weights[name], again[name]) for name in weights)


def test_native_adam_is_torchs_adam() -> None:
    _, native = shac.begin(short())
    p = native.problem.adam
    p.rate, p.beta1, p.beta2, p.epsilon, p.clip = 0.01, 0.9, 0.99, 1e-8, 0.5
    weights = torch.tensor(native.parameter, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.01, betas=(0.9, 0.99), eps=1e-8)
    for step in range(5):
        native.gradient[:] = np.random.default_rng(step).normal(size=native.gradient.size)
        weights.grad = torch.tensor(native.gradient)
        torch.nn.utils.clip_grad_norm_([weights], 0.5)
        optimizer.step()
        native.step_adam()
    assert np.allclose(native.parameter, weights.detach().numpy(), atol=1e-6)


def test_resets_touch_only_who_left_or_is_old() -> None:
    _, native = shac.begin(short())
    env, n = native.environment, native.problem.environments
    env[learner.Row.MEMORY :] = 0.3  # as after some flying
    env[learner.Row.STATE + State.POSITION, 3] = 10.0
    env[learner.Row.AGE, 7] = env[learner.Row.LIFE, 7]
    before = env.copy()
    native.reset()
    others = [i for i in range(n) if i not in (3, 7)]
    assert np.array_equal(env[:, others], before[:, others])
    for i in (3, 7):  # the first reset of environment i drew row i, the second draws row i + n
        assert np.array_equal(env[: learner.Row.POOL_ROWS, i], native.pool[i + n])
    assert (native.report().resets, native.report().failures) == (2, 1)


def test_same_seed_same_bytes() -> None:
    one, two, other = shac.train(short()), shac.train(short()), shac.train(short(seed=1))
    assert one.policy.contract.weights_sha256 == two.policy.contract.weights_sha256
    assert one.policy.contract.weights_sha256 != other.policy.contract.weights_sha256


def test_divergence_is_reported_and_keeps_finite_weights() -> None:
    with pytest.raises(trainer.Diverged, match="learning rate") as caught:
        shac.train(short(learning_rate=curriculum.Cosine(1e37, 1e37)))
    assert all(np.isfinite(array).all() for array in caught.value.policy.weights.values())


def test_ctrl_c_returns_the_policy_so_far() -> None:
    def interrupt(progress: trainer.Progress) -> None:
        raise KeyboardInterrupt

    result = shac.train(short(), interrupt)
    assert result.interrupted
    assert len(result.history) == 1
    assert result.history[0].iteration == shac.CHUNK


def test_progress_carries_live_figures() -> None:
    seen: list[trainer.Progress] = []
    shac.train(short(), seen.append)
    assert [p.iteration for p in seen] == [20, 30]
    assert all(0 < p.position_error < 2 and p.scalars["gradient_norm"] > 0 for p in seen)
    assert all(math.isfinite(p.scalars["cost"]) for p in seen)
    assert seen[-1].steps == 16 * sum(round(short().horizon.at(i / 30)) for i in range(30))
    assert seen[1].seconds > seen[0].seconds > 0


def test_a_saved_run_loads_and_tells_how_it_came_about(tmp_path: Path) -> None:
    cfg = short()
    result = shac.train(cfg)
    path = runs.save_run(tmp_path / "x", cfg, result)
    policy = policies.load(path)
    assert policy.contract.training.algorithm == "shac"
    assert policy.contract.training.config["iterations"] == 30
    assert policy.contract.robot_sha256 == robot.load("crazyflie").sha256
    assert json.loads((tmp_path / "x" / "config.json").read_text())["config"]["seed"] == cfg.seed
    assert json.loads((tmp_path / "x" / "metrics.json").read_text())["seconds"] > 0


def test_a_run_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="run name"):
        runs.run_folder(tmp_path, "../x")


def test_training_does_not_import_torch() -> None:
    code = "import sys, dataclasses; from fledge_train import shac, config\n"
    code += "shac.train(dataclasses.replace(config.fast(), iterations=2)); sys.exit('torch' in sys.modules)"
    environment_path = ":".join(path for path in sys.path if path)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": environment_path}, timeout=60)
