"""The native learner: ctypes over train/native. Holds the arrays; all arithmetic is in C."""

from __future__ import annotations

import ctypes
import os
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.native import NativeError, open_library
from fledge_sim.rows import PARAMETERS, STATES, Float32
from numpy.typing import NDArray

from fledge_train.config import DELAYS

ABI = 5
OBSERVED = 18
ALIGNMENT = 64


class Row(IntEnum):
    """First row of each part of an environment; learner_row in C."""

    STATE = 0
    PARAMETER = STATES
    DELAY = PARAMETER + PARAMETERS
    AMPLITUDE = DELAY + DELAYS
    FREQUENCY = AMPLITUDE + 3
    COSINE = FREQUENCY + 3
    SINE = COSINE + 3
    COSINE_STEP = SINE + 3
    SINE_STEP = COSINE_STEP + 3
    COSINE_AHEAD = SINE_STEP + 3
    SINE_AHEAD = COSINE_AHEAD + 3
    NOISE = SINE_AHEAD + 3
    LIFE = NOISE + 1
    POOL_ROWS = LIFE + 1
    AGE = POOL_ROWS
    MEMORY = AGE + 1


_int, _float, _pointer = ctypes.c_int32, ctypes.c_float, ctypes.c_void_p


class Network(ctypes.Structure):
    """struct learner_network."""

    _fields_ = (("kind", _int), ("layers", _int), ("hidden", _int * 3), ("history", _int), ("look_ahead", _int))


class Actuation(ctypes.Structure):
    """struct quadrotor_actuation."""

    _fields_ = (
        ("kind", _int),
        ("fraction_low", _float),
        ("fraction_high", _float),
        ("full_scale", _float),
        ("thrust_curve", _float * 3),
    )


class Cost(ctypes.Structure):
    """struct learner_cost."""

    _fields_ = tuple(
        (name, _float)
        for name in ("position", "velocity", "tilt", "yaw", "angular_velocity", "action", "action_rate", "discount")
    )


class Adam(ctypes.Structure):
    """struct learner_adam."""

    _fields_ = (
        ("rate", _float),
        ("beta1", _float),
        ("beta2", _float),
        ("epsilon", _float),
        ("clip", _float),
        ("step", _int),
    )


class Report(ctypes.Structure):
    """struct learner_report."""

    _fields_ = (
        ("cost", _float),
        ("position_error", _float),
        ("gradient_norm", _float),
        ("resets", _int),
        ("failures", _int),
        ("steps", _int),
    )


class Problem(ctypes.Structure):
    """struct learner_problem; the fields are explained in learner.h."""

    _fields_ = (
        ("environments", _int),
        ("horizon", _int),
        ("pool_rows", _int),
        ("effects", ctypes.c_uint32),
        ("dt", _float),
        ("hover_action", _float),
        ("position_limit", _float),
        ("adjoint_limit", _float),
        ("clip", _float * OBSERVED),
        ("scale", _float * OBSERVED),
        ("noise", _float * OBSERVED),
        ("ahead_clip", _float),
        ("ahead_scale", _float),
        ("history_scale", _float),
        ("network", Network),
        ("actuation", Actuation),
        ("cost", Cost),
        ("adam", Adam),
        ("report", Report),
        *(
            (name, _pointer)
            for name in (
                "environment",
                "random",
                "cursor",
                "pool",
                "parameter",
                "gradient",
                "moment",
                "scratch",
                "terminal_adjoint",
                "state_trace",
                "error_trace",
                "action_trace",
                "cost_trace",
                "alive_trace",
            )
        ),
    )


def _open() -> ctypes.CDLL:
    library = open_library("_learner", Path(__file__).parent)
    library.learner_variant_name.restype = ctypes.c_char_p
    library.learner_scratch_floats.restype = ctypes.c_int64
    problem = ctypes.POINTER(Problem)
    library.learner_rows.argtypes = [ctypes.POINTER(Network)]
    for name in ("scratch_floats", "forward", "reverse", "sweep"):
        getattr(library, f"learner_{name}").argtypes = [_int, problem]
    library.learner_reset.argtypes = [problem, _int]
    library.learner_adam_step.argtypes = [_int, problem, _int]
    library.learner_iterate.argtypes = [_int, problem, _int]
    if library.learner_abi() != ABI or library.learner_problem_size() != ctypes.sizeof(Problem):
        raise NativeError("the native learner was built from other sources; build again with `pip install -e .`")
    return library


_library = _open()


def variants() -> list[str]:
    """Instruction sets that this processor can run, narrowest first."""
    names: list[str] = []
    while (name := _library.learner_variant_name(len(names))) is not None:
        names.append(name.decode())
    return names


def _variant_index() -> int:
    wanted, names = os.environ.get("FLEDGE_ISA"), variants()
    if wanted is None:
        return len(names) - 1
    if wanted not in names:
        raise NativeError(f"FLEDGE_ISA={wanted} cannot run here; use one of {', '.join(names)}")
    return names.index(wanted)


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
    """Zeros at an address that vector loads accept."""
    size = int(np.prod(shape)) * 4
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % ALIGNMENT
    array: NDArray[Any] = raw[offset : offset + size].view(dtype).reshape(shape)
    return array


class Learner:
    """One problem and the arrays behind it. `problem` may be changed between calls: costs, rates, report."""

    def __init__(self, problem: Problem, parameter: Float32, pool: Float32, seed: int) -> None:
        """Begin with fresh episodes.

        Args:
            problem: all scalars filled in; the pointers are set here.
            parameter: (P,), initial weights in the order of fledge_sim.policy.weight_shapes; copied.
            pool: (rows, POOL_ROWS), prepared episodes.
            seed: of the sensor noise.
        """
        self.problem = problem
        self.variant = _variant_index()
        n = problem.environments
        self.environment = aligned((_library.learner_rows(ctypes.byref(problem.network)), n))
        self.parameter: Float32 = np.array(parameter, np.float32)
        self.gradient = np.zeros_like(self.parameter)
        self.pool: Float32 = np.ascontiguousarray(pool, np.float32)
        self.traces: dict[str, Float32] = {}
        self._keep: dict[str, NDArray[Any]] = {
            "environment": self.environment,
            "random": aligned((n,), np.uint32),
            "cursor": np.arange(n, dtype=np.int32),
            "pool": self.pool,
            "parameter": self.parameter,
            "gradient": self.gradient,
            "moment": np.zeros((2, self.parameter.size), np.float32),
        }
        self._keep["random"][:] = np.random.Generator(np.random.PCG64(seed)).integers(1, 2**32, n, dtype=np.uint32)
        problem.pool_rows = len(pool)
        for name, array in self._keep.items():
            setattr(problem, name, array.ctypes.data)
        self._keep["scratch"] = aligned((_library.learner_scratch_floats(self.variant, problem),))
        problem.scratch = self._keep["scratch"].ctypes.data
        self.reset(everyone=True)

    def record(self, **shapes: tuple[int, ...]) -> None:
        """Ask for traces by name (state, error, action, cost, alive), each (time[, rows], environments)."""
        for name, shape in shapes.items():
            self.traces[name] = aligned(shape)
            setattr(self.problem, f"{name}_trace", self.traces[name].ctypes.data)

    def state(self) -> dict[str, NDArray[Any]]:
        """The arrays that an iteration leaves for the next, by name; the learner's own."""
        return {name: self._keep[name] for name in ("environment", "random", "cursor", "parameter", "moment")}

    def iterate(self) -> Report:
        """Forward, reverse, resets, Adam: one native call."""
        self.problem.adam.step += 1
        _library.learner_iterate(self.variant, self.problem, self.parameter.size)
        return self.report()

    def sweep(self) -> None:
        """Forward and reverse; leaves the gradient, touches no weight."""
        _library.learner_sweep(self.variant, self.problem)

    def forward(self) -> None:
        """One horizon forward; the trace stays for `reverse`."""
        _library.learner_forward(self.variant, self.problem)

    def reverse(self, terminal_adjoint: Float32 | None = None) -> None:
        """Weight gradient of the horizon last run, plus that of a terminal value.

        Args:
            terminal_adjoint: dV/dx at the end of the horizon, (17, n), already divided by the number of environments.
        """
        if terminal_adjoint is not None:
            adjoint = self._keep.setdefault("terminal_adjoint", aligned(terminal_adjoint.shape))
            adjoint[:] = terminal_adjoint
            self.problem.terminal_adjoint = adjoint.ctypes.data
        _library.learner_reverse(self.variant, self.problem)
        self.problem.terminal_adjoint = None

    def reset(self, everyone: bool = False) -> None:
        """Start episodes over that are too old or too far off."""
        _library.learner_reset(self.problem, int(everyone))

    def step_adam(self) -> Report:
        """One step of Adam along the gradient."""
        self.problem.adam.step += 1
        _library.learner_adam_step(self.variant, self.problem, self.parameter.size)
        return self.report()

    def report(self) -> Report:
        """A copy of what the last calls reported."""
        return Report.from_buffer_copy(self.problem.report)
