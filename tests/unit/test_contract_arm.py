"""The contract of an arm: sizes follow from its joints, and what has no meaning is refused by name."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fledge_sim import policy as policies
from fledge_sim.contract import (
    ArmEnvelope,
    Contract,
    ContractError,
    Envelope,
    GoalSemantics,
    SetpointSemantics,
    differences,
    parse,
)
from fledge_sim.policy import Policy

MakePolicy = Callable[..., Policy]
SENSED = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


@pytest.fixture(scope="module")
def contract(make_arm_policy: MakePolicy) -> Contract:
    """Five joints moved and sensed, two past actions."""
    return make_arm_policy("mlp", (8,), history=2).contract


def test_sizes_follow_from_the_joints(contract: Contract, make_arm_policy: MakePolicy) -> None:
    assert contract.outputs == 5
    assert contract.observation_size == 31  # 3 * 5 joints + tip 3 + goal 3 + 2 * 5 past actions
    assert contract.history_length == 2
    assert contract.neutral_action == 0
    assert make_arm_policy("mlp", (96, 64), touch=96).contract.observation_size == 122  # 15 + 6 + 2 * 4 * 4 * 3 + 5


def test_parse_is_the_inverse_of_canonical_json(contract: Contract) -> None:
    again = parse(contract.canonical_json())
    assert again == contract
    assert again.sha256 == contract.sha256
    assert isinstance(again.envelope, ArmEnvelope)
    assert isinstance(again.setpoint, GoalSemantics)


def test_every_number_of_the_action_is_hashed(contract: Contract) -> None:
    other = dataclasses.replace(contract, action=dataclasses.replace(contract.joint_action, reach=0.2))
    assert differences(contract, other) == ["action.reach: 0.15 here, 0.2 there"]
    assert contract.hash32 != other.hash32


def test_a_joint_that_is_held_may_be_sensed(contract: Contract) -> None:
    action = dataclasses.replace(contract.joint_action, sensed=SENSED)
    sizes = {"joint_position": 6, "joint_velocity": 6, "joint_load": 6}
    terms = tuple(dataclasses.replace(term, size=sizes.get(term.name, term.size)) for term in contract.observation)
    held = dataclasses.replace(contract, action=action, observation=terms)
    assert held.outputs == 5
    assert held.joint_action.indices == (0, 1, 2, 3, 4)
    assert parse(held.canonical_json()) == held
    turned = dataclasses.replace(action, sensed=SENSED[::-1])
    assert dataclasses.replace(held, action=turned).joint_action.indices == (5, 4, 3, 2, 1)
    with pytest.raises(ContractError, match=r"'joint_position' has size 5, expected 6 \(joints .*gripper\)"):
        dataclasses.replace(contract, action=action)


def test_the_parts_of_a_quadrotor_and_of_an_arm_do_not_mix(contract: Contract, make_policy: MakePolicy) -> None:
    drone = make_policy("mlp", (8,)).contract
    for changes in ({"action": drone.action}, {"observation": drone.observation}):
        with pytest.raises(ContractError, match="unknown observation term"):
            dataclasses.replace(contract, **changes)
    with pytest.raises(ContractError, match="and cannot fly; give a quadrotor's"):
        _ = contract.rotor_action
    with pytest.raises(ContractError, match="moves no joints; give one of an arm"):
        _ = drone.joint_action


def action(**changes: Any) -> Callable[[Contract], dict[str, Any]]:
    return lambda contract: {"action": dataclasses.replace(contract.joint_action, **changes)}


def term(name: str, size: int) -> Callable[[Contract], dict[str, Any]]:
    def changes(contract: Contract) -> dict[str, Any]:
        terms = [dataclasses.replace(each, size=size) if each.name == name else each for each in contract.observation]
        return {"observation": tuple(terms)}

    return changes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (action(joints=(), lower=(), upper=()), "an arm moves at least one joint"),
        (action(joints=("a", "b", "c", "d", "a")), "repeats a joint"),
        (action(joints=("a b", "b", "c", "d", "e")), "joint name 'a b' must be letters"),
        (action(sensed=("shoulder_pan",)), "joints shoulder_lift, elbow_flex, .* are moved but not in action.sensed"),
        (action(lower=(-1.0,) * 4), "action.lower has 4 limits for 5 joints"),
        (action(upper=(1.6, 1.6, -1.7, 1.6, 1.6)), "joint 'elbow_flex': limits -1.7..-1.7 rad must be in order"),
        (action(lower=(float("nan"),) * 5), "joint 'shoulder_pan': limits nan..1.6"),
        (action(upper=(7.0,) * 5), "within a turn"),
        (action(step=0.0), "action.step 0.0 rad must be finite and > 0"),
        (action(step=float("inf")), "action.step inf rad"),
        (action(reach=0.05), "action.reach 0.05 rad must be at least the step, 0.08 rad"),
        (term("joint_load", 6), "'joint_load' has size 6, expected 5"),
        (term("tip", 6), "'tip' has size 6, expected 3"),
        (term("action_history", 8), "'action_history' has size 8, expected a multiple of 5"),
        (lambda contract: {"observation": contract.observation[::-1]}, "action_history must be the last"),
        (lambda contract: {"look_ahead_spacing": 0.1}, "look_ahead_spacing 0.1 s must be > 0 with a look_ahead term"),
        (lambda contract: {"inference_rate": 500}, "an arm's inference rate, 500 Hz, must be its native rate, 50 Hz"),
        (lambda contract: {"setpoint": SetpointSemantics()}, "an arm's are GoalSemantics"),
        (lambda contract: {"envelope": Envelope()}, "an arm's envelope is ArmEnvelope, not Envelope"),
        (lambda contract: {"envelope": ArmEnvelope(joint_load=0.0)}, "envelope joint_load 0.0 must be finite and > 0"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(
    changes: Callable[[Contract], dict[str, Any]], sentence: str, contract: Contract
) -> None:
    with pytest.raises(ContractError, match=sentence):
        dataclasses.replace(contract, **changes(contract))


def test_weights_have_a_row_per_joint(make_arm_policy: MakePolicy) -> None:
    policy = make_arm_policy("gru", (6,), outputs=3)
    assert policy.weights["output.weight"].shape == (3, 6)
    # gru of 6 on 18 inputs: 3 * 6 * (18 + 6 + 2) = 468; output 3 * 6 + 3 = 21
    assert policy.parameter_count == 489
    action, state = policies.forward(policy, np.ones((7, 18)), np.zeros((7, 6)))
    assert action.shape == (7, 3)
    assert state.shape == (7, 6)
    fewer = {name: array[:2] if name.startswith("output") else array for name, array in policy.weights.items()}
    with pytest.raises(
        policies.PolicyFileError, match=r"'output.weight' has shape \(2, 6\), the contract says \(3, 6\)"
    ):
        policies.assemble(policy.contract, fewer)
