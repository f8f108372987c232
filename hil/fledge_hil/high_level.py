"""High-level commander, port 8: commands to the planner, and the trajectories that a client has defined."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from errno import EBUSY, EINVAL, ENOENT, ENOEXEC

from fledge_hil.crtp import unpack
from fledge_hil.motion import Sample, Spiral
from fledge_hil.planner import Planner
from fledge_hil.trajectories import Track, parse_compressed, parse_plain

DEFAULT_SPEED = 0.5
"""[m/s], of take-off and landing by speed when the command names none."""
DEFINITIONS = 10
"""Trajectories that can be defined at a time."""
_IN_MEMORY, _PLAIN, _COMPRESSED = 1, 0, 1

_VERTICAL = struct.Struct("<ffBf")
_VERTICAL_SPEED = struct.Struct("<fBfBf")
_GO_TO_V1 = struct.Struct("<Bfffff")
_GO_TO_V2 = struct.Struct("<BBfffff")
_SPIRAL = struct.Struct("<BBfffff")
_START_V1 = struct.Struct("<BBBf")
_START_V2 = struct.Struct("<BBBBf")
_DEFINE = struct.Struct("<BBBIB")


class Command(IntEnum):
    """First byte of a packet."""

    GROUP_MASK = 0
    STOP = 3
    GO_TO = 4
    START = 5
    DEFINE = 6
    TAKE_OFF = 7
    LAND = 8
    TAKE_OFF_SPEED = 9
    LAND_SPEED = 10
    SPIRAL = 11
    GO_TO_2 = 12
    START_2 = 13


@dataclass(frozen=True)
class Definition:
    """Where in memory a trajectory lies."""

    compressed: bool
    offset: int
    pieces: int


class HighLevel:
    """See the module's docstring."""

    def __init__(self, planner: Planner, memory: Callable[[], bytes]) -> None:
        self.group_mask = 0
        self.take_off_speed = self.landing_speed = DEFAULT_SPEED
        self._planner, self._memory = planner, memory
        self._definitions: dict[int, Definition] = {}

    def command(self, payload: bytes, time: float, here: Sample) -> int:
        """0 or an errno. `here`: what the plan starts from when nothing is under way."""
        command, mask = payload[0], payload[1] if len(payload) > 1 else 0
        if command == Command.GROUP_MASK:
            self.group_mask = mask
            return 0
        if command == Command.DEFINE:
            return self._define(payload[1:])
        if mask and not mask & self.group_mask:
            return 0
        if command == Command.STOP:
            self._planner.stop()
            return 0
        handlers: dict[int, Callable[[int, bytes, float, Sample], int]] = {
            **dict.fromkeys((Command.TAKE_OFF, Command.LAND), self._vertical),
            **dict.fromkeys((Command.TAKE_OFF_SPEED, Command.LAND_SPEED), self._vertical_speed),
            **dict.fromkeys((Command.GO_TO, Command.GO_TO_2), self._go_to),
            **dict.fromkeys((Command.START, Command.START_2), self._start),
            Command.SPIRAL: self._spiral,
        }
        handler = handlers.get(command)
        if handler is None:
            return ENOEXEC
        return handler(command, payload[2:], time, here)

    def _vertical(self, command: int, rest: bytes, time: float, here: Sample) -> int:
        fields = unpack(_VERTICAL, rest)
        if fields is None:
            return EINVAL
        height, yaw, hold, duration = fields
        land = command == Command.LAND
        return 0 if self._planner.vertical(time, here, height, None if hold else yaw, duration, land) else EBUSY

    def _vertical_speed(self, command: int, rest: bytes, time: float, here: Sample) -> int:
        """Height perhaps relative: up from here for a take-off, down for a landing."""
        fields = unpack(_VERTICAL_SPEED, rest)
        if fields is None:
            return EINVAL
        height, relative, yaw, hold, speed = fields
        land = command == Command.LAND_SPEED
        start = self._planner.height_from(time, here)
        goal = start + (-height if land else height) if relative else height
        speed = speed if speed > 0 else (self.landing_speed if land else self.take_off_speed)
        duration = max(1e-3, abs(goal - start) / speed)
        return 0 if self._planner.vertical(time, here, goal, None if hold else yaw, duration, land) else EBUSY

    def _go_to(self, command: int, rest: bytes, time: float, here: Sample) -> int:
        fields = unpack(_GO_TO_V1 if command == Command.GO_TO else _GO_TO_V2, rest)
        if fields is None:
            return EINVAL
        relative, linear = bool(fields[0]), command == Command.GO_TO_2 and bool(fields[1])
        x, y, z, yaw, duration = fields[-5:]
        return 0 if self._planner.go_to(time, here, (x, y, z, yaw), duration, relative, linear) else EINVAL

    def _spiral(self, command: int, rest: bytes, time: float, here: Sample) -> int:
        fields = unpack(_SPIRAL, rest)
        if fields is None:
            return EINVAL
        sideways, clockwise, angle, inner, outer, ascent, duration = fields
        spiral = Spiral(angle, inner, outer, ascent, bool(sideways), bool(clockwise))
        return 0 if self._planner.spiral(time, here, spiral, duration) else EINVAL

    # ---- trajectories ------------------------------------------------------------------------------------------------

    def _define(self, rest: bytes) -> int:
        if len(rest) < _DEFINE.size:
            return EINVAL
        number, location, kind, offset, pieces = _DEFINE.unpack_from(rest)
        if number >= DEFINITIONS or location != _IN_MEMORY or kind not in (_PLAIN, _COMPRESSED):
            return ENOEXEC
        self._definitions[number] = Definition(kind == _COMPRESSED, offset, pieces)
        return 0

    def _start(self, command: int, rest: bytes, time: float, here: Sample) -> int:
        """A compressed trajectory flies forwards and at its own speed only, as in the firmware."""
        fields = unpack(_START_V1 if command == Command.START else _START_V2, rest)
        if fields is None:
            return EINVAL
        relative, backwards, number, scale = fields[0], *fields[-3:]
        relative_yaw = command == Command.START_2 and bool(fields[1])
        definition = self._definitions.get(int(number))
        if definition is None:
            return ENOENT
        if definition.compressed and (backwards or not math.isclose(scale, 1.0)):
            return ENOEXEC
        memory = self._memory()
        if definition.compressed:
            pieces = parse_compressed(memory, definition.offset)
        else:
            pieces = parse_plain(memory, definition.offset, definition.pieces)
        if pieces is None or scale <= 0:
            return EINVAL
        self._planner.follow(time, here, Track(pieces, time, scale, bool(backwards)), bool(relative), relative_yaw)
        return 0
