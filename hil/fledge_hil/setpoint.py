"""Set-points as clients send them over ports 3 and 7."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from fledge_hil.board_messages import SetpointMode
from fledge_hil.crtp import decompress_quaternion, unpack

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)
RAW_THRUST = 65535.0
"""Thrust in the firmware's raw unit at fraction 1."""
RAW_THRUST_MIN, RAW_THRUST_MAX = 1000, 60000
"""Below: off; above: cut."""


@dataclass(frozen=True)
class Setpoint:
    """What the drone is asked to do. Angles right-handed: positive pitch is nose down, that is forward."""

    mode: SetpointMode = SetpointMode.NONE
    position_world: Vector = ZERO
    velocity_world: Vector = ZERO
    roll_deg: float = 0.0
    pitch_deg: float = 0.0
    yaw_deg: float | None = None
    """None: hold the yaw that `yaw_rate_deg_s` leads to."""
    yaw_rate_deg_s: float = 0.0
    thrust_fraction: float = 0.0
    height: float | None = None
    """Attitude mode: hold this height [m] instead of a thrust."""
    velocity_heading: tuple[float, float] | None = None
    """Forward and left speed [m/s] in the drone's heading, held at `height`: what cflib calls a hover set-point."""


STOP = Setpoint()
_FULL_STATE = struct.Struct("<9hI3h")
_FOUR = struct.Struct("<4f")
_MANUAL = struct.Struct("<fffHB")
_RPYT = struct.Struct("<fffH")


def _fraction(raw_thrust: float) -> float:
    return min(raw_thrust, RAW_THRUST_MAX) / RAW_THRUST if raw_thrust >= RAW_THRUST_MIN else 0.0


def parse_rpyt(payload: bytes) -> Setpoint | None:
    """Port 3: roll, pitch (nose up positive) [deg], yaw rate [deg/s], raw thrust."""
    fields = unpack(_RPYT, payload)
    if fields is None:
        return None
    return _attitude(*fields)


def _attitude(roll: float, pitch: float, yaw_rate: float, thrust: float) -> Setpoint:
    """Attitude [deg], the packet's pitch with nose up positive, yaw rate [deg/s], raw thrust."""
    return Setpoint(
        SetpointMode.ATTITUDE,
        roll_deg=roll,
        pitch_deg=-pitch,
        yaw_rate_deg_s=yaw_rate,
        thrust_fraction=_fraction(thrust),
    )


def parse_generic(payload: bytes) -> Setpoint | None:
    """Port 7 channel 0; None for an unknown type, a short packet or a NaN."""
    if not payload:
        return None
    parsers = {6: _full_state, 7: _position, 8: _velocity, 9: _height, 10: _hover, 11: _manual}
    parser = parsers.get(payload[0])
    if payload[0] == 0:
        return STOP
    return parser(payload[1:]) if parser is not None else None


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
    """Angles only: the rate flavour of a manual set-point is refused, because nothing here flies rates."""
    fields = unpack(_MANUAL, rest)
    if fields is None or fields[4]:
        return None
    return _attitude(*fields[:4])


def _full_state(rest: bytes) -> Setpoint | None:
    """Millimetres, mm/s, mm/s^2, compressed quaternion, mrad/s; of the attitude only the yaw is followed."""
    if len(rest) < _FULL_STATE.size:
        return None
    fields = _FULL_STATE.unpack_from(rest)
    position, velocity = ((fields[k] / 1000, fields[k + 1] / 1000, fields[k + 2] / 1000) for k in (0, 3))
    x, y, z, w = decompress_quaternion(fields[9])
    yaw = math.degrees(math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
    return Setpoint(SetpointMode.POSITION, position, velocity, yaw_deg=yaw)
