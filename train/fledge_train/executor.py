"""What flies: a controller, and its execution through many episodes at once. A policy is one, through `Network`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy, forward
from fledge_sim.rows import Float32
from numpy.typing import NDArray

ROWS = 256
"""Episodes per call of the network: products this small stay on one thread, where BLAS is several times faster."""

Step = Callable[[Float32, Float32], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""A network: observation (n, I) in contract units, state (n, S) -> action (n, 4), next state (n, S)."""


class Execution(Protocol):
    """A controller in the middle of n episodes, with all that it remembers."""

    history: Float32
    """(n, 4 H) past actions, oldest first."""

    def native(self, observation: Float32) -> Float32:
        """Action (n, 4) of a native call; observation (n, I) in contract units, without clip and scale."""

    def intermediate(self, observation: Float32) -> Float32:
        """Action (n, 4) of a call between two native ones."""


class Controller(Protocol):
    """Anything that can fly: its contract says what it observes, and with which noise."""

    @property
    def contract(self) -> Contract:
        """Observation terms, action mapping, rates."""

    def begin(self, episodes: int, calls: int) -> Execution:
        """At the start of `episodes`, to be called `calls` times per native step."""


@dataclass(frozen=True)
class Network:
    """A policy as a controller."""

    policy: Policy
    step: Step | None = None
    """Computes the network in place of the policy's float reference: another format's specification."""

    @property
    def contract(self) -> Contract:
        """The policy's."""
        return self.policy.contract

    def begin(self, episodes: int, calls: int) -> Execution:
        """With memory of zeros and a history of hover."""
        return NetworkExecution(self.contract, self.step or partial(forward, self.policy), episodes, calls)


class NetworkExecution:
    """Runs the network as the firmware does.

    Native calls advance memory. The network takes its memory for one native period old, so a call between them gives it
    what the memory was then, interpolated between before and after the last native call, and keeps nothing. Past
    actions shift on native calls; the newest is the mean over the calls since.
    """

    def __init__(self, contract: Contract, step: Step, n: int, calls: int) -> None:
        self._step, self._calls = step, calls
        self._memory = self._before = np.zeros((n, contract.recurrent_size), np.float32)
        self._actions = 0
        self.history = np.full((n, 4 * contract.history_length), contract.rotor_action.hover, np.float32)

    def native(self, observation: Float32) -> Float32:
        """See Execution."""
        self._before = self._memory
        action, self._memory = self._forward(observation, self._memory)
        self._actions = 1
        if self.history.size:
            self.history = np.concatenate([self.history[:, 4:], action], axis=1)
        return action

    def intermediate(self, observation: Float32) -> Float32:
        """See Execution."""
        share = np.float32(self._actions / self._calls)
        action, _ = self._forward(observation, self._before + share * (self._memory - self._before))
        self._actions += 1
        if self.history.size:
            self.history[:, -4:] += (action - self.history[:, -4:]) / self._actions
        return action

    def _forward(self, observation: Float32, memory: Float32) -> tuple[Float32, Float32]:
        parts = [
            self._step(observation[first : first + ROWS], memory[first : first + ROWS])
            for first in range(0, len(observation), ROWS)
        ]
        action, memory = (np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True))
        return action, memory
