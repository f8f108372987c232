"""Inferences as the firmware asks for them, one after the other, where the policy keeps sums of its past actions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from fledge_export import taint, timing
from fledge_export.parity_inputs import EDGES
from fledge_export.specification import Step
from fledge_export.taint import Independence
from fledge_export.timing import Timing
from fledge_sim.policy import Float32

from fledge_hil.policy_emulated import EmulatedPolicy

REUSE, RESET, COUNTERS = "mailbox_reuse", "mailbox_reset", 12
"""Functions of the mailbox; bytes of `struct policy_reuse` that are no data but say what is done next."""
EDGE_EVERY = 7
"""One input in so many holds zeros, denormals, infinities and NaN."""


@dataclass(frozen=True)
class Tick:
    """One inference."""

    since_native: int
    """Inferences since the last native step: 0 sees a new history; the last one before the next is native itself."""
    is_native: bool
    observation: Float32
    """(I,)"""


def reuses_history(target: EmulatedPolicy) -> bool:
    """Whether this image keeps sums from call to call."""
    return REUSE in target.mcu.image.symbols


def run(target: EmulatedPolicy, windows: int, seed: int = 0) -> Iterator[Tick]:
    """Inferences from take-over on, which is native, through so many native periods.

    Each is yielded when the mailbox is filled; the caller runs REUSE. The history moves as in the firmware's executor.
    """
    contract, generator = target.contract, np.random.default_rng(seed)
    ticks = contract.inference_rate // contract.native_rate
    names = [term.name for term in contract.observation]
    start = sum(term.size for term in contract.observation[: names.index("action_history")])
    history = np.full(4 * contract.history_length, contract.rotor_action.hover, np.float32)
    target.mcu.call(RESET)
    for index in range(windows * ticks + 1):
        since_native = (index - 1) % ticks
        row = generator.normal(0, 2, contract.observation_size).astype(np.float32)
        if index % EDGE_EVERY == EDGE_EVERY - 1:
            row = np.resize(np.array(EDGES, np.float32), row.size)
        row[start : start + history.size] = history
        tick = Tick(since_native, since_native == ticks - 1, row)
        target.mcu.write_floats("policy_in", row)
        target.mcu.write("policy_is_native", struct.pack("<I", tick.is_native))
        yield tick
        action = target.mcu.read_floats("policy_out")
        if tick.is_native:
            history = np.concatenate([history[4:], action])
        else:
            history[-4:] += (action - history[-4:]) / np.float32(since_native + 2)


def time_ticks(target: EmulatedPolicy) -> tuple[Timing, ...]:
    """Take-over, the native period after it, and one in steady flight; modelled, not measured on silicon."""
    elf, found = target.mcu.image.path, []
    for _ in run(target, windows=3):
        trace = target.mcu.trace(REUSE)
        found.append(timing.model(elf, trace.blocks, trace.flash_reads))
    window = target.contract.inference_rate // target.contract.native_rate
    return (*found[: 1 + window], *found[-window:])


def stack_used(target: EmulatedPolicy) -> int:
    """Deepest of one native period after take-over [bytes]."""
    return max(target.mcu.stack_used(REUSE) for _ in run(target, windows=1))


def prove_ticks(target: EmulatedPolicy) -> tuple[Independence, ...]:
    """Of each inference of two native periods: its time depends on the counters alone."""
    elf, found = target.mcu.image.path, []
    public = (("policy_reuse", COUNTERS), "policy_is_native")
    for _ in run(target, windows=2):
        found.append(taint.prove(elf, target.mcu.record(REUSE), ("policy_out",), public))
    return tuple(found)


def differing_ticks(target: EmulatedPolicy, specification: Step, windows: int) -> tuple[int, int]:
    """Inferences whose answer has other bits than a whole evaluation, and how many there were."""
    different = count = 0
    for tick in run(target, windows):
        target.mcu.call(REUSE)
        expected = specification(tick.observation[None], np.zeros((1, 0), np.float32))[0][0]
        different += target.mcu.read_floats("policy_out").tobytes() != expected.tobytes()
        count += 1
    return different, count
