"""Prepares the pool of episodes from which the native learner draws its resets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fledge_sim.randomize import (
    Randomization,
    delay_weights,
    sample_control_delay,
    sample_noise_scale,
    sample_parameters,
    scaled,
    stream,
)
from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, State
from fledge_sim.tasks import InitialState, sample_initial_states, sample_references, thrown_initial_state
from numpy.typing import NDArray

from fledge_train.config import DELAYS, TrainConfig
from fledge_train.learner import Row


def build_pool(config: TrainConfig, robot: Robot, dt: float, stage: int = 0) -> Float32:
    """Episodes (config.pool, POOL_ROWS): initial state, physics, delay, reference and noise, one row each.

    Row i does not depend on config.pool. `stage` of config.curriculum says how hard they are.
    """
    n, seed = config.pool, config.seed
    if stage:
        seed = int(np.random.SeedSequence([config.seed, stage]).generate_state(1)[0])
    spread, starts = _hardness(config, robot, stage / config.curriculum.stages)
    reference = sample_references(config.reference, n, seed)
    catch = stream(seed, "catch").random(n) < config.catch_share
    reference = replace(reference, amplitude=np.where(catch, 0.0, reference.amplitude))
    tumble = catch & (stream(seed, "tumble").random(n) < config.tumble_share)
    thrown = sample_initial_states(robot, thrown_initial_state(), n, seed)
    state = np.where(tumble, thrown, sample_initial_states(robot, starts, n, seed))
    state[State.POSITION : State.POSITION + 3] += reference.position(0.0).astype(np.float32)
    state[State.VELOCITY : State.VELOCITY + 3] += reference.velocity(0.0).astype(np.float32)
    spacing = config.actor.look_ahead_spacing
    parts: dict[Row, NDArray[np.floating]] = {
        Row.STATE: state,
        Row.PARAMETER: sample_parameters(robot, spread, n, seed),
        Row.DELAY: delay_weights(sample_control_delay(spread, n, seed), DELAYS),
        Row.AMPLITUDE: reference.amplitude,
        Row.FREQUENCY: reference.frequency,
        Row.COSINE: np.cos(reference.phase),
        Row.SINE: np.sin(reference.phase),
        Row.COSINE_STEP: np.cos(reference.frequency * dt),
        Row.SINE_STEP: np.sin(reference.frequency * dt),
        Row.COSINE_AHEAD: np.cos(reference.frequency * spacing),
        Row.SINE_AHEAD: np.sin(reference.frequency * spacing),
        Row.LIFE: np.where(catch, config.catch_age, config.age_limit)[None],
        Row.NOISE: sample_noise_scale(spread, n, seed)[None],
    }
    pool = np.zeros((n, Row.POOL_ROWS), np.float32)
    for row, part in parts.items():
        pool[:, row : row + len(part)] = part.T
    return pool


def _hardness(config: TrainConfig, robot: Robot, progress: float) -> tuple[Randomization, InitialState]:
    """Randomization and starts at this share of the run."""
    ease = config.curriculum
    spread = scaled(robot, config.randomization, ease.randomization.at(progress), ease.disturbance.at(progress))
    part, starts = ease.initial_state.at(progress), config.initial_state
    return spread, replace(
        starts,
        position=part * starts.position,
        angle_deg=part * starts.angle_deg,
        velocity=part * starts.velocity,
        angular_velocity=part * starts.angular_velocity,
    )
