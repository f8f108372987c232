"""What the actor sees: the contract's observation from the true state, with the contract's noise.

The plain text on numpy arrays, for evaluation and tests; the learner and the firmware have their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim import frames
from fledge_sim.contract import Contract
from fledge_sim.rows import Float32, State

Floating = NDArray[np.floating]


@dataclass(frozen=True)
class Target:
    """What the set-point says now."""

    position_world: Floating
    """(3, n) [m]"""
    velocity_world: Floating
    """(3, n) [m/s]"""


def observe(contract: Contract, state: Float32, target: Target, history: Floating) -> Float32:
    """Noise-free observation in contract units and order, not yet clipped or scaled.

    The yaw held at take-over is 0 here: world and heading frame agree.

    Args:
        contract: names the terms.
        state: (17, n), rows of fledge_sim.rows.
        target: set-point.
        history: (n, 4 H) past actions, oldest first.
    Returns:
        (n, I).
    """
    rotation = frames.rotation_matrix(state[State.QUATERNION : State.QUATERNION + 4].T)
    terms: dict[str, Floating] = {
        "position_error": (state[State.POSITION : State.POSITION + 3] - target.position_world).T,
        "rotation": rotation.reshape(-1, 9),
        "velocity_error": (state[State.VELOCITY : State.VELOCITY + 3] - target.velocity_world).T,
        "angular_velocity": state[State.ANGULAR_VELOCITY : State.ANGULAR_VELOCITY + 3].T,
        "action_history": history,
    }
    return np.concatenate([terms[term.name] for term in contract.observation], axis=1).astype(np.float32)


def noise_deviation(contract: Contract) -> Float32:
    """Standard deviation per element of the observation, (I,)."""
    return np.concatenate([np.full(term.size, term.noise, np.float32) for term in contract.observation])
