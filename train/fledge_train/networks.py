"""From a configuration to a contract without weights, initial weights, and back from the flat vector to a policy."""

from __future__ import annotations

import math

import numpy as np
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm, TrainingRecord
from fledge_sim.policy import Weights, weight_shapes
from fledge_sim.randomize import stream
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32

from fledge_train.config import ActorConfig, SensorConfig


def observation_terms(sensors: SensorConfig, history: int, look_ahead: int = 0) -> tuple[ObservationTerm, ...]:
    """Terms of the contract in the order in which the learner fills them."""
    s = sensors
    terms: tuple[ObservationTerm, ...] = (
        ObservationTerm("position_error", 3, "m", "heading", s.position_clip, s.position_scale, s.position_noise),
        ObservationTerm("rotation", 9, "1", "heading", 1.0, 1.0, s.rotation_noise),
        ObservationTerm("velocity_error", 3, "m/s", "heading", s.velocity_clip, s.velocity_scale, s.velocity_noise),
        ObservationTerm(
            "angular_velocity",
            3,
            "rad/s",
            "body",
            s.angular_velocity_clip,
            s.angular_velocity_scale,
            s.angular_velocity_noise,
        ),
    )
    if look_ahead:
        clip, scale = s.look_ahead_clip, s.look_ahead_scale
        terms = (*terms, ObservationTerm("look_ahead", 6 * look_ahead, "m, m/s", "heading", clip, scale, 0.0))
    past = ObservationTerm("action_history", 4 * history, "1", "actuator", 1.0, s.history_scale, 0.0)
    return (*terms, past) if history else terms


def contract_of(robot: Robot, actor: ActorConfig, sensors: SensorConfig, record: TrainingRecord) -> Contract:
    """Contract of a policy for `robot`; its weights' checksum is still empty."""
    return Contract(
        robot=robot.name,
        robot_sha256=robot.sha256,
        device_type=robot.device_type,
        observation=observation_terms(sensors, actor.history, actor.look_ahead),
        look_ahead_spacing=actor.look_ahead_spacing if actor.look_ahead else 0.0,
        action=ActionMapping(
            kind=robot.actuation,
            low=robot.fraction_low,
            high=robot.fraction_high,
            hover=robot.hover_action,
            spin=tuple(int(spin) for spin in robot.rotor_spin),
        ),
        network=NetworkShape(actor.kind, actor.hidden),
        training=record,
    )


def initial_weights(contract: Contract, output_gain: float, seed: int) -> dict[str, Float32]:
    """Uniform within 1/sqrt(inputs), small output weights, output bias such that the first action is hover.

    Args:
        contract: shapes and hover action.
        output_gain: factor on the output layer's weights.
        seed: of the draw.
    """
    shapes = weight_shapes(contract.network, contract.observation_size)
    weights: dict[str, Float32] = {}
    fan_in = contract.observation_size
    for name, shape in shapes.items():
        if len(shape) == 2:
            fan_in = shape[1]
        bound = 1 / math.sqrt(contract.network.hidden[0] if contract.network.kind == "gru" else fan_in)
        weights[name] = (bound * (2 * stream(seed, name).random(shape) - 1)).astype(np.float32)
    weights["output.weight"] *= np.float32(output_gain)
    weights["output.bias"][:] = math.atanh(contract.rotor_action.hover)
    return weights


def flatten(weights: Weights) -> Float32:
    """All weights in file order as one vector."""
    return np.concatenate([array.ravel() for array in weights.values()]).astype(np.float32)


def unflatten(contract: Contract, flat: Float32) -> dict[str, Float32]:
    """Inverse of `flatten`; copies."""
    weights: dict[str, Float32] = {}
    start = 0
    for name, shape in weight_shapes(contract.network, contract.observation_size).items():
        size = math.prod(shape)
        weights[name] = flat[start : start + size].reshape(shape).copy()
        start += size
    return weights
