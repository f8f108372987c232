"""Domain randomization: typed ranges over the robot, its actuation delay, its sensors and what pushes it.

Everything here is a pure function of a seed. Row i of a sample does not depend on how many rows are drawn, so a pool
can grow without changing what came before. Wind, battery charge and sensor faults belong to the environment
(fledge_sim.environment). The action mapping is never randomized: it is the firmware's constant, and
a policy must not learn that one action hovers every drone.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arrays import Float32
from fledge_sim.errors import FledgeError
from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter, parameter_rows

Float64 = NDArray[np.float64]
Span = tuple[float, float] | None

RELATIVE = (
    *("mass", "inertia", "rotor_position", "thrust", "thrust_per_rotor", "torque_per_thrust", "rotor_lag"),
    *("ground_effect", "speed_per_volt", "drive_power"),
)
"""Fields that are relative half widths."""


@dataclass(frozen=True)
class Randomization:
    """Widths of the distributions; all uniform unless stated. The zero of every field means: as in the robot file."""

    mass: float = 0.2
    """Relative half width."""
    inertia: float = 0.2
    """Relative half width, one factor for all axes and one of half that width for yaw (see `yaw_inertia_factors`)."""
    rotor_position: float = 0.05
    """Relative half width of the arm."""
    thrust: float = 0.1
    """Relative half width of the thrust at a given speed, one factor for all rotors."""
    thrust_per_rotor: float = 0.05
    """Relative half width of the thrust at a given speed, one factor per rotor."""
    torque_per_thrust: float = 0.2
    """Relative half width of the reaction torque."""
    rotor_lag: float = 0.3
    """Relative half width of the rotors' time constants, one factor for rise and fall."""
    drag: float = 0.01
    """Largest linear drag added to the robot's own, per axis [N/(m/s)]."""
    control_delay: tuple[float, float] = (0.0, 1.5)
    """Range of the delay between observation and command [native steps], fractional: 0 to 2, in training 0 to 3."""
    noise_scale: tuple[float, float] = (1.0, 3.0)
    """Range of the factor on the contract's sensor noise."""
    disturbance_force: float = 0.05
    """Standard deviation of a constant force, per world axis [weights]; normal."""
    disturbance_torque: float = 1e-4
    """Standard deviation of a constant torque, per body axis [weights times metre]; normal."""
    ground_effect: float = 0.0
    """Relative half width of the strength of the ground effect."""
    speed_per_volt: float = 0.0
    """Relative half width of the rotor speed that a volt gives."""
    drive_power: float = 0.0
    """Relative half width of the electrical power at a given thrust and speed."""
    mass_span: Span = None
    """Spans, each log-uniform, replace the robot's own value; widths apply around it. Mass [kg]."""
    inertia_span: Span = None
    """Inertia about roll and pitch, one value [kg m^2]; yaw keeps its ratio to roll, or follows the next span."""
    yaw_ratio_span: Span = None
    """Inertia about yaw over that about roll [1]; below 2, where the body would be thinner than flat."""
    thrust_max_span: Span = None
    """Thrust of one rotor where the robot's own gives thrust_max [N]."""
    lag_rise_span: Span = None
    """Rotors' time constant of rise [s]."""
    lag_fall_span: Span = None
    """Rotors' time constant of fall [s]."""

    def __post_init__(self) -> None:
        check(self)


def check(spread: Randomization) -> None:
    """Raise FledgeError naming the field and its range."""
    for entry in fields(spread):
        name, value = entry.name, getattr(spread, entry.name)
        if name.endswith("_span") and value is not None:
            top = 2.0 if name == "yaw_ratio_span" else math.inf
            fits = len(value) == 2 and 0 < value[0] <= value[1] < top
            _require(fits, f"{name} is {value}, give (low, high) with 0 < low <= high{' < 2' if top == 2 else ''}")
        elif name in RELATIVE:
            _require(0 <= value < 1, f"{name} is {value}, give a relative half width of 0 to below 1")
        elif isinstance(value, float | int):
            _require(0 <= value < math.inf, f"{name} is {value}, give a finite number >= 0")


def none() -> Randomization:
    """The nominal robot: no delay, no disturbance, the contract's own noise."""
    return Randomization(0, 0, 0, 0, 0, 0, 0, 0, (0.0, 0.0), (1.0, 1.0), 0, 0)


def paper() -> Randomization:
    """As in "Learning to Fly in Seconds": the nominal robot with constant disturbances and sensor noise."""
    return Randomization(0, 0, 0, 0, 0, 0, 0, 0, (0.0, 0.0), (1.0, 1.0))


def plus_minus(width: float) -> Randomization:
    """Mass, inertia, reaction torque and rotor lag within +-width; disturbances and noise as in `paper`, no delay."""
    return Randomization(
        mass=width,
        inertia=width,
        rotor_position=width / 4,
        thrust=width / 4,
        thrust_per_rotor=width / 8,
        torque_per_thrust=width,
        rotor_lag=width,
        drag=0.0,
        control_delay=(0.0, 0.0),
        noise_scale=(1.0, 1.0),
    )


def any_published_crazyflie() -> Randomization:
    """Every 30 g Crazyflie that a public simulator, controller or firmware describes, and what lies between.

    Six descriptions of one drone: 27 to 32.5 g, roll inertia 3.85e-6 to 16.8e-6, rotor lag 25 to 249 ms, 0.11 N to
    0.20 N per rotor (stock, thrust kit, brushless). Their yaw inertias, 5.97e-6 to 29.8e-6, are 1.55 to 1.85 times
    those of roll; drawn as that ratio, every body is rigid. Disturbances, delay and noise as in `Randomization`.
    """
    return Randomization(
        mass=0.0,
        inertia=0.0,
        thrust=0.0,
        rotor_lag=0.0,
        ground_effect=0.5,
        speed_per_volt=0.1,
        drive_power=0.2,
        mass_span=(0.027, 0.0325),
        inertia_span=(3.85e-6, 16.8e-6),
        yaw_ratio_span=(1.55, 1.85),
        thrust_max_span=(0.110, 0.20),
        lag_rise_span=(0.025, 0.15),
        lag_fall_span=(0.025, 0.249),
    )


def scaled(robot: Robot, spread: Randomization, width: float, disturbance: float) -> Randomization:
    """The same randomization at a fraction of its widths, for a curriculum.

    Args:
        robot: nominal robot, around which spans shrink.
        spread: as it is at the end.
        width: factor on every half width, delay and noise; a span's ends come closer to the robot's own value,
            geometrically; 0: exactly the robot, no delay, the contract's own noise.
        disturbance: factor on the standard deviations of force and torque.
    """
    values: dict[str, object] = {name: width * getattr(spread, name) for name in (*RELATIVE, "drag")}
    for name, nominal in _span_centres(robot).items():
        span = getattr(spread, name)
        values[name] = None if span is None else tuple(nominal * (end / nominal) ** width for end in span)
    low, high = spread.control_delay
    values["control_delay"] = (width * low, width * high)
    low, high = spread.noise_scale
    values["noise_scale"] = (1 + width * (low - 1), 1 + width * (high - 1))
    values["disturbance_force"] = disturbance * spread.disturbance_force
    values["disturbance_torque"] = disturbance * spread.disturbance_torque
    return replace(spread, **values)  # type: ignore[arg-type]


def _span_centres(robot: Robot) -> dict[str, float]:
    """The robot's own value of everything that can have a span."""
    return {
        "mass_span": robot.mass,
        "inertia_span": robot.inertia[0],
        "yaw_ratio_span": robot.inertia[2] / robot.inertia[0],
        "thrust_max_span": robot.thrust_max,
        "lag_rise_span": robot.rotor_time_constant_rise,
        "lag_fall_span": robot.rotor_time_constant_fall,
    }


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one named quantity: independent of every other name's, and of the order of calls."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


def sample_parameters(robot: Robot, spread: Randomization, n: int, seed: int) -> Float32:
    """Physical parameters of `n` robots around the nominal one.

    Args:
        robot: nominal robot.
        spread: widths.
        n: number of rows.
        seed: of the sample.
    Returns:
        (51, n), rows as in fledge_sim.rows.
    """
    rows = parameter_rows(robot, n).astype(np.float64)

    def factor(name: str, width: float, count: int = 1) -> Float64:
        return 1 + width * (2 * stream(seed, name).random((n, count)).T - 1)

    rows[Parameter.MASS_INVERSE] /= factor("mass", spread.mass)[0]
    inertia = np.repeat(factor("inertia", spread.inertia), 3, axis=0)
    low, high = yaw_inertia_factors(robot, spread)
    inertia[2] *= low + (high - low) * stream(seed, "inertia_yaw").random((n, 1)).T[0]
    rows[Parameter.INERTIA : Parameter.INERTIA + 3] *= inertia
    rows[Parameter.INERTIA_INVERSE : Parameter.INERTIA_INVERSE + 3] /= inertia
    rows[Parameter.ROTOR_X : Parameter.ROTOR_X + 8] *= factor("arm", spread.rotor_position)
    rows[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4] *= factor("thrust", spread.thrust)
    rows[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4] *= factor("rotors", spread.thrust_per_rotor, 4)
    rows[Parameter.TORQUE_PER_THRUST : Parameter.TORQUE_PER_THRUST + 4] *= factor("yaw", spread.torque_per_thrust)
    rows[Parameter.LAG_RISE_INVERSE : Parameter.LAG_FALL_INVERSE + 1] /= factor("lag", spread.rotor_lag)
    rows[Parameter.DRAG : Parameter.DRAG + 3] += spread.drag * stream(seed, "drag").random((n, 3)).T
    rows[Parameter.GROUND_EFFECT_AREA] *= factor("ground_effect", spread.ground_effect)[0]
    rows[Parameter.SPEED_PER_VOLT] *= factor("speed_per_volt", spread.speed_per_volt)[0]
    rows[Parameter.DRIVE_POWER] *= factor("drive_power", spread.drive_power)[0]
    _disturb(robot, spread, rows, seed)
    _respan(robot, spread, rows, seed)
    return np.ascontiguousarray(rows, dtype=np.float32)


def yaw_inertia_factors(robot: Robot, spread: Randomization) -> tuple[float, float]:
    """Range of the factor on the yaw inertia alone; no body is flatter than flat, which has J_z = J_x + J_y.

    Just below that, so that rounding to single precision cannot pass it.
    """
    roll, pitch, yaw = robot.inertia
    half = spread.inertia / 2
    return 1 - half, min(1 + half, max(1.0, 0.9999 * (roll + pitch) / yaw))


def _disturb(robot: Robot, spread: Randomization, rows: Float64, seed: int) -> None:
    """Constant force and torque, in the weight of the nominal robot."""
    n, weight = rows.shape[1], robot.mass * robot.gravity
    force = spread.disturbance_force * weight * stream(seed, "force").standard_normal((n, 3)).T
    torque = spread.disturbance_torque * weight * stream(seed, "torque").standard_normal((n, 3)).T
    rows[Parameter.DISTURBANCE_FORCE : Parameter.DISTURBANCE_FORCE + 3] = force
    rows[Parameter.DISTURBANCE_TORQUE : Parameter.DISTURBANCE_TORQUE + 3] = torque


def _respan(robot: Robot, spread: Randomization, rows: Float64, seed: int) -> None:
    """Moves what has a span from the robot's own value to one drawn log-uniformly."""

    def ratio(name: str, span: Span, nominal: float) -> Float64:
        if span is None:
            return np.ones(rows.shape[1])
        low, high = span
        return np.asarray(low / nominal * (high / low) ** stream(seed, name).random(rows.shape[1]))

    centre = _span_centres(robot)
    drawn = {name: ratio(name, getattr(spread, name), value) for name, value in centre.items()}
    about_roll, about_pitch = drawn["inertia_span"], ratio("inertia_span", spread.inertia_span, robot.inertia[1])
    inertia = np.stack([about_roll, about_pitch, about_roll * drawn["yaw_ratio_span"]])
    rows[Parameter.MASS_INVERSE] /= drawn["mass_span"]
    rows[Parameter.INERTIA : Parameter.INERTIA + 3] *= inertia
    rows[Parameter.INERTIA_INVERSE : Parameter.INERTIA_INVERSE + 3] /= inertia
    rows[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4] *= drawn["thrust_max_span"]
    rows[Parameter.LAG_RISE_INVERSE] /= drawn["lag_rise_span"]
    rows[Parameter.LAG_FALL_INVERSE] /= drawn["lag_fall_span"]


def sample_control_delay(spread: Randomization, n: int, seed: int) -> Float64:
    """Delays (n,) between observation and command [native steps]."""
    low, high = spread.control_delay
    return low + (high - low) * stream(seed, "delay").random(n)


def sample_noise_scale(spread: Randomization, n: int, seed: int) -> Float64:
    """Factors (n,) on the contract's sensor noise."""
    low, high = spread.noise_scale
    return low + (high - low) * stream(seed, "noise_scale").random(n)


def delay_weights(delay: Float64, count: int = 3) -> Float64:
    """Weights (count, n) of a_t, a_t-1, ... in the command: u_t = sum_k max(0, 1 - |d - k|) a_t-k.

    Within a step of 10 ms the old command acts for the fraction d and the new one for the rest; the mean of the two is
    what rotors with a lag of many steps notice.

    Args:
        delay: d, (n,) [steps], 0 to count - 1.
        count: how many actions.
    """
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(delay[None, :] - np.arange(float(count))[:, None])))


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise FledgeError(f"randomization: {sentence}")
