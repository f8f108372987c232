"""Robot files against the models they were taken from, and what was wrong there."""

import math

import pytest
from fledge_sim import robot

# Thrust-to-weight and hovering fraction of full scale; rl-tools registry, its polynomials solved anew.
PUBLISHED = {
    "crazyflie": (1.534, 0.652),
    "crazyflie_thrust_upgrade": (1.937, 0.516),
    "crazyflie_brushless": (1.880, 0.532),
    "crazyflie_paper": (2.248, 0.667),
    "crazyflie_rl_tools": (1.467, 0.806),
    "mrs": (2.692, 0.558),
    "x500": (3.247, 0.555),
    "x500_sim": (1.782, 0.749),
    "arpl": (3.937, 0.281),
    "fs_base": (3.401, 0.437),
    "flightmare": (12.125, 0.246),
    "soft": (3.311, 0.429),
    "soft_rigid": (3.316, 0.362),
}


def test_every_shipped_robot_is_compared() -> None:
    assert sorted(PUBLISHED) == robot.names()


@pytest.mark.parametrize("name", PUBLISHED)
def test_thrust_to_weight_and_hover(name: str) -> None:
    model = robot.load(name)
    ratio, hover = PUBLISHED[name]
    assert model.thrust_max / model.hover_thrust == pytest.approx(ratio, rel=1e-3)
    fraction = model.fraction_low + (model.hover_action + 1) / 2 * (model.fraction_high - model.fraction_low)
    assert fraction == pytest.approx(hover, abs=1.5e-3)


@pytest.mark.parametrize(
    ("name", "stored"),
    [("crazyflie_rl_tools", 0.7261), ("mrs", 1636 / 2000), ("arpl", 0.131), ("flightmare", 0.5), ("soft", 0.726)],
)
def test_hover_is_the_root_of_the_curve_not_the_number_stored_upstream(name: str, stored: float) -> None:
    model = robot.load(name)
    c0, c1, c2 = model.thrust_curve
    upstream = stored * model.rotor_speed_max
    speed = model.hover_rotor_speed
    assert c0 + c1 * speed + c2 * speed**2 == pytest.approx(model.mass * model.gravity / 4, rel=1e-9)
    assert abs(c0 + c1 * upstream + c2 * upstream**2 - model.hover_thrust) > 0.1 * model.hover_thrust


def test_roll_inertia_of_the_x500() -> None:
    # upstream's literal is 2.1705 - 2 = 0.1705; its stored inverse 46.0723 says 0.021705
    assert robot.load("x500").inertia[0] == pytest.approx(1 / 46.072333563695004, rel=1e-4)


@pytest.mark.parametrize(("name", "upstream"), [("x500", 0.10847), ("x500_sim", 0.116978), ("soft", 0.2)])
def test_reaction_torques_beyond_any_propeller_are_not_inherited(name: str, upstream: float) -> None:
    model = robot.load(name)
    assert model.torque_per_thrust < 0.35 * model.rotor_radius < upstream


@pytest.mark.parametrize("name", robot.names())
def test_proportions_of_an_aircraft(name: str) -> None:
    model = robot.load(name)
    assert 0.05 < model.torque_per_thrust / model.rotor_radius < 0.35
    sides = [math.dist(model.rotor_position[i], model.rotor_position[(i + 1) % 4]) for i in range(4)]
    assert min(sides) > 2 * model.rotor_radius, "propellers overlap"
    power = 4 * model.torque_per_thrust / model.drive_efficiency * model.hover_thrust * model.hover_rotor_speed
    ideal = 4 * model.hover_thrust**1.5 / math.sqrt(2 * 1.225 * math.pi * model.rotor_radius**2)
    assert 0.15 < ideal / power < 0.7, "share of the electrical power that an ideal rotor would need"
    minutes = model.battery_capacity * model.voltage_nominal / power / 60
    assert 4 < minutes < 40


@pytest.mark.parametrize("name", robot.names())
def test_motors_in_crazyflie_order(name: str) -> None:
    model = robot.load(name)
    signs = [(math.copysign(1, x), math.copysign(1, y)) for x, y in model.rotor_position]
    assert signs == [(1, -1), (-1, -1), (-1, 1), (1, 1)]
    assert model.rotor_spin == (-1, 1, -1, 1)


@pytest.mark.parametrize("name", robot.names())
def test_a_stopped_rotor_gives_no_thrust(name: str) -> None:
    assert robot.load(name).thrust_curve[0] == 0
