"""The executor of the firmware and the one that evaluation flies with give the same actions, at 500 and at 100 Hz."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from executor_library import compile_executor
from fledge_export import exact
from fledge_sim import policy as policies
from fledge_sim.policy import Policy
from fledge_train.executor import Network

MakePolicy = Callable[..., Policy]


@pytest.mark.parametrize("history", [0, 3])
@pytest.mark.parametrize("rate", [100, 500])
def test_both_executors_give_the_same_actions(make_policy: MakePolicy, rate: int, history: int, tmp_path: Path) -> None:
    made = make_policy("gru", (16,), history, seed=2, gain=2.0)
    policy = policies.assemble(dataclasses.replace(made.contract, inference_rate=rate), made.weights)
    code, calls = ctypes.CDLL(str(compile_executor(policy, tmp_path))), rate // 100
    flown = Network(policy, partial(exact.step, policy)).begin(1, calls)
    observation = np.random.default_rng(3).normal(0, 1, (12 * calls, 18)).astype(np.float32)
    action = np.empty(4, np.float32)
    code.start()
    for index, row in enumerate(observation):
        code.run(index * 1000 // rate, row.ctypes.data_as(ctypes.c_void_p), action.ctypes.data_as(ctypes.c_void_p))
        seen = np.concatenate([row, flown.history[0]])[None]
        expected = (flown.intermediate if index % calls else flown.native)(seen)[0]
        np.testing.assert_allclose(action, expected, rtol=0, atol=2e-6)
