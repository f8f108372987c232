"""The native quadrotor kernel: one step of many environments at once, and its reverse sweep.

Arrays are float32, C-contiguous, one column per environment, rows as in fledge_sim/rows.py. Shapes, dtypes and layout
are checked on every call; the values are not: a NaN in one environment stays in that environment. Equations:
docs/dynamics.md. The environment variable FLEDGE_ISA (baseline, avx2) selects a narrower instruction set than the
processor offers.
"""

from __future__ import annotations

import ctypes
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError
from fledge_sim.native import open_library
from fledge_sim.physics import Effect, Physics
from fledge_sim.rows import (
    PARAMETERS,
    ROTORS,
    STATES,
    Float32,
    Parameter,
    State,
    hover_state,
    parameter_rows,
    setpoint_from_action,
)

Float64 = NDArray[np.float64]
BARE = Physics()
"""Rigid body, rotors and disturbances alone."""

__all__ = [
    "BARE",
    "PARAMETERS",
    "ROTORS",
    "STATES",
    "Parameter",
    "Physics",
    "State",
    "hover_state",
    "instruction_set",
    "parameter_rows",
    "setpoint_from_action",
    "step",
    "step_adjoint",
    "step_adjoint_double",
    "step_double",
]

_library = open_library("_kernel", Path(__file__).parent)
_step = _library.fledge_step
_adjoint = _library.fledge_step_adjoint
_step_double = _library.fledge_step_double
_adjoint_double = _library.fledge_step_adjoint_double
_pointer, _int64, _float, _uint, _int = (
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_float,
    ctypes.c_uint,
    ctypes.c_int,
)
_step.argtypes = [_pointer, _pointer, _pointer, _int64, _float, _uint, _int, _pointer]
_adjoint.argtypes = [_pointer, _pointer, _pointer, _int64, _float, _uint, _int, _pointer, _pointer, _pointer]
_step_double.argtypes = [_pointer, _pointer, _pointer, ctypes.c_double, _uint, _pointer]
_adjoint_double.argtypes = [_pointer, _pointer, _pointer, ctypes.c_double, _uint, _pointer, _pointer]
for _function in (_step, _adjoint, _step_double, _adjoint_double):
    _function.restype = None
_library.fledge_instruction_set.restype = ctypes.c_char_p


def instruction_set() -> str:
    """Name of the variant in use: baseline, avx2 or avx512."""
    name: bytes = _library.fledge_instruction_set()
    return name.decode()


def step(
    state: Float32,
    rotor_speed_setpoint: Float32,
    parameters: Float32,
    dt: float,
    *,
    physics: Physics = BARE,
    threads: int = 1,
    out: Float32 | None = None,
) -> Float32:
    """Advance every environment by dt with the setpoint held .

    Args:
        state: (17, n), rows as in `State`.
        rotor_speed_setpoint: (4, n) [rad/s], M1..M4.
        parameters: (51, n), rows as in `Parameter`.
        dt: step [s]. The default floor is stiff: give it at most 1 ms.
        physics: effects and integrator.
        threads: at most this many, fewer for small n; the result is the same to the last bit.
        out: where to write, (17, n); may be `state` itself. Default: a new array.
    Returns:
        The next state (17, n), in `out` if given.
    Raises:
        FledgeError: an argument of wrong shape, dtype or layout; dt not finite.
    """
    n = _columns(state)
    _check(rotor_speed_setpoint, "rotor_speed_setpoint", ROTORS, n)
    _check(parameters, "parameters", PARAMETERS, n)
    if out is None:
        out = np.empty((STATES, n), np.float32)
    else:
        _check(out, "out", STATES, n)
        if not out.flags.writeable:
            raise FledgeError("out is read-only; pass an array of your own")
    _check_numbers(dt, threads)
    _step(
        state.ctypes.data,
        rotor_speed_setpoint.ctypes.data,
        parameters.ctypes.data,
        n,
        dt,
        _effects(physics),
        threads,
        out.ctypes.data,
    )
    return out


def step_adjoint(
    state: Float32,
    rotor_speed_setpoint: Float32,
    parameters: Float32,
    dt: float,
    adjoint_next: Float32,
    *,
    physics: Physics = BARE,
    threads: int = 1,
) -> tuple[Float32, Float32]:
    """Reverse sweep of `step`: with x' = step(x, u) and l = dL/dx', dL/dx = (dx'/dx)^T l and dL/du = (dx'/du)^T l.

    Args:
        state: (17, n), the state before the step.
        rotor_speed_setpoint: (4, n) [rad/s].
        parameters: (51, n).
        dt: step [s].
        adjoint_next: (17, n), l, in units of L per unit of each row of the state.
        physics: as in the step; the derivative at a kink (contact, rise against fall of a rotor) is that of the side on
            which the stage lies.
        threads: as in the step.
    Returns:
        dL/dx (17, n) and dL/du (4, n).
    Raises:
        FledgeError: as `step`.
    """
    n = _columns(state)
    _check(rotor_speed_setpoint, "rotor_speed_setpoint", ROTORS, n)
    _check(parameters, "parameters", PARAMETERS, n)
    _check(adjoint_next, "adjoint_next", STATES, n)
    _check_numbers(dt, threads)
    adjoint_state, adjoint_setpoint = np.empty((STATES, n), np.float32), np.empty((ROTORS, n), np.float32)
    _adjoint(
        state.ctypes.data,
        rotor_speed_setpoint.ctypes.data,
        parameters.ctypes.data,
        n,
        dt,
        _effects(physics),
        threads,
        adjoint_next.ctypes.data,
        adjoint_state.ctypes.data,
        adjoint_setpoint.ctypes.data,
    )
    return adjoint_state, adjoint_setpoint


def step_double(
    state: Float64,
    rotor_speed_setpoint: Float64,
    parameters: Float64,
    dt: float,
    *,
    physics: Physics = BARE,
) -> Float64:
    """`step` of one environment in double precision, the same C text: state (17,), setpoint (4,), parameters (51,)."""
    for name, array, rows in (
        ("state", state, STATES),
        ("rotor_speed_setpoint", rotor_speed_setpoint, ROTORS),
        ("parameters", parameters, PARAMETERS),
    ):
        _check_double(array, name, rows)
    following = np.empty(STATES)
    _step_double(
        state.ctypes.data,
        rotor_speed_setpoint.ctypes.data,
        parameters.ctypes.data,
        dt,
        _effects(physics),
        following.ctypes.data,
    )
    return following


def step_adjoint_double(
    state: Float64,
    rotor_speed_setpoint: Float64,
    parameters: Float64,
    dt: float,
    adjoint_next: Float64,
    *,
    physics: Physics = BARE,
) -> tuple[Float64, Float64]:
    """`step_adjoint` of one environment in double precision, the same C text; shapes as in `step_double`."""
    for name, array, rows in (
        ("state", state, STATES),
        ("rotor_speed_setpoint", rotor_speed_setpoint, ROTORS),
        ("parameters", parameters, PARAMETERS),
        ("adjoint_next", adjoint_next, STATES),
    ):
        _check_double(array, name, rows)
    adjoint, adjoint_setpoint = adjoint_next.copy(), np.empty(ROTORS)
    _adjoint_double(
        state.ctypes.data,
        rotor_speed_setpoint.ctypes.data,
        parameters.ctypes.data,
        dt,
        _effects(physics),
        adjoint.ctypes.data,
        adjoint_setpoint.ctypes.data,
    )
    return adjoint, adjoint_setpoint


def _effects(physics: Physics) -> int:
    """Bits for the native code."""
    if physics.effects & ~(Effect.DRAG | Effect.FLOOR) or physics.substeps > 1:
        raise FledgeError(f"{physics}: the native kernel has drag and floor with one RK4 step so far; choose those")
    return physics.effects


def _columns(state: Float32) -> int:
    if not isinstance(state, np.ndarray) or state.ndim != 2:
        raise FledgeError(f"state must be a numpy array of shape ({STATES}, n)")
    n: int = state.shape[1]
    _check(state, "state", STATES, n)
    if n == 0:
        raise FledgeError("state has no environment; give at least one column")
    return n


def _check(array: Float32, name: str, rows: int, n: int) -> None:
    if not isinstance(array, np.ndarray) or array.shape != (rows, n):
        raise FledgeError(f"{name} has shape {getattr(array, 'shape', None)}, it must be ({rows}, {n})")
    if array.dtype != np.float32:
        raise FledgeError(f"{name} has dtype {array.dtype}, it must be float32")
    if not array.flags.c_contiguous:
        raise FledgeError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")


def _check_numbers(dt: float, threads: int) -> None:
    if not math.isfinite(dt):
        raise FledgeError(f"dt is {dt}, it must be a finite number of seconds")
    if threads < 1:
        raise FledgeError(f"threads is {threads}, it must be at least 1")


def _check_double(array: Float64, name: str, rows: int) -> None:
    if not isinstance(array, np.ndarray) or array.shape != (rows,) or array.dtype != np.float64:
        raise FledgeError(f"{name} must be a float64 array of shape ({rows},)")
    if not array.flags.c_contiguous:
        raise FledgeError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")
