"""The step of the quadrotor for a GPU: docs/dynamics.md on torch tensors in the kernel's layout.

State (17, n), setpoint (4, n) and parameters (51, n) are taken apart into their rows, every operation is elementwise
over (n,), and torch.compile turns the whole step into one loop. Rows are those of fledge_sim.rows; the native kernel
gives the same numbers to rounding. Differentiable; any device, any floating dtype; a vector below is a tuple of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fledge_sim import frames
from fledge_sim.forces import FRICTION_SPEED, GROUND_EFFECT_HEIGHT_MIN
from fledge_sim.physics import Physics
from fledge_sim.rows import ROTORS, STATES, Parameter, State

Vector = list[Tensor]
NOMINAL = Physics()
_PARTS = tuple((int(first), int(end)) for first, end in pairwise([*State, STATES]))
"""Rows of p, q, v, w and n."""


class _Pose(NamedTuple):
    """Position p [m, world], quaternion q, velocity v [m/s, world], angular velocity w [rad/s, body], rotors n."""

    p: Vector
    q: Vector
    v: Vector
    w: Vector
    n: Vector


class _Inputs(NamedTuple):
    setpoint: Vector
    parameters: Sequence[Tensor]
    physics: Physics

    def __call__(self, row: Parameter, count: int) -> Vector:
        """Rows of one parameter."""
        return list(self.parameters[int(row) : int(row) + count])

    def one(self, row: Parameter) -> Tensor:
        """The row of a scalar parameter."""
        return self.parameters[int(row)]


def step(state: Tensor, setpoint: Tensor, parameters: Tensor, dt: float, physics: Physics = NOMINAL) -> Tensor:
    """Advance every environment by dt [s] with the setpoint held, as `kernel.step`.

    Args:
        state: (17, n), rows as in rows.State.
        setpoint: (4, n) [rad/s], M1..M4.
        parameters: (51, n), rows as in rows.Parameter.
        dt: step [s].
        physics: effects and integrator.
    Returns:
        The next state (17, n).
    """
    return step_rows(state, setpoint, parameters.unbind(0), dt, physics)


def step_rows(state: Tensor, setpoint: Tensor, parameters: Sequence[Tensor], dt: float, physics: Physics) -> Tensor:
    """`step` with the parameters as 51 rows (n,), for a caller who changes some of them."""
    rows = state.unbind(0)
    x = _Pose(*(list(rows[first:end]) for first, end in _PARTS))
    inputs = _Inputs(list(setpoint.unbind(0)), parameters, physics)
    method = _runge_kutta if physics.integrator == "rk4" else _semi_implicit_euler
    for _ in range(physics.substeps):
        x = method(x, inputs, dt / physics.substeps)
        scale = torch.rsqrt(_dot(x.q, x.q))
        x = x._replace(q=[scale * component for component in x.q])
    return torch.stack([row for part in x for row in part])


def electrical_power(rotor_speed: Vector, parameters: Sequence[Tensor]) -> Tensor:
    """Of all four drives, (n,) [W] (eq. 10); rotor_speed four rows (n,) [rad/s], parameters 51 rows."""
    return parameters[int(Parameter.DRIVE_POWER)] * _dot(_thrust(rotor_speed, parameters), rotor_speed)


def loaded_voltage(rotor_speed: Vector, parameters: Sequence[Tensor]) -> Tensor:
    """Of the battery with the rotors turning, (n,) [V] (eq. 10)."""
    return _sagged(_dot(_thrust(rotor_speed, parameters), rotor_speed), parameters)


def _sagged(thrust_speed: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    open_circuit, power = (
        parameters[int(Parameter.BATTERY_VOLTAGE)],
        parameters[int(Parameter.DRIVE_POWER)] * thrust_speed,
    )
    return open_circuit - parameters[int(Parameter.BATTERY_RESISTANCE)] * power / open_circuit


@cache
def compiled_step() -> Callable[..., Tensor]:
    """`step` under torch.compile: one compilation per n, dt and physics, each some ten seconds the first time."""
    return torch.compile(step, dynamic=False, fullgraph=True)


def _runge_kutta(x: _Pose, inputs: _Inputs, h: float) -> _Pose:
    k1 = _slope(x, inputs)
    k2 = _slope(_advance(x, k1, h / 2), inputs)
    k3 = _slope(_advance(x, k2, h / 2), inputs)
    k4 = _slope(_advance(x, k3, h), inputs)
    mean = _Pose(
        *(
            [(a + 2 * (b + c) + d) / 6 for a, b, c, d in zip(*parts, strict=True)]
            for parts in zip(k1, k2, k3, k4, strict=True)
        )
    )
    return _advance(x, mean, h)


def _semi_implicit_euler(x: _Pose, inputs: _Inputs, h: float) -> _Pose:
    moved = _advance(x, _slope(x, inputs), h)
    return moved._replace(p=_add(x.p, moved.v, h), q=_add(x.q, _turning(x.q, moved.w), h))


def _advance(x: _Pose, rate: _Pose, h: float) -> _Pose:
    return _Pose(*(_add(part, part_dot, h) for part, part_dot in zip(x, rate, strict=True)))


def _slope(x: _Pose, inputs: _Inputs) -> _Pose:
    """dx/dt, part by part as in the state (eq. 1 to 6)."""
    physics, inertia = inputs.physics, inputs(Parameter.INERTIA, 3)
    rotation = frames.rotation_rows(x.q)
    free_thrust = _thrust(x.n, inputs.parameters)
    setpoint = _reached(x, free_thrust, inputs) if physics.battery else inputs.setpoint
    thrust = _over_ground(x, free_thrust, rotation, inputs) if physics.ground_effect else free_thrust
    lift = thrust[0] + thrust[1] + thrust[2] + thrust[3]
    force = [lift * rotation[3 * axis + 2] + push for axis, push in enumerate(inputs(Parameter.DISTURBANCE_FORCE, 3))]
    torque = _add(_rotor_torque(thrust, inputs), inputs(Parameter.DISTURBANCE_TORQUE, 3))
    if physics.drag:
        force = _add(force, _drag(x, rotation, inputs))
    if physics.floor:
        floor_force, floor_torque = _floor(x, rotation, inputs)
        force, torque = _add(force, floor_force), _add(torque, floor_torque)
    momentum = [j * spin for j, spin in zip(inertia, x.w, strict=True)]
    torque = _add(torque, _cross(x.w, momentum), -1)
    acceleration = [inputs.one(Parameter.MASS_INVERSE) * part for part in force]
    acceleration[2] = acceleration[2] - inputs.one(Parameter.GRAVITY)
    return _Pose(
        p=x.v,
        q=_turning(x.q, x.w),
        v=acceleration,
        w=[part * inverse for part, inverse in zip(torque, inputs(Parameter.INERTIA_INVERSE, 3), strict=True)],
        n=_rotor_rate(x, setpoint, inputs),
    )


def _thrust(rotor_speed: Vector, parameters: Sequence[Tensor]) -> Vector:
    """Eq. 5 [N]."""
    c0, c1, c2 = (parameters[Parameter.THRUST_CURVE + i] for i in range(3))
    scale = (parameters[Parameter.THRUST_SCALE + i] for i in range(ROTORS))
    return [s * (c0 + n * (c1 + c2 * n)) for s, n in zip(scale, rotor_speed, strict=True)]


def _rotor_torque(thrust: Vector, inputs: _Inputs) -> Vector:
    """Eq. 4 [N m, body]."""
    pitch = _dot(inputs(Parameter.ROTOR_X, ROTORS), thrust)
    yaw = _dot(inputs(Parameter.TORQUE_PER_THRUST, ROTORS), thrust)
    return [_dot(inputs(Parameter.ROTOR_Y, ROTORS), thrust), -pitch, yaw]


def _rotor_rate(x: _Pose, setpoint: Vector, inputs: _Inputs) -> Vector:
    """Eq. 6 [rad/s^2]."""
    rise, fall = inputs.one(Parameter.LAG_RISE_INVERSE), inputs.one(Parameter.LAG_FALL_INVERSE)
    return [(to - n) * torch.where(to > n, rise, fall) for to, n in zip(setpoint, x.n, strict=True)]


def _drag(x: _Pose, rotation: Vector, inputs: _Inputs) -> Vector:
    """Eq. 8 [N, world]."""
    airspeed = _to_body(rotation, _add(x.v, inputs(Parameter.WIND, 3), -1))
    return _to_world(rotation, [-d * part for d, part in zip(inputs(Parameter.DRAG, 3), airspeed, strict=True)])


def _over_ground(x: _Pose, thrust: Vector, rotation: Vector, inputs: _Inputs) -> Vector:
    """Eq. 9 [N]."""
    area, top = inputs.one(Parameter.GROUND_EFFECT_AREA), inputs.one(Parameter.ROTOR_HEIGHT)
    lowest = torch.clamp(2 * torch.sqrt(area), min=GROUND_EFFECT_HEIGHT_MIN)
    centre = x.p[2] + rotation[8] * top
    over = []
    for px, py, t in zip(inputs(Parameter.ROTOR_X, ROTORS), inputs(Parameter.ROTOR_Y, ROTORS), thrust, strict=True):
        z = torch.maximum(centre + rotation[6] * px + rotation[7] * py, lowest)
        over.append(t / (1 - area / (z * z)))
    return over


def _reached(x: _Pose, thrust: Vector, inputs: _Inputs) -> Vector:
    """Setpoint that the sagging battery lets the rotors have, eq. 10 [rad/s]."""
    voltage = _sagged(_dot(thrust, x.n), inputs.parameters)
    return [torch.minimum(to, inputs.one(Parameter.SPEED_PER_VOLT) * voltage) for to in inputs.setpoint]


def _floor(x: _Pose, rotation: Vector, inputs: _Inputs) -> tuple[Vector, Vector]:
    """Eq. 7 and 11: force [N, world] and torque [N m, body] of eight contact points."""
    force, torque = [torch.zeros_like(x.p[0])] * 3, [torch.zeros_like(x.p[0])] * 3
    for height in (-inputs.one(Parameter.LEG_HEIGHT), inputs.one(Parameter.ROTOR_HEIGHT)):
        for px, py in zip(inputs(Parameter.ROTOR_X, ROTORS), inputs(Parameter.ROTOR_Y, ROTORS), strict=True):
            point = [px, py, height]
            push = _contact(x, point, rotation, inputs)
            force, torque = _add(force, push), _add(torque, _cross(point, _to_body(rotation, push)))
    return force, torque


def _contact(x: _Pose, point: Vector, rotation: Vector, inputs: _Inputs) -> Vector:
    """Spring, damper and friction at one point of the body [N, world]."""
    depth = -(x.p[2] + _dot(rotation[6:9], point))
    vx, vy, vz = _add(x.v, _to_world(rotation, _cross(x.w, point)))
    push = inputs.one(Parameter.FLOOR_STIFFNESS) * depth - inputs.one(Parameter.FLOOR_DAMPING) * vz
    normal = torch.where(depth > 0, torch.clamp(push, min=0), 0.0)
    friction = -inputs.one(Parameter.FLOOR_FRICTION) * normal * torch.rsqrt(vx * vx + vy * vy + FRICTION_SPEED**2)
    return [friction * vx, friction * vy, normal]


def _turning(q: Vector, w: Vector) -> Vector:
    """Eq. 2 [1/s]."""
    return [part / 2 for part in frames.multiply_rows(q, [torch.zeros_like(w[0]), *w])]


def _to_world(rotation: Vector, v: Vector) -> Vector:
    return [_dot(rotation[3 * row : 3 * row + 3], v) for row in range(3)]


def _to_body(rotation: Vector, v: Vector) -> Vector:
    return [_dot(rotation[column::3], v) for column in range(3)]


def _cross(a: Vector, b: Vector) -> Vector:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _dot(a: Vector, b: Vector) -> Tensor:
    total = a[0] * b[0]
    for x, y in zip(a[1:], b[1:], strict=True):
        total = total + x * y
    return total


def _add(a: Vector, b: Vector, factor: float = 1) -> Vector:
    """a + factor b; torch folds the factor into the addition."""
    return [torch.add(x, y, alpha=factor) for x, y in zip(a, b, strict=True)]
