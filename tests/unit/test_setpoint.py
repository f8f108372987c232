"""Set-points as cflib packs them, and what they come to mean."""

from __future__ import annotations

import math
import struct

import pytest
from cflib.utils.encoding import compress_quaternion
from fledge_hil.board_messages import SetpointMode
from fledge_hil.crtp import decompress_quaternion
from fledge_hil.setpoint import STOP, FlightModes, Setpoint, parse_generic, parse_rpyt
from hypothesis import given
from hypothesis import strategies as st

angle = st.floats(-1, 1, allow_nan=False)


@given(angle, angle, angle, angle)
def test_quaternions_survive_the_compression_of_cflib(x: float, y: float, z: float, w: float) -> None:
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if length < 1e-3:
        return
    q = (x / length, y / length, z / length, w / length)
    back = decompress_quaternion(compress_quaternion(q))
    # nine bits of 1/sqrt(2): half a step is 0.7e-3 per element; q and -q are the same attitude
    assert abs(sum(a * b for a, b in zip(q, back, strict=True))) > 1 - 1e-5


def test_position() -> None:
    setpoint = parse_generic(b"\7" + struct.pack("<4f", 1, 2, 3, 90))
    assert setpoint is not None
    assert setpoint.mode is SetpointMode.POSITION
    assert setpoint.position_world == (1, 2, 3)
    assert setpoint.yaw_deg == 90


def test_full_state_in_millimetres() -> None:
    quarter_turn = compress_quaternion((0, 0, math.sqrt(0.5), math.sqrt(0.5)))
    packet = struct.pack("<B9hI3h", 6, 1000, -500, 700, 100, 0, -100, 0, 0, 0, quarter_turn, 0, 0, 0)
    setpoint = parse_generic(packet)
    assert setpoint is not None
    assert setpoint.position_world == (1.0, -0.5, 0.7)
    assert setpoint.velocity_world == (0.1, 0.0, -0.1)
    assert setpoint.yaw_deg == pytest.approx(90, abs=0.2)


def test_pitch_forward_is_nose_down_in_both_packets() -> None:
    # cflib sends -pitch: send_setpoint(roll=0, pitch=10) flies forward
    rpyt = parse_rpyt(struct.pack("<fffH", 0, -10, 0, 30000))
    manual = parse_generic(struct.pack("<BfffHB", 11, 0, -10, 0, 30000, 0))
    assert rpyt is not None
    assert rpyt == manual
    assert rpyt.pitch_deg == 10
    assert rpyt.thrust_fraction == pytest.approx(30000 / 65535)


def test_thrust_below_the_minimum_is_off_and_above_the_maximum_is_cut() -> None:
    off, cut = (parse_rpyt(struct.pack("<fffH", 0, 0, 0, raw)) for raw in (999, 65535))
    assert off is not None
    assert off.thrust_fraction == 0
    assert cut is not None
    assert cut.thrust_fraction == pytest.approx(60000 / 65535)


def test_hover_velocity_and_height_modes() -> None:
    hover = parse_generic(struct.pack("<B4f", 10, 0.5, -0.2, 30, 0.7))
    velocity = parse_generic(struct.pack("<B4f", 8, 0.1, 0.2, 0.3, 5))
    height = parse_generic(struct.pack("<B4f", 9, 1, 2, 3, 0.5))
    assert hover is not None
    assert hover.velocity_heading == pytest.approx((0.5, -0.2))
    assert hover.height == pytest.approx(0.7)
    assert velocity is not None
    assert velocity.mode is SetpointMode.VELOCITY
    assert height is not None
    assert height.mode is SetpointMode.ATTITUDE
    assert height.height == 0.5


@pytest.mark.parametrize(("old", "new"), [(1, 8), (2, 9), (5, 10)])
def test_legacy_types_differ_in_the_sign_of_the_yaw_rate(old: int, new: int) -> None:
    place = 3 if old == 1 else 2
    numbers = [0.1, 0.2, 0.3, 0.4]
    today = parse_generic(struct.pack("<B4f", new, *numbers))
    numbers[place] = -numbers[place]
    assert parse_generic(struct.pack("<B4f", old, *numbers)) == today
    assert today is not None
    assert today.yaw_rate_deg_s > 0


def test_a_manual_setpoint_may_give_turn_rates() -> None:
    setpoint = parse_generic(struct.pack("<BfffHB", 11, 20, -10, 30, 30000, 1))
    assert setpoint is not None
    assert setpoint.mode is SetpointMode.RATE
    assert (setpoint.roll_deg, setpoint.pitch_deg, setpoint.yaw_rate_deg_s) == (20, 10, 30)


def rpyt(modes: FlightModes, roll: float, pitch: float, yaw: float, thrust: int) -> Setpoint:
    setpoint = parse_rpyt(struct.pack("<fffH", roll, pitch, yaw, thrust), modes)
    assert setpoint is not None
    return setpoint


def test_the_yaw_rate_of_port_3_is_clockwise() -> None:
    assert rpyt(FlightModes(), 0, 0, 40, 30000).yaw_rate_deg_s == -40


def test_flight_modes_change_what_port_3_means() -> None:
    assert rpyt(FlightModes(rates=True), 20, 0, 0, 30000).mode is SetpointMode.RATE
    up = rpyt(FlightModes(altitude_hold=True), 5, 0, 0, 49150)
    assert (up.mode, up.roll_deg, up.thrust_fraction) == (SetpointMode.ATTITUDE, 5, 0)
    assert up.climb == pytest.approx(0.5, abs=1e-4)
    hold = rpyt(FlightModes(altitude_hold=True, position_hold=True), 15, 30, 0, 32767)
    assert hold.velocity_heading == pytest.approx((1.0, 0.5))
    assert hold.velocity_world[2] == 0
    there = rpyt(FlightModes(position_set=True), 2.0, -1.0, 90, 700)
    assert (there.position_world, there.yaw_deg) == ((1.0, 2.0, 0.7), 90)


def test_stop() -> None:
    assert parse_generic(b"\0") == STOP


@pytest.mark.parametrize(
    "packet", [b"", b"\7", b"\7\0\0", b"\1" + bytes(15), b"\3" + bytes(16), b"\4" + bytes(16), b"\x0c" + bytes(16)]
)
def test_short_or_unknown_packets_mean_nothing(packet: bytes) -> None:
    assert parse_generic(packet) is None


@given(st.binary(max_size=30))
def test_no_bytes_raise(payload: bytes) -> None:
    parse_generic(payload)
    parse_rpyt(payload)


def test_not_a_number_is_refused() -> None:
    assert parse_generic(b"\7" + struct.pack("<4f", 1, math.nan, 3, 90)) is None
    assert parse_rpyt(struct.pack("<fffH", math.inf, 0, 0, 0)) is None
