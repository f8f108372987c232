"""Random robots, states, set-points and policies that several kinds of test share."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from fledge_sim import frames, policy, robot
from fledge_sim.contract import (
    ActionMapping,
    ArmEnvelope,
    Contract,
    GoalSemantics,
    JointMapping,
    NetworkShape,
    ObservationTerm,
    TrainingRecord,
)
from fledge_sim.policy import Policy
from fledge_sim.rows import Parameter, State, parameter_rows
from numpy.typing import NDArray

Rows = NDArray[np.float64]


class QuadrotorSample(NamedTuple):
    """Columns are environments; state and setpoint are exactly representable in float32."""

    state: Rows
    """(17, n)"""
    setpoint: Rows
    """(4, n)"""
    parameters: Rows
    """(51, n)"""


SampleQuadrotor = Callable[..., QuadrotorSample]


def _sample(seed: int, n: int, *, near_floor: bool = False, name: str = "crazyflie") -> QuadrotorSample:
    generator = np.random.default_rng(seed)
    nominal = robot.load(name)
    parameters = parameter_rows(nominal, n).astype(np.float64) * generator.uniform(0.8, 1.25, (51, n))
    parameters[Parameter.INERTIA_INVERSE : Parameter.ROTOR_X] = (
        1 / parameters[Parameter.INERTIA : Parameter.INERTIA_INVERSE]
    )
    parameters[Parameter.DRAG : Parameter.DISTURBANCE_FORCE] = generator.uniform(0, 0.02, (3, n))
    weight = nominal.mass * nominal.gravity
    parameters[Parameter.DISTURBANCE_FORCE : Parameter.DISTURBANCE_TORQUE] = generator.normal(0, weight / 20, (3, n))
    parameters[Parameter.DISTURBANCE_TORQUE : Parameter.GRAVITY] = generator.normal(0, weight * 1e-4, (3, n))
    state = np.empty((17, n))
    state[State.POSITION : State.QUATERNION] = generator.normal(0, 1, (3, n))
    state[State.QUATERNION : State.VELOCITY] = frames.sample_uniform(generator, n, 0.3 if near_floor else np.pi).T
    state[State.VELOCITY : State.ANGULAR_VELOCITY] = generator.normal(0, 0.3 if near_floor else 2, (3, n))
    state[State.ANGULAR_VELOCITY : State.ROTOR_SPEED] = generator.normal(0, 5, (3, n))
    if near_floor:  # some feet in the floor, some out; every third robot on its back
        state[State.POSITION + 2] = nominal.leg_height + generator.uniform(-0.01, 0.01, n)
        state[State.POSITION + 2, 2::3] += nominal.rotor_height - nominal.leg_height
        state[State.QUATERNION : State.VELOCITY, 2::3] = state[[4, 3, 6, 5], 2::3]  # q (x) (0, 1, 0, 0), signs aside
    speed = nominal.rotor_speed_max
    state[State.ROTOR_SPEED :] = generator.uniform(0.2 * speed, speed, (4, n))
    setpoint = generator.uniform(0.2 * speed, speed, (4, n))
    parameters[Parameter.WIND : Parameter.BATTERY_VOLTAGE] = generator.normal(0, 2, (3, n))
    # the battery caps about half of the setpoints
    full_speed = speed * generator.uniform(0.5, 1.2, n)
    parameters[Parameter.BATTERY_VOLTAGE] = full_speed / parameters[Parameter.SPEED_PER_VOLT]
    state, setpoint = (rows.astype(np.float32).astype(np.float64) for rows in (state, setpoint))
    return QuadrotorSample(state, setpoint, parameters)


@pytest.fixture(scope="session")
def sample_quadrotor() -> SampleQuadrotor:
    """sample_quadrotor(seed, n, near_floor=False, name="crazyflie") -> QuadrotorSample."""
    return _sample


MakePolicy = Callable[..., Policy]
TERMS = (
    ObservationTerm("position_error", 3, "m", "heading", clip=1.5, scale=1.0, noise=0.001),
    ObservationTerm("rotation", 9, "1", "heading", clip=1.0, scale=1.0, noise=0.0),
    ObservationTerm("velocity_error", 3, "m/s", "heading", clip=4.0, scale=0.5, noise=0.002),
    ObservationTerm("angular_velocity", 3, "rad/s", "body", clip=30.0, scale=0.1, noise=0.1),
)


def _policy(kind: str, hidden: tuple[int, ...], history: int = 0, seed: int = 0, gain: float = 1.0) -> Policy:
    past = (ObservationTerm("action_history", 4 * history, "1", "actuator", clip=1.0, scale=0.5, noise=0.0),)
    contract = Contract(
        robot="crazyflie",
        robot_sha256="ab" * 32,
        device_type="Crazyflie 2.1",
        observation=TERMS + (past if history else ()),
        action=ActionMapping("thrust_fraction", low=0.125, high=1.0, hover=-0.25),
        network=NetworkShape("gru" if kind == "gru" else "mlp", hidden),
        training=TrainingRecord("none", seed, "test"),
    )
    return _with_random_weights(contract, seed, gain)


def _with_random_weights(contract: Contract, seed: int, gain: float) -> Policy:
    generator = np.random.default_rng(seed)
    shapes = policy.weight_shapes(contract.network, contract.observation_size, contract.outputs)
    weights = {
        name: (gain * generator.uniform(-1, 1, shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in shapes.items()
    }
    return policy.assemble(contract, weights)


@pytest.fixture(scope="session")
def make_policy() -> MakePolicy:
    """make_policy(kind, hidden, history=0, seed=0, gain=1.0) -> Policy with weights up to gain / sqrt(inputs)."""
    return _policy


JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def _arm_policy(
    kind: str, hidden: tuple[int, ...], outputs: int = 5, touch: int = 0, history: int = 1, seed: int = 0
) -> Policy:
    joints = JOINTS[:outputs]
    mapping = JointMapping("joint_target_delta", joints, 0.08, 0.15, (-1.7,) * outputs, (1.6,) * outputs)
    terms = [
        ObservationTerm("joint_position", outputs, "rad", "joint", clip=3.2, scale=0.5, noise=0.002),
        ObservationTerm("joint_velocity", outputs, "rad/s", "joint", clip=8.0, scale=0.25, noise=0.05),
        ObservationTerm("joint_load", outputs, "rad", "joint", clip=0.3, scale=5.0, noise=0.0),
        ObservationTerm("tip", 3, "m", "base", clip=0.6, scale=2.0, noise=0.0),
        ObservationTerm("goal", 3, "m", "base", clip=0.5, scale=4.0, noise=0.001),
    ]
    if touch:
        terms.append(ObservationTerm("touch", touch, "N", "pad", clip=2.0, scale=2.0, noise=0.01))
    if history:
        terms.append(ObservationTerm("action_history", outputs * history, "1", "actuator", 1.0, 0.5, 0.0))
    contract = Contract(
        robot="so101",
        robot_sha256="cd" * 32,
        device_type="Feetech bus",
        observation=tuple(terms),
        action=mapping,
        network=NetworkShape("gru" if kind == "gru" else "mlp", hidden),
        training=TrainingRecord("none", seed, "test"),
        native_rate=50,
        inference_rate=50,
        setpoint=GoalSemantics(),
        envelope=ArmEnvelope(),
    )
    return _with_random_weights(contract, seed, 1.0)


@pytest.fixture(scope="session")
def make_arm_policy() -> MakePolicy:
    """make_arm_policy(kind, hidden, outputs=5, touch=0, history=1, seed=0) -> Policy of an arm."""
    return _arm_policy


WithLookAhead = Callable[..., Contract]


def _with_look_ahead(contract: Contract, count: int, spacing: float = 0.05) -> Contract:
    terms = list(contract.observation)
    ahead = ObservationTerm("look_ahead", 6 * count, "m, m/s", "heading", clip=4.0, scale=0.5, noise=0.0)
    terms.insert(len(terms) - (contract.history_length > 0), ahead)
    return dataclasses.replace(contract, observation=tuple(terms), look_ahead_spacing=spacing, weights_sha256="")


@pytest.fixture(scope="session")
def with_look_ahead() -> WithLookAhead:
    """with_look_ahead(contract, count, spacing=0.05) -> the contract of a policy that sees so much of the future."""
    return _with_look_ahead
