"""A square hole of four walls over a floor, somewhere on the table in every world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arm_model import OBJECT_BIT, SCENE_BIT

if TYPE_CHECKING:
    from fledge_sim.arm_plant import ArmPlant

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]

SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Of the walls, from the hole's middle."""


@dataclass(frozen=True)
class Hole:
    """Sizes [m]."""

    rim: float = 0.0
    """Height of the rim above the arm's foot: the wrist has a quarter radian to spare over a hole in the table."""
    depth: float = 0.018
    wall: float = 0.020
    """Thickness of the walls."""

    def text(self, half: float) -> str:
        """Elements for ModelOptions.scene; `half` is half the hole's width, which `apply` changes."""
        bits = f'contype="{SCENE_BIT}" conaffinity="{OBJECT_BIT}"'
        floor = self.rim - self.depth
        lines = [
            f'    <geom name="floor" type="plane" size="1 1 0.1" pos="0 0 {floor!r}" {bits}/>',
            '    <body name="hole">',
        ]
        for index, (x, y) in enumerate(SIDES):
            across, thick = half + self.wall, self.wall / 2
            size = (thick, across) if x else (across, thick)
            away = half + thick
            lines.append(
                f'      <geom name="wall{index}" type="box" size="{size[0]!r} {size[1]!r} {self.depth / 2!r}" '
                f'pos="{x * away!r} {y * away!r} {-self.depth / 2!r}" {bits}/>'
            )
        return "\n".join([*lines, "    </body>"])

    def apply(self, plant: ArmPlant, worlds: Index, rim_middle: Float64, yaw: Float64, half: Float64) -> None:
        """Place (m, 3) [m], turn (m,) [rad] and half width (m,) [m] of the hole of worlds (m,)."""
        body = plant.model.body("hole").id
        plant.field("body_pos")[worlds, body] = rim_middle
        zero = np.zeros_like(yaw)
        plant.field("body_quat")[worlds, body] = np.stack([np.cos(yaw / 2), zero, zero, np.sin(yaw / 2)], -1)
        walls, away = plant.field("geom_pos"), half + self.wall / 2
        for index, (x, y) in enumerate(SIDES):
            wall = plant.model.geom(f"wall{index}").id
            walls[worlds, wall, 0], walls[worlds, wall, 1] = x * away, y * away
