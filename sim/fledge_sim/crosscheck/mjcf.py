"""MuJoCo's model of a robot, as text: `mjcf.emit(airframe.of_robot(robot)[0])`.

A free body with the principal inertia, a site and an actuator per rotor (control = thrust [N]; MuJoCo turns it into
force and reaction torque), and a floor with a small sphere at each of the eight contact points.
"""

from __future__ import annotations

from fledge_sim.crosscheck.airframe import Body

CONTACT_RADIUS = 1e-3
"""Of the spheres [m]; they touch where the contact points are."""


def emit(body: Body, floor: bool = False) -> str:
    """The model; `floor` adds contact with the plane z = 0."""
    sites, motors, feet = [], [], []
    for rotor, (x, y, torque) in enumerate(zip(body.rotor_x, body.rotor_y, body.torque_per_thrust, strict=True), 1):
        sites.append(f'      <site name="m{rotor}" pos="{x!r} {y!r} {body.rotor_height!r}"/>')
        motors.append(f'    <motor name="m{rotor}" site="m{rotor}" gear="0 0 1 0 0 {torque!r}"/>')
        for name, z in (
            ("foot", CONTACT_RADIUS - body.leg_height),
            ("top", body.rotor_height - CONTACT_RADIUS),
        ):
            feet.append(f'      <geom name="{name}{rotor}" size="{CONTACT_RADIUS!r}" pos="{x!r} {y!r} {z!r}"/>')
    inertia = " ".join(map(repr, body.inertia))
    lines = [
        '<mujoco model="fledge">',
        '  <compiler inertiafromgeom="false" boundmass="0" boundinertia="0"/>',
        f'  <option integrator="RK4" gravity="0 0 {-body.gravity!r}"/>',
        "  <default>",
        f'    <geom type="sphere" friction="{body.friction!r} 0 0" condim="3" priority="1"/>',
        "  </default>",
        "  <worldbody>",
        *(['    <geom name="floor" type="plane" size="0 0 1" priority="0"/>'] if floor else []),
        '    <body name="body">',
        "      <freejoint/>",
        f'      <inertial pos="0 0 0" mass="{body.mass!r}" diaginertia="{inertia}"/>',
        *sites,
        *(feet if floor else []),
        "    </body>",
        "  </worldbody>",
        "  <actuator>",
        *motors,
        "  </actuator>",
        "</mujoco>",
    ]
    return "\n".join(lines) + "\n"
