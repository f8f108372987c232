"""A policy of the SO-101 that can be written down: every joint goes to a pose, the pan to where the goal is.

One hidden layer of tanh units: action_j = tanh(sum of 8 tanh((pose_j - q_j) / 2)), near enough to the sign of the error
far away and proportional to it nearby.
"""

from __future__ import annotations

import numpy as np
from fledge_sim import arm as arms
from fledge_sim import policy as policies
from fledge_sim.contract import (
    ArmEnvelope,
    Contract,
    GoalSemantics,
    JointMapping,
    NetworkShape,
    ObservationTerm,
    TrainingRecord,
)
from fledge_sim.policy import Policy

ARM = arms.load("so101")
POSE = np.array([0.3, -0.4, 0.5, 0.6, -0.3])
START = np.array([-0.5, 0.2, -0.1, 0.2, 0.4, 0.04])
GOAL = (0.25, 0.1, 0.2)


def homing_policy(gain: float = 2.0) -> Policy:
    """Its contract is that of reach: six joints sensed, five moved."""
    names = tuple(joint.name for joint in ARM.joints)
    margin = 0.05
    mapping = JointMapping(
        "joint_target_delta",
        names[:5],
        0.08,
        0.15,
        tuple(low + margin for low in ARM.lower[:5]),
        tuple(high - margin for high in ARM.upper[:5]),
        names,
    )
    terms = (
        ObservationTerm("joint_position", 6, "rad", "joint", 4.0, 1.0, 0.0),
        ObservationTerm("joint_velocity", 6, "rad/s", "joint", 20.0, 0.1, 0.0),
        ObservationTerm("joint_load", 6, "rad", "joint", 1.0, 1.0, 0.0),
        ObservationTerm("tip", 3, "m", "base", 1.0, 1.0, 0.0),
        ObservationTerm("goal", 3, "m", "base", 1.0, 1.0, 0.0),
        ObservationTerm("action_history", 10, "1", "actuator", 1.0, 1.0, 0.0),
    )
    contract = Contract(
        robot=ARM.name,
        robot_sha256=ARM.sha256,
        device_type="Feetech bus",
        observation=terms,
        action=mapping,
        network=NetworkShape("mlp", (16, 16)),
        training=TrainingRecord("by hand", 0, "test"),
        native_rate=50,
        inference_rate=50,
        setpoint=GoalSemantics(),
        envelope=ArmEnvelope(),
    )
    shapes = policies.weight_shapes(contract.network, contract.observation_size, contract.outputs)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    first, second, last = (name for name in weights if weights[name].ndim == 2)
    first_bias, second_bias, _ = (name for name in weights if weights[name].ndim == 1)
    del second_bias
    for joint in range(5):
        weights[first][joint, joint] = -1.0
        weights[first_bias][joint] = POSE[joint]
        weights[first][joint, 12 + joint] = -0.5
        weights[second][joint, joint] = 1.5
        weights[last][joint, joint] = gain
    return policies.assemble(contract, weights)
