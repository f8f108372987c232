"""l2f: the C++ environment of "Learning to Fly in Seconds", as on PyPI (compiled there with -Ofast -march=native)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

l2f: Any = importlib.import_module("l2f")

PACKAGES = ("l2f",)
BATCH_MAX = 8192
"""Batches are compiled in: powers of two up to this."""


class Loop:
    """One batch; threads come from OMP_NUM_THREADS."""

    def __init__(self, batch: int) -> None:
        if not hasattr(l2f, f"vector{batch}"):
            raise ValueError(f"batches are powers of two up to {BATCH_MAX}")
        self._vector: Any = getattr(l2f, f"vector{batch}")
        v, self._device = self._vector, l2f.Device()
        self._rng, self._environment = v.VectorRng(), v.VectorEnvironment()
        self._parameters, self._state, self._next = v.VectorParameters(), v.VectorState(), v.VectorState()
        v.initialize_rng(self._device, self._rng, 0)
        v.initialize_environment(self._device, self._environment)
        v.sample_initial_parameters(self._device, self._environment, self._parameters, self._rng)
        v.sample_initial_state(self._device, self._environment, self._parameters, self._state, self._rng)
        self._observation = np.zeros((batch, self._environment.OBSERVATION_DIM), np.float32)
        self._action = np.full((batch, 4), 0.6, np.float32)
        self._reward, self._terminated = np.zeros(batch, np.float32), np.zeros(batch, bool)

    def step(self) -> None:
        """Physics only, from one state to another."""
        self._vector.step(
            self._device, self._environment, self._parameters, self._state, self._action, self._next, self._rng
        )

    def observe_step_assign(self) -> None:
        """The loop of its documentation: no noise, reward, termination or reset."""
        self._observe()
        self.step()
        self._state.assign(self._next)

    def environment(self) -> None:
        """The loop with reward, termination and new episodes."""
        v, device, environment = self._vector, self._device, self._environment
        self._observe()
        self.step()
        common = (device, environment, self._parameters)
        v.reward(*common, self._state, self._action, self._next, self._reward, self._rng)
        v.terminated(*common, self._next, self._terminated, self._rng)
        self._state.assign(self._next)
        v.sample_initial_parameters_if_truncated(device, environment, self._parameters, self._terminated, self._rng)
        v.sample_initial_state_if_truncated(*common, self._state, self._terminated, self._rng)

    def _observe(self) -> None:
        self._vector.observe(
            self._device, self._environment, self._parameters, self._state, self._observation, self._rng
        )


def _case(name: str) -> Callable[[int, int], Callable[[], object]]:
    def prepare(batch: int, _threads: int) -> Callable[[], object]:
        call: Callable[[], object] = getattr(Loop(batch), name)
        return call

    return prepare


CASES = {"step": _case("step"), "loop": _case("observe_step_assign"), "environment": _case("environment")}
