"""Domain randomization: typed ranges over the robot, its actuation delay, its sensors and what pushes it.

Everything here is a pure function of a seed. Row i of a sample does not depend on how many rows are drawn, so a pool
can grow without changing what came before. The action mapping is never randomized: it is the firmware's constant, and
a policy must not learn that one action hovers every drone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fledge_sim.robot import Robot
from fledge_sim.rows import Float32, Parameter, parameter_rows

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Randomization:
    """Widths of the distributions; all uniform unless stated. The zero of every field means: as in the robot file."""

    mass: float = 0.2
    """Relative half width."""
    inertia: float = 0.2
    """Relative half width, one factor for all axes and one for the yaw axis alone."""
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
    """Range of the delay between observation and command [native steps], 0 to 2; fractional."""
    noise_scale: tuple[float, float] = (1.0, 3.0)
    """Range of the factor on the contract's sensor noise."""
    disturbance_force: float = 0.05
    """Standard deviation of a constant force, per world axis [weights]; normal."""
    disturbance_torque: float = 1e-4
    """Standard deviation of a constant torque, per body axis [weights times metre]; normal."""


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
    inertia[2] *= factor("inertia_yaw", spread.inertia / 2)[0]
    rows[Parameter.INERTIA : Parameter.INERTIA + 3] *= inertia
    rows[Parameter.INERTIA_INVERSE : Parameter.INERTIA_INVERSE + 3] /= inertia
    rows[Parameter.ROTOR_X : Parameter.ROTOR_X + 8] *= factor("arm", spread.rotor_position)
    rows[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4] *= factor("thrust", spread.thrust)
    rows[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4] *= factor("rotors", spread.thrust_per_rotor, 4)
    rows[Parameter.TORQUE_PER_THRUST : Parameter.TORQUE_PER_THRUST + 4] *= factor("yaw", spread.torque_per_thrust)
    rows[Parameter.LAG_RISE_INVERSE : Parameter.LAG_FALL_INVERSE + 1] /= factor("lag", spread.rotor_lag)
    rows[Parameter.DRAG : Parameter.DRAG + 3] += spread.drag * stream(seed, "drag").random((n, 3)).T
    weight = robot.mass * robot.gravity
    force = spread.disturbance_force * weight * stream(seed, "force").standard_normal((n, 3)).T
    torque = spread.disturbance_torque * weight * stream(seed, "torque").standard_normal((n, 3)).T
    rows[Parameter.DISTURBANCE_FORCE : Parameter.DISTURBANCE_FORCE + 3] = force
    rows[Parameter.DISTURBANCE_TORQUE : Parameter.DISTURBANCE_TORQUE + 3] = torque
    return np.ascontiguousarray(rows, dtype=np.float32)


def sample_control_delay(spread: Randomization, n: int, seed: int) -> Float64:
    """Delays (n,) between observation and command [native steps]."""
    low, high = spread.control_delay
    return low + (high - low) * stream(seed, "delay").random(n)


def sample_noise_scale(spread: Randomization, n: int, seed: int) -> Float64:
    """Factors (n,) on the contract's sensor noise."""
    low, high = spread.noise_scale
    return low + (high - low) * stream(seed, "noise_scale").random(n)


def delay_weights(delay: Float64) -> Float64:
    """Weights (3, n) of a_t, a_t-1, a_t-2 in the command: u_t = sum_k max(0, 1 - |d - k|) a_t-k.

    Within a step of 10 ms the old command acts for the fraction d and the new one for the rest; the mean of the two is
    what rotors with a lag of many steps notice.
    """
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(delay[None, :] - np.arange(3.0)[:, None])))
