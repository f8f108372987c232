"""Policies of the arm's tasks with contact that can be written down: an output says what one number of the observation
is, action = tanh(tanh(gain x)); or recurrent ones with random weights, for bits."""

from __future__ import annotations

import numpy as np
from arm_hand import ARM
from fledge_sim import arm_presets
from fledge_sim import policy as policies
from fledge_sim.arm_config import ArmConfig, Touch
from fledge_sim.contract import ArmEnvelope, Contract, GoalSemantics, JointMapping, NetworkShape, TrainingRecord
from fledge_sim.policy import Policy

GAIN = 0.4


def task_contract(task: str, touch: Touch, network: NetworkShape) -> Contract:
    """As `fledge train` makes it."""
    config: ArmConfig = arm_presets.at_difficulty(ARM, task, touch, 1.0)
    names, margin, rate = tuple(joint.name for joint in ARM.joints), config.action.margin, round(1 / config.period)
    low, high = (
        tuple(limits[i] + way * margin for i in config.joints) for limits, way in ((ARM.lower, 1), (ARM.upper, -1))
    )
    mapping = JointMapping("joint_target_delta", names[:5], config.action.step, config.action.reach, low, high, names)
    return Contract(
        robot=ARM.name,
        robot_sha256=ARM.sha256,
        device_type="Feetech bus",
        observation=config.observation,
        action=mapping,
        network=network,
        training=TrainingRecord("by hand", 0, "test", {"task": task, "difficulty": 1.0}),
        native_rate=rate,
        inference_rate=rate,
        setpoint=GoalSemantics(),
        envelope=ArmEnvelope(),
    )


def reading_policy(task: str, touch: Touch, numbers: tuple[tuple[str, int], ...]) -> Policy:
    """Output k says the number (term, index) of `numbers[k]`; outputs beyond them are 0."""
    contract = task_contract(task, touch, NetworkShape("mlp", (8,)))
    shapes = policies.weight_shapes(contract.network, contract.observation_size, contract.outputs)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    first, last = (name for name in weights if weights[name].ndim == 2)
    for output, (name, index) in enumerate(numbers):
        before = [term.name for term in contract.observation].index(name)
        place = sum(term.size for term in contract.observation[:before]) + index
        weights[first][output, place] = GAIN
        weights[last][output, output] = 1.0
    return policies.assemble(contract, weights)


def said(number: float) -> float:
    """The action that says a number."""
    return float(np.tanh(np.tanh(GAIN * number)))


def recurrent_policy(task: str, touch: Touch) -> Policy:
    """Random weights."""
    contract = task_contract(task, touch, NetworkShape("gru", (12,)))
    shapes = policies.weight_shapes(contract.network, contract.observation_size, contract.outputs)
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return policies.assemble(contract, weights)
