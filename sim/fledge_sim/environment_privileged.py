"""What the critic sees beyond the actor: truth, disturbances and physical parameters, each near the order of one."""

from __future__ import annotations

from dataclasses import dataclass

from fledge_sim.environment import EnvConfig
from fledge_sim.environment_rows import SENSED, Row, layout, nominal_column, parameter_places
from fledge_sim.rows import Parameter, State


@dataclass(frozen=True)
class PrivilegedEntry:
    """(row - offset) * factor; environment_privileged in C."""

    row: int
    offset: float
    factor: float


PRIVILEGED_FIRST = SENSED + 1
"""The privileged observation begins with the true errors, rotation and rates in the order of SENSED and the share of
the episode that is left; the entries of `privileged_entries` follow."""


def privileged_entries(config: EnvConfig) -> tuple[PrivilegedEntry, ...]:
    """Rotor speeds, disturbances and physical parameters, each near the order of one.

    Rotor speed / hover speed - 1; force / weight; torque / (weight arm); parameter / nominal - 1, or the parameter
    itself where the nominal is zero; delay [steps]; noise scale; wind [m/s]; battery voltage / nominal - 1.
    """
    robot, places, p = config.robot, layout(config), Parameter
    weight = robot.mass * robot.gravity
    arm = max(abs(x) for xy in robot.rotor_position for x in xy)
    entries = [_relative(Row.STATE + State.ROTOR_SPEED + i, robot.hover_rotor_speed) for i in range(4)]
    entries += [PrivilegedEntry(row, 0.0, 1 / weight) for row in parameter_places(p.DISTURBANCE_FORCE, 3)]
    entries += [PrivilegedEntry(row, 0.0, 1 / (weight * arm)) for row in parameter_places(p.DISTURBANCE_TORQUE, 3)]
    nominal = nominal_column(config)
    for first, count in (
        (p.MASS_INVERSE, 1),
        (p.INERTIA, 3),
        (p.ROTOR_X, 1),
        (p.THRUST_SCALE, 4),
        (p.TORQUE_PER_THRUST, 1),
        (p.LAG_RISE_INVERSE, 1),
        (p.LAG_FALL_INVERSE, 1),
        (p.DRAG, 3),
        (p.BATTERY_VOLTAGE, 1),
    ):
        entries += [_relative(row, float(nominal[row])) for row in parameter_places(first, count)]
    entries += [PrivilegedEntry(row, 0.0, 1.0) for row in (Row.COMMAND_DELAY, Row.NOISE_SCALE)]
    if places.gust >= 0:
        entries += [PrivilegedEntry(row, 0.0, 1.0) for row in parameter_places(p.WIND, 3)]
    return tuple(entries)


def _relative(row: int, nominal: float) -> PrivilegedEntry:
    return PrivilegedEntry(row, nominal, 1 / nominal) if nominal else PrivilegedEntry(row, 0.0, 1.0)


def privileged_size(config: EnvConfig) -> int:
    """P."""
    return PRIVILEGED_FIRST + len(privileged_entries(config))
