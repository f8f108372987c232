"""Localization service, port 6: positions and poses that a client measured, for the estimator.

Channel 0: position, three float32 [m]. Channel 2: packed positions of several drones, 7 bytes each. Channel 1, by its
first byte: 3 and 4 the old emergency stop and its watchdog, 8 a pose, 9 packed poses, 11 lighthouse data to keep.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fledge_hil.crtp import Port, decompress_quaternion, packet, unpack

if TYPE_CHECKING:
    from fledge_hil.virtual import VirtualCrazyflie

POSITION, GENERIC, POSITIONS_PACKED = 0, 1, 2
_STOP, _STOP_WATCHDOG, _POSE, _POSES_PACKED, _LIGHTHOUSE_KEEP = 3, 4, 8, 9, 11
_VECTOR = struct.Struct("<3f")
_POSE_FIELDS = struct.Struct("<7f")
_PACKED_POSITION = struct.Struct("<B3h")
_PACKED_POSE = struct.Struct("<B3hI")
_QUATERNION_TOLERANCE = 0.1


@dataclass
class Localization:
    """Keeps the last of each, for the log."""

    drone: VirtualCrazyflie
    position: tuple[float, ...] = (0.0, 0.0, 0.0)
    quaternion_xyzw: tuple[float, ...] = field(default=(0.0, 0.0, 0.0, 1.0))

    def handle(self, channel: int, payload: bytes) -> list[bytes]:
        """Replies to one packet: only lighthouse data is acknowledged."""
        if channel == POSITION:
            self._position(unpack(_VECTOR, payload))
        elif channel == POSITIONS_PACKED:
            for start in range(0, len(payload) - _PACKED_POSITION.size + 1, _PACKED_POSITION.size):
                number, *millimetres = _PACKED_POSITION.unpack_from(payload, start)
                if number == self.drone.radio_address & 0xFF:
                    self._position(tuple(value / 1000 for value in millimetres))
        elif channel == GENERIC and payload:
            return self._generic(payload[0], payload[1:])
        return []

    def _generic(self, kind: int, rest: bytes) -> list[bytes]:
        if kind == _STOP:
            self.drone.emergency_stop()
        elif kind == _STOP_WATCHDOG:
            self.drone.supervisor.feed_watchdog()
        elif kind == _POSE:
            fields = unpack(_POSE_FIELDS, rest)
            if fields is not None:
                self._pose(fields[:3], fields[3:])
        elif kind == _POSES_PACKED:
            for start in range(0, len(rest) - _PACKED_POSE.size + 1, _PACKED_POSE.size):
                number, x, y, z, word = _PACKED_POSE.unpack_from(rest, start)
                if number == self.drone.radio_address & 0xFF:
                    self._pose((x / 1000, y / 1000, z / 1000), decompress_quaternion(word))
        elif kind == _LIGHTHOUSE_KEEP and len(rest) >= 4:
            kept = "bcLighthouse4" in self.drone.settings.decks
            return [packet(Port.LOCALIZATION, GENERIC, bytes((_LIGHTHOUSE_KEEP, kept)))]
        return []

    def _position(self, position: tuple[float, ...] | None) -> None:
        if position is None:
            return
        self.position = position
        self.drone.plant.estimator.measure(position, self._deviation("locSrv.extPosStdDev"), None, 1.0)

    def _pose(self, position: tuple[float, ...], quaternion_xyzw: tuple[float, ...]) -> None:
        """Of the attitude the yaw is used; a quaternion that is none drops the pose."""
        x, y, z, w = quaternion_xyzw
        if abs(math.sqrt(x * x + y * y + z * z + w * w) - 1) > _QUATERNION_TOLERANCE:
            return
        self.position, self.quaternion_xyzw = position, quaternion_xyzw
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        deviations = (self._deviation(f"locSrv.{name}") for name in ("extPosStdDev", "extQuatStdDev"))
        near, aligned = deviations
        self.drone.plant.estimator.measure(position, near, yaw, aligned)

    def _deviation(self, parameter: str) -> float:
        return max(1e-6, abs(float(self.drone.parameters[parameter].value)))
