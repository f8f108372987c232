"""One step of the quadrotor, to be read: docs/dynamics.md in torch, any dtype, differentiable.

The native kernel (sim/native/quadrotor.h) is another text of the same equations; the tests hold the two together. Use
this one to understand and to differentiate in double precision, parameters included; fledge_sim.torch_step is the fast
one for a GPU. Leading shape (...) is any, mostly (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from fledge_sim import forces, frames
from fledge_sim.physics import Physics
from fledge_sim.quadrotor import (
    QuadrotorParameters,
    QuadrotorRate,
    QuadrotorState,
    nominal_parameters,
    parameters_from_rows,
    parameters_to_rows,
    state_from_rows,
    state_to_rows,
)

__all__ = [
    "QuadrotorParameters",
    "QuadrotorRate",
    "QuadrotorState",
    "angular_acceleration_body",
    "derivative",
    "nominal_parameters",
    "parameters_from_rows",
    "parameters_to_rows",
    "runge_kutta",
    "semi_implicit_euler",
    "state_from_rows",
    "state_to_rows",
    "step",
]

Slope = Callable[[QuadrotorState], QuadrotorRate]
NOMINAL = Physics()


def angular_acceleration_body(
    angular_velocity_body: Tensor, torque_body: Tensor, parameters: QuadrotorParameters
) -> Tensor:
    """Euler's equation of a rigid body, J dw/dt = tau - w x J w, (..., 3) [rad/s^2], body axes (eq. 4)."""
    gyroscopic = frames.cross(angular_velocity_body, parameters.inertia * angular_velocity_body)
    return (torque_body - gyroscopic) / parameters.inertia


def derivative(
    state: QuadrotorState, rotor_speed_setpoint: Tensor, parameters: QuadrotorParameters, physics: Physics = NOMINAL
) -> QuadrotorRate:
    """dx/dt (eq. 1 to 11); setpoint (..., 4) [rad/s]."""
    thrust = forces.rotor_thrust(state.rotor_speed, parameters)
    if physics.battery:
        voltage = forces.battery_voltage(thrust, state.rotor_speed, parameters)
        rotor_speed_setpoint = torch.minimum(rotor_speed_setpoint, parameters.speed_per_volt * voltage)
    if physics.ground_effect:
        thrust = thrust * forces.ground_effect_factor(state, parameters)
    thrust_body = torch.nn.functional.pad(thrust.sum(-1, keepdim=True), (2, 0))
    force_world = frames.rotate(state.quaternion, thrust_body) + parameters.disturbance_force_world
    torque_body = forces.rotor_torque_body(thrust, parameters) + parameters.disturbance_torque_body
    if physics.drag:
        force_world = force_world + forces.drag_force_world(state, parameters)
    if physics.floor:
        floor_force_world, floor_torque_body = forces.floor_force_and_torque(state, parameters)
        force_world, torque_body = force_world + floor_force_world, torque_body + floor_torque_body
    gravity_world = torch.nn.functional.pad(-parameters.gravity, (2, 0))
    return QuadrotorRate(
        position_world_dot=state.velocity_world,
        quaternion_dot=frames.rate(state.quaternion, state.angular_velocity_body),
        velocity_world_dot=force_world / parameters.mass + gravity_world,
        angular_velocity_body_dot=angular_acceleration_body(state.angular_velocity_body, torque_body, parameters),
        rotor_speed_dot=forces.rotor_acceleration(state.rotor_speed, rotor_speed_setpoint, parameters),
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


def runge_kutta(state: QuadrotorState, slope: Slope, dt: float) -> QuadrotorState:
    """The classical method of order 4, rotors inside."""
    k1 = slope(state)
    k2 = slope(advance(state, k1, dt / 2))
    k3 = slope(advance(state, k2, dt / 2))
    k4 = slope(advance(state, k3, dt))
    for k, weight in ((k1, 1), (k2, 2), (k3, 2), (k4, 1)):
        state = advance(state, k, weight * dt / 6)
    return state


def semi_implicit_euler(state: QuadrotorState, slope: Slope, dt: float) -> QuadrotorState:
    """Velocities and rotors with the slope at the start, then the pose with the new velocities (eq. 12)."""
    moved = advance(state, slope(state), dt)
    quaternion_dot = frames.rate(state.quaternion, moved.angular_velocity_body)
    return replace(
        moved,
        position_world=state.position_world + dt * moved.velocity_world,
        quaternion=state.quaternion + dt * quaternion_dot,
    )


def step(
    state: QuadrotorState,
    rotor_speed_setpoint: Tensor,
    parameters: QuadrotorParameters,
    dt: float,
    physics: Physics = NOMINAL,
) -> QuadrotorState:
    """Advance by dt [s] with the setpoint (..., 4) [rad/s] held; |q| = 1 again after each substep (eq. 12)."""

    def slope(at: QuadrotorState) -> QuadrotorRate:
        return derivative(at, rotor_speed_setpoint, parameters, physics)

    method = runge_kutta if physics.integrator == "rk4" else semi_implicit_euler
    for _ in range(physics.substeps):
        state = method(state, slope, dt / physics.substeps)
        state = replace(state, quaternion=frames.normalise(state.quaternion))
    return state
