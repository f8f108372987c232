"""Robot files: what ships is sound, and what is wrong is refused with the entry's name."""

import copy
import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
from fledge_sim import robot
from fledge_sim.robot import QUANTITIES, ROBOTS, RobotError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREE = tomllib.loads((ROBOTS / "crazyflie.toml").read_text())


@pytest.mark.parametrize("name", robot.names())
def test_shipped_robots_load(name: str) -> None:
    model = robot.load(name)
    assert model.name == name
    assert -1 < model.hover_action < 0.9


def test_hover_of_the_crazyflie() -> None:
    model = robot.load("crazyflie")
    # 0.0319 * 9.81 / 4 = 0.0782347 N; fraction 0.0782347 / 0.12 = 0.651956;
    # action 2 (0.651956 - 0.12) / 0.88 - 1 = 0.208992
    assert model.hover_thrust == pytest.approx(0.07823475)
    assert model.hover_action == pytest.approx(0.208992, abs=1e-5)


def test_hover_of_the_paper() -> None:
    model = robot.load("crazyflie_paper")
    # the paper's code hovers at 14475.8 of 21702 rpm: 2 * 0.66703 - 1 = 0.33405
    assert model.hover_rotor_speed * 30 / 3.14159265 == pytest.approx(14475.8, rel=1e-4)
    assert model.hover_action == pytest.approx(0.33405, abs=1e-4)
    assert 4 * model.thrust_max / (model.mass * model.gravity) == pytest.approx(2.248, abs=1e-3)


def test_the_battery_of_the_crazyflie() -> None:
    model = robot.load("crazyflie")
    # 3.45 + 1.35 / 2 - 1.9 / 4 + 1.3 / 8 = 3.8125
    assert model.voltage_nominal == pytest.approx(3.8125)
    assert model.open_circuit_voltage(1.0) == pytest.approx(4.2)
    # electrical power of hover, 4 k_tau T n / efficiency: 4 * 0.00699 * 0.078235 * 2432 / 0.70 = 7.60 W
    power = model.torque_per_thrust * model.hover_thrust * model.hover_rotor_speed / model.drive_efficiency
    assert 4 * power == pytest.approx(7.60, abs=0.01)


def test_duty_is_a_fraction_of_the_nominal_voltage() -> None:
    tree = {**copy.deepcopy(TREE), "actuation": "duty"}
    tree["rotor_speed_max"]["value"] = 3701.0
    model = robot.parse(tree, "here")
    # 970.8 rad/s/V * 3.8125 V = 3701.2 rad/s; hover at 2432 of it: fraction 0.6572, action 2 (f - 0.12) / 0.88 - 1
    assert model.full_scale == pytest.approx(3701.2, abs=0.1)
    assert model.hover_action == pytest.approx(2 * (model.hover_rotor_speed / 3701.175 - 0.12) / 0.88 - 1, abs=1e-6)


def test_rotors_faster_than_the_battery_allows_are_refused() -> None:
    tree = {**copy.deepcopy(TREE), "actuation": "rotor_speed_fraction"}
    tree["rotor_speed_max"]["value"] = 5000.0
    with pytest.raises(RobotError, match=r"rotor_speed_max\] 5000 rad/s is more than full duty gives"):
        robot.parse(tree, "here")


def test_duty_has_one_top_speed() -> None:
    with pytest.raises(RobotError, match=r"rotor_speed_max\] 2990 rad/s must be the speed at full duty .*, 3701,"):
        robot.parse({**copy.deepcopy(TREE), "actuation": "duty"}, "here")


def test_thrust_curve_is_inverted() -> None:
    # 1 + 2 n + 3 n^2 = 17 at n = 2
    assert robot.rotor_speed_from_thrust((1, 2, 3), 17) == pytest.approx(2)


def test_hash_sees_values_but_not_prose() -> None:
    model = robot.load("crazyflie")
    assert dataclasses.replace(model, description="the blue one").sha256 == model.sha256
    assert dataclasses.replace(model, mass=0.032).sha256 != model.sha256
    assert dataclasses.replace(model, actuation="rotor_speed_fraction").sha256 != model.sha256


def test_a_file_of_ones_own_loads_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((ROBOTS / "crazyflie.toml").read_text().replace("0.0319", "0.0350"))
    assert robot.load(str(path)).mass == 0.035


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(RobotError, match=r"no robot 'crazyfly'; give one of .*crazyflie"):
        robot.load("crazyfly")


def test_an_absent_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(RobotError, match=r"absent\.toml"):
        robot.load(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("content", [b"mass = ", b"\xff\xfe\x00", b"[mass]\n[mass]\n"])
def test_what_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "torn.toml").write_bytes(content)
    with pytest.raises(RobotError, match="cannot be read as TOML"):
        robot.load(str(tmp_path / "torn.toml"))


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_missing_quantity_is_named(name: str) -> None:
    tree = copy.deepcopy(TREE)
    del tree[name]
    with pytest.raises(RobotError, match=rf"quantity \[{name}\] is missing"):
        robot.parse(tree, "here")


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("mass", {"unit": None}, r"\[mass\] unit is None, it must be 'kg'"),
        ("mass", {"unit": "g"}, r"\[mass\] unit is 'g', it must be 'kg'; convert"),
        ("inertia", {"unit": "furlong"}, r"\[inertia\] unit is 'furlong'"),
        ("mass", {"source": None}, r"\[mass\] has no source"),
        ("mass", {"source": "  "}, r"\[mass\] has no source"),
        ("mass", {"note": "x"}, r"\[mass\] has entries other than"),
        ("mass", {"value": 0.0}, r"\[mass\] value 0.0 is outside the physical range"),
        ("mass", {"value": float("nan")}, r"\[mass\] value must be a finite number"),
        ("mass", {"value": "31.9"}, r"\[mass\] value must be a finite number, got '31.9'"),
        ("mass", {"value": True}, r"\[mass\] value must be a finite number, got True"),
        ("mass", {"value": [0.03]}, r"\[mass\] value must be a finite number"),
        ("inertia", {"value": [1e-5, 1e-5]}, r"\[inertia\] value must be a list of 3"),
        ("inertia", {"value": [1e-5, 1e-5, 9e-5]}, "triangle inequality"),
        ("rotor_position", {"value": [[0, 0, 0]] * 4}, r"\[rotor_position\] value must be a list of 2"),
        ("rotor_spin", {"value": [-1, 1, -1, 0.5]}, r"\[rotor_spin\] must be \+1 or -1"),
        ("thrust_curve", {"value": [0, 1e-5, 0]}, "positive quadratic coefficient"),
        ("thrust_curve", {"value": [5.0, 0, 1e-8]}, "never gives the thrust 0.0144 N"),  # 0.12 * 0.12 N
        ("fraction_low", {"value": 0.99}, "cannot hover"),
        ("fraction_high", {"value": 0.1}, "fraction_low must be below fraction_high"),
        ("rotor_time_constant_rise", {"value": 0}, "outside the physical range"),
        ("battery_open_circuit", {"value": [4.2, -1.0, 0, 0]}, "must be positive and rise"),
        ("battery_open_circuit", {"value": [-1.0, 5.0, 0, 0]}, "must be positive and rise"),
        (
            "speed_per_volt",
            {"value": 700.0},
            r"full duty on a full battery of 4.20 V turns at 2940 rad/s, .* needs 2983",
        ),
        # 4 * 0.00699 / 0.7 * 0.12 * 2983 = 14.3 W on 3.45 V: 3.45^2 / (2 * 14.3) = 0.416 ohm
        ("battery_resistance", {"value": 0.5}, r"0.5 ohm is too much for the 14.3 W .* at most 0.416"),
        ("drive_efficiency", {"value": 1.2}, r"\[drive_efficiency\] value 1.2 is outside"),
        ("mass", {"value": 0.06}, r"cannot hover with authority to spare \(thrust-to-weight 0.8"),
    ],
)
def test_a_wrong_quantity_is_named(name: str, changes: dict[str, Any], sentence: str) -> None:
    tree = copy.deepcopy(TREE)
    for key, value in changes.items():
        if value is None:
            del tree[name][key]
        else:
            tree[name][key] = value
    with pytest.raises(RobotError, match=sentence):
        robot.parse(tree, "here")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("actuation", "voltage", "actuation 'voltage' must be"),
        ("device_type", "", "'device_type' must be a non-empty text"),
        ("name", 3, "'name' must be a non-empty text"),
        ("weight", {"value": 1}, "unknown entries weight"),
    ],
)
def test_a_wrong_entry_is_named(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(RobotError, match=sentence):
        robot.parse({**TREE, key: value}, "here")
