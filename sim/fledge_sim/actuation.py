"""From actions to rotor speed set-points as the firmware does it, in the native kernel, and back.

docs/dynamics.md, section Actuation. The constants are the nominal robot's, because they are the firmware's; only the
battery's voltage differs between environments.
"""

from __future__ import annotations

from pathlib import Path
from struct import Struct

import numpy as np

from fledge_sim.arrays import Float32, address, check_array, columns
from fledge_sim.errors import FledgeError
from fledge_sim.native import NativeError, open_library
from fledge_sim.robot import Robot
from fledge_sim.rows import ROTORS

KINDS = {"rotor_speed_fraction": 0, "thrust_fraction": 1, "duty": 2}
"""quadrotor_actuation_kind in C."""

_library = open_library("_kernel", Path(__file__).parent)
_drive = _library.fledge_drive
_drive.restype = None
_job = Struct("4Pqi6f4fi0q")
"""struct kernel_drive_job: addresses of action, voltage, adjoint and result, environments, struct quadrotor_drive."""
if _library.fledge_drive_job_size() != _job.size:
    raise NativeError("the native kernel was built from other sources; build again with `pip install -e .`")


def actuate(
    robot: Robot,
    action: Float32,
    voltage: Float32,
    *,
    dead_zone: bool = True,
    quantisation: bool = True,
    compensation: bool = True,
) -> Float32:
    """Rotor speed set-points of actions.

    Args:
        robot: nominal robot; names the kind of actuation.
        action: (4, n), clipped to [-1, 1], M1..M4.
        voltage: of the battery under load, (1, n) [V].
        dead_zone: a thrust fraction below the robot's thrust_min_fraction switches the motor off.
        quantisation: duty is rounded down to one of pwm_levels.
        compensation: duty is computed for the present voltage instead of the nominal one.
    Returns:
        Set-points (4, n) [rad/s].
    Raises:
        FledgeError: an array of wrong shape, dtype or layout; an action or voltage that is not finite; no voltage.
    """
    return _run(robot, action, voltage, None, (dead_zone, quantisation, compensation))


def actuate_adjoint(
    robot: Robot,
    action: Float32,
    voltage: Float32,
    adjoint_setpoint: Float32,
    *,
    dead_zone: bool = True,
    quantisation: bool = True,
    compensation: bool = True,
) -> Float32:
    """Reverse sweep of `actuate`: dL/daction (4, n) from dL/dsetpoint (4, n), the voltage taken as given.

    Rounding passes the adjoint straight through; a clipped action or a motor that is off passes nothing.
    """
    return _run(robot, action, voltage, adjoint_setpoint, (dead_zone, quantisation, compensation))


def _run(
    robot: Robot, action: Float32, voltage: Float32, adjoint: Float32 | None, stages: tuple[bool, bool, bool]
) -> Float32:
    n = columns(action, "action", ROTORS)
    for name, array, rows in (
        ("action", action, ROTORS),
        ("voltage", voltage, 1),
        ("adjoint_setpoint", adjoint, ROTORS),
    ):
        if array is not None and check_array(array, name, rows, n) != n:
            raise FledgeError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")
    if not np.isfinite(action).all():
        raise FledgeError("action has elements that are not finite; it must lie in [-1, 1]")
    if not ((voltage > 0) & np.isfinite(voltage)).all():
        raise FledgeError("voltage must be positive and finite [V]")
    result = np.empty((ROTORS, n), np.float32)
    dead_zone, quantisation, compensation = stages
    _drive(
        _job.pack(
            address(action),
            address(voltage),
            0 if adjoint is None else address(adjoint),
            address(result),
            n,
            KINDS[robot.actuation],
            robot.fraction_low,
            robot.fraction_high,
            robot.full_scale,
            *robot.thrust_curve,
            robot.speed_per_volt,
            robot.voltage_nominal,
            robot.thrust_min_fraction * dead_zone,
            robot.pwm_levels * quantisation,
            compensation,
        )
    )
    return result
