"""What goes into and comes out of the board each millisecond: mirrors of the structs in firmware/.

`struct flight_input` and `flight_output` are in firmware/flight/flight.h, `board_input` and `board_output` in
firmware/boards/cortex_m4; units, frames and enums are described there. All fields are 4 bytes; `check_layout` compares
every offset with what the C compiler laid out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from enum import IntEnum

from fledge_sim.errors import FledgeError

FloatArray = ctypes.Array[ctypes.c_float]
_u32, _f32 = ctypes.c_uint32, ctypes.c_float
WAYPOINTS_MAX = 8
"""FLIGHT_WAYPOINTS_MAX."""


class BoardLayoutError(FledgeError):
    """The board was built from other sources than these mirrors describe."""


class SetpointMode(IntEnum):
    """enum flight_setpoint_mode."""

    NONE = 0
    POSITION = 1
    VELOCITY = 2
    ATTITUDE = 3
    RATE = 4


class Reference(IntEnum):
    """enum flight_reference."""

    COMMANDER = 0
    FIGURE_EIGHT = 1
    HOLD = 2
    TAKE_OFF = 3
    LAND = 4
    WAYPOINTS = 5


class Guard(IntEnum):
    """enum flight_guard: why the policy is not flying; 0 while it is."""

    OK = 0
    DISABLED = 1
    SELF_TEST = 2
    NOT_FINITE = 3
    QUATERNION = 4
    POSITION_ERROR = 5
    VELOCITY = 6
    ANGULAR_VELOCITY = 7
    STALE_STATE = 8
    STALE_SETPOINT = 9
    SETPOINT_MODE = 10
    ACTION = 11
    CALL_PERIOD = 12
    VARIANCE = 13
    BATTERY = 14
    SATURATION = 15
    TILT = 16
    FENCE = 17


class Failsafe(IntEnum):
    """enum flight_failsafe: what the platform does while the policy is off."""

    FOLLOW = 0
    LAND = 1
    LEVEL = 2
    STOP = 3


class FlightInput(ctypes.Structure):
    """struct flight_input: state, set-point and parameters in the firmware's units."""

    time_ms: int
    enable: int
    reference: int
    setpoint_mode: int
    state_age_ms: int
    setpoint_age_ms: int
    position_world: FloatArray
    """[m]"""
    velocity_world: FloatArray
    """[m/s]"""
    quaternion_xyzw: FloatArray
    """Body to world."""
    gyro_deg_s: FloatArray
    """[deg/s], body."""
    setpoint_position_world: FloatArray
    """[m]"""
    setpoint_velocity_world: FloatArray
    """[m/s]"""
    figure_eight_period: float
    """[s]"""
    figure_eight_scale: float
    """[m], half width."""
    position_variance: float
    """[m^2], largest of the three axes."""
    battery_low: int
    time_us: int
    """Of this call."""
    rotors_idle: int
    """1: rotors stand or idle, the policy spins them up gradually when it takes over."""
    take_off_height: float
    """[m], from where it begins."""
    landing_height: float
    """[m], world."""
    waypoint_count: int
    waypoint_move: float
    """[s], from point to point."""
    waypoint_hold: float
    """[s], rest at each."""
    waypoints: FloatArray
    """WAYPOINTS_MAX times x, y, z [m], from where the walk begins."""
    fence_low_world: FloatArray
    """[m]; an axis with low = high has no fence."""
    fence_high_world: FloatArray
    """[m]"""
    tilt_versine_max: float
    """1 - cos of the largest tilt; 0: any tilt."""
    _fields_ = (
        ("time_ms", _u32),
        ("enable", _u32),
        ("reference", _u32),
        ("setpoint_mode", _u32),
        ("state_age_ms", _u32),
        ("setpoint_age_ms", _u32),
        ("position_world", _f32 * 3),
        ("velocity_world", _f32 * 3),
        ("quaternion_xyzw", _f32 * 4),
        ("gyro_deg_s", _f32 * 3),
        ("setpoint_position_world", _f32 * 3),
        ("setpoint_velocity_world", _f32 * 3),
        ("figure_eight_period", _f32),
        ("figure_eight_scale", _f32),
        ("position_variance", _f32),
        ("battery_low", _u32),
        ("time_us", _u32),
        ("rotors_idle", _u32),
        ("take_off_height", _f32),
        ("landing_height", _f32),
        ("waypoint_count", _u32),
        ("waypoint_move", _f32),
        ("waypoint_hold", _f32),
        ("waypoints", _f32 * (3 * WAYPOINTS_MAX)),
        ("fence_low_world", _f32 * 3),
        ("fence_high_world", _f32 * 3),
        ("tilt_versine_max", _f32),
    )


class BoardInput(ctypes.Structure):
    """struct board_input: what the flight code needs, and what only the stock controller and the motors need."""

    flight: FlightInput
    setpoint_attitude_deg: FloatArray
    """[deg], roll about x, pitch about y, right-handed: positive pitch is nose down; in rate mode [deg/s]."""
    setpoint_yaw_rate_deg_s: float
    """[deg/s]; in position mode how fast setpoint_yaw_deg moves."""
    setpoint_yaw_deg: float
    """[deg], world, in position mode."""
    setpoint_thrust_fraction: float
    """[1], share of the largest total thrust, in attitude and rate mode; 0: motors off."""
    motors_allowed: int
    """0: nothing reaches the motors."""
    setpoint_acceleration_world: FloatArray
    """[m/s^2], in position mode: of the moving target, fed forward by the stock controller."""
    _fields_ = (
        ("flight", FlightInput),
        ("setpoint_attitude_deg", _f32 * 2),
        ("setpoint_yaw_rate_deg_s", _f32),
        ("setpoint_yaw_deg", _f32),
        ("setpoint_thrust_fraction", _f32),
        ("motors_allowed", _u32),
        ("setpoint_acceleration_world", _f32 * 3),
    )


class StockGains(ctypes.Structure):
    """struct stock_gains: what a client may tune of the stock controller; x, y, z or roll, pitch, yaw."""

    position: FloatArray
    """[1/s]"""
    attitude: FloatArray
    """[1/s]"""
    attitude_integral: FloatArray
    """[1/s^2]"""
    attitude_derivative: FloatArray
    """[1]"""
    _fields_ = (
        ("position", _f32 * 3),
        ("attitude", _f32 * 3),
        ("attitude_integral", _f32 * 3),
        ("attitude_derivative", _f32 * 3),
    )


class FlightOutput(ctypes.Structure):
    """struct flight_output: what the policy does, and if not, why not."""

    controls_motors: int
    mode: int
    guard: int
    guard_latched: int
    failsafe: int
    contract_hash: int
    self_test_passed: int
    inferences: int
    native_steps: int
    deadline_misses: int
    motor_fraction: FloatArray
    """[1], M1..M4, of the policy; 0 while stock flies."""
    action: FloatArray
    """[-1, 1]; 0 while stock flies."""
    reference_position_world: FloatArray
    """[m]"""
    reference_velocity_world: FloatArray
    """[m/s]"""
    reference_over: int
    """1: take-off, landing, way points or coming to rest have ended."""
    native_lost: int
    """Native steps since take-over that late ticks have cost."""
    period_bias_us: float
    """Mean error of the time between inferences."""
    period_jitter_us: float
    """Mean deviation from it."""
    _fields_ = (
        ("controls_motors", _u32),
        ("mode", _u32),
        ("guard", _u32),
        ("guard_latched", _u32),
        ("failsafe", _u32),
        ("contract_hash", _u32),
        ("self_test_passed", _u32),
        ("inferences", _u32),
        ("native_steps", _u32),
        ("deadline_misses", _u32),
        ("motor_fraction", _f32 * 4),
        ("action", _f32 * 4),
        ("reference_position_world", _f32 * 3),
        ("reference_velocity_world", _f32 * 3),
        ("reference_over", _u32),
        ("native_lost", _u32),
        ("period_bias_us", _f32),
        ("period_jitter_us", _f32),
    )


class BoardOutput(ctypes.Structure):
    """struct board_output."""

    flight: FlightOutput
    motor_fraction: FloatArray
    """[1], M1..M4: what goes to the motors now, from the policy or from stock."""
    ticks: int
    """Since boot."""
    _fields_ = (("flight", FlightOutput), ("motor_fraction", _f32 * 4), ("ticks", _u32))


class BoardChannel(ctypes.Structure):
    """struct board_channel: one packet to the board, or its answer."""

    now_us: int
    inference_us: int
    """What an inference takes, and a tick: modelled by whoever runs the board [us]; 0: not known."""
    tick_us: int
    length: int
    data: ctypes.Array[ctypes.c_uint8]
    _fields_ = (
        ("now_us", _u32),
        ("inference_us", _u32),
        ("tick_us", _u32),
        ("length", _u32),
        ("data", ctypes.c_uint8 * 32),
    )

    def put(self, packet: bytes) -> None:
        """Enter a packet; what does not fit is cut, and refused by its length."""
        packet = packet[: ctypes.sizeof(self.data)]
        self.length = len(packet)
        ctypes.memmove(self.data, packet, len(packet))

    @property
    def packet(self) -> bytes:
        """What lies in it; empty: nothing."""
        return bytes(self.data)[: self.length]


def layout() -> list[int]:
    """Offset of every field in order, then the size, of each shared struct: as board_layout in layout.c."""
    return [
        number
        for message in (BoardInput, BoardOutput, BoardChannel)
        for number in (*_offsets(message, 0), ctypes.sizeof(message))
    ]


def check_layout(of_board: Sequence[int]) -> None:
    """Raise BoardLayoutError unless the board's own layout table equals ours."""
    if list(of_board) != layout():
        raise BoardLayoutError("the board's structs differ from these of fledge; rebuild it with the matching version")


def _offsets(message: type[ctypes.Structure], base: int) -> Iterator[int]:
    for name, kind, *_ in message._fields_:
        offset = base + getattr(message, name).offset
        if isinstance(kind, type) and issubclass(kind, ctypes.Structure):
            yield from _offsets(kind, offset)
        else:
            yield offset
