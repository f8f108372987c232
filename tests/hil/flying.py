"""What the tests of the virtual Crazyflie share: a policy that fits the robot, its board, a drone on it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from fledge_hil.board import HostBoard, build_board
from fledge_hil.virtual import Settings, VirtualCrazyflie
from fledge_sim import policy as policy_file
from fledge_sim import robot as robots
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm, TrainingRecord
from fledge_sim.policy import Policy

HIDDEN = 8


def untrained_policy(seed: int = 0) -> Policy:
    """A well-formed policy with small random weights: it self-tests, it cannot fly."""
    robot = robots.load("crazyflie")
    terms = (
        ObservationTerm("position_error", 3, "m", "heading", 0.6, 1.0, 0.001),
        ObservationTerm("rotation", 9, "1", "heading", 1.0, 1.0, 0.001),
        ObservationTerm("velocity_error", 3, "m/s", "heading", 2.0, 1.0, 0.002),
        ObservationTerm("angular_velocity", 3, "rad/s", "body", 20.0, 0.1, 0.002),
    )
    contract = Contract(
        robot=robot.name,
        robot_sha256=robot.sha256,
        device_type=robot.device_type,
        observation=terms,
        action=ActionMapping("thrust_fraction", robot.fraction_low, robot.fraction_high, robot.hover_action),
        network=NetworkShape("gru", (HIDDEN,)),
        training=TrainingRecord("none", seed, "test"),
    )
    random = np.random.default_rng(seed)
    shapes = policy_file.weight_shapes(contract.network, contract.observation_size)
    weights = {name: 0.1 * random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return policy_file.assemble(contract, weights)


def host_drone(policy: Policy, cache: Path, settings: Settings | None = None) -> VirtualCrazyflie:
    """A virtual drone on the host build of the board."""
    robot = robots.load(policy.contract.robot)
    return VirtualCrazyflie(robot, policy.contract, HostBoard(build_board(policy, cache).library), settings)


def distance(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Euclidean."""
    return math.dist(a, b)
