"""Arm files: what ships is sound, what is wrong is refused; the servo's constants and law by hand."""

import copy
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fledge_sim import arm, robot, servo
from fledge_sim.quantity import ROBOTS, RobotError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREE = tomllib.loads((ROBOTS / "so101.toml").read_text())


@pytest.mark.parametrize("name", arm.names())
def test_shipped_arms_load(name: str) -> None:
    model = arm.load(name)
    assert model.name == name
    assert len({joint.servo_id for joint in model.joints}) == len(model.joints)
    assert name not in robot.names()


def test_the_mass_of_the_so101() -> None:
    model = arm.load("so101")
    # 0.147 + 0.100 + 0.103 + 0.104 + 0.079 + 0.087 + 0.012 kg
    assert model.base_mass + sum(joint.mass for joint in model.joints) == pytest.approx(0.632)


def test_the_constants_of_the_sts3215() -> None:
    constants = arm.load("so101").servo
    # 7.4 * 5.312 * 1.178 / 2.479 = 18.68 N m/rad; 1.178^2 / 2.479 + 0.0599 = 0.6197; 0.97 * 7.4 * 1.178 / 2.479 = 3.411
    assert constants.stiffness == pytest.approx(18.68, abs=0.005)
    assert constants.damping == pytest.approx(0.6197, abs=5e-5)
    assert constants.torque_max == pytest.approx(3.411, abs=5e-4)


def test_the_stiffness_agrees_with_the_load_test() -> None:
    """1.04 N m deflected arms in the hand by 1.8 to 2.6 degrees; friction and play help or hinder by their share."""
    constants = arm.load("so101").servo
    free = (1.04 - constants.load_friction * 1.04 - constants.coulomb_friction) / constants.stiffness
    assert math.degrees(free) < 2.6 < 3.3 < math.degrees(1.04 / constants.stiffness + constants.backlash)


def test_the_law_of_a_servo_by_hand() -> None:
    constants = arm.load("so101").servo
    state, torque = servo.step(constants, servo.at_rest(0.0), 1.0, 0.0, 0.0, 0.01)
    # the set-point moves 5.1 * 0.01 = 0.051 rad: 18.679 * 0.051 = 0.9526 N m
    assert state.setpoint == pytest.approx(0.051)
    assert torque == pytest.approx(0.9526, abs=1e-4)
    # a whole radian away the duty is at its limit; 2 rad/s cost 2 * 0.6197 N m, and slipping friction its limit
    held = servo.ServoState(np.array(1.0), np.array(0.0))
    for _ in range(200):
        held, torque = servo.step(constants, held, 1.0, 0.0, 2.0, 0.002)
    limit = 0.0515 + 0.208 * 3.410925
    assert torque == pytest.approx(3.4109 - 2 * 0.61968 - limit, abs=1e-3)
    assert held.bristle * servo.BRISTLE_STIFFNESS == pytest.approx(limit, rel=1e-6)


def test_the_teeth_lean_where_the_load_is() -> None:
    constants = arm.load("so101").servo
    assert servo.play_open(constants, 0.5) == pytest.approx(0.0076)
    assert servo.play_open(constants, -0.5) == pytest.approx(-0.0076)
    assert servo.play_open(constants, 0.0125) == pytest.approx(0.0019)
    # 2 pi / 4096 = 1.534 mrad
    assert servo.quantised(constants, 0.01) == pytest.approx(0.0107379, abs=1e-7)


def test_friction_holds_at_rest() -> None:
    """Duty and a bristle bent by less than the limit share the load, and nothing creeps."""
    constants = arm.load("so101").servo
    state, position, velocity, halfway = servo.at_rest(0.0), 0.0, 0.0, 0.0
    for tick in range(3000):
        state, torque = servo.step(constants, state, 0.0, position, velocity, 0.001)
        velocity += 0.001 * (float(torque) + 0.04) / constants.armature
        position += 0.001 * velocity
        halfway = position if tick < 1500 else halfway
    assert 0.04 / (servo.BRISTLE_STIFFNESS + constants.stiffness) < position < 0.04 / constants.stiffness
    assert position == pytest.approx(halfway, abs=1e-6)
    bent = float(state.bristle) * servo.BRISTLE_STIFFNESS
    assert bent + constants.stiffness * position == pytest.approx(0.04, abs=1e-4)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("joint_lower", [-1.9, 1.8, -1.7, -1.6, -2.7, -0.2], "is not below its .joint_upper."),
        ("joint_lower", [-1.9, 0.1, -1.7, -1.6, -2.7, -0.2], "cannot reach 0"),
        ("joint_lower", [-1.9, -1.7, -1.7], "must be a list of 6"),
        ("link_mass", [0.1, 0.1, 0.1, 0.1, -0.1, 0.1], "outside the physical range"),
        ("servo_id", [1, 2, 3, 3, 5, 6], "repeats"),
        ("joint_axis", [[0, 0, 2.0]] + [[0, 1, 0]] * 5, "outside the physical range"),
        ("joint_axis", [[0, 0.5, 0.5]] + [[0, 1, 0]] * 5, "must be a unit vector"),
        ("link_inertia", [[1e-5, 1e-5, 3e-5, 0, 0, 0]] * 6, "belongs to no body"),
        ("link_inertia", [[1e-5, 1e-5, 1e-5, 2e-5, 0, 0]] * 6, "belongs to no body"),
        ("grip_position", 3.0, "outside the gripper's limits"),
        ("resistance", math.nan, "finite number"),
    ],
)
def test_impossible_arms_are_refused(entry: str, value: Any, message: str) -> None:
    tree = copy.deepcopy(TREE)
    tree[entry]["value"] = value
    with pytest.raises(RobotError, match=message):
        arm.parse(tree, "here")


def test_incomplete_arms_are_refused() -> None:
    tree = copy.deepcopy(TREE)
    del tree["armature"]
    with pytest.raises(RobotError, match=r"\[armature\] is missing.*kg m\^2"):
        arm.parse(tree, "here")
    tree = copy.deepcopy(TREE)
    tree["link_com"]["unit"] = "mm"
    with pytest.raises(RobotError, match="unit is 'mm', it must be 'm'"):
        arm.parse(tree, "here")
    with pytest.raises(RobotError, match="joint_kinds of elbow_flex is 'ball'"):
        arm.parse({**TREE, "joint_kinds": ["hinge", "hinge", "ball", "hinge", "hinge", "hinge"]}, "here")
    with pytest.raises(RobotError, match="one kind for each"):
        arm.parse({**TREE, "joint_kinds": ["hinge"]}, "here")
    with pytest.raises(RobotError, match="unknown entries colour"):
        arm.parse({**TREE, "colour": 3}, "here")


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("kind = ")
    with pytest.raises(RobotError, match="cannot be read as TOML"):
        arm.load(str(broken))
    with pytest.raises(RobotError, match="no robot 'panda'; give one of open_manipulator_x, so101"):
        arm.load("panda")
    with pytest.raises(RobotError, match="of kind 'quadrotor', here one of kind 'arm'"):
        arm.load("crazyflie")
    with pytest.raises(RobotError, match="of kind 'arm', here one of kind 'quadrotor'"):
        robot.load("so101")


def test_the_hash_follows_the_values_only() -> None:
    model, tree = arm.load("so101"), copy.deepcopy(TREE)
    tree["description"] = tree["armature"]["source"] = "other words"
    assert arm.parse(tree, "here").sha256 == model.sha256
    tree["armature"]["value"] = 0.0262
    assert arm.parse(tree, "here").sha256 != model.sha256
