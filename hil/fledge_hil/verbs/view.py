"""Look at a flight in the browser, in three dimensions: blue where it flew, red where it was asked to be.

Give the directory that `fledge hil` or `fledge fly` wrote, or its flight.csv.gz. `fledge hil --view` shows a flight
while it is flown. Ctrl-C ends it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim.errors import FledgeError

from fledge_hil import report_compare, screen, view


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    flight: Annotated[Path, tyro.conf.Positional]
    """Directory of a flight, or its flight.csv.gz."""
    port: int = 8080
    """Of the page; on this machine only."""
    speed: float = 1.0
    """Times real time."""
    loops: int = 0
    """How often the flight is shown; 0: until Ctrl-C."""


def run(options: Options) -> int:
    """Serve the page until interrupted."""
    if not options.speed > 0 or options.loops < 0:
        raise FledgeError("--speed must be positive, --loops must not be negative")
    flight = report_compare.load(options.flight)
    scene = view.Scene(options.port)
    screen.say(f"look at {scene.url}")
    with contextlib.suppress(KeyboardInterrupt):
        view.replay(flight.log, flight.recording, scene, options.speed, options.loops)
    return 0
