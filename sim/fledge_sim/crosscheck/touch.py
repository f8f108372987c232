"""An object between two finger pads in MuJoCo, beside the force field: its contacts, and its own sensor of depths.

The pads lie in planes z = const, face each other and are pressed together along z; gravity pulls along -x, out of the
grip. The contacts are given the stiffness of the gel, so what MuJoCo's contacts carry is what the field should sum to.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Motion, Pad, relative_motion
from fledge_sim.tactile_shapes import Kind, Shapes

Float64 = NDArray[np.float64]
TIMESTEP = 5e-4
"""[s]"""
IMPEDANCE = 0.9
"""Of the contacts, at any depth: what is left is compliance."""
PAD_MASS = 0.05
"""[kg]"""
THICKNESS = 0.004
"""Of a pad [m]."""
DAMPING = 5.0
"""Of the pads' slides [N s/m]."""
PADS = ("below", "above")
_NAMES = {Kind.SPHERE: "sphere", Kind.CAPSULE: "capsule", Kind.BOX: "box", Kind.CYLINDER: "cylinder"}


@dataclass(frozen=True)
class Grip:
    """What is held, and how."""

    shapes: Shapes
    """One object, of a kind that MuJoCo has, without rounded edges."""
    half_height: float
    """Of the object along z as it lies between the pads [m]."""
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """w x y z, of the object."""
    force: float = 3.0
    """Of each pad towards the other [N]."""
    mass: float = 0.02
    """Of the object [kg]."""
    friction: float = 0.8
    pad: Pad = field(default_factory=Pad)


def emit(grip: Grip) -> str:
    """The model as MJCF."""
    kind = Kind(int(grip.shapes.kind[0]))
    if kind not in _NAMES or grip.shapes.size[0, 3] > 0:
        raise FledgeError(f"MuJoCo has no {kind.name.lower()} with such edges; choose one of {list(_NAMES.values())}")
    pad, half, solimp = grip.pad, grip.half_height, f"{IMPEDANCE} {IMPEDANCE} 0.001"
    x, y = pad.length / 2, pad.width / 2
    size = " ".join(str(value) for value in grip.shapes.size[0, :3])

    def finger(name: str, sign: int) -> str:
        turn, middle = "1 0 0 0" if sign > 0 else "0 1 0 0", -THICKNESS / 2
        return (
            f'<body name="{name}" pos="0 0 {-sign * half}" quat="{turn}">'
            f'<joint name="{name}" type="slide" axis="0 0 1" damping="{DAMPING}"/>'
            f'<geom name="{name}" type="box" size="{x} {y} {-middle}" pos="0 0 {middle}" mass="{PAD_MASS}"/>'
            f'<geom name="{name}_taxels" type="mesh" mesh="taxels" pos="0 0 1" mass="1e-6" contype="0"'
            f' conaffinity="0"/></body>'
        )

    def pair(name: str) -> str:
        return (
            f'<pair name="{name}" geom1="{name}" geom2="object" condim="4" solref="-1 -1" solimp="{solimp}"'
            f' friction="{grip.friction} {grip.friction} 0.005 0 0"/>'
        )

    def sensor(name: str) -> str:
        return f'<tactile name="{name}" geom="{name}_taxels" mesh="taxels"/>'

    below, above = PADS
    return f"""<mujoco>
<option timestep="{TIMESTEP}" gravity="-9.81 0 0" cone="elliptic" impratio="10" integrator="implicitfast"/>
<asset><mesh name="taxels" builtin="plate" params="{pad.columns} {pad.rows}" scale="{x} {y} 1"/></asset>
<worldbody>{finger(below, 1)}{finger(above, -1)}
<body name="object" quat="{" ".join(map(str, grip.quaternion))}"><freejoint/>
<geom name="object" type="{_NAMES[kind]}" size="{size}" mass="{grip.mass}"/></body></worldbody>
<contact>{pair(below)}{pair(above)}</contact>
<actuator><motor joint="{below}"/><motor joint="{above}"/></actuator>
<sensor>{sensor(below)}{sensor(above)}</sensor>
</mujoco>"""


class Held:
    """The grip as it moves."""

    def __init__(self, grip: Grip, stiffness: float) -> None:
        """`stiffness` of each pad's contact with the object as a whole [N/m], shared by its contact points."""
        self._mujoco: Any = importlib.import_module("mujoco")
        self.grip = grip
        self.model: Any = self._mujoco.MjModel.from_xml_string(emit(grip))
        self.data: Any = self._mujoco.MjData(self.model)
        self.data.qpos[:2] = 1e-5  # just touching, to see how heavy MuJoCo takes the contacts to be
        self._mujoco.mj_forward(self.model, self.data)
        for pair in (0, 1):
            points = list(self._contacts(pair).values())
            # at rest a point carries aref / R with aref = solref / impedance^2 * impedance * depth
            spring = stiffness / len(points) * IMPEDANCE * float(self.data.efc_R[points[0].efc_address])
            self.model.pair_solref[pair] = -spring, -2 * np.sqrt(spring)
        self.data.ctrl[:] = grip.force

    def _contacts(self, pair: int) -> dict[int, Any]:
        """Contacts of a pad by their place in MuJoCo's list."""
        geom = self.model.geom(PADS[pair]).id
        return {place: contact for place, contact in enumerate(self.data.contact) if geom in contact.geom}

    def sense(self, on: bool) -> None:
        """Whether MuJoCo's sensor of depths is evaluated in every step; at first it is."""
        bit = self._mujoco.mjtDisableBit.mjDSBL_SENSOR
        self.model.opt.disableflags = self.model.opt.disableflags & ~bit if on else self.model.opt.disableflags | bit

    def advance(self, seconds: float) -> None:
        """Whole steps of TIMESTEP."""
        for _ in range(round(seconds / TIMESTEP)):
            self._mujoco.mj_step(self.model, self.data)

    @property
    def motion(self) -> Motion:
        """Of the object in both pads, as the field wants it."""
        # Velocities at the bodies' origins, world axes; angular first.
        moving = np.zeros((3, 6))
        bodies = [self.model.body(name).id for name in (*PADS, "object")]
        for row, body in zip(moving, bodies, strict=True):
            self._mujoco.mj_objectVelocity(self.model, self.data, self._mujoco.mjtObj.mjOBJ_XBODY, body, row, 0)
        place, turn = self.data.xpos[bodies], self.data.xmat[bodies].reshape(3, 3, 3)
        pads, held = slice(0, 2), slice(2, 3)
        quantities = (place, turn, moving[:, 3:], moving[:, :3])
        return relative_motion(*(q[pads][None] for q in quantities), *(q[held] for q in quantities))

    def contact_force(self, pair: int) -> Float64:
        """Of all contacts of a pad, on the pad: compression, along x, along y of the pad [N]."""
        geom, total = self.model.geom(PADS[pair]).id, np.zeros(3)
        for place, contact in self._contacts(pair).items():
            wrench = np.zeros(6)
            self._mujoco.mj_contactForce(self.model, self.data, place, wrench)
            on_second = contact.frame.reshape(3, 3).T @ wrench[:3]
            total += -on_second if contact.geom[0] == geom else on_second
        local = self.data.body(PADS[pair]).xmat.reshape(3, 3).T @ total
        return np.array([-local[2], local[0], local[1]])

    def depth(self, pair: int) -> Float64:
        """MuJoCo's own sensor: depth under each taxel (rows, columns) [m]."""
        pad, name = self.grip.pad, PADS[pair]
        mesh, body = self.data.geom(f"{name}_taxels"), self.data.body(name)
        vertices = self.model.mesh_vert.reshape(-1, 3) @ mesh.xmat.reshape(3, 3).T + mesh.xpos
        local = (vertices - body.xpos) @ body.xmat.reshape(3, 3)
        column = np.rint((local[:, 0] / pad.length + 0.5) * pad.columns - 0.5).astype(int)
        row = np.rint((local[:, 1] / pad.width + 0.5) * pad.rows - 0.5).astype(int)
        depths = np.full((pad.rows, pad.columns), np.nan)
        depths[row, column] = self.data.sensor(name).data.reshape(3, -1)[0]
        return depths
