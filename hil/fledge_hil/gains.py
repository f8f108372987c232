"""Gains of the stock controller as parameters, under the firmware's names where they mean the same.

posCtlPid.xKp, yKp, zKp: velocity per position error [1/s]. pid_attitude.roll_kp, pitch_kp, yaw_kp: turn rate per angle
[1/s]; _ki: per integral of the angle [1/s^2]; _kd: per turn rate [1].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fledge_hil.board import StockGains
from fledge_hil.toc import Parameter

if TYPE_CHECKING:
    from fledge_hil.parameters import ParameterService
    from fledge_hil.virtual import VirtualCrazyflie

POSITION = (1.6, 1.6, 1.6)
ATTITUDE = (7.0, 7.0, 2.0)
"""Defaults: POSITION_BANDWIDTH, ATTITUDE_BANDWIDTH and YAW_BANDWIDTH of firmware/boards/cortex_m4/stock.c."""
_GROUPS = {
    "position": tuple(f"posCtlPid.{axis}Kp" for axis in "xyz"),
    "attitude": tuple(f"pid_attitude.{axis}_kp" for axis in ("roll", "pitch", "yaw")),
    "attitude_integral": tuple(f"pid_attitude.{axis}_ki" for axis in ("roll", "pitch", "yaw")),
    "attitude_derivative": tuple(f"pid_attitude.{axis}_kd" for axis in ("roll", "pitch", "yaw")),
}
_LARGEST = 1000.0
"""So that no product overflows on the board."""
_DEFAULTS = {"position": POSITION, "attitude": ATTITUDE}


def gain_parameters(drone: VirtualCrazyflie) -> Iterator[Parameter]:
    """One per gain; a write takes effect with the next tick."""
    for field, names in _GROUPS.items():
        for name, default in zip(names, _DEFAULTS.get(field, (0.0, 0.0, 0.0)), strict=True):
            yield Parameter(name, "float", default, persistent=True, written=drone.tune)


def stock_gains(table: ParameterService) -> StockGains:
    """What the parameters say now."""
    gains = StockGains()
    for field, names in _GROUPS.items():
        getattr(gains, field)[:] = tuple(max(-_LARGEST, min(_LARGEST, float(table[name].value))) for name in names)
    return gains
