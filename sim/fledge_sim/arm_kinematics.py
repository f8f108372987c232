"""Where the grip frame is: forward, Jacobian and inverse kinematics of an arm; numpy, float64, any leading shape.

Forward kinematics are a product of exponentials: joint after joint turns everything behind it about its own axis, all
given in base axes at q = 0. The grip frame's axes at q = 0 are the base's: x along the fingers.
Source: Murray, Li, Sastry, A Mathematical Introduction to Robotic Manipulation, 1994, section 3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_sim.arm import Arm

Float64 = NDArray[np.float64]


def axis_rotation(axis: ArrayLike, angle: ArrayLike) -> Float64:
    """Rodrigues' formula: R = 1 + sin(a) [k] + (1 - cos(a)) [k]^2.

    Args:
        axis: k, (3,) [1], of length one.
        angle: a, (...) [rad].
    Returns:
        (..., 3, 3).
    """
    x, y, z = np.asarray(axis, np.float64)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, versine = np.sin(angle)[..., None, None], (1 - np.cos(angle))[..., None, None]
    return np.asarray(np.eye(3) + sine * skew + versine * (skew @ skew), np.float64)


def forward(arm: Arm, q: ArrayLike) -> tuple[Float64, Float64]:
    """Position and orientation of the grip frame.

    Args:
        arm: geometry.
        q: joint positions, (..., J) [rad, m], J all joints or all but the gripper.
    Returns:
        position_base (..., 3) [m], rotation_base_from_grip (..., 3, 3).
    """
    joints = _checked(arm, q)
    position: Float64 = np.broadcast_to(np.array(arm.tip), (*joints.shape[:-1], 3))
    rotation: Float64 = np.broadcast_to(np.eye(3), (*joints.shape[:-1], 3, 3))
    for index in reversed(range(len(arm.chain))):
        joint, value = arm.chain[index], joints[..., index]
        if joint.kind == "slide":
            position = position + value[..., None] * np.array(joint.axis)
            continue
        turn, point = axis_rotation(joint.axis, value), np.array(joint.point)
        position = point + (turn @ (position - point)[..., None])[..., 0]
        rotation = turn @ rotation
    return position, rotation


def tip_position(arm: Arm, q: Float64) -> Float64:
    """Position of the grip frame alone, (..., 3) [m]: a third of the time of `forward`, for hot loops.

    Each element is computed from its own row alone, so that rows do not depend on how many there are.

    Args:
        arm: geometry; where an axis is not along x, y or z this is `forward`.
        q: (..., J) [rad, m], J all joints or all but the gripper.
    """
    if any(max(map(abs, joint.axis)) < 1 for joint in arm.chain):
        return forward(arm, q)[0]
    place: list[Any] = list(arm.tip)
    for index in reversed(range(len(arm.chain))):
        joint, value = arm.chain[index], q[..., index]
        along = [abs(part) for part in joint.axis].index(1.0)
        if joint.kind == "slide":
            place[along] = place[along] + joint.axis[along] * value
            continue
        first, second = (along + 1) % 3, (along + 2) % 3
        cosine, sine = np.cos(value), joint.axis[along] * np.sin(value)
        a, b = place[first] - joint.point[first], place[second] - joint.point[second]
        place[first] = joint.point[first] + cosine * a - sine * b
        place[second] = joint.point[second] + sine * a + cosine * b
    return np.stack(np.broadcast_arrays(*place), -1)


def jacobian(arm: Arm, q: ArrayLike) -> Float64:
    """Twist of the grip frame per joint velocity.

    Args:
        arm: geometry.
        q: (..., J) [rad, m], as `forward`.
    Returns:
        (..., 6, C) for the C joints of the chain: velocity_base of the grip frame's origin, angular_velocity_base.
    """
    joints = _checked(arm, q)
    tip, _ = forward(arm, joints)
    axes, points = _moved(arm, joints)
    columns = []
    for index, joint in enumerate(arm.chain):
        axis = axes[index]
        if joint.kind == "slide":
            columns.append(np.concatenate([axis, np.zeros_like(axis)], -1))
        else:
            columns.append(np.concatenate([np.cross(axis, tip - points[index]), axis], -1))
    return np.stack(columns, -1)


def inverse(arm: Arm, position_base: ArrayLike, pitch: ArrayLike, roll: ArrayLike = 0.0) -> Float64:
    """Joints of the chain that put the grip frame somewhere, elbow up; closed form.

    The joint of the base turns an arm of two links and a wrist, whose axes are parallel, and a last joint may roll the
    tool. The tool's offset beside the arm's plane decides the first joint, the tool's pitch leaves a triangle.

    Args:
        arm: joints about z, y, y, y and, if there is a fifth, x at q = 0, either sense.
        position_base: (..., 3) [m].
        pitch: (...) [rad], of the fingers below the horizontal: 0 forward, pi / 2 down.
        roll: (...) [rad], about the fingers by the right-hand rule; must be 0 for an arm that cannot roll.
    Returns:
        (..., C) [rad]; NaN where the place is out of reach, or beyond a joint's limits.
    Raises:
        FledgeError: the arm's joints are not of that kind.
    """
    _check_invertible(arm)
    position = np.asarray(position_base, np.float64)
    pitch_, roll_ = np.asarray(pitch, np.float64), np.asarray(roll, np.float64)
    pan, lift, elbow, wrist = (np.array(joint.point) for joint in arm.chain[:4])
    rolls = len(arm.chain) == 5
    tool = _tool(arm, roll_) - wrist
    relative = position - pan
    lateral, radius = tool[..., 1], np.hypot(relative[..., 0], relative[..., 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        heading = np.arctan2(relative[..., 1], relative[..., 0]) - np.arcsin(lateral / radius)
        along = np.sqrt(radius**2 - lateral**2) + pan[0] - lift[0]
        wrist_x = along - np.cos(pitch_) * tool[..., 0] - np.sin(pitch_) * tool[..., 2]
        wrist_z = position[..., 2] - lift[2] + np.sin(pitch_) * tool[..., 0] - np.cos(pitch_) * tool[..., 2]
        first, second = _triangle(elbow - lift, wrist - elbow, wrist_x, wrist_z)
    angles = [heading, first, second, pitch_ - first - second] + ([roll_] if rolls else [])
    signs = [np.array(joint.axis) @ side for joint, side in zip(arm.chain, _SIDES, strict=False)]
    q = np.stack(np.broadcast_arrays(*(sign * angle for sign, angle in zip(signs, angles, strict=True))), -1)
    low, high = np.array(arm.lower[:-1]), np.array(arm.upper[:-1])
    within = ((q >= low) & (q <= high)).all(-1, keepdims=True)
    return np.where(within, q, np.nan)


_SIDES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def _triangle(upper: Float64, fore: Float64, x: Float64, z: Float64) -> tuple[Float64, Float64]:
    """Turns about y of two links, given at q = 0, that put the wrist at (x, z) from the first axis, elbow up."""
    length, angle = np.hypot(upper[0], upper[2]), np.arctan2(upper[2], upper[0])
    fore_length, fore_angle = np.hypot(fore[0], fore[2]), np.arctan2(fore[2], fore[0])
    distance2 = x**2 + z**2
    cosine = (distance2 + length**2 - fore_length**2) / (2 * length * np.sqrt(distance2))
    upper_angle = np.arctan2(z, x) + np.arccos(cosine)
    elbow_x, elbow_z = length * np.cos(upper_angle), length * np.sin(upper_angle)
    first = _wrapped(angle - upper_angle)
    return first, _wrapped(fore_angle - np.arctan2(z - elbow_z, x - elbow_x) - first)


def _wrapped(angle: Float64) -> Float64:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi, np.float64)


def _tool(arm: Arm, roll: Float64) -> Float64:
    """Where the tip is after a roll of the last joint alone, (..., 3)."""
    tip = np.array(arm.tip)
    if len(arm.chain) == 4:
        return tip
    point = np.array(arm.chain[4].point)
    return np.asarray(point + (axis_rotation((1.0, 0.0, 0.0), roll) @ (tip - point)[:, None])[..., 0], np.float64)


def _moved(arm: Arm, q: Float64) -> tuple[list[Float64], list[Float64]]:
    """Axes and points of the chain where the joints before have moved them, each (..., 3)."""
    rotation: Float64 = np.broadcast_to(np.eye(3), (*q.shape[:-1], 3, 3))
    shift: Float64 = np.zeros((*q.shape[:-1], 3))
    axes, points = [], []
    for index, joint in enumerate(arm.chain):
        axis, point = rotation @ np.array(joint.axis), rotation @ np.array(joint.point) + shift
        axes.append(axis)
        points.append(point)
        if joint.kind == "slide":
            shift = shift + q[..., index, None] * axis
            continue
        turn = rotation @ axis_rotation(joint.axis, q[..., index])
        shift = point - turn @ np.array(joint.point)
        rotation = turn
    return axes, points


def _checked(arm: Arm, q: ArrayLike) -> Float64:
    joints = np.asarray(q, np.float64)
    sizes = (len(arm.chain), len(arm.joints))
    if joints.ndim < 1 or joints.shape[-1] not in sizes:
        raise FledgeError(f"q has shape {joints.shape}, its last dimension must be {sizes[0]} or {sizes[1]} joints")
    return joints


def _check_invertible(arm: Arm) -> None:
    fits = len(arm.chain) in (4, 5) and all(joint.kind == "hinge" for joint in arm.chain)
    along = [abs(np.array(joint.axis) @ side) for joint, side in zip(arm.chain, _SIDES, strict=False)]
    if not fits or min(along) < 1 - 1e-9 or any(abs(joint.point[1]) > 1e-9 for joint in arm.chain[:4]):
        raise FledgeError(f"arm '{arm.name}' has no closed-form inverse: its joints must turn about z, y, y, y and x")
