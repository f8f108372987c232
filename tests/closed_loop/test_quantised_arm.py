"""An arm in integers reaches what it reaches in float32; a policy of seconds' imitation stands for a trained one."""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from fledge_export import layout, package
from fledge_export.calibrate import calibrate
from fledge_export.calibration import Calibration
from fledge_export.emit_c import emit
from fledge_export.quantize import error
from fledge_export.specification import Step, stepper
from fledge_hil import arm_evaluation
from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim import policy as policies
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_kinematics import jacobian
from fledge_sim.contract import (
    ArmEnvelope,
    Contract,
    ContractError,
    GoalSemantics,
    JointMapping,
    NetworkShape,
    TrainingRecord,
)
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Float32, Policy
from fledge_sim.quantization import INPUT_CLIP, QuantizationError
from fledge_train import arm_evaluate

ARM = arms.load("so101")
CONFIG = arm_presets.reach(ARM)
SCALES = {"joint_position": 0.5, "joint_velocity": 0.25, "joint_load": 8.0, "tip": 4.0, "goal": 8.0}
HIDDEN = (48, 32)
MIRROR = (-1, 1, 1, 1, 1)
"""The first joint turns the wrong way."""
STEPS, EPISODES = 100, 40
"""Of a world; worlds on which the formats are compared."""


def contract() -> Contract:
    names = tuple(joint.name for joint in ARM.joints)
    margin, moved = CONFIG.action.margin, len(CONFIG.joints)
    return Contract(
        robot=ARM.name,
        robot_sha256=ARM.sha256,
        device_type="",
        observation=tuple(dataclasses.replace(t, scale=SCALES.get(t.name, 0.5)) for t in CONFIG.observation),
        action=JointMapping(
            kind="joint_target_delta",
            joints=names[:moved],
            step=CONFIG.action.step,
            reach=CONFIG.action.reach,
            lower=tuple(low + margin for low in ARM.lower[:moved]),
            upper=tuple(high - margin for high in ARM.upper[:moved]),
            sensed=names,
        ),
        network=NetworkShape("mlp", HIDDEN),
        training=TrainingRecord("imitation", 0, "test", {"task": "reach", "senses": "joints", "difficulty": 1.0}),
        native_rate=50,
        inference_rate=50,
        setpoint=GoalSemantics(),
        envelope=ArmEnvelope(),
    )


def expert(observation: Float32) -> Float32:
    """A quarter of the damped least-squares step towards the goal."""
    q, goal = observation[:, :6].astype(float), observation[:, 21:24].astype(float)
    j = jacobian(ARM, q)[:, :3]
    turn = np.swapaxes(j, 1, 2)
    change = (turn @ np.linalg.solve(j @ turn + 1e-3 * np.eye(3), goal[:, :, None]))[:, :, 0]
    return np.clip(0.25 * change / CONFIG.action.step, -1, 1).astype(np.float32)


def imitate() -> Policy:
    """Two rounds: the expert acts, then mostly the network; the expert says what would have been right."""
    torch.manual_seed(0)
    shape = contract()
    scale = torch.from_numpy(np.concatenate([np.full(t.size, t.scale, np.float32) for t in shape.observation]))
    sizes = (shape.observation_size, *HIDDEN, shape.outputs)
    linear = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
    network = torch.nn.Sequential(*(part for layer in linear for part in (layer, torch.nn.Tanh())))
    seen: list[Float32] = []
    for round_ in range(2):
        worlds = ArmEnv(CONFIG, 48, round_)
        observation = worlds.reset().numpy()
        mine = np.arange(48)[:, None] % 4 < 3 * round_
        for _ in range(STEPS):
            seen.append(observation)
            with torch.no_grad():
                own = network(torch.from_numpy(observation) * scale).numpy()
            action = np.where(mine, own, expert(observation))
            observation = worlds.step(torch.from_numpy(np.ascontiguousarray(action))).observation.numpy()
        _fit(network, np.concatenate(seen), scale)
    weights = {}
    for name, layer in zip(("dense0", "dense1", "output"), linear, strict=True):
        weights |= {f"{name}.weight": layer.weight.detach().numpy(), f"{name}.bias": layer.bias.detach().numpy()}
    return policies.assemble(shape, weights)


def _fit(network: torch.nn.Module, seen: Float32, scale: torch.Tensor) -> None:
    x, y = torch.from_numpy(seen) * scale, torch.from_numpy(expert(seen))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 900)
    for _ in range(900):
        rows = torch.randint(len(x), (384,))
        loss = (network(x[rows]) - y[rows]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@pytest.fixture(scope="module")
def policy() -> Policy:
    return imitate()


@pytest.fixture(scope="module")
def seen(policy: Policy) -> Calibration:
    return calibrate(policy, flights=16)


def distances(step: Step) -> Float32:
    """Of each episode's end from its goal [m]; the same episodes for whoever moves."""
    worlds = ArmEnv(CONFIG, EPISODES, 7)
    observation, nothing = worlds.reset().numpy(), np.zeros((EPISODES, 0), np.float32)
    for _ in range(STEPS):
        action = step(observation, nothing)[0].astype(np.float32)
        observation = worlds.step(torch.from_numpy(np.ascontiguousarray(action))).observation.numpy()
    return worlds.outcome.distance.numpy()


def succeeded(found: Float32) -> int:
    return int((found < CONFIG.task.tolerance).sum())  # type: ignore[attr-defined]


def test_integers_reach_what_floats_reach(policy: Policy, seen: Calibration) -> None:
    floats = distances(partial(policies.forward, policy))
    assert succeeded(floats) > EPISODES // 3
    for form, episodes, apart in (("int16", 1, 1e-3), ("int8", 6, 5e-3)):
        integers = distances(stepper(package.quantised(policy, form, seen)))
        assert abs(succeeded(integers) - succeeded(floats)) <= episodes
        assert np.median(np.abs(integers - floats)) < apart
    mirrored = policy.weights["output.weight"] * np.array(MIRROR, np.float32)[:, None]
    unmarked = dataclasses.replace(policy.contract, weights_sha256="")
    wrong = policies.assemble(unmarked, {**policy.weights, "output.weight": mirrored})
    assert succeeded(distances(partial(policies.forward, wrong))) < succeeded(floats) // 2


def test_actions_change_little_on_episodes_that_calibration_did_not_see(policy: Policy, seen: Calibration) -> None:
    others = calibrate(policy, seed=1, flights=16)
    assert seen.observations.shape == (16 * CONFIG.episode_steps, 29)
    assert seen.record() == {"seed": 0, "flights": 16, "steps": CONFIG.episode_steps}
    assert seen.observations.tobytes() != others.observations.tobytes()
    again = calibrate(policy, flights=16, steps=20).observations
    assert again.tobytes() == seen.observations[: len(again)].tobytes()
    found = {form: error(package.quantised(policy, form, seen), policy, others).mean for form in ("int16", "int8")}
    assert found["int16"] < 1e-3
    assert found["int16"] < found["int8"] < 1e-2


def test_an_input_that_hardly_moves_takes_no_room(policy: Policy, seen: Calibration) -> None:
    """The gripper is held: its clip is a fiftieth of its neighbours'. A clip that is none is refused."""
    int8 = package.quantised(policy, "int8", seen)
    clip, contract_clip = int8.weights[INPUT_CLIP], layout.normaliser(policy)[0]
    largest = np.abs(seen.observations).max(axis=0)
    assert (clip <= contract_clip).all()
    assert ((clip >= 1.99 * largest) | (clip == contract_clip)).all()
    assert clip[5] < clip[:5].min() / 10
    for wrong in (2 * contract_clip, -clip):
        with pytest.raises(QuantizationError, match=r"'input\.clip' must be positive and at most the contract's clip"):
            emit(policies.assemble(int8.contract, {**int8.weights, INPUT_CLIP: wrong}))


def test_an_evaluation_moves_by_the_integers(policy: Policy, seen: Calibration) -> None:
    int8 = package.quantised(policy, "int8", seen)
    found = arm_evaluation.measure(int8, episodes=3)
    assert found == arm_evaluate.measure(int8, 3, arm_evaluation.SEED, step=stepper(int8))
    assert found.error != arm_evaluation.measure(policy, episodes=3).error


def test_a_policy_whose_training_is_not_known_cannot_be_calibrated(policy: Policy) -> None:
    def with_record(**config: object) -> Policy:
        record = dataclasses.replace(policy.contract.training, config=config)
        bare = dataclasses.replace(policy.contract, training=record, weights_sha256="")
        return policies.assemble(bare, policy.weights)

    with pytest.raises(FledgeError, match=r"names no task that exists \(None\); known: reach"):
        calibrate(with_record())
    with pytest.raises(FledgeError, match=r"names no task that exists \(juggle\)"):
        calibrate(with_record(task="juggle"))
    changed = dataclasses.replace(policy.contract, robot_sha256="ab" * 32, weights_sha256="")
    with pytest.raises(
        FledgeError, match=r"another arm than is known here, 'so101' \(abababab\): so101 is another arm now"
    ):
        calibrate(policies.assemble(changed, policy.weights))
    with pytest.raises(ContractError, match="cannot fly"):
        _ = policy.contract.rotor_action
