"""Parameters `fledge.*` that the flight code is given as they are: references, fence, tilt; units as in flight.h.

With them a whole flight, from take-off over way points or figure-eights to landing, is one choice of `fledge.ref` after
the other.
"""

from __future__ import annotations

import math

from fledge_hil.board_messages import WAYPOINTS_MAX, FlightInput, Reference
from fledge_hil.parameters import ParameterService
from fledge_hil.toc import Parameter

SCALARS = {
    "fePeriod": ("figure_eight_period", 5.5),
    "feScale": ("figure_eight_scale", 1.0),
    "toHeight": ("take_off_height", 0.5),
    "ldHeight": ("landing_height", 0.0),
    "wpMove": ("waypoint_move", 2.0),
    "wpHold": ("waypoint_hold", 0.5),
}
"""Of floats: field of struct flight_input, and default."""
AXES = "XYZ"
WAYPOINTS = tuple(f"wp{index}{axis}" for index in range(1, WAYPOINTS_MAX + 1) for axis in AXES)
"""[m], from where the walk begins."""
FENCE = tuple(f"fence{side}{axis}" for side in ("Lo", "Hi") for axis in AXES)
"""[m], world; equal on both sides: none."""
TILT = "tiltMax"
"""[deg], 0: any."""


def flight_parameters() -> list[Parameter]:
    """As they are after boot."""
    return [
        Parameter("fledge.ref", "uint8", Reference.COMMANDER),
        *(Parameter(f"fledge.{name}", "float", default) for name, (_, default) in SCALARS.items()),
        Parameter("fledge.wpCount", "uint8", 0),
        *(Parameter(f"fledge.{name}", "float", 0.0) for name in (*WAYPOINTS, *FENCE, TILT)),
    ]


class FlightParameters:
    """Their values, on the way into the flight code."""

    def __init__(self, table: ParameterService) -> None:
        def of(*names: str) -> list[Parameter]:
            return [table[f"fledge.{name}"] for name in names]

        self._reference, self._count, self._tilt = of("ref", "wpCount", TILT)
        self._scalars = [(field, table[f"fledge.{name}"]) for name, (field, _) in SCALARS.items()]
        self._waypoints, self._fence = of(*WAYPOINTS), of(*FENCE)
        self._table, self._seen = table, -1

    def fill(self, flight: FlightInput) -> None:
        """Write what has changed since the last call."""
        flight.reference = int(self._reference.value)
        if self._table.writes == self._seen:
            return
        self._seen = self._table.writes
        for field, parameter in self._scalars:
            setattr(flight, field, parameter.value)
        flight.waypoint_count = int(self._count.value)
        flight.waypoints[:] = [parameter.value for parameter in self._waypoints]
        flight.fence_low_world[:] = [parameter.value for parameter in self._fence[:3]]
        flight.fence_high_world[:] = [parameter.value for parameter in self._fence[3:]]
        flight.tilt_versine_max = 1 - math.cos(math.radians(self._tilt.value)) if self._tilt.value else 0.0
