"""Prepares the pool of episodes from which the native learner draws its resets."""

from __future__ import annotations

import numpy as np
from fledge_sim.randomize import delay_weights, sample_control_delay, sample_noise_scale, sample_parameters
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, State
from fledge_sim.tasks import sample_initial_states, sample_references
from numpy.typing import NDArray

from fledge_train.config import TrainConfig
from fledge_train.learner import Row


def build_pool(config: TrainConfig, robot: Robot, dt: float) -> Float32:
    """Episodes (config.pool, POOL_ROWS): initial state, physics, delay, reference and noise, one row each.

    Row i does not depend on config.pool.
    """
    n, seed = config.pool, config.seed
    reference = sample_references(config.reference, n, seed)
    state = sample_initial_states(robot, config.initial_state, n, seed)
    state[State.POSITION : State.POSITION + 3] += reference.position(0.0).astype(np.float32)
    state[State.VELOCITY : State.VELOCITY + 3] += reference.velocity(0.0).astype(np.float32)
    parts: dict[Row, NDArray[np.floating]] = {
        Row.STATE: state,
        Row.PARAMETER: sample_parameters(robot, config.randomization, n, seed),
        Row.DELAY: delay_weights(sample_control_delay(config.randomization, n, seed)),
        Row.AMPLITUDE: reference.amplitude,
        Row.FREQUENCY: reference.frequency,
        Row.COSINE: np.cos(reference.phase),
        Row.SINE: np.sin(reference.phase),
        Row.COSINE_STEP: np.cos(reference.frequency * dt),
        Row.SINE_STEP: np.sin(reference.frequency * dt),
        Row.NOISE: sample_noise_scale(config.randomization, n, seed)[None],
    }
    pool = np.zeros((n, Row.POOL_ROWS), np.float32)
    for row, part in parts.items():
        pool[:, row : row + len(part)] = part.T
    return pool
