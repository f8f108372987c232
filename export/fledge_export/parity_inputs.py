"""Inputs on which implementations of one policy are compared: random, flight-like, and everything a float can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fledge_sim import frames
from fledge_sim.contract import ActionMapping
from fledge_sim.policy import Float32, Policy, forward
from numpy.typing import NDArray

from fledge_export.layout import normaliser

EDGES = (0.0, -0.0, 1e-45, -1e-40, 1.17549435e-38, 3e38, -3e38, np.inf, -np.inf, np.nan)
"""Zeros, denormals, the smallest normal number, the largest, what is no number."""
DT = 0.01
"""[s] between steps of the flight-like sequence."""


@dataclass(frozen=True)
class Sequence:
    """Steps that follow one another; a recurrent engine carries its own state."""

    name: str
    observations: Float32
    """(n, I), contract units"""
    state: Float32
    """(S,), before the first step"""


def make(policy: Policy, steps: int, seed: int) -> tuple[Sequence, Sequence, Sequence]:
    """Random, flight-like (of an arm: motion-like), edge; the same for the same seed."""
    generator = np.random.default_rng(seed)
    size = policy.contract.recurrent_size
    states = generator.uniform(-1, 1, (3, size)).astype(np.float32)
    return (
        Sequence("random", _random(policy, steps, generator), states[0]),
        Sequence(
            "flight" if isinstance(policy.contract.action, ActionMapping) else "motion",
            _flight(policy, steps, generator),
            np.zeros(size, np.float32),
        ),
        Sequence("edge", _edge(policy, generator), states[2]),
    )


def _random(policy: Policy, steps: int, generator: np.random.Generator) -> Float32:
    """Uniform, a fifth of it beyond the clip."""
    clip, _ = normaliser(policy)
    values: Float32 = (1.25 * clip * generator.uniform(-1, 1, (steps, clip.size))).astype(np.float32)
    return values


def _edge(policy: Policy, generator: np.random.Generator) -> Float32:
    """Each edge value in all inputs, in one term among random ones, and a mixture; a common input between them."""
    clip, _ = normaliser(policy)
    common = (clip * generator.uniform(-1, 1, clip.size)).astype(np.float32)
    rows, start = [], 0
    for value in EDGES:
        rows += [np.full(clip.size, value, np.float32), common]
    for term in policy.contract.observation:
        for value in EDGES:
            row = common.copy()
            row[start : start + term.size] = value
            rows.append(row)
        start += term.size
    rows += [np.roll(np.resize(np.array(EDGES, np.float32), clip.size), shift) for shift in range(len(EDGES))]
    return np.array(rows, np.float32)


def _flight(policy: Policy, steps: int, generator: np.random.Generator) -> Float32:
    """Smooth errors that decay, a turning body, the reference's own past actions: what a policy in use sees."""
    contract = policy.contract
    time = np.arange(steps)[:, None] * DT
    decay = np.exp(-time)
    rotations = _rotations(steps, generator)
    history = np.full((contract.history_length, contract.outputs), contract.neutral_action)
    state: NDArray[np.floating] = np.zeros(contract.recurrent_size)
    columns = {}
    for term in contract.observation:
        phase, rate = generator.uniform(0, 2 * np.pi, term.size), generator.uniform(1, 10, term.size)
        wave = 0.5 * term.clip * decay * np.sin(rate * time + phase)
        columns[term.name] = rotations if term.name == "rotation" else wave
    rows = []
    for index in range(steps):
        parts = {name: column[index] for name, column in columns.items()} | {"action_history": history.ravel()}
        row = np.concatenate([parts[term.name] for term in contract.observation])
        action, state = forward(policy, row, state)
        history = np.vstack([history[1:], action]) if len(history) else history
        rows.append(row)
    return np.array(rows, np.float32)


def _rotations(steps: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(steps, 9) rotation matrices, row by row, of a body that tumbles slowly."""
    axis = generator.normal(size=3)
    angle = 2.0 * np.arange(steps) * DT
    quaternions = frames.from_axis_angle(np.tile(axis / np.linalg.norm(axis), (steps, 1)), angle)
    matrices: NDArray[np.float64] = np.asarray(frames.rotation_matrix(quaternions)).reshape(steps, 9)
    return matrices
