"""What is kept of past actions changes no bit, for any pattern of ticks, on both machines."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, exact
from fledge_export.build import compile_host, firmware_directory
from fledge_export.emit_c import emit
from fledge_export.layout import first_layer_order
from fledge_hil import ticks
from fledge_hil.policy_emulated import EmulatedPolicy
from fledge_sim import policy as policies
from fledge_sim.policy import Float32, Policy

MakePolicy = Callable[..., Policy]
SHAPES = {"2": ((8,), 2), "3": ((18, 6), 3), "7": ((20, 16), 7), "32": ((64, 64), 32)}
NO_STATE = np.zeros((1, 0), np.float32)
DRIVER = """#include "executor.h"
void start(void);
void run(uint32_t milliseconds, float *observation, float *action);
static struct executor executor;
void start(void) { executor_reset(&executor); }
void run(uint32_t milliseconds, float *observation, float *action) {
    executor_run(&executor, milliseconds, observation);
    for (int i = 0; i < 4; i++) action[i] = executor.action[i];
}
"""


def write(policy: Policy, directory: Path) -> Path:
    emitted = emit(policy)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "policy.c").write_text(emitted.source)
    (directory / "policy.h").write_text(emitted.header)
    return directory


class Reusing:
    """policy_step_reuse of a host library, with a state of its own."""

    def __init__(self, library: Path) -> None:
        self._code = ctypes.CDLL(str(library))
        self._code.policy_step_reuse.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
        self._code.policy_step_reuse.restype = None
        self._state = (ctypes.c_uint32 * 1024)(*range(1024))
        self.reset()

    def reset(self) -> None:
        self._code.policy_reuse_reset(self._state)

    def step(self, row: Float32, is_native: bool) -> Float32:
        action = np.empty(4, np.float32)
        self._code.policy_step_reuse(row.ctypes.data, self._state, int(is_native), action.ctypes.data)
        return action


@pytest.mark.parametrize("length", SHAPES)
def test_any_pattern_of_ticks_gives_the_bits_of_the_whole_evaluation(
    make_policy: MakePolicy, length: str, tmp_path: Path
) -> None:
    hidden, history_length = SHAPES[length]
    policy = make_policy("mlp", hidden, history_length, 1)
    reusing = Reusing(bare.build_library(write(policy, tmp_path), tmp_path / "host.so"))
    generator = np.random.default_rng(5)
    history = generator.uniform(-2, 2, 4 * history_length).astype(np.float32)
    for step in range(160):
        row = generator.normal(0, 2, 18 + history.size).astype(np.float32)
        row[18:] = history
        is_native = bool(generator.random() < (0.2 if step < 80 else 0.7))  # later many native steps come early
        expected = exact.step(policy, row[None], NO_STATE)[0][0]
        assert reusing.step(row, is_native).tobytes() == expected.tobytes()
        if is_native:
            history = np.concatenate([history[4:], expected])
        else:
            history[-4:] = generator.uniform(-2, 2, 4)
        if generator.random() < 0.03:
            history = generator.uniform(-2, 2, history.size).astype(np.float32)
            reusing.reset()


def test_a_history_that_jumps_without_a_reset_gives_other_bits(make_policy: MakePolicy, tmp_path: Path) -> None:
    """Shows that sums are kept indeed."""
    policy = make_policy("mlp", (18, 6), 3)
    reusing = Reusing(bare.build_library(write(policy, tmp_path), tmp_path / "host.so"))
    row = np.linspace(-1, 1, 30).astype(np.float32)
    first = reusing.step(row, False)
    row[18:22] += np.float32(0.5)
    assert reusing.step(row, False).tobytes() == first.tobytes()
    reusing.reset()
    assert reusing.step(row, False).tobytes() == exact.step(policy, row[None], NO_STATE)[0].tobytes()


def test_inputs_are_summed_history_first(make_policy: MakePolicy) -> None:
    contract = make_policy("mlp", (8,), 2).contract
    np.testing.assert_array_equal(first_layer_order(contract), [*range(18, 26), *range(18)])
    moved = dataclasses.replace(contract, observation=(contract.observation[0], contract.observation[4]))
    np.testing.assert_array_equal(first_layer_order(moved), [*range(3, 11), *range(3)])
    np.testing.assert_array_equal(first_layer_order(make_policy("gru", (8,), 2).contract), range(26))


@pytest.fixture(scope="module")
def target(make_policy: MakePolicy, tmp_path_factory: pytest.TempPathFactory) -> tuple[EmulatedPolicy, Policy]:
    policy, directory = make_policy("mlp", (64, 64), 32), tmp_path_factory.mktemp("target")
    return EmulatedPolicy(bare.build_image(write(policy, directory), directory / "bare.elf"), policy), policy


def test_the_target_gives_the_same_bits(target: tuple[EmulatedPolicy, Policy]) -> None:
    emulated, policy = target
    assert ticks.differing_ticks(emulated, partial(exact.step, policy), windows=4) == (0, 21)
    assert ticks.differing_ticks(emulated, lambda x, h: (x[:, :4], h), windows=1) == (6, 6)


def test_take_over_takes_as_long_as_a_whole_evaluation_and_steady_flight_much_less(
    target: tuple[EmulatedPolicy, Policy],
) -> None:
    emulated, _ = target
    takeover, first, *rest = (timing.instructions for timing in ticks.time_ticks(emulated))
    steady = rest[4:]
    # columns of the first layer: 22 of its own and 24 ahead; the first adds 4 for the action that has just moved
    # of 16 outputs each: a column of 16 outputs takes 2 loads, 16 products, 16 sums
    columns = (takeover - steady[1]) / (4 * 34)
    assert columns == pytest.approx(146 - 46, rel=0.2)  # normalising included
    assert (steady[0] - steady[1]) / (4 * 34) == pytest.approx(4, rel=0.6)
    assert abs(takeover - first) < 20
    assert max(steady) == steady[0] < 0.65 * takeover


def test_the_time_of_every_tick_depends_on_the_counters_alone(target: tuple[EmulatedPolicy, Policy]) -> None:
    emulated, _ = target
    assert [report.findings for report in ticks.prove_ticks(emulated)] == [()] * 11


def test_the_executor_flies_the_same_with_and_without(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy("mlp", (20, 8), 4)
    flights = []
    for folder, macro in (("with", "1"), ("without", "0")):
        directory = write(policies.assemble(policy.contract, policy.weights), tmp_path / folder)
        header = (directory / "policy.h").read_text()
        (directory / "policy.h").write_text(header.replace("POLICY_HISTORY_REUSE 1", f"POLICY_HISTORY_REUSE {macro}"))
        (directory / "driver.c").write_text(DRIVER)
        flight = firmware_directory() / "flight"
        sources = [directory / "policy.c", directory / "driver.c", flight / "executor.c"]
        flights.append(fly(compile_host(sources, [directory, flight], directory / "flight.so")))
    assert flights[0] == flights[1]


def fly(library: Path) -> bytes:
    """Three take-overs; calls every 2 ms, some left out."""
    code, generator = ctypes.CDLL(str(library)), np.random.default_rng(3)
    code.run.argtypes, code.run.restype = [ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p], None
    answers, action = [], np.empty(4, np.float32)
    for _ in range(3):
        code.start()
        for milliseconds in range(0, 300, 2):
            row = generator.normal(size=34).astype(np.float32)
            if generator.random() > 0.2:
                code.run(milliseconds, row.ctypes.data, action.ctypes.data)
                answers.append(action.tobytes())
    return b"".join(answers)
