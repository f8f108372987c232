"""The body of the virtual drone: motors, battery, air and floor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fledge_hil.air import Wind
from fledge_hil.battery import Battery, BatteryPack
from fledge_hil.estimate import SensorNoise
from fledge_hil.estimator import PERFECT
from fledge_hil.plant import Plant, Surroundings
from fledge_sim import robot as robots
from fledge_sim.rows import Parameter, State

ROBOT = robots.load("crazyflie")
HOVER = [ROBOT.hover_thrust / ROBOT.thrust_max] * 4


def make_plant(seed: int = 0, **around: Any) -> Plant:
    """Perfect estimate unless asked otherwise."""
    return Plant(ROBOT, Surroundings(**{"errors": PERFECT, **around}), seed)


def lift(plant: Plant, height: float) -> None:
    """Hovering there, at rest."""
    plant.state[State.POSITION + 2] = height
    plant.state[State.ROTOR_SPEED :] = ROBOT.hover_rotor_speed


def test_a_drone_on_the_floor_stays_there_and_feels_one_g() -> None:
    plant = make_plant()
    start = list(plant.truth)
    for _ in range(2000):
        plant.step([0.0] * 4)
    assert plant.truth == pytest.approx(start, abs=1e-4)
    assert plant.estimate.acceleration_g == pytest.approx([0, 0, 1], abs=1e-3)


def test_it_stands_where_it_is_put() -> None:
    plant = make_plant(start=(1.0, -2.0, 90.0))
    assert plant.truth[:2] == [1.0, -2.0]
    for _ in range(100):
        plant.step([0.0] * 4)
    assert plant.estimate.euler_deg == pytest.approx((0, 0, 90), abs=0.01)


# ---- motors ----------------------------------------------------------------------------------------------------------


def test_compensation_raises_the_duty_as_the_voltage_falls() -> None:
    plant = make_plant()
    plant.battery.measured = plant.battery.voltage = 4.0
    plant.step(HOVER)
    fresh = plant.duty[0]
    plant.battery.measured = plant.battery.voltage = 3.5
    plant.step(HOVER)
    # duty is proportional to 1/V, quantised to 1/255
    assert plant.duty[0] == pytest.approx(fresh * 4.0 / 3.5, abs=1.5 / 255)
    assert plant.duty[0] * 255 == pytest.approx(round(plant.duty[0] * 255), abs=1e-9)


def test_below_the_dead_zone_motors_stand_and_the_policys_lowest_fraction_turns_them() -> None:
    plant = make_plant()
    plant.step([ROBOT.fraction_low * 0.9] * 4)
    assert plant.duty == [0.0] * 4
    plant.step([float(np.float32(ROBOT.fraction_low))] * 4)
    assert min(plant.duty) > 0


def test_where_one_motor_asks_too_much_all_four_are_reduced() -> None:
    plant = make_plant()
    plant.battery.measured = 2.9  # full thrust needs 2990 / 970.8 = 3.08 V: a duty of 1.062
    plant.step([1.0, 0.5, 0.5, 0.5])
    n = [(3.457e-6 + math.sqrt(3.457e-6**2 + 4 * 1.4645e-8 * 0.12 * f)) / (2 * 1.4645e-8) for f in (1.0, 0.5)]
    wanted = [value / (970.8 * 2.9) for value in n]
    assert plant.duty[0] == 1.0
    assert plant.duty[1] == pytest.approx(wanted[1] - (wanted[0] - 1), abs=1.5 / 255)


# ---- battery ---------------------------------------------------------------------------------------------------------


def test_the_voltage_drops_under_load_by_resistance_times_current() -> None:
    pack, hover = BatteryPack(ROBOT, Battery(idle_current=0.0)), [ROBOT.hover_rotor_speed] * 4
    pack.update(hover)
    # P = k_tau / eta * weight * n, I = P / 4.2 V
    current = 0.00699 / 0.70 * 0.0319 * 9.81 * ROBOT.hover_rotor_speed / 4.2
    assert pack.voltage == pytest.approx(4.2 - 0.17 * current, rel=1e-4)
    for _ in range(1000):
        pack.update(hover)
    assert pack.measured == pytest.approx(pack.voltage, abs=1e-3)
    assert 1 - pack.charge == pytest.approx(10.0 * current / 900.0, rel=0.02)  # the current rises as the voltage falls


def test_an_endless_battery_sags_but_never_empties() -> None:
    pack = BatteryPack(ROBOT, Battery(charge=0.8, endless=True))
    rest = pack.voltage
    for _ in range(500):
        pack.update([ROBOT.hover_rotor_speed] * 4)
    assert pack.charge == 0.8
    assert pack.voltage < rest - 0.2


def test_a_low_battery_is_one_for_five_seconds() -> None:
    pack = BatteryPack(ROBOT, Battery(charge=0.05))
    for _ in range(540):
        pack.update([ROBOT.hover_rotor_speed] * 4)
        if pack.measured > 3.2:
            assert not pack.low
    assert pack.measured < 3.2
    assert pack.low
    assert pack.level_percent == 0
    for _ in range(100):
        pack.update([0.0] * 4)
    assert not pack.low


# ---- air and floor ---------------------------------------------------------------------------------------------------


def test_wind_pushes_a_resting_drone_by_drag_over_mass() -> None:
    plant = make_plant(wind=Wind(speed=2.0, direction_deg=90.0))
    lift(plant, 1.0)
    for _ in range(100):
        plant.step(HOVER)
    # a = 0.03 s/m * 9.81 m/s^2 * 2 m/s, for 0.1 s
    assert plant.truth[8] == pytest.approx(0.03 * 9.81 * 2.0 * 0.1, rel=0.02)
    assert abs(plant.truth[7]) < 1e-4


def test_gusts_have_the_asked_size_and_correlation() -> None:
    plant = make_plant(wind=Wind(gusts=0.5, gust_time=0.1))
    rows = []
    for _ in range(20000):
        plant.air.update()
        rows.append(plant.parameters[Parameter.WIND : Parameter.WIND + 3, 0].copy())
    gusts = np.array(rows)
    # 200 s are 1000 independent values of correlation time 2 * 0.1 s: standard error 1/sqrt(2000) = 2.2 %
    assert gusts.std(axis=0) == pytest.approx([0.5] * 3, rel=0.1)
    assert np.corrcoef(gusts[:-10, 0], gusts[10:, 0])[0, 1] == pytest.approx(math.exp(-1), abs=0.06)


def test_near_the_floor_the_same_motors_lift_more() -> None:
    def climb(height: float) -> float:
        plant = make_plant()
        lift(plant, height)
        for _ in range(5):
            plant.step(HOVER)
        return plant.truth[9] / 0.005

    # rotors 14 mm above: z = 0.044, A = 0.0234^2 / 16; thrust times 1 + A / (z^2 - A)
    area = 0.0234**2 / 16
    assert climb(0.03) - climb(1.0) == pytest.approx(9.81 * area / (0.044**2 - area), rel=0.05)


def test_sensor_noise_has_the_asked_size() -> None:
    plant = make_plant(noise=SensorNoise(position=0.01, attitude=0.02, velocity=0.03, angular_velocity=0.04))
    rows = []
    for _ in range(4000):
        plant.step([0.0] * 4)
        e = plant.estimate
        rows.append((e.position_world[0], 2 * e.quaternion_xyzw[1], e.velocity_world[2], math.radians(e.gyro_deg_s[0])))
    # standard error of a standard deviation: sigma / sqrt(2 n), 1.1 %
    assert np.std(rows, axis=0) == pytest.approx([0.01, 0.02, 0.03, 0.04], rel=0.06)
