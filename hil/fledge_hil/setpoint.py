"""Set-points as clients send them over ports 3 and 7."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace

from fledge_hil.board_messages import SetpointMode
from fledge_hil.crtp import decompress_quaternion, unpack

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)
RAW_THRUST = 65535.0
"""Thrust in the firmware's raw unit at fraction 1."""
RAW_THRUST_MIN, RAW_THRUST_MAX = 1000, 60000
"""Below: off; above: cut."""
HALF_THRUST = 32767.0
"""Raw thrust at which altitude hold neither climbs nor sinks; the same again is 1 m/s."""
SPEED_PER_STICK = 30.0
"""[deg s/m], position hold: so many degrees of roll or pitch ask for 1 m/s."""


@dataclass(frozen=True)
class Setpoint:
    """What the drone is asked to do. Angles right-handed: positive pitch is nose down, that is forward."""

    mode: SetpointMode = SetpointMode.NONE
    position_world: Vector = ZERO
    velocity_world: Vector = ZERO
    acceleration_world: Vector = ZERO
    """Position mode: of the moving target [m/s^2]."""
    roll_deg: float = 0.0
    pitch_deg: float = 0.0
    """In rate mode both are turn rates [deg/s]."""
    yaw_deg: float | None = None
    """None: hold the yaw that `yaw_rate_deg_s` leads to."""
    yaw_rate_deg_s: float = 0.0
    thrust_fraction: float = 0.0
    height: float | None = None
    """Attitude mode: hold this height [m] instead of a thrust."""
    climb: float | None = None
    """Attitude mode: hold a height that moves at this speed [m/s] from where the drone was."""
    velocity_heading: tuple[float, float] | None = None
    """Forward and left speed [m/s] in the drone's heading, held at `height`: what cflib calls a hover set-point."""


STOP = Setpoint()
_FULL_STATE = struct.Struct("<9hI3h")
_FOUR = struct.Struct("<4f")
_MANUAL = struct.Struct("<fffHB")
_RPYT = struct.Struct("<fffH")


def _fraction(raw_thrust: float) -> float:
    return min(raw_thrust, RAW_THRUST_MAX) / RAW_THRUST if raw_thrust >= RAW_THRUST_MIN else 0.0


@dataclass(frozen=True)
class FlightModes:
    """Parameters flightmode.*: what a set-point of port 3 means."""

    rates: bool = False
    """Roll and pitch are turn rates."""
    altitude_hold: bool = False
    """Thrust is a vertical speed."""
    position_hold: bool = False
    """With altitude hold: roll and pitch are horizontal speeds."""
    position_set: bool = False
    """Everything is a position."""


ANGLES = FlightModes()
"""As a Crazyflie starts: roll and pitch are angles, thrust is thrust."""


def parse_rpyt(payload: bytes, modes: FlightModes = ANGLES) -> Setpoint | None:
    """Port 3: roll, pitch (nose up positive) [deg], yaw rate clockwise [deg/s], raw thrust."""
    fields = unpack(_RPYT, payload)
    if fields is None:
        return None
    roll, pitch, clockwise, thrust = fields
    if modes.position_set and thrust:
        return Setpoint(SetpointMode.POSITION, (-pitch, roll, thrust / 1000), yaw_deg=clockwise)
    climb = (thrust - HALF_THRUST) / HALF_THRUST
    if modes.altitude_hold and modes.position_hold:
        velocity, heading = (0.0, 0.0, climb), (pitch / SPEED_PER_STICK, roll / SPEED_PER_STICK)
        return Setpoint(
            SetpointMode.POSITION, velocity_world=velocity, velocity_heading=heading, yaw_rate_deg_s=-clockwise
        )
    setpoint = _attitude(roll, pitch, -clockwise, thrust, modes.rates)
    return replace(setpoint, thrust_fraction=0.0, climb=climb) if modes.altitude_hold else setpoint


def _attitude(roll: float, pitch: float, yaw_rate: float, thrust: float, rates: bool) -> Setpoint:
    """Attitude [deg] or turn rates [deg/s], the packet's pitch with nose up positive, yaw rate [deg/s], raw thrust."""
    return Setpoint(
        SetpointMode.RATE if rates else SetpointMode.ATTITUDE,
        roll_deg=roll,
        pitch_deg=-pitch,
        yaw_rate_deg_s=yaw_rate,
        thrust_fraction=_fraction(thrust),
    )


def parse_generic(payload: bytes) -> Setpoint | None:
    """Port 7 channel 0; None for an unknown type, a short packet or a NaN."""
    if not payload:
        return None
    kind, rest = payload[0], payload[1:]
    if kind == 0:
        return STOP
    if kind in _LEGACY:
        setpoint = _PARSERS[_LEGACY[kind]](rest)
        return setpoint and replace(setpoint, yaw_rate_deg_s=-setpoint.yaw_rate_deg_s)
    return _PARSERS[kind](rest) if kind in _PARSERS else None


def _position(rest: bytes) -> Setpoint | None:
    fields = unpack(_FOUR, rest)
    return (
        None
        if fields is None
        else Setpoint(SetpointMode.POSITION, (fields[0], fields[1], fields[2]), yaw_deg=fields[3])
    )


def _velocity(rest: bytes) -> Setpoint | None:
    fields = unpack(_FOUR, rest)
    if fields is None:
        return None
    return Setpoint(SetpointMode.VELOCITY, velocity_world=(fields[0], fields[1], fields[2]), yaw_rate_deg_s=fields[3])


def _height(rest: bytes) -> Setpoint | None:
    fields = unpack(_FOUR, rest)
    if fields is None:
        return None
    roll, pitch, yaw_rate, height = fields
    return Setpoint(SetpointMode.ATTITUDE, roll_deg=roll, pitch_deg=-pitch, yaw_rate_deg_s=yaw_rate, height=height)


def _hover(rest: bytes) -> Setpoint | None:
    fields = unpack(_FOUR, rest)
    if fields is None:
        return None
    forward, left, yaw_rate, height = fields
    return Setpoint(SetpointMode.POSITION, velocity_heading=(forward, left), yaw_rate_deg_s=yaw_rate, height=height)


def _manual(rest: bytes) -> Setpoint | None:
    """Angles, or with the last byte set turn rates."""
    fields = unpack(_MANUAL, rest)
    if fields is None:
        return None
    roll, pitch, yaw_rate, thrust, rates = fields
    return _attitude(roll, pitch, yaw_rate, thrust, bool(rates))


def _full_state(rest: bytes) -> Setpoint | None:
    """Millimetres, mm/s, mm/s^2, compressed quaternion, mrad/s; of the attitude only the yaw is followed."""
    if len(rest) < _FULL_STATE.size:
        return None
    fields = _FULL_STATE.unpack_from(rest)
    position, velocity, acceleration = (
        (fields[k] / 1000, fields[k + 1] / 1000, fields[k + 2] / 1000) for k in (0, 3, 6)
    )
    x, y, z, w = decompress_quaternion(fields[9])
    yaw = math.degrees(math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
    return Setpoint(SetpointMode.POSITION, position, velocity, acceleration, yaw_deg=yaw)


_PARSERS = {6: _full_state, 7: _position, 8: _velocity, 9: _height, 10: _hover, 11: _manual}
_LEGACY = {1: 8, 2: 9, 5: 10}
"""Old types whose yaw rate is clockwise, and their successors."""
