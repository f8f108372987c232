"""What finger pads feel of an object: pressed between two of them, pulled along, turned, held and let go.

Writes touch.png (images behind the gel, forces on the taxels, what the policy sees, while it is held) and touch.gif.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from fledge_sim import tactile_shapes as shapes
from fledge_sim.errors import FledgeError

from fledge_hil import screen


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    shape: Annotated[Literal["sphere", "capsule", "box", "cylinder", "hexagon"], tyro.conf.Positional] = "hexagon"
    """Of the object; all but sphere and box lie along the fingers."""
    radius: float = 0.006
    """Of sphere, capsule or cylinder, half the width across a hexagon's flats, half of a box's sides but the longest
    [m]."""
    half_length: float = 0.009
    """[m]"""
    edge: float = 0.0005
    """Radius of the edges of box, cylinder and hexagon [m]."""
    depth: float = 8e-4
    """How deep each pad is pressed in [m]."""
    pull: float = 1e-3
    """How far the object is pulled along the fingers [m]."""
    turn: float = 0.15
    """And then turned about the pads' normal [rad]."""
    standing: bool = False
    """End on."""
    out: Path = Path("runs/touch")
    """Directory for touch.png and touch.gif."""


def run(options: Options) -> int:
    """Simulate, draw, say what it sums to."""
    if not 0 < options.depth <= 4e-3 or abs(options.pull) > 0.02 or abs(options.turn) > 3.2:
        raise FledgeError("--depth must be within the gel's 0.004 m, --pull within 0.02 m, --turn within half a turn")
    from fledge_hil import touch_demo

    handling = touch_demo.Handling(options.depth, options.pull, options.turn, options.standing)
    frames = touch_demo.handle(_object(options), handling)
    held = next(frame for frame in reversed(frames) if frame.phase == "held")
    options.out.mkdir(parents=True, exist_ok=True)
    touch_demo.picture(held, options.out / "touch.png")
    touch_demo.film(frames, options.out / "touch.gif")
    normal, along, across = held.force.sum((1, 2))[0]
    screen.say(f"held: {normal:.2f} N on each pad, shear {along:.2f} N along the finger, {across:.2f} N across")
    screen.say(f"pictures: {options.out / 'touch.png'}, {options.out / 'touch.gif'}")
    return 0


def _object(options: Options) -> shapes.Shapes:
    radius, half, edge = options.radius, options.half_length, options.edge
    if options.shape == "sphere":
        return shapes.sphere(radius)
    if options.shape == "capsule":
        return shapes.capsule(radius, half)
    if options.shape == "box":
        return shapes.box((half, radius, radius), edge)
    return shapes.cylinder(radius, half, edge) if options.shape == "cylinder" else shapes.hexagon(radius, half, edge)
