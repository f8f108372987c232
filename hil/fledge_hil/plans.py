"""What to fly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import tyro
from fledge_sim.errors import FledgeError

Kind = Literal["figure8", "hover", "waypoints", "recover", "handover", "soak"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RAMP_SECONDS = 2.0
"""[s], over which the on-board figure-eight gathers speed (firmware/flight/reference.c)."""
LANDING_SECONDS = 1.5
"""[s], from the end of the descent to standstill."""
SPEED = 0.5
"""[m/s], mean speed between two way points."""
REST_SECONDS = 1.0
"""At each way point [s]."""
LEAN_SECONDS, RECOVER_SECONDS = 0.4, 3.0
"""How long the drone is thrown sideways, and how long the policy has to bring it back [s]."""
HANDOVER_SECONDS = 1.5
"""Each controller's turn [s]."""
REACH = 0.8
"""[m], half width of the box of random set-points."""
JUDGED = {
    "figure8": ("hover", "figure-eight"),
    "hover": ("hover",),
    "waypoints": ("hover", "waypoints"),
    "recover": ("hover", "recover"),
    "handover": ("hover", "handover"),
    "soak": ("hover", "soak"),
}
"""Names of the phases that a verdict needs, by plan."""

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Plan:
    """Take off, hover, do what the kind of plan says, come back, land."""

    kind: Annotated[Kind, tyro.conf.arg(name="plan")] = "figure8"
    """figure8; hover: no more than that; waypoints; recover: thrown sideways; handover: between the controllers, in
    motion; soak: random set-points for as long as you like."""
    height: float = 0.7
    """Of hover and figure-eight [m]."""
    hover_seconds: float = 5.0
    """How long to hover at full height [s]; the first 2 s do not count in the figures."""
    laps: float = 2.0
    """Figure-eights at full speed; 0: none."""
    period: float = 5.5
    """Of one figure-eight [s]."""
    scale: float = 1.0
    """Half width of the figure-eight [m]."""
    points: str = "0.5,0,0.7; 0.5,0.5,1.0; -0.5,0.5,1.0; -0.5,-0.5,0.5; 0,0,0.7"
    """Way points "x,y,z; x,y,z; ..." [m], x and y from the place of take-off."""
    throws: int = 3
    """How often the recovery is tried, each time from another direction."""
    lean_deg: float = 20.0
    """Tilt that the stock controller holds for 0.4 s before the policy has to recover [deg]."""
    handovers: int = 4
    """How often the policy gives the drone away and takes it back, in motion."""
    duration: float = 60.0
    """Of the soak [s]: random set-points within 0.8 m."""
    soak_seed: int = 0
    """Of those set-points."""
    climb_seconds: float = 2.5
    """For take-off and landing each [s]."""
    settle_seconds: float = 1.0
    """Between take-off and hover [s]."""
    policy_takes_off: bool = True
    """Whether the policy flies take-off and descent; else the stock controller does, and hands over in the air."""
    fence: float = 2.5
    """The drone lands where it leaves this half width around its take-off [m]; a metre further its motors stop."""
    ceiling: float = 2.5
    """The same for the height [m]."""

    def __post_init__(self) -> None:
        ranges = {
            "height": (0.2, 3.0),
            "hover_seconds": (0.5, 120.0),
            "laps": (0.0, 100.0),
            "period": (2.0, 60.0),
            "scale": (0.1, 3.0),
            "throws": (1, 100),
            "lean_deg": (0.0, 35.0),
            "handovers": (1, 1000),
            "duration": (5.0, 86400.0),
            "soak_seed": (0, 2**63),
            "climb_seconds": (1.0, 20.0),
            "settle_seconds": (0.0, 20.0),
            "fence": (0.3, 100.0),
            "ceiling": (0.5, 100.0),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise FledgeError(f"plan: {name} is {getattr(self, name)}, it must lie in {low:g} to {high:g}")
        self.parsed_points()
        wide, high = self.extent
        if wide > self.fence or high > self.ceiling:
            raise FledgeError(
                f"plan: it reaches {wide:g} m from the take-off and {high:g} m of height, outside its own fence of "
                f"{self.fence:g} m and ceiling of {self.ceiling:g} m; widen them with --fence and --ceiling"
            )

    def parsed_points(self) -> tuple[Point, ...]:
        """The way points. Raises FledgeError."""
        try:
            points = [
                tuple(float(value) for value in text.split(",")) for text in self.points.split(";") if text.strip()
            ]
        except ValueError as error:
            raise FledgeError(f"plan: points '{self.points}' are not numbers; write x,y,z; x,y,z") from error
        checked = [
            (point[0], point[1], point[2]) for point in points if len(point) == 3 and all(map(math.isfinite, point))
        ]
        if not points or len(checked) != len(points):
            raise FledgeError(f"plan: points '{self.points}' need three numbers each; write x,y,z; x,y,z")
        return tuple(checked)

    @property
    def figure_seconds(self) -> float:
        """From the start of the figure-eight to the end of its last lap [s]."""
        return RAMP_SECONDS + self.laps * self.period

    @property
    def return_seconds(self) -> float:
        """To the next passage of the centre at which the drone can stop, and a second to settle [s]."""
        return self.period / 2 + RAMP_SECONDS + 1.0

    @property
    def extent(self) -> tuple[float, float]:
        """Largest distance along x or y from the take-off, and largest height [m]."""
        if self.kind == "figure8" and self.laps > 0:
            return self.scale, self.height
        if self.kind == "waypoints":
            points = self.parsed_points()
            return max(max(abs(x), abs(y)) for x, y, _ in points), max(self.height, *(z for _, _, z in points))
        if self.kind == "soak":
            return REACH, self.height + REACH / 2
        return 0.0, self.height

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of the phases that a verdict needs."""
        return ("hover",) if self.kind == "figure8" and not self.laps else JUDGED[self.kind]

    @property
    def seconds(self) -> float:
        """Device time of the whole plan, roughly [s]."""
        return 2 * self.climb_seconds + self.settle_seconds + self.hover_seconds + self._main_seconds + LANDING_SECONDS

    @property
    def _main_seconds(self) -> float:
        return {
            "figure8": self.figure_seconds + self.return_seconds if self.laps > 0 else 0.0,
            "hover": 0.0,
            "waypoints": sum(seconds + REST_SECONDS for _, seconds in legs((0.0, 0.0, self.height), self)),
            "recover": self.throws * (LEAN_SECONDS + RECOVER_SECONDS),
            "handover": 2 * self.handovers * HANDOVER_SECONDS,
            "soak": self.duration,
        }[self.kind]

    def describe(self) -> list[str]:
        """One line per step."""
        who = "policy" if self.policy_takes_off else "stock controller"
        lines = [f"take off to {self.height:g} m in {self.climb_seconds:g} s ({who})"]
        lines.append(f"hover for {self.settle_seconds + self.hover_seconds:g} s (policy)")
        width = f"{2 * self.scale:g} m x {self.scale:g} m"
        main = {
            "figure8": f"figure-eight of {width}, {self.laps:g} laps of {self.period:g} s, and back (policy)",
            "waypoints": f"way points {self.points} (policy)",
            "recover": f"{self.throws} times {self.lean_deg:g} deg of tilt for {LEAN_SECONDS:g} s, then the policy",
            "handover": f"{self.handovers} hand-overs to the stock controller and back, in motion",
            "soak": f"random set-points within {REACH:g} m for {self.duration:g} s, seed {self.soak_seed} (policy)",
        }
        if self.kind in main and not (self.kind == "figure8" and self.laps == 0):
            lines.append(main[self.kind])
        fence = f"land outside {self.fence:g} m or above {self.ceiling:g} m, stop the motors a metre further"
        return [*lines, f"land in {self.climb_seconds:g} s, touch down with the stock controller, disarm", fence]


def legs(start: Point, plan: Plan) -> list[tuple[Point, float]]:
    """Way points with the time to each [s]."""
    points = plan.parsed_points()
    before = (start, *points[:-1])
    return [(there, max(1.5, math.dist(here, there) / SPEED)) for here, there in zip(before, points, strict=True)]
