"""What pushes and turns the quadrotor, one function per effect: docs/dynamics.md, eq. 4 to 11, in torch.

Written to be read, apart from the native kernel (sim/native/quadrotor.h); shapes and frames as in fledge_sim.quadrotor.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fledge_sim import frames
from fledge_sim.quadrotor import QuadrotorParameters, QuadrotorState

FRICTION_SPEED = 0.03
"""s [m/s]: below this speed Coulomb friction turns viscous."""
GROUND_EFFECT_HEIGHT_MIN = 1e-3
"""[m]: keeps A / z^2 a number for a rotor at or below the floor when A is zero."""


def rotor_thrust(rotor_speed: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """T = s (c0 + c1 n + c2 n^2), (..., 4) [N], far from any ground (eq. 5)."""
    c0, c1, c2 = torch.tensor_split(parameters.thrust_curve, 3, dim=-1)
    return parameters.thrust_scale * (c0 + c1 * rotor_speed + c2 * rotor_speed**2)


def rotor_torque_body(thrust: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """tau = sum (y T, -x T, sigma k_tau T), (..., 3) [N m], body axes (eq. 4)."""
    roll = (parameters.rotor_position_y * thrust).sum(-1)
    pitch = -(parameters.rotor_position_x * thrust).sum(-1)
    yaw = (parameters.torque_per_thrust * thrust).sum(-1)
    return torch.stack([roll, pitch, yaw], dim=-1)


def rotor_acceleration(rotor_speed: Tensor, setpoint: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """(n_sp - n) / time constant of rise or fall, (..., 4) [rad/s^2] (eq. 6)."""
    rising = setpoint > rotor_speed
    return (setpoint - rotor_speed) / torch.where(rising, parameters.time_constant_rise, parameters.time_constant_fall)


def drag_force_world(state: QuadrotorState, parameters: QuadrotorParameters) -> Tensor:
    """-R D R^T (v - w) with the wind w, (..., 3) [N], world axes (eq. 8)."""
    airspeed_body = frames.rotate_back(state.quaternion, state.velocity_world - parameters.wind_world)
    return -frames.rotate(state.quaternion, parameters.drag * airspeed_body)


def ground_effect_factor(state: QuadrotorState, parameters: QuadrotorParameters) -> Tensor:
    """1 / (1 - A / z^2), (..., 4) [1], z the height of a rotor, at least 2 sqrt(A) (eq. 9)."""
    rotor_body = _level_points(parameters, parameters.rotor_height)
    height = _height_world(state, rotor_body)
    lowest = (2 * torch.sqrt(parameters.ground_effect_area)).clamp(min=GROUND_EFFECT_HEIGHT_MIN)
    return 1 / (1 - parameters.ground_effect_area / torch.maximum(height, lowest) ** 2)


def battery_voltage(thrust: Tensor, rotor_speed: Tensor, parameters: QuadrotorParameters) -> Tensor:
    """V = V_oc - R_b sum_i P_i / V_oc with P_i = (k_tau / eta) T_i n_i, (..., 1) [V] (eq. 10)."""
    power = (parameters.drive_power * thrust * rotor_speed).sum(-1, keepdim=True)
    return parameters.battery_voltage - parameters.battery_resistance * power / parameters.battery_voltage


def floor_force_and_torque(state: QuadrotorState, parameters: QuadrotorParameters) -> tuple[Tensor, Tensor]:
    """Spring, damper and friction of four feet and four tops on the plane z = 0 (eq. 7 and 11).

    Returns:
        Sum of forces, (..., 3) [N], world axes; sum of torques about the centre of mass, (..., 3) [N m], body axes.
    """
    feet_body = _level_points(parameters, -parameters.leg_height)
    tops_body = _level_points(parameters, parameters.rotor_height)
    point_body = torch.cat([feet_body, tops_body], dim=-2)
    q = state.quaternion[..., None, :]
    spin_body = frames.cross(state.angular_velocity_body[..., None, :], point_body)
    velocity = state.velocity_world[..., None, :] + frames.rotate(q, spin_body)
    depth = -_height_world(state, point_body)
    push = parameters.floor_stiffness * depth - parameters.floor_damping * velocity[..., 2]
    normal = torch.where(depth > 0, push.clamp(min=0), torch.zeros_like(push))
    speed = torch.sqrt((velocity[..., :2] ** 2).sum(-1) + FRICTION_SPEED**2)
    friction = -(parameters.floor_friction * normal / speed)[..., None] * velocity[..., :2]
    force_world = torch.cat([friction, normal[..., None]], dim=-1)
    torque_body = frames.cross(point_body, frames.rotate_back(q, force_world))
    return force_world.sum(-2), torque_body.sum(-2)


def _level_points(parameters: QuadrotorParameters, height: Tensor) -> Tensor:
    """(x_i, y_i, height) of the four rotors, (..., 4, 3) [m], body; height (..., 1)."""
    x, y = parameters.rotor_position_x, parameters.rotor_position_y
    return torch.stack([x, y, height.expand(x.shape)], dim=-1)


def _height_world(state: QuadrotorState, point_body: Tensor) -> Tensor:
    """World z [m] of points (..., k, 3) of the body, (..., k)."""
    lever_world = frames.rotate(state.quaternion[..., None, :], point_body)
    return state.position_world[..., None, 2] + lever_world[..., 2]
