"""What is kept of past actions changes no bit, for any pattern of ticks, on both machines."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from executor_library import compile_executor, write
from fledge_export import bare, exact, timing
from fledge_export.layout import first_layer_order
from fledge_hil import ticks
from fledge_hil.policy_emulated import STEP, EmulatedPolicy
from fledge_sim.policy import Float32, Policy

MakePolicy = Callable[..., Policy]
SHAPES = {"2": ((8,), 2), "3": ((18, 6), 3), "7": ((20, 16), 7), "32": ((64, 64), 32)}
NO_STATE = np.zeros((1, 0), np.float32)
COUNTERS = """
uint32_t work_left(void);
uint32_t native_steps(void);
uint32_t native_lost(void);
uint32_t native_steps(void) { return executor.native_steps; }
uint32_t native_lost(void) { return executor.native_lost; }
uint32_t work_left(void) { return 4u * (POLICY_HISTORY_LENGTH - 1) - executor.reuse.ready; }
"""
WHOLE = """
#ifdef FLEDGE_EXECUTOR_H
#define policy_step_reuse(input, reuse, is_native, output) \\
    (policy_step_reuse(input, reuse, is_native, output), policy_step(input, 0, 0, output))
#endif
"""
"""The executor's answers come from whole evaluations; the counters go on."""


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

    def hover(self) -> None:
        self._code.policy_reuse_hover(self._state)

    def is_ahead(self) -> bool:
        return bool(self._code.policy_reuse_is_ahead(self._state))

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


@pytest.mark.parametrize("length", SHAPES)
def test_after_take_over_the_constants_for_hover_give_the_bits_of_the_whole_evaluation(
    make_policy: MakePolicy, length: str, tmp_path: Path
) -> None:
    hidden, history_length = SHAPES[length]
    policy = make_policy("mlp", hidden, history_length, 1)
    reusing = Reusing(bare.build_library(write(policy, tmp_path), tmp_path / "host.so"))
    generator, native = np.random.default_rng(6), 0
    for step in range(120):
        if step % 40 == 0:
            history = np.full(4 * history_length, policy.contract.action.hover, np.float32)
            reusing.hover()
            assert reusing.is_ahead()
        row = np.concatenate([generator.normal(0, 2, 18).astype(np.float32), history])
        is_native = reusing.is_ahead() and bool(generator.random() < 0.8)
        expected = exact.step(policy, row[None], NO_STATE)[0][0]
        assert reusing.step(row, is_native).tobytes() == expected.tobytes()
        if is_native:
            history, native = np.concatenate([history[4:], expected]), native + 1
        else:
            history[-4:] = generator.uniform(-2, 2, 4)
    assert native > 12


def test_the_self_test_compares_the_constants_for_hover(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy("mlp", (18, 6), 3)
    source = write(policy, tmp_path) / "policy.c"
    assert bare.HostPolicy(bare.build_library(tmp_path, tmp_path / "right.so"), policy).self_test() == 0
    first = int(exact.hover_sums(policy)[0].view(np.uint32))
    text = source.read_text()
    before, table = text.split("hover_sums[FIRST_OUTPUTS] = {", 1)
    assert table.lstrip().startswith(f"0x{first:08x}u")
    flipped = table.replace(f"{first:08x}", f"{first ^ 1:08x}", 1)
    source.write_text(before + "hover_sums[FIRST_OUTPUTS] = {" + flipped)
    assert bare.HostPolicy(bare.build_library(tmp_path, tmp_path / "wrong.so"), policy).self_test() == 1


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


def test_no_inference_takes_much_longer_than_another_take_over_included(
    target: tuple[EmulatedPolicy, Policy],
) -> None:
    emulated, _ = target
    takeover, first, *rest = (timing.instructions for timing in ticks.time_ticks(emulated))
    steady, whole = rest[4:], instructions_of_whole(emulated)
    # columns of the first layer: 22 of its own and 24 ahead; the first adds 4 for the action that has just moved
    # of 16 outputs each: a column of 16 outputs takes 2 loads, 16 products, 16 sums
    columns = (whole - steady[1]) / (4 * 34)
    assert columns == pytest.approx(146 - 46, rel=0.2)  # normalising included
    assert (steady[0] - steady[1]) / (4 * 34) == pytest.approx(4, rel=0.6)
    assert takeover < min(steady)  # nothing to sum ahead
    assert first == max(steady) == steady[0] < 0.65 * whole


def instructions_of_whole(emulated: EmulatedPolicy) -> int:
    """Instructions of a whole evaluation."""
    trace = emulated.mcu.trace(STEP)
    return timing.model(emulated.mcu.image.path, trace.blocks, trace.flash_reads).instructions


def test_the_time_of_every_tick_depends_on_the_counters_alone(target: tuple[EmulatedPolicy, Policy]) -> None:
    emulated, _ = target
    assert [report.findings for report in ticks.prove_ticks(emulated)] == [()] * 11


def test_the_executor_flies_the_same_with_and_without(make_policy: MakePolicy, tmp_path: Path) -> None:
    """And no inference has more to make up for than the action that moved last, whichever calls are left out."""
    policy = make_policy("mlp", (20, 8), 4)
    flights = []
    for folder, whole in (("with", ""), ("without", WHOLE)):
        flights.append(fly(compile_executor(policy, tmp_path / folder, whole, COUNTERS)))
    assert flights[0] == flights[1]


def test_a_native_step_waits_for_as_many_inferences_as_were_lost(make_policy: MakePolicy, tmp_path: Path) -> None:
    code = ctypes.CDLL(str(compile_executor(make_policy("mlp", (8,), 32), tmp_path, more=COUNTERS)))
    row, action = np.zeros(146, np.float32), np.empty(4, np.float32)
    code.start()
    lost = (14, 42, 64, 86, 108)  # one in each of five windows
    native, lost_steps, before = [], [], 0
    for milliseconds in range(0, 152, 2):
        if milliseconds not in lost:
            code.run(
                ctypes.c_uint32(milliseconds), ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(action.ctypes.data)
            )
        if code.native_steps() > before:
            before = code.native_steps()
            native.append(milliseconds)
            lost_steps.append(code.native_lost())
    assert native == [0, 10, 22, 32, 44, 54, 66, 76, 88, 98, 110, 120, 130, 140, 150]
    assert lost_steps == [0] * 10 + [1] * 5


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
                assert code.work_left() in (0, 4)
                code.run(milliseconds, row.ctypes.data, action.ctypes.data)
                answers.append(action.tobytes())
    return b"".join(answers)
