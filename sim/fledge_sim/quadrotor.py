"""State and parameters of the quadrotor by name, shape, unit and frame, and their places in the kernel's arrays.

Leading shape (...) is any, mostly (n,); any floating dtype, any device.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from fledge_sim.robot import Robot
from fledge_sim.rows import Parameter, State, parameter_rows


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
    """k, (..., 1) [N/m], per contact point."""
    floor_damping: Tensor
    """b, (..., 1) [N/(m/s)], per contact point."""
    floor_friction: Tensor
    """mu, (..., 1) [1]."""
    ground_effect_area: Tensor
    """A, (..., 1) [m^2]: a sixteenth of the squared rotor radius; 0 = no ground effect."""
    wind_world: Tensor
    """w, (..., 3) [m/s], velocity of the air."""
    battery_voltage: Tensor
    """V_oc, (..., 1) [V], of the open circuit."""
    battery_resistance: Tensor
    """R_b, (..., 1) [ohm]."""
    drive_power: Tensor
    """k_tau / eta, (..., 1) [m]: electrical power of a rotor per thrust and speed."""
    speed_per_volt: Tensor
    """(..., 1) [rad/s/V]: speed at full duty per volt."""
    rotor_height: Tensor
    """h_r, (..., 1) [m], rotor plane and upper contact points above the centre of mass."""


def nominal_parameters(robot: Robot, n: int, dtype: torch.dtype = torch.float64) -> QuadrotorParameters:
    """Parameters of `n` copies of the robot as `rows.parameter_rows` gives them."""
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
    """The kernel's parameter array (51, n) as QuadrotorParameters of shape (n, ...); inverses are inverted back."""
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
        ground_effect_area=parts[Parameter.GROUND_EFFECT_AREA],
        wind_world=parts[Parameter.WIND],
        battery_voltage=parts[Parameter.BATTERY_VOLTAGE],
        battery_resistance=parts[Parameter.BATTERY_RESISTANCE],
        drive_power=parts[Parameter.DRIVE_POWER],
        speed_per_volt=parts[Parameter.SPEED_PER_VOLT],
        rotor_height=parts[Parameter.ROTOR_HEIGHT],
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
        Parameter.GROUND_EFFECT_AREA: p.ground_effect_area,
        Parameter.WIND: p.wind_world,
        Parameter.BATTERY_VOLTAGE: p.battery_voltage,
        Parameter.BATTERY_RESISTANCE: p.battery_resistance,
        Parameter.DRIVE_POWER: p.drive_power,
        Parameter.SPEED_PER_VOLT: p.speed_per_volt,
        Parameter.ROTOR_HEIGHT: p.rotor_height,
    }
    return torch.cat([parts[row] for row in Parameter], dim=-1).T


def _sizes(rows: type[State] | type[Parameter], total: int) -> list[int]:
    """Rows of each entry: the distance to the next."""
    return [following - row for row, following in pairwise([*rows, total])]
