"""Golden vectors: inputs that travel with the C file, and the bits it must answer on every machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from fledge_sim.policy import Float32, Policy

from fledge_export import specification
from fledge_export.layout import normaliser

COUNT = 8
EDGES = (np.nan, np.inf, -np.inf, 3e38, -3e38, -0.0, 1e-40, -1e-45)
"""One of the vectors cycles through these: sanitising and denormals are part of the self-test."""
EDGE_VECTOR = 3


@dataclass(frozen=True)
class GoldenVectors:
    """One sequence: vector i starts from state i and must leave state i + 1."""

    inputs: Float32
    """(n, I), contract units, some beyond the clip"""
    outputs: Float32
    """(n, O)"""
    states: Float32
    """(n + 1, S)"""


def make(policy: Policy) -> GoldenVectors:
    """Vectors from the contract's hash, so that the same policy always carries the same bytes."""
    size, state_size = policy.contract.observation_size, policy.contract.recurrent_size
    clip, _ = normaliser(policy)
    step = specification.stepper(policy)
    inputs = 1.25 * clip * _uniform(policy.contract.sha256 + " input", (COUNT, size))
    inputs[EDGE_VECTOR] = np.resize(np.array(EDGES, np.float32), size)
    states = [_uniform(policy.contract.sha256 + " state", (1, state_size))]
    outputs = []
    for row in inputs.astype(np.float32):
        action, state = step(row[None], states[-1])
        outputs.append(action)
        states.append(state)
    return GoldenVectors(inputs.astype(np.float32), np.vstack(outputs), np.vstack(states))


def _uniform(key: str, shape: tuple[int, int]) -> Float32:
    """Numbers in [-1, 1) with 24 random bits each, from SHA-256 in counter mode: no library may change them."""
    count = shape[0] * shape[1]
    stream = b"".join(hashlib.sha256(f"{key} {block}".encode()).digest() for block in range(-(-count // 8)))
    integers = np.frombuffer(stream[: 4 * count], "<u4") >> 8
    return (integers.astype(np.float32) / np.float32(2**23) - np.float32(1)).reshape(shape)
