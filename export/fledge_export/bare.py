"""A policy by itself, compiled: as a library for this machine and as the smallest image for the Cortex-M4F."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Literal

import numpy as np
from fledge_sim.policy import Float32, Policy

from fledge_export.build import (
    BuildError,
    CrossCompiler,
    compile_cortex_m4f,
    compile_host,
    compile_object,
    firmware_directory,
)

Target = Literal["cortex-m4f", "host"]
BARE = Path(__file__).parent / "templates/bare/bare.c"


def build_library(directory: Path, out: Path) -> Path:
    """Shared library of the policy.c in `directory`, for HostPolicy."""
    return compile_host([directory / "policy.c"], [directory], out, standard="c99")


def build_image(directory: Path, out: Path, compiler: CrossCompiler = "zig") -> Path:
    """Image of the policy.c in `directory` with a mailbox: policy_in, policy_state, policy_out, mailbox_step."""
    board = firmware_directory() / "boards/cortex_m4"
    sources = [directory / "policy.c", BARE, board / "startup.c"]
    return compile_cortex_m4f(sources, [directory], board / "link.ld", out, compiler=compiler)


def compile_policy(directory: Path, target: Target) -> Path:
    """The policy.c in `directory`, compiled into a file beside it. Raises BuildError."""
    if target == "cortex-m4f":
        return compile_object(directory / "policy.c", directory / "policy-cortex-m4f.o")
    return build_library(directory, directory / "policy-host.so")


class HostPolicy:
    """The emitted C in this process."""

    def __init__(self, library: Path, policy: Policy) -> None:
        """`policy` only says how long input, state and output are. Raises BuildError if the file is no such library."""
        try:
            code = ctypes.CDLL(str(library.resolve()))
            self._step, self._self_test = code.policy_step, code.policy_self_test
        except (OSError, AttributeError) as error:
            raise BuildError(f"{library} is no compiled policy ({error}); build it again") from error
        self._step.argtypes = [ctypes.c_void_p] * 4
        self._step.restype, self._self_test.restype = None, ctypes.c_uint32
        self._inputs, self._states = policy.contract.observation_size, policy.contract.recurrent_size
        self._outputs = policy.contract.outputs

    def step(self, observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        """One native step per row: (n, I), (n, S) -> action (n, O), next state (n, S)."""
        rows = len(observation)
        x = np.ascontiguousarray(observation, np.float32).reshape(rows, self._inputs)
        h = np.array(state, np.float32, order="C").reshape(rows, self._states)
        action = np.empty((rows, self._outputs), np.float32)
        source, carried, target = x.ctypes.data, h.ctypes.data, action.ctypes.data
        for _ in range(rows):
            self._step(source, carried, carried, target)
            source, carried, target = source + 4 * self._inputs, carried + 4 * self._states, target + 4 * self._outputs
        return action, h

    def self_test(self) -> int:
        """0: passed."""
        return int(self._self_test())
