"""What to fly."""

from __future__ import annotations

from dataclasses import dataclass

from fledge_sim.errors import FledgeError

RAMP_SECONDS = 2.0
"""[s], over which the on-board figure-eight gathers speed (firmware/flight/reference.c)."""
LANDING_SECONDS = 1.5
"""[s], from the end of the descent to standstill."""


@dataclass(frozen=True)
class Plan:
    """Take off, hover, fly figure-eights on the on-board reference, come back, land."""

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
    climb_seconds: float = 2.5
    """For take-off and landing each [s]."""
    settle_seconds: float = 1.0
    """Between take-off and hover [s]."""
    policy_takes_off: bool = True
    """Whether the policy flies take-off and descent; else the stock controller does, and hands over in the air."""

    def __post_init__(self) -> None:
        ranges = {
            "height": (0.2, 3.0),
            "hover_seconds": (0.5, 120.0),
            "laps": (0.0, 100.0),
            "period": (2.0, 60.0),
            "scale": (0.1, 3.0),
            "climb_seconds": (1.0, 20.0),
            "settle_seconds": (0.0, 20.0),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise FledgeError(f"plan: {name} is {getattr(self, name)}, it must lie in {low} to {high}")

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of the phases that a verdict needs."""
        return ("hover", "figure-eight") if self.laps > 0 else ("hover",)

    @property
    def figure_seconds(self) -> float:
        """From the start of the figure-eight to the end of its last lap [s]."""
        return RAMP_SECONDS + self.laps * self.period

    @property
    def return_seconds(self) -> float:
        """To the next passage of the centre at which the drone can stop, and a second to settle [s]."""
        return self.period / 2 + RAMP_SECONDS + 1.0

    @property
    def seconds(self) -> float:
        """Device time of the whole plan, roughly [s]."""
        eight = self.figure_seconds + self.return_seconds if self.laps > 0 else 0.0
        return 2 * self.climb_seconds + self.settle_seconds + self.hover_seconds + eight + LANDING_SECONDS

    def describe(self) -> list[str]:
        """One line per step."""
        who = "policy" if self.policy_takes_off else "stock controller"
        lines = [f"take off to {self.height:g} m in {self.climb_seconds:g} s ({who})"]
        lines.append(f"hover for {self.settle_seconds + self.hover_seconds:g} s (policy)")
        if self.laps > 0:
            width = f"{2 * self.scale:g} m x {self.scale:g} m"
            lines.append(f"figure-eight of {width}, {self.laps:g} laps of {self.period:g} s, and back (policy)")
        return [*lines, f"land in {self.climb_seconds:g} s, touch down with the stock controller, disarm"]
