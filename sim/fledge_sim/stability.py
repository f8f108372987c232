"""Whether an integrator can take a step: the fastest rates of a robot against the limit of the method.

A mode that decays with rate r is stable for h r < 2.78 with classical Runge-Kutta and for h r < 2 with semi-implicit
Euler. The floor's spring and damper, critical with rate r, are a double pole, on which semi-implicit Euler is stable
for h r < 2 (sqrt 2 - 1): from 4 - 4 h r - (h r)^2 > 0. Modes: docs/dynamics.md, Floor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError
from fledge_sim.physics import SUBSTEPS_MAX, Integrator, Physics
from fledge_sim.rows import Parameter

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
LIMITS: dict[Integrator, float] = {"rk4": 2.78, "semi_implicit_euler": 2.0}
"""Largest h r of a simple pole."""
DOUBLE_POLE_LIMITS: dict[Integrator, float] = {"rk4": 2.78, "semi_implicit_euler": 2 * (math.sqrt(2) - 1)}
"""Largest h r of a double pole."""
FRICTION_SPEED = 0.03
"""s [m/s], below which friction is viscous (docs/dynamics.md, eq. 7)."""
POSITIVE = (
    Parameter.MASS_INVERSE,
    *(Parameter.INERTIA + i for i in range(6)),
    Parameter.LAG_RISE_INVERSE,
    Parameter.LAG_FALL_INVERSE,
    Parameter.BATTERY_VOLTAGE,
    Parameter.SPEED_PER_VOLT,
)
NOT_NEGATIVE = (
    *(Parameter.THRUST_SCALE + i for i in range(4)),
    *(Parameter.DRAG + i for i in range(3)),
    *range(Parameter.GRAVITY, Parameter.WIND),
    Parameter.BATTERY_RESISTANCE,
    Parameter.DRIVE_POWER,
)


def check_parameters(parameters: Float32, physics: Physics, step: float) -> None:
    """Raise FledgeError if a world's parameters (51, n), all finite, are not physical, or too fast for the step [s]."""
    for rows, low, sentence in ((POSITIVE, 0.0, "positive"), (NOT_NEGATIVE, -math.inf, "0 or more")):
        for row in rows:
            values = parameters[row]
            bad = ~(values > low) if low == 0.0 else values < 0
            if bad.any():
                world = int(np.argmax(bad))
                name = max(entry for entry in Parameter if entry <= row).name.lower()
                raise FledgeError(f"{name} of world {world} is {values[world]}, it must be {sentence}")
    check_step(parameters, physics, step)


def check_step(parameters: Float32, physics: Physics, step: float) -> None:
    """Raise FledgeError if the integrator is unstable on the fastest mode of any column of parameters (51, n)."""
    mode, rate, limit = max(
        ((name, float(rates.max()), limit) for name, rates, limit in modes(parameters, physics)),
        key=lambda entry: entry[1] / entry[2],
    )
    longest = limit / rate
    if step / physics.substeps > longest:
        needed = math.ceil(step / longest)
        remedy = f"substeps of at least {needed}" if needed <= SUBSTEPS_MAX else f"a step below {longest:.2g} s"
        raise FledgeError(
            f"step of {step:g} s in {physics.substeps} substeps is unstable: {mode} has a rate of {rate:.4g} 1/s, on "
            f"which {physics.integrator} is stable up to {longest:.3g} s; give {remedy}"
        )


def modes(parameters: Float32, physics: Physics) -> Iterator[tuple[str, Float64, float]]:
    """Name, rate (n,) [1/s] and largest h r of each mode that the physics has."""
    p, method, parameters = Parameter, physics.integrator, parameters.astype(np.float64)
    simple, double = LIMITS[method], DOUBLE_POLE_LIMITS[method]
    mass_inverse = parameters[p.MASS_INVERSE]
    yield "the rotors' lag", parameters[p.LAG_RISE_INVERSE : p.LAG_FALL_INVERSE + 1].max(axis=0), simple
    if physics.drag:
        yield "drag", parameters[p.DRAG : p.DRAG + 3].max(axis=0) * mass_inverse, simple
    if physics.floor:
        x, y = (parameters[first : first + 4] for first in (p.ROTOR_X, p.ROTOR_Y))
        inverse = parameters[p.INERTIA_INVERSE : p.INERTIA_INVERSE + 3]
        moved = np.stack([4 * mass_inverse, (y**2).sum(axis=0) * inverse[0], (x**2).sum(axis=0) * inverse[1]])
        yield "the floor's contact", _fastest_pole(parameters, moved.max(axis=0)), double
        grip = parameters[p.FLOOR_FRICTION] * parameters[p.GRAVITY] / mass_inverse / FRICTION_SPEED
        levers = np.stack([mass_inverse, (x**2 + y**2).mean(axis=0) * inverse[2]])
        yield "the floor's friction", grip * levers.max(axis=0), simple


def _fastest_pole(parameters: NDArray[np.floating], mobility: Float64) -> Float64:
    """Of 1/mobility s^2 + b s + k, per contact point, as the absolute value [1/s]."""
    k, b = parameters[Parameter.FLOOR_STIFFNESS], parameters[Parameter.FLOOR_DAMPING]
    half = b * mobility / 2
    spring = k * mobility
    return np.asarray(np.where(half**2 > spring, half + np.sqrt(np.maximum(half**2 - spring, 0)), np.sqrt(spring)))
