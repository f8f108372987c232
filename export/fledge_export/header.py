"""Policy -> policy.h: sizes, rates, where each observation term begins, and what the actions of its robot mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fledge_sim.contract import ArmEnvelope, Contract, Envelope, JointMapping
from fledge_sim.contract_checks import ARM_TERMS, JOINT_TERMS, TERM_SIZES
from fledge_sim.errors import FledgeError

from fledge_export.c_text import fill, float_literal

ACTION_KINDS = {"rotor_speed_fraction": 0, "thrust_fraction": 1, "duty": 2}
SPACING_MAX = 0.5
"""[s]; the flight code looks ahead in steps of at most that."""


class EmitError(FledgeError):
    """A policy that cannot become C."""


def header(contract: Contract, network: str, reuse_size: int) -> str:
    """policy.h.

    Args:
        contract: of the policy.
        network: describes it.
        reuse_size: outputs of the first layer, if sums over past actions are kept; 0: policy_step_reuse does not exist.
    Raises:
        EmitError: a name that C cannot quote, or an observation that no firmware builds.
    """
    if not re.fullmatch(r"[A-Za-z0-9_. +-]+", contract.robot):
        raise EmitError(f"robot name {contract.robot!r} cannot be quoted in C; use letters, digits and '_. +-'")
    return fill(
        "policy.h",
        network=network,
        has_reuse=int(reuse_size > 0),
        reuse=fill("reuse.h", reuse_size=reuse_size) if reuse_size else "",
        input_size=contract.observation_size,
        output_size=contract.outputs,
        state_size=contract.recurrent_size,
        history_length=contract.history_length,
        native_rate=contract.native_rate,
        inference_rate=contract.inference_rate,
        hash32=f"{contract.hash32:08x}",
        sha256=contract.sha256,
        robot=contract.robot,
        offsets=_offsets(contract),
        acts_on=(_arm(contract) if isinstance(contract.action, JointMapping) else _quadrotor(contract)).rstrip("\n"),
    )


def _offsets(contract: Contract) -> str:
    starts: dict[str, int] = {}
    for term in contract.observation:
        starts[term.name] = sum(before.size for before in contract.observation[: len(starts)])
    known = ARM_TERMS if isinstance(contract.action, JointMapping) else tuple(TERM_SIZES)
    lines = [f"#define POLICY_OFFSET_{name.upper()} {starts.get(name, '(-1)')}" for name in known]
    return "\n".join(lines)


def _quadrotor(contract: Contract) -> str:
    if contract.look_ahead_spacing > SPACING_MAX:
        raise EmitError(
            f"look_ahead_spacing is {contract.look_ahead_spacing:g} s, the firmware looks ahead in steps of at most "
            f"{SPACING_MAX:g} s; train with more and nearer references"
        )
    action, envelope = contract.rotor_action, contract.envelope
    assert isinstance(envelope, Envelope)  # the contract was validated
    return fill(
        "quadrotor.h",
        look_ahead_count=sum(term.size // 6 for term in contract.observation if term.name == "look_ahead"),
        look_ahead_spacing=float_literal(contract.look_ahead_spacing),
        action_low=float_literal(action.low),
        action_high=float_literal(action.high),
        action_hover=float_literal(action.hover),
        action_kind=ACTION_KINDS[action.kind],
        envelope_position_error=float_literal(envelope.position_error),
        envelope_velocity=float_literal(envelope.velocity),
        envelope_angular_velocity=float_literal(envelope.angular_velocity),
    )


def _arm(contract: Contract) -> str:
    sizes = {term.name: term.size for term in contract.observation}
    if "truth" in sizes:
        raise EmitError(
            "the policy sees the term 'truth', which only a simulator knows; export one that senses, distilled from it"
        )
    action, envelope = contract.joint_action, contract.envelope
    assert isinstance(envelope, ArmEnvelope)  # the contract was validated
    return fill(
        "arm.h",
        joints_sensed=len(action.sensed_joints) if set(JOINT_TERMS) & set(sizes) else 0,
        goal_size=sizes.get("goal", 0),
        touch_size=sizes.get("touch", 0),
        names=_braces([f'"{name}"' for name in action.joints]),
        indices=_braces([str(index) for index in action.indices]),
        lower=_braces([float_literal(limit) for limit in action.lower]),
        upper=_braces([float_literal(limit) for limit in action.upper]),
        step=float_literal(action.step),
        reach=float_literal(action.reach),
        neutral=float_literal(contract.neutral_action),
        envelope_goal=float_literal(envelope.goal),
        envelope_joint_velocity=float_literal(envelope.joint_velocity),
        envelope_joint_load=float_literal(envelope.joint_load),
    )


def _braces(items: Sequence[str]) -> str:
    """An initialiser of an array."""
    return "{" + ", ".join(items) + "}"
