"""The native quadrotor kernel: one step of many environments at once, and its reverse sweep.

Arrays are float32 with one row per quantity and one column per environment, rows as in fledge_sim/rows.py; arrays from
`rows` and `arrays.empty` are laid out for speed. Shapes, dtypes and layout are checked on every call; values only on
request: a NaN in one environment stays in that environment. Equations: docs/dynamics.md. The environment variable
FLEDGE_ISA (baseline, avx2) selects a narrower instruction set than the processor offers.
"""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from struct import Struct

import numpy as np

from fledge_sim.arrays import (
    Float64,
    address,
    check_array,
    check_finite,
    check_output,
    check_vector,
    columns,
    empty,
    stride_of,
)
from fledge_sim.errors import FledgeError
from fledge_sim.native import NativeError, open_library
from fledge_sim.physics import Physics
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
from fledge_sim.stability import check_parameters

BARE = Physics()
"""Rigid body, rotors and disturbances alone."""

__all__ = [
    "BARE",
    "PARAMETERS",
    "ROTORS",
    "STATES",
    "Parameter",
    "Physics",
    "PreparedStep",
    "State",
    "check_values",
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
_pointer, _uint, _int = ctypes.c_void_p, ctypes.c_uint, ctypes.c_int
_step.argtypes = _adjoint.argtypes = [_pointer]
_step_double.argtypes = [_pointer, _pointer, _pointer, ctypes.c_double, _uint, _int, _pointer]
_adjoint_double.argtypes = [_pointer, _pointer, _pointer, ctypes.c_double, _uint, _int, _pointer, _pointer]
for _function in (_step, _adjoint, _step_double, _adjoint_double):
    _function.restype = None
_library.fledge_instruction_set.restype = ctypes.c_char_p

_job = Struct("7P8qfIii")
"""struct kernel_job: seven addresses, their strides, environments, dt, effects, substeps, threads."""
if _library.fledge_job_size() != _job.size:
    raise NativeError("the native kernel was built from other sources; build again with `pip install -e .`")


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
    check: bool = False,
) -> Float32:
    """Advance every environment by dt with the setpoint held.

    Args:
        state: (17, n), rows as in `State`.
        rotor_speed_setpoint: (4, n) [rad/s], M1..M4.
        parameters: (51, n), rows as in `Parameter`.
        dt: step [s]. The default floor is stiff: give it substeps of at most 1 ms.
        physics: effects and integrator.
        threads: at most this many, fewer for small n; the result is the same to the last bit.
        out: where to write, (17, n); may be `state` itself. Default: a new array.
        check: also look at every value, which takes longer than the step: see `check_values`.
    Returns:
        The next state (17, n), in `out` if given.
    Raises:
        FledgeError: an argument of wrong shape, dtype or layout; dt not finite. Nothing is written then.
    """
    n = columns(state, "state", STATES)
    if check:
        check_values(state, rotor_speed_setpoint, parameters, dt, physics)
    if out is None:
        out = empty(STATES, n)
    _step(_forward_job(state, rotor_speed_setpoint, parameters, out, n, dt, physics, threads))
    return out


class PreparedStep:
    """`step` in place over arrays that stay the same: checked once, so that a call costs little more than the physics.

    The arrays may be read and written between calls, not resized.
    """

    def __init__(
        self,
        state: Float32,
        rotor_speed_setpoint: Float32,
        parameters: Float32,
        dt: float,
        *,
        physics: Physics = BARE,
        threads: int = 1,
        check: bool = True,
    ) -> None:
        """As `step` with out=state; with `check`, the values that the arrays hold now must make sense."""
        n = columns(state, "state", STATES)
        if check:
            check_values(state, rotor_speed_setpoint, parameters, dt, physics)
        job = _forward_job(state, rotor_speed_setpoint, parameters, state, n, dt, physics, threads)
        self._buffers = [array.data for array in (state, rotor_speed_setpoint, parameters)]  # forbids resizing
        self._job = ctypes.create_string_buffer(job)
        self._address = ctypes.c_void_p(ctypes.addressof(self._job))

    def __call__(self) -> None:
        """Advance by dt."""
        _step(self._address)


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
    n = columns(state, "state", STATES)
    strides = _check_inputs(state, rotor_speed_setpoint, parameters, n, dt, threads)
    next_stride = check_array(adjoint_next, "adjoint_next", STATES, n)
    result = empty(STATES + ROTORS, n)
    first, stride = address(result), stride_of(result)
    job = _job.pack(
        address(state),
        address(rotor_speed_setpoint),
        address(parameters),
        address(adjoint_next),
        0,
        first,
        first + STATES * stride * result.itemsize,
        *strides,
        0,
        next_stride,
        stride,
        stride,
        n,
        dt,
        physics.effects,
        physics.substeps,
        threads,
    )
    _adjoint(job)
    return result[:STATES], result[STATES:]


def check_values(
    state: Float32, rotor_speed_setpoint: Float32, parameters: Float32, dt: float, physics: Physics = BARE
) -> None:
    """Refuse values that make no sense.

    Raises:
        FledgeError: an element that is not finite; a parameter that is not physical; dt not positive, or longer than
            the integrator is stable for (the sentence says how long that is).
    """
    n = columns(state, "state", STATES)
    _check_inputs(state, rotor_speed_setpoint, parameters, n, dt, 1)
    named = (("state", state), ("rotor_speed_setpoint", rotor_speed_setpoint), ("parameters", parameters))
    for name, array in named:
        check_finite(array, name)
    if dt <= 0:
        raise FledgeError(f"dt is {dt}, it must be positive [s]")
    check_parameters(parameters, physics, dt)


def step_double(
    state: Float64,
    rotor_speed_setpoint: Float64,
    parameters: Float64,
    dt: float,
    *,
    physics: Physics = BARE,
) -> Float64:
    """`step` of one environment in double precision, the same C text: state (17,), setpoint (4,), parameters (51,)."""
    _check_vectors(state, rotor_speed_setpoint, parameters)
    following = np.empty(STATES)
    inputs = (address(state), address(rotor_speed_setpoint), address(parameters))
    _step_double(*inputs, dt, physics.effects, physics.substeps, address(following))
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
    _check_vectors(state, rotor_speed_setpoint, parameters)
    check_vector(adjoint_next, "adjoint_next", STATES)
    adjoint, adjoint_setpoint = adjoint_next.copy(), np.empty(ROTORS)
    inputs = (address(state), address(rotor_speed_setpoint), address(parameters))
    outputs = (address(adjoint), address(adjoint_setpoint))
    _adjoint_double(*inputs, dt, physics.effects, physics.substeps, *outputs)
    return adjoint, adjoint_setpoint


def _forward_job(
    state: Float32,
    rotor_speed_setpoint: Float32,
    parameters: Float32,
    out: Float32,
    n: int,
    dt: float,
    physics: Physics,
    threads: int,
) -> bytes:
    """struct kernel_job of a step, after checking everything."""
    state_stride, setpoint_stride, parameters_stride = _check_inputs(
        state, rotor_speed_setpoint, parameters, n, dt, threads
    )
    out_stride = check_output(out, "out", STATES, n)
    first = address(state)
    return _job.pack(
        first,
        address(rotor_speed_setpoint),
        address(parameters),
        0,
        first if out is state else address(out),
        0,
        0,
        state_stride,
        setpoint_stride,
        parameters_stride,
        out_stride,
        0,
        0,
        0,
        n,
        dt,
        physics.effects,
        physics.substeps,
        threads,
    )


def _check_inputs(
    state: Float32, rotor_speed_setpoint: Float32, parameters: Float32, n: int, dt: float, threads: int
) -> tuple[int, int, int]:
    """Strides of the three arrays [floats]."""
    if not math.isfinite(dt):
        raise FledgeError(f"dt is {dt}, it must be a finite number of seconds")
    if threads < 1:
        raise FledgeError(f"threads is {threads}, it must be at least 1")
    return (
        check_array(state, "state", STATES, n),
        check_array(rotor_speed_setpoint, "rotor_speed_setpoint", ROTORS, n),
        check_array(parameters, "parameters", PARAMETERS, n),
    )


def _check_vectors(state: Float64, rotor_speed_setpoint: Float64, parameters: Float64) -> None:
    check_vector(state, "state", STATES)
    check_vector(rotor_speed_setpoint, "rotor_speed_setpoint", ROTORS)
    check_vector(parameters, "parameters", PARAMETERS)
