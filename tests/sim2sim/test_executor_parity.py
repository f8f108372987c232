"""The executor of the firmware and the one that evaluation flies with give the same actions, at 500 and at 100 Hz."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fledge_export import exact
from fledge_export.build import compile_host, firmware_directory
from fledge_export.emit_c import emit
from fledge_sim import policy as policies
from fledge_sim.policy import Policy
from fledge_train.executor import Network

MakePolicy = Callable[..., Policy]
DRIVER = """#include "executor.h"
void start(void);
void run(uint32_t milliseconds, const float *observation, float *action);
static struct executor executor;
void start(void) { executor_reset(&executor); }
void run(uint32_t milliseconds, const float *observation, float *action) {
    const struct executor_call call = {.since_takeover_ms = milliseconds, .time_us = 1000u * milliseconds};
    for (int i = 0; i < 18; i++) executor.observation[i] = observation[i];
    executor_run(&executor, &call);
    for (int i = 0; i < 4; i++) action[i] = executor.action[i];
}
"""


def compile_executor(policy: Policy, directory: Path) -> ctypes.CDLL:
    emitted, flight = emit(policy), firmware_directory() / "flight"
    for name, text in {"policy.c": emitted.source, "policy.h": emitted.header, "driver.c": DRIVER}.items():
        (directory / name).write_text(text)
    sources = [directory / "policy.c", directory / "driver.c", flight / "executor.c", flight / "act.c"]
    return ctypes.CDLL(str(compile_host(sources, [directory, flight], directory / "executor.so")))


@pytest.mark.parametrize("history", [0, 3])
@pytest.mark.parametrize("rate", [100, 500])
def test_both_executors_give_the_same_actions(make_policy: MakePolicy, rate: int, history: int, tmp_path: Path) -> None:
    made = make_policy("gru", (16,), history, seed=2, gain=2.0)
    policy = policies.assemble(dataclasses.replace(made.contract, inference_rate=rate), made.weights)
    code, calls = compile_executor(policy, tmp_path), rate // 100
    flown = Network(policy, partial(exact.step, policy)).begin(1, calls)
    observation = np.random.default_rng(3).normal(0, 1, (12 * calls, 18)).astype(np.float32)
    action = np.empty(4, np.float32)
    code.start()
    for index, row in enumerate(observation):
        code.run(index * 1000 // rate, row.ctypes.data_as(ctypes.c_void_p), action.ctypes.data_as(ctypes.c_void_p))
        seen = np.concatenate([row, flown.history[0]])[None]
        expected = (flown.intermediate if index % calls else flown.native)(seen)[0]
        np.testing.assert_allclose(action, expected, rtol=0, atol=2e-6)
