"""What has no meaning in a contract is refused by name: a quadrotor's and an arm's terms, actions, set-points."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from fledge_sim.contract_parts import (
    ActionMapping,
    ArmEnvelope,
    ContractError,
    Envelope,
    GoalSemantics,
    JointMapping,
    NetworkShape,
    ObservationTerm,
    SetpointSemantics,
)

TERM_SIZES: Mapping[str, int | None] = {
    "position_error": 3,
    "rotation": 9,
    "velocity_error": 3,
    "angular_velocity": 3,
    "look_ahead": None,
    "action_history": None,
}
"""A quadrotor's observation terms and their sizes; None: any multiple of TERM_GRANULES."""

TERM_GRANULES: Mapping[str, int] = {"look_ahead": 6, "action_history": 4}
"""look_ahead: of each future reference, position and velocity, minus the sensed ones, nearest first.
action_history: four motors, oldest first."""

JOINT_TERMS = ("joint_position", "joint_velocity", "joint_load")
"""One number per sensed joint: [rad], [rad/s], target minus position [rad]."""

ARM_TERMS = (*JOINT_TERMS, "tip", "goal", "touch", "truth", "action_history")
"""An arm's observation terms. tip: position of the grip frame in the base; goal: what to reach, minus tip, and in a
task of two places the second minus the first; touch: pooled taxels, three forces each (normal, shear x, shear y), pad
by pad and row by row; truth: what only a simulator knows; action_history: as many numbers as joints are moved, oldest
first."""

TURN = 2 * math.pi
"""[rad], the largest joint target."""


def require(condition: bool, message: str) -> None:
    """Raises ContractError unless the condition holds."""
    if not condition:
        raise ContractError(f"contract: {message}")


def arm_term_granule(name: str, action: JointMapping) -> tuple[int, bool]:
    """Numbers that a term of an arm consists of, and whether it may hold several times so many."""
    if name in JOINT_TERMS:
        return len(action.sensed_joints), False
    return {"tip": 3, "goal": 3, "touch": 3, "action_history": len(action.joints)}.get(name, 1), name in (
        "goal",
        "touch",
        "truth",
        "action_history",
    )


def check_observation(observation: Sequence[ObservationTerm], action: ActionMapping | JointMapping) -> None:
    """Terms are known to the kind of robot, none repeats, sizes and numbers fit, past actions come last."""
    names = [term.name for term in observation]
    require(len(set(names)) == len(names) and bool(names), f"observation terms repeat or are missing: {names}")
    known = tuple(TERM_SIZES) if isinstance(action, ActionMapping) else ARM_TERMS
    for term in observation:
        require(term.name in known, f"unknown observation term '{term.name}'; known: {', '.join(known)}")
        _check_size(term, action)
        require(math.isfinite(term.noise) and term.noise >= 0, f"term '{term.name}': noise {term.noise} must be >= 0")
        for name, value in (("clip", term.clip), ("scale", term.scale)):
            require(math.isfinite(value) and value > 0, f"term '{term.name}': {name} {value} must be finite and > 0")
    if "action_history" in names:
        require(names[-1] == "action_history", "action_history must be the last observation term")
    if "look_ahead" in names:
        others = [name for name in names if name != "action_history"]
        require(others[-1] == "look_ahead", "look_ahead must be the last observation term before action_history")


def _check_size(term: ObservationTerm, action: ActionMapping | JointMapping) -> None:
    if isinstance(action, ActionMapping):
        expected, granule = TERM_SIZES[term.name], TERM_GRANULES.get(term.name, 1)
        fits = term.size == expected if expected else term.size > 0 and term.size % granule == 0
        wanted = str(expected or f"a multiple of {granule}")
    else:
        granule, repeats = arm_term_granule(term.name, action)
        fits = term.size > 0 and term.size % granule == 0 if repeats else term.size == granule
        wanted = f"a multiple of {granule}" if repeats else str(granule)
        wanted += f" (joints {', '.join(action.sensed_joints)})" if term.name in JOINT_TERMS else ""
    require(fits, f"term '{term.name}' has size {term.size}, expected {wanted}")


def check_rotors(action: ActionMapping) -> None:
    """Four motors in order, a range within 0..1, a hover action inside."""
    require(0 <= action.low < action.high <= 1, f"action range {action.low}..{action.high} must lie in 0..1")
    require(-1 < action.hover < 1, f"hover action {action.hover} must lie inside -1..1")
    require(action.motors == ("M1", "M2", "M3", "M4"), f"motors {action.motors} must be M1, M2, M3, M4 in this order")
    spins = len(action.spin) == 4 and all(abs(spin) == 1 for spin in action.spin)
    require(spins, f"spin signs {action.spin} must be four of +1 or -1")


def check_joints(action: JointMapping) -> None:
    """Names that C can quote and that are sensed; finite limits in order; a step that the reach lets through."""
    names = action.joints
    require(bool(names), "an arm moves at least one joint; action.joints is empty")
    for name in (*names, *action.sensed):
        require(bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)), f"joint name {name!r} must be letters, digits, '_'")
    for field, listed in (("joints", names), ("sensed", action.sensed)):
        require(len(set(listed)) == len(listed), f"action.{field} {listed} repeats a joint")
    absent = [name for name in names if name not in action.sensed_joints]
    require(not absent, f"joints {', '.join(absent)} are moved but not in action.sensed")
    for field, limits in (("lower", action.lower), ("upper", action.upper)):
        require(len(limits) == len(names), f"action.{field} has {len(limits)} limits for {len(names)} joints")
    for name, low, high in zip(names, action.lower, action.upper, strict=True):
        ordered = -TURN <= low < high <= TURN
        require(ordered, f"joint '{name}': limits {low}..{high} rad must be in order and within a turn")
    require(math.isfinite(action.step) and action.step > 0, f"action.step {action.step} rad must be finite and > 0")
    reaches = math.isfinite(action.reach) and action.step <= action.reach <= math.pi
    require(reaches, f"action.reach {action.reach} rad must be at least the step, {action.step} rad, and at most pi")


def check_setpoint(
    action: ActionMapping | JointMapping,
    setpoint: SetpointSemantics | GoalSemantics,
    envelope: Envelope | ArmEnvelope,
) -> None:
    """Semantics and envelope are those of the kind of robot, the envelope's bounds positive."""
    rotors = isinstance(action, ActionMapping)
    robot = "a quadrotor's" if rotors else "an arm's"
    meaning: SetpointSemantics | GoalSemantics = SetpointSemantics() if rotors else GoalSemantics()
    require(setpoint == meaning, f"unknown set-point semantics {setpoint}; {robot} are {meaning}")
    kind = Envelope if rotors else ArmEnvelope
    require(isinstance(envelope, kind), f"{robot} envelope is {kind.__name__}, not {type(envelope).__name__}")
    for name, bound in dataclasses.asdict(envelope).items():
        require(math.isfinite(bound) and bound > 0, f"envelope {name} {bound} must be finite and > 0")


def check_rates(action: ActionMapping | JointMapping, native: int, inference: int) -> None:
    """Inference is a whole multiple of the native rate; an arm's is that rate, because each call moves targets."""
    require(
        0 < native <= inference and inference % native == 0,
        f"inference rate {inference} Hz must be a multiple of the native rate {native} Hz",
    )
    alike = isinstance(action, ActionMapping) or native == inference
    require(alike, f"an arm's inference rate, {inference} Hz, must be its native rate, {native} Hz")


def check_network(network: NetworkShape) -> None:
    """Layers that exist."""
    hidden = network.hidden
    require(bool(hidden) and min(hidden) > 0, f"network needs at least one hidden size, all positive: {hidden}")
    require(network.kind != "gru" or len(hidden) == 1, "a gru has one hidden size")
    require(network.kind != "gru" or network.activation == "tanh", "a gru's activation is tanh")
