"""PyBullet's model of a robot, as text: `urdf.emit(airframe.of_robot(robot)[0])`.

A base with the principal inertia and a link without mass at each rotor, whose joint axis is the reaction torque per
thrust [m] (a length with a sign, not a direction alone); eight small spheres touch the floor.
"""

from __future__ import annotations

from fledge_sim.crosscheck.airframe import Body

CONTACT_RADIUS = 1e-3
"""Of the spheres [m]; they touch where the contact points are."""


def emit(body: Body) -> str:
    """The model of the robot alone; the floor is a plane of PyBullet's."""
    ixx, iyy, izz = body.inertia
    spheres = [
        _sphere(x, y, z)
        for x, y in zip(body.rotor_x, body.rotor_y, strict=True)
        for z in (CONTACT_RADIUS - body.leg_height, body.rotor_height - CONTACT_RADIUS)
    ]
    lines = [
        '<?xml version="1.0"?>',
        '<robot name="fledge">',
        '  <link name="body">',
        "    <inertial>",
        f'      <mass value="{body.mass!r}"/>',
        f'      <inertia ixx="{ixx!r}" iyy="{iyy!r}" izz="{izz!r}" ixy="0" ixz="0" iyz="0"/>',
        "    </inertial>",
        *spheres,
        "  </link>",
        *(_rotor(body, rotor) for rotor in range(4)),
        "</robot>",
    ]
    return "\n".join(lines) + "\n"


def _sphere(x: float, y: float, z: float) -> str:
    origin = f'<origin xyz="{x!r} {y!r} {z!r}"/>'
    return f'    <collision>{origin}<geometry><sphere radius="{CONTACT_RADIUS!r}"/></geometry></collision>'


def _rotor(body: Body, rotor: int) -> str:
    """Without an inertial of zero PyBullet would give the link a mass of 1 kg."""
    name = f"m{rotor + 1}"
    origin = f"{body.rotor_x[rotor]!r} {body.rotor_y[rotor]!r} {body.rotor_height!r}"
    return "\n".join(
        [
            f'  <link name="{name}"><inertial><mass value="0"/>'
            '<inertia ixx="0" iyy="0" izz="0" ixy="0" ixz="0" iyz="0"/></inertial></link>',
            f'  <joint name="{name}" type="fixed"><parent link="body"/><child link="{name}"/>'
            f'<origin xyz="{origin}"/><axis xyz="0 0 {body.torque_per_thrust[rotor]!r}"/></joint>',
        ]
    )
