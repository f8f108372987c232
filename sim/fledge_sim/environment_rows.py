"""What an environment remembers per world, and how a new episode fills it; shared by all backends.

Memory is rows of 4-byte numbers, one column per world: float32, or unsigned integers where it says bits. Fixed rows
come first; the blocks of `Layout` exist only if the configuration needs them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from fledge_sim.counter_random import Channel
from fledge_sim.environment import EnvConfig
from fledge_sim.randomize import yaw_inertia_factors
from fledge_sim.rows import PARAMETERS, STATES, Parameter, parameter_rows
from fledge_sim.trajectories import SmoothReference, WaypointReference

SENSED = 18
"""What is sensed: position 3, rotation 9 (row-major), velocity 3, angular velocity 3."""
HARMONIC_ROWS = 9
"""Of one harmonic per axis: amplitude 3 [m], frequency 3 and phase 3 (bits; turns / 2^32, per step)."""
WAYPOINT_ROWS = 2
"""Move and hold [s]; the points are drawn again from the numbers of the episode."""


class Row(IntEnum):
    """First row of each fixed part; environment_row in C."""

    IDENTITY = 0
    """2 rows, bits: the world's random numbers (counter_random)."""
    EPISODE = 2
    """Number of the episode, unsigned; 2^32 - 1 before the first."""
    AGE = 3
    """Steps since the episode began, unsigned."""
    STATE = 4
    """17 rows, as rows.State."""
    PARAMETER = STATE + STATES
    """51 rows, as rows.Parameter."""
    COMMAND_DELAY = PARAMETER + PARAMETERS
    """[steps]"""
    NOISE_SCALE = COMMAND_DELAY + 1
    """Factor on the sensor noise."""


ROWS_FIXED = Row.NOISE_SCALE + 1


@dataclass(frozen=True)
class Layout:
    """First rows of the optional blocks, -1 if absent; environment_layout in C, field by field."""

    rows: int
    """All, history included."""
    drawn_end: int
    """Rows from STATE to here are new in every episode."""
    reference: int
    """HARMONIC_ROWS per harmonic, or WAYPOINT_ROWS."""
    gust: int
    """Mean wind 3 [m/s], intensity [m/s], decay per step (drawn as a correlation time [s])."""
    battery: int
    """State of charge, 1 / capacity [1/C]."""
    bias: int
    """Position 3, velocity 3, angular velocity 3."""
    sensor_delay: int
    """[steps]"""
    gyro: int
    """Share of the new value in the low-pass (drawn as a cut-off [Hz])."""
    dropout: int
    """Probability that a position update is lost."""
    gyro_memory: int
    """3, filtered angular velocity."""
    position_memory: int
    """3, last position that arrived."""
    past: int
    """What was sensed one step ago, then two: 2 x SENSED."""
    history: int
    """history_slots x 4: past actions in a ring."""
    history_slots: int


def layout(config: EnvConfig) -> Layout:
    """Places the blocks that the configuration needs."""
    sensors = config.sensors
    biased = max(sensors.bias_position, sensors.bias_velocity, sensors.bias_angular_velocity) > 0
    delayed, filtered = max(sensors.delay) > 0, max(sensors.gyro_cutoff) > 0
    dropping, windy = max(sensors.position_dropout) > 0, is_windy(config)
    slots = max(config.history_length, 3)
    places, end = {}, int(ROWS_FIXED)
    for name, rows in (
        ("reference", _reference_rows(config)),
        ("gust", 5 * windy),
        ("battery", 2 * has_battery(config)),
        ("bias", 9 * biased),
        ("sensor_delay", 1 * delayed),
        ("gyro", 1 * filtered),
        ("dropout", 1 * dropping),
        ("drawn_end", -1),
        ("gyro_memory", 3 * filtered),
        ("position_memory", 3 * dropping),
        ("past", 2 * SENSED * delayed),
        ("history", 4 * slots),
    ):
        places[name] = end if rows else -1
        end += max(rows, 0)
    return Layout(rows=end, history_slots=slots, **places)


def _reference_rows(config: EnvConfig) -> int:
    reference = config.task.reference
    if isinstance(reference, WaypointReference):
        return WAYPOINT_ROWS
    if isinstance(reference, SmoothReference):
        return HARMONIC_ROWS * reference.harmonics
    return HARMONIC_ROWS if reference else 0


def is_windy(config: EnvConfig) -> bool:
    """Whether there are gusts."""
    return config.gusts.mean > 0 or max(config.gusts.intensity) > 0


def has_battery(config: EnvConfig) -> bool:
    """Whether a state of charge is kept."""
    return config.physics.battery or config.actuation.compensation


Operation = Literal["add", "multiply", "divide"]


def has_whole_drive(config: EnvConfig) -> bool:
    """Whether actions pass through the firmware's actuation path; otherwise through the mapping alone."""
    stages = config.actuation
    return stages.dead_zone or stages.quantisation or stages.compensation or config.physics.battery


@dataclass(frozen=True)
class Draw:
    """One random number at the start of an episode; environment_draw in C.

    row = row (operation) v with v = a + (b - a) uniform, or a + b normal, or exp(a + (b - a) uniform).
    """

    channel: int
    row: int
    operation: Operation
    distribution: Literal["uniform", "normal", "log_uniform"]
    a: float
    b: float


class _Draws:
    """Collects draws; each call takes new channels, `count` of them for as many rows, or one for all."""

    def __init__(self) -> None:
        self.table: list[Draw] = []
        self._channel = int(Channel.DRAW)

    def add(
        self,
        rows: range,
        a: float,
        b: float,
        operation: Operation = "add",
        *,
        inverse: range = range(0),
        each: bool = True,
        normal: bool = False,
    ) -> None:
        """Rows get a number each or share one; `inverse` rows hold reciprocals and share the same number."""
        used = len(rows) if each else 1
        if a != b or (normal and b):
            for i, row in enumerate(rows):
                channel = self._channel + (i if each else 0)
                self.table.append(Draw(channel, row, operation, "normal" if normal else "uniform", a, b))
            for row in inverse:
                self.table.append(Draw(self._channel, row, "divide", "uniform", a, b))
        elif a != {"add": 0.0, "multiply": 1.0, "divide": 1.0}[operation]:
            for row in rows:
                self.table.append(Draw(self._channel, row, operation, "uniform", a, b))
        self._channel += used

    def span(self, span: tuple[float, float] | None, multiplied: dict[int, float], divided: dict[int, float]) -> None:
        """One log-uniform number for rows that have, or whose reciprocals have, the nominal values given."""
        if span is not None:
            for rows, operation in ((multiplied, "multiply"), (divided, "divide")):
                for row, nominal in rows.items():
                    a, b = (math.log(end / nominal) for end in span)
                    self.table.append(Draw(self._channel, row, cast("Operation", operation), "log_uniform", a, b))
        self._channel += 1


def parameter_places(first: Parameter, count: int = 1) -> range:
    """Rows of a physical parameter and those after it."""
    return range(Row.PARAMETER + first, Row.PARAMETER + first + count)


def draws(config: EnvConfig) -> tuple[Draw, ...]:
    """The table of a configuration; a quantity keeps its channel whatever else is switched on."""
    table = _Draws()
    _robot_draws(table, config)
    _span_draws(table, config)
    _disturbance_draws(table, config)
    _sensor_draws(table, config)
    return tuple(table.table)


def _robot_draws(table: _Draws, config: EnvConfig) -> None:
    spread, p = config.randomization, Parameter
    around = {name: (1 - value, 1 + value) for name, value in vars(spread).items() if isinstance(value, int | float)}
    table.add(parameter_places(p.MASS_INVERSE), *around["mass"], "divide")
    inertia, inverse = parameter_places(p.INERTIA, 3), parameter_places(p.INERTIA_INVERSE, 3)
    table.add(inertia, *around["inertia"], "multiply", inverse=inverse, each=False)
    table.add(inertia[2:], *yaw_inertia_factors(config.robot, spread), "multiply", inverse=inverse[2:])
    table.add(parameter_places(p.ROTOR_X, 8), *around["rotor_position"], "multiply", each=False)
    table.add(parameter_places(p.THRUST_SCALE, 4), *around["thrust"], "multiply", each=False)
    table.add(parameter_places(p.THRUST_SCALE, 4), *around["thrust_per_rotor"], "multiply")
    table.add(parameter_places(p.TORQUE_PER_THRUST, 4), *around["torque_per_thrust"], "multiply", each=False)
    table.add(parameter_places(p.LAG_RISE_INVERSE, 2), *around["rotor_lag"], "divide", each=False)
    table.add(parameter_places(p.DRAG, 3), 0.0, spread.drag)
    table.add(parameter_places(p.GROUND_EFFECT_AREA), *around["ground_effect"], "multiply")
    table.add(parameter_places(p.SPEED_PER_VOLT), *around["speed_per_volt"], "multiply")
    table.add(parameter_places(p.DRIVE_POWER), *around["drive_power"], "multiply")
    table.add(range(Row.COMMAND_DELAY, Row.COMMAND_DELAY + 1), *spread.control_delay)
    table.add(range(Row.NOISE_SCALE, Row.NOISE_SCALE + 1), *spread.noise_scale)


def _span_draws(table: _Draws, config: EnvConfig) -> None:
    """Moves what has a span from the robot's own value to one drawn; as randomize.sample_parameters."""
    spread, robot, p = config.randomization, config.robot, Parameter
    mass, inertia, inverse = (
        parameter_places(p.MASS_INVERSE),
        parameter_places(p.INERTIA, 3),
        parameter_places(p.INERTIA_INVERSE, 3),
    )
    roll, pitch, yaw = robot.inertia
    table.span(spread.mass_span, {}, {mass[0]: robot.mass})
    axes = (roll, pitch, roll)
    table.span(spread.inertia_span, dict(zip(inertia, axes, strict=True)), dict(zip(inverse, axes, strict=True)))
    table.span(spread.yaw_ratio_span, {inertia[2]: yaw / roll}, {inverse[2]: yaw / roll})
    table.span(spread.thrust_max_span, dict.fromkeys(parameter_places(p.THRUST_SCALE, 4), robot.thrust_max), {})
    rise, fall = parameter_places(p.LAG_RISE_INVERSE, 2)
    table.span(spread.lag_rise_span, {}, {rise: robot.rotor_time_constant_rise})
    table.span(spread.lag_fall_span, {}, {fall: robot.rotor_time_constant_fall})


def _disturbance_draws(table: _Draws, config: EnvConfig) -> None:
    spread, places, robot = config.randomization, layout(config), config.robot
    weight = robot.mass * robot.gravity
    table.add(parameter_places(Parameter.DISTURBANCE_FORCE, 3), 0.0, spread.disturbance_force * weight, normal=True)
    table.add(parameter_places(Parameter.DISTURBANCE_TORQUE, 3), 0.0, spread.disturbance_torque * weight, normal=True)
    if places.gust >= 0:
        table.add(range(places.gust, places.gust + 2), -config.gusts.mean, config.gusts.mean)
        table.add(range(places.gust + 3, places.gust + 4), *config.gusts.intensity)
        table.add(range(places.gust + 4, places.gust + 5), *config.gusts.correlation_time)
    if places.battery >= 0:
        use = config.battery
        table.add(range(places.battery, places.battery + 1), *use.charge)
        table.add(range(places.battery + 1, places.battery + 2), 1 - use.capacity, 1 + use.capacity, "divide")
        table.add(parameter_places(Parameter.BATTERY_RESISTANCE), 1 - use.resistance, 1 + use.resistance, "multiply")


def _sensor_draws(table: _Draws, config: EnvConfig) -> None:
    sensors, places = config.sensors, layout(config)
    if places.bias >= 0:
        deviations = (sensors.bias_position, sensors.bias_velocity, sensors.bias_angular_velocity)
        for i, deviation in enumerate(deviations):
            table.add(range(places.bias + 3 * i, places.bias + 3 * i + 3), 0.0, deviation, normal=True)
    for row, (low, high) in (
        (places.sensor_delay, sensors.delay),
        (places.gyro, sensors.gyro_cutoff),
        (places.dropout, sensors.position_dropout),
    ):
        if row >= 0:
            table.add(range(row, row + 1), low, high)


def nominal_column(config: EnvConfig) -> NDArray[np.float32]:
    """Values (rows without memory,) that the draws of a new episode start from."""
    places = layout(config)
    column = np.zeros(places.drawn_end, np.float32)
    column[Row.PARAMETER : Row.PARAMETER + PARAMETERS] = parameter_rows(config.robot, 1)[:, 0]
    if places.battery >= 0:
        column[places.battery + 1] = 1 / config.robot.battery_capacity
    return column


def angle_coefficients(angle_max: float) -> NDArray[np.float64]:
    """The attitude's distribution: half the angle, in turns, is r P(r^2) for r = (uniform)^(1/3).

    Uniform over rotations by at most m, the angle a has the distribution function (a - sin a) / (m - sin m). With r^3
    in its place, a is a smooth odd function of r; 7 coefficients of P are exact to 6e-6 rad for m = pi.

    Args:
        angle_max: m [rad], 0 to pi.
    """
    if angle_max == 0:
        return np.zeros(7)
    angle = np.linspace(0.0, angle_max, 100_001)[1:]
    reach = (angle - np.sin(angle)) / (angle_max - np.sin(angle_max))
    r = np.cbrt(np.where(angle < 1e-3, angle**3 / 6 / (angle_max - np.sin(angle_max)), reach))
    nodes = np.sqrt((np.cos(np.pi * (np.arange(400) + 0.5) / 400) + 1) / 2)
    series = np.polynomial.Chebyshev.fit(nodes**2, np.interp(nodes, r, angle / r), 6, domain=[0, 1])
    coefficients = np.asarray(series.convert(kind=np.polynomial.Polynomial).coef, np.float64)
    return coefficients / (4 * np.pi)
