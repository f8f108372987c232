"""Time of each inference over a few native steps, where the policy keeps what its past actions add up to."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from fledge_export import taint, timing
from fledge_export.taint import Independence
from fledge_export.timing import Timing
from fledge_sim.contract import Contract
from fledge_sim.policy import Float32

from fledge_hil.policy_emulated import EmulatedPolicy

REUSE, RESET, COUNTERS = "mailbox_reuse", "mailbox_reset", 12
"""Functions of the mailbox; bytes of `struct policy_reuse` that are no data but say what is done next."""


@dataclass(frozen=True)
class Tick:
    """One inference."""

    since_native: int
    """Inferences since the last native step: 0 is the first one with a new history; the last of a window is native."""
    timing: Timing


def reuses_history(target: EmulatedPolicy) -> bool:
    """Whether this image can keep sums from call to call."""
    return REUSE in target.mcu.image.symbols


def run(target: EmulatedPolicy, contract: Contract, windows: int, seed: int = 0) -> Iterator[tuple[int, bool, Float32]]:
    """Set up one inference after the other, as the firmware's executor does, from take-over on.

    Yields (inferences since the native step, is it native itself, the input) when the mailbox is filled; the caller
    runs it. The first one is native.
    """
    generator = np.random.default_rng(seed)
    ticks = contract.inference_rate // contract.native_rate
    start = sum(
        term.size for term in contract.observation[: [t.name for t in contract.observation].index("action_history")]
    )
    history = np.full(4 * contract.history_length, contract.action.hover, np.float32)
    target.mcu.call(RESET)
    for index in range(windows * ticks + 1):
        phase = (index - 1) % ticks
        row = generator.normal(size=contract.observation_size).astype(np.float32)
        row[start : start + history.size] = history
        is_native = phase == ticks - 1
        target.mcu.write_floats("policy_in", row)
        target.mcu.write("policy_is_native", struct.pack("<I", is_native))
        yield phase, is_native, row
        action = target.mcu.read_floats("policy_out")
        if is_native:
            history = np.concatenate([history[4:], action])
        else:
            history[-4:] += (action - history[-4:]) / np.float32(phase + 2)


def time_ticks(target: EmulatedPolicy, contract: Contract) -> tuple[Tick, ...]:
    """Take-over, the window after it, and a window in steady flight."""
    ticks = []
    for phase, _, _ in run(target, contract, windows=3):
        trace = target.mcu.trace(REUSE)
        ticks.append(Tick(phase, timing.model(target.mcu.image.path, trace.blocks, trace.flash_reads)))
    window = contract.inference_rate // contract.native_rate
    return (*ticks[: 1 + window], *ticks[-window:])


def prove_ticks(target: EmulatedPolicy, contract: Contract) -> tuple[Independence, ...]:
    """Of each inference of two windows: its time depends on the counters alone."""
    elf = target.mcu.image.path
    found = []
    for _ in run(target, contract, windows=2):
        execution = target.mcu.record(REUSE)
        found.append(
            taint.prove(elf, execution, ("policy_out",), public=(("policy_reuse", COUNTERS), "policy_is_native"))
        )
    return tuple(found)
