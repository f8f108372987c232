"""One step of the quadrotor, to be read: docs/dynamics.md in torch, any dtype, differentiable.

The native kernel (sim/native/quadrotor.h) is another text of the same equations; the tests hold the two together. Use
this one to understand, to differentiate in double precision, and on a GPU. Leading shape (...) is any, mostly (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from fledge_sim import frames
from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter, State, parameter_rows

FRICTION_SPEED = 0.03
"""s [m/s]: below this speed Coulomb friction turns viscous."""


@dataclass(frozen=True)
class QuadrotorState:
    """x = (p, q, v, w, n)."""

    position_world: Tensor
    """p, (..., 3) [m]."""
    quaternion: Tensor
    """q, (..., 4) [1], w x y z, body to world."""
    velocity_world: Tensor
    """v, (..., 3) [m/s]."""
    angular_velocity_body: Tensor
    """w, (..., 3) [rad/s], of body relative to world."""
    rotor_speed: Tensor
    """n, (..., 4) [rad/s], M1..M4."""


@dataclass(frozen=True)
class QuadrotorRate:
    """dx/dt, field by field as in QuadrotorState."""

    position_world_dot: Tensor
    """(..., 3) [m/s]."""
    quaternion_dot: Tensor
    """(..., 4) [1/s]."""
    velocity_world_dot: Tensor
    """(..., 3) [m/s^2]."""
    angular_velocity_body_dot: Tensor
    """(..., 3) [rad/s^2]."""
    rotor_speed_dot: Tensor
    """(..., 4) [rad/s^2]."""


@dataclass(frozen=True)
class QuadrotorParameters:
    """Physical parameters of each environment."""

    mass: Tensor
    """m, (..., 1) [kg]."""
    inertia: Tensor
    """J, (..., 3) [kg m^2], principal, body axes."""
    rotor_position_x: Tensor
    """(..., 4) [m], body, from the centre of mass."""
    rotor_position_y: Tensor
    """(..., 4) [m], body."""
    thrust_curve: Tensor
    """c0, c1, c2, (..., 3) [N, N/(rad/s), N/(rad/s)^2]."""
    thrust_scale: Tensor
    """s, (..., 4) [1], 1 = nominal."""
    torque_per_thrust: Tensor
    """sigma k_tau, (..., 4) [m], signed about body z."""
    time_constant_rise: Tensor
    """(..., 1) [s]."""
    time_constant_fall: Tensor
    """(..., 1) [s]."""
    drag: Tensor
    """Diagonal of D, (..., 3) [N/(m/s)], body axes."""
    disturbance_force_world: Tensor
    """f, (..., 3) [N]."""
    disturbance_torque_body: Tensor
    """tau_d, (..., 3) [N m]."""
    gravity: Tensor
    """g, (..., 1) [m/s^2], positive."""
    leg_height: Tensor
    """h, (..., 1) [m], feet below the centre of mass."""
    floor_stiffness: Tensor
    """k, (..., 1) [N/m], per foot."""
    floor_damping: Tensor
    """b, (..., 1) [N/(m/s)], per foot."""
    floor_friction: Tensor
    """mu, (..., 1) [1]."""


def rotor_thrust(rotor_speed: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """T = s (c0 + c1 n + c2 n^2), (..., 4) [N] (eq. 5)."""
    c0, c1, c2 = torch.tensor_split(parameters.thrust_curve, 3, dim=-1)
    return parameters.thrust_scale * (c0 + c1 * rotor_speed + c2 * rotor_speed**2)


def rotor_torque_body(thrust: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """tau = sum (y T, -x T, sigma k_tau T), (..., 3) [N m], body axes (eq. 4)."""
    roll = (parameters.rotor_position_y * thrust).sum(-1)
    pitch = -(parameters.rotor_position_x * thrust).sum(-1)
    yaw = (parameters.torque_per_thrust * thrust).sum(-1)
    return torch.stack([roll, pitch, yaw], dim=-1)


def drag_force_world(state: QuadrotorState, parameters: QuadrotorParameters) -> Tensor:
    """-R D R^T v, (..., 3) [N], world axes (eq. 3)."""
    velocity_body = frames.rotate_back(state.quaternion, state.velocity_world)
    return -frames.rotate(state.quaternion, parameters.drag * velocity_body)


def floor_force_and_torque(state: QuadrotorState, parameters: QuadrotorParameters) -> tuple[Tensor, Tensor]:
    """Spring, damper and friction of four feet on the plane z = 0 (eq. 7).

    Returns:
        Sum of forces, (..., 3) [N], world axes; sum of torques about the centre of mass, (..., 3) [N m], body axes.
    """
    x, y = parameters.rotor_position_x, parameters.rotor_position_y
    foot_body = torch.stack([x, y, (-parameters.leg_height).expand(x.shape)], dim=-1)
    q = state.quaternion[..., None, :]
    spin_body = frames.cross(state.angular_velocity_body[..., None, :], foot_body)
    velocity = state.velocity_world[..., None, :] + frames.rotate(q, spin_body)
    depth = -(state.position_world[..., None, 2] + frames.rotate(q, foot_body)[..., 2])
    push = parameters.floor_stiffness * depth - parameters.floor_damping * velocity[..., 2]
    normal = torch.where(depth > 0, push.clamp(min=0), torch.zeros_like(push))
    speed = torch.sqrt((velocity[..., :2] ** 2).sum(-1) + FRICTION_SPEED**2)
    friction = -(parameters.floor_friction * normal / speed)[..., None] * velocity[..., :2]
    force_world = torch.cat([friction, normal[..., None]], dim=-1)
    torque_body = frames.cross(foot_body, frames.rotate_back(q, force_world))
    return force_world.sum(-2), torque_body.sum(-2)


def angular_acceleration_body(
    angular_velocity_body: Tensor, torque_body: Tensor, parameters: QuadrotorParameters
) -> Tensor:
    """Euler's equation of a rigid body, J dw/dt = tau - w x J w, (..., 3) [rad/s^2], body axes (eq. 4)."""
    gyroscopic = frames.cross(angular_velocity_body, parameters.inertia * angular_velocity_body)
    return (torque_body - gyroscopic) / parameters.inertia


def rotor_acceleration(rotor_speed: Tensor, setpoint: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """(n_sp - n) / time constant of rise or fall, (..., 4) [rad/s^2] (eq. 6)."""
    rising = setpoint > rotor_speed
    return (setpoint - rotor_speed) / torch.where(rising, parameters.time_constant_rise, parameters.time_constant_fall)


def derivative(
    state: QuadrotorState,
    rotor_speed_setpoint: Tensor,
    parameters: QuadrotorParameters,
    *,
    drag: bool = False,
    floor: bool = False,
) -> QuadrotorRate:
    """dx/dt (eq. 1 to 7); setpoint (..., 4) [rad/s]."""
    thrust = rotor_thrust(state.rotor_speed, parameters)
    thrust_body = torch.nn.functional.pad(thrust.sum(-1, keepdim=True), (2, 0))
    force_world = frames.rotate(state.quaternion, thrust_body) + parameters.disturbance_force_world
    torque_body = rotor_torque_body(thrust, parameters) + parameters.disturbance_torque_body
    if drag:
        force_world = force_world + drag_force_world(state, parameters)
    if floor:
        floor_force_world, floor_torque_body = floor_force_and_torque(state, parameters)
        force_world, torque_body = force_world + floor_force_world, torque_body + floor_torque_body
    gravity_world = torch.nn.functional.pad(-parameters.gravity, (2, 0))
    return QuadrotorRate(
        position_world_dot=state.velocity_world,
        quaternion_dot=frames.rate(state.quaternion, state.angular_velocity_body),
        velocity_world_dot=force_world / parameters.mass + gravity_world,
        angular_velocity_body_dot=angular_acceleration_body(state.angular_velocity_body, torque_body, parameters),
        rotor_speed_dot=rotor_acceleration(state.rotor_speed, rotor_speed_setpoint, parameters),
    )


def advance(state: QuadrotorState, rate: QuadrotorRate, dt: float) -> QuadrotorState:
    """x + dt x_dot, field by field."""
    return QuadrotorState(
        position_world=state.position_world + dt * rate.position_world_dot,
        quaternion=state.quaternion + dt * rate.quaternion_dot,
        velocity_world=state.velocity_world + dt * rate.velocity_world_dot,
        angular_velocity_body=state.angular_velocity_body + dt * rate.angular_velocity_body_dot,
        rotor_speed=state.rotor_speed + dt * rate.rotor_speed_dot,
    )


def step(
    state: QuadrotorState,
    rotor_speed_setpoint: Tensor,
    parameters: QuadrotorParameters,
    dt: float,
    *,
    drag: bool = False,
    floor: bool = False,
) -> QuadrotorState:
    """Classical Runge-Kutta of order 4 over dt [s] with the setpoint (..., 4) [rad/s] held; then |q| = 1 again."""

    def slope(at: QuadrotorState) -> QuadrotorRate:
        return derivative(at, rotor_speed_setpoint, parameters, drag=drag, floor=floor)

    k1 = slope(state)
    k2 = slope(advance(state, k1, dt / 2))
    k3 = slope(advance(state, k2, dt / 2))
    k4 = slope(advance(state, k3, dt))
    for k, weight in ((k1, 1), (k2, 2), (k3, 2), (k4, 1)):
        state = advance(state, k, weight * dt / 6)
    return QuadrotorState(
        state.position_world,
        frames.normalise(state.quaternion),
        state.velocity_world,
        state.angular_velocity_body,
        state.rotor_speed,
    )


def nominal_parameters(robot: Robot, n: int, dtype: torch.dtype = torch.float64) -> QuadrotorParameters:
    """Parameters of `n` copies of the robot: undisturbed, thrust scale 1, default floor."""
    return parameters_from_rows(torch.from_numpy(parameter_rows(robot, n)).to(dtype))


def state_from_rows(rows: Tensor) -> QuadrotorState:
    """The kernel's state array (17, n) as a QuadrotorState of shape (n, ...)."""
    parts = torch.split(rows.T, _sizes(State, rows.shape[0]), dim=-1)
    return QuadrotorState(*parts)


def state_to_rows(state: QuadrotorState) -> Tensor:
    """Inverse of `state_from_rows`."""
    parts = (
        state.position_world,
        state.quaternion,
        state.velocity_world,
        state.angular_velocity_body,
        state.rotor_speed,
    )
    return torch.cat(parts, dim=-1).T


def parameters_from_rows(rows: Tensor) -> QuadrotorParameters:
    """The kernel's parameter array (42, n) as QuadrotorParameters of shape (n, ...); inverses are inverted back."""
    parts = dict(zip(Parameter, torch.split(rows.T, _sizes(Parameter, rows.shape[0]), dim=-1), strict=True))
    return QuadrotorParameters(
        mass=1 / parts[Parameter.MASS_INVERSE],
        inertia=parts[Parameter.INERTIA],
        rotor_position_x=parts[Parameter.ROTOR_X],
        rotor_position_y=parts[Parameter.ROTOR_Y],
        thrust_curve=parts[Parameter.THRUST_CURVE],
        thrust_scale=parts[Parameter.THRUST_SCALE],
        torque_per_thrust=parts[Parameter.TORQUE_PER_THRUST],
        time_constant_rise=1 / parts[Parameter.LAG_RISE_INVERSE],
        time_constant_fall=1 / parts[Parameter.LAG_FALL_INVERSE],
        drag=parts[Parameter.DRAG],
        disturbance_force_world=parts[Parameter.DISTURBANCE_FORCE],
        disturbance_torque_body=parts[Parameter.DISTURBANCE_TORQUE],
        gravity=parts[Parameter.GRAVITY],
        leg_height=parts[Parameter.LEG_HEIGHT],
        floor_stiffness=parts[Parameter.FLOOR_STIFFNESS],
        floor_damping=parts[Parameter.FLOOR_DAMPING],
        floor_friction=parts[Parameter.FLOOR_FRICTION],
    )


def parameters_to_rows(parameters: QuadrotorParameters) -> Tensor:
    """Inverse of `parameters_from_rows`: the inverses of mass, inertia and time constants are computed here."""
    p = parameters
    parts = {
        Parameter.MASS_INVERSE: 1 / p.mass,
        Parameter.INERTIA: p.inertia,
        Parameter.INERTIA_INVERSE: 1 / p.inertia,
        Parameter.ROTOR_X: p.rotor_position_x,
        Parameter.ROTOR_Y: p.rotor_position_y,
        Parameter.THRUST_CURVE: p.thrust_curve,
        Parameter.THRUST_SCALE: p.thrust_scale,
        Parameter.TORQUE_PER_THRUST: p.torque_per_thrust,
        Parameter.LAG_RISE_INVERSE: 1 / p.time_constant_rise,
        Parameter.LAG_FALL_INVERSE: 1 / p.time_constant_fall,
        Parameter.DRAG: p.drag,
        Parameter.DISTURBANCE_FORCE: p.disturbance_force_world,
        Parameter.DISTURBANCE_TORQUE: p.disturbance_torque_body,
        Parameter.GRAVITY: p.gravity,
        Parameter.LEG_HEIGHT: p.leg_height,
        Parameter.FLOOR_STIFFNESS: p.floor_stiffness,
        Parameter.FLOOR_DAMPING: p.floor_damping,
        Parameter.FLOOR_FRICTION: p.floor_friction,
    }
    return torch.cat([parts[row] for row in Parameter], dim=-1).T


def _sizes(rows: type[State] | type[Parameter], total: int) -> list[int]:
    """Rows of each entry: the distance to the next."""
    return [following - row for row, following in pairwise([*rows, total])]
